"""What may happen to a patient, as pulls: each draws one quantity towards a value for a while, then lets go.

The courses are drawn from what textbooks describe, to try the alarms with; none is fitted to recordings. Falling
saturation after breathing stops follows a store of oxygen: its pressure falls in a line on room air (assumed: 0.75
mmHg/s, which reaches 90 % within a minute), the blood takes it up by the dissociation curve of J. W. Severinghaus
(Journal of Applied Physiology 46:599, 1979), and the finger shows it 20 s later, in the fall and in the recovery.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulators.world.pharmacology import Array

FINGER_LAG_S = 20.0
OXYGEN_FALL_MMHG_PER_S = 0.75
OXYGEN_MMHG_MIN = 25.0
RECOVERY_S = 15.0


@dataclass(frozen=True)
class Pull:
    """Draws `quantity` to `target` within `rise_s`, holds it for `hold_s`, lets go within `fall_s`."""

    quantity: str
    start_s: float
    target: float
    rise_s: float
    hold_s: float
    fall_s: float
    reflex: bool = False  # of a pressure: the baroreflex answers it with the pulse

    def share(self, times_s: Array) -> Array:
        """How far it has its way at each time, 0 to 1."""
        knots = np.cumsum([self.start_s, self.rise_s, self.hold_s, self.fall_s])
        return np.interp(times_s, knots, [0.0, 1.0, 1.0, 0.0])


def hypertensive(at_s: float, sys_mmhg: float, dia_mmhg: float, hold_s: float) -> list[Pull]:
    """A pressure that climbs in two minutes and comes down in ten."""
    return [
        Pull("sys_mmhg", at_s, sys_mmhg, 120.0, hold_s, 600.0, reflex=True),
        Pull("dia_mmhg", at_s, dia_mmhg, 120.0, hold_s, 600.0),
    ]


def vasovagal(at_s: float, hold_s: float) -> list[Pull]:
    """The reflex that faints: slow pulse and low pressure together, a pale cold finger, back within two minutes."""
    return [
        Pull("pulse_bpm", at_s, 36.0, 15.0, hold_s, 60.0),
        Pull("sys_mmhg", at_s, 58.0, 20.0, hold_s, 90.0),
        Pull("dia_mmhg", at_s, 32.0, 20.0, hold_s, 90.0),
        Pull("perfusion_pct", at_s, 0.4, 20.0, hold_s, 90.0),
    ]


def bradycardia(at_s: float, pulse_bpm: float, hold_s: float) -> list[Pull]:
    """A slow pulse alone, the pressure unchanged."""
    return [Pull("pulse_bpm", at_s, pulse_bpm, 10.0, hold_s, 20.0)]


def vomiting(at_s: float, pulse_bpm: float, sys_mmhg: float) -> list[Pull]:
    """Half a minute of movement, a racing pulse and straining, from the pulse and pressure there are; then nausea."""
    return [
        Pull("motion", at_s, 1.0, 1.0, 25.0, 4.0),
        Pull("nausea", at_s, 1.0, 0.1, 900.0, 0.1),
        Pull("pulse_bpm", at_s, pulse_bpm + 28.0, 6.0, 25.0, 60.0),
        Pull("sys_mmhg", at_s, sys_mmhg + 18.0, 4.0, 25.0, 40.0),
    ]


def cold_hands(at_s: float, perfusion_pct: float, hold_s: float) -> list[Pull]:
    """Vessels of the finger close within two minutes: a pulse so small that an oximeter struggles."""
    return [Pull("perfusion_pct", at_s, perfusion_pct, 120.0, hold_s, 300.0)]


@dataclass(frozen=True)
class Apnoea:
    """Breathing stops for a while."""

    start_s: float
    lasts_s: float

    def breathing(self) -> Pull:
        return Pull("resp_bpm", self.start_s, 0.0, 0.5, self.lasts_s - 0.5, 0.5)

    def saturation_pct(self, resting_pct: Array, times_s: Array) -> Array:
        """What the finger shows, from what it would show with breathing."""
        resting = oxygen_mmhg(resting_pct)
        spent_s = np.clip(times_s - self.start_s - FINGER_LAG_S, 0.0, self.lasts_s)
        lowest = np.maximum(np.minimum(resting, OXYGEN_MMHG_MIN), resting - OXYGEN_FALL_MMHG_PER_S * spent_s)
        since_end = np.maximum(times_s - self.start_s - FINGER_LAG_S - self.lasts_s, 0.0)
        pressure = resting + (lowest - resting) * np.exp(-since_end / RECOVERY_S)
        return resting_pct + (saturation_pct(pressure) - saturation_pct(resting))


def saturation_pct(oxygen_pressure_mmhg: Array) -> Array:
    """Severinghaus's curve, at body temperature and normal acidity."""
    p = oxygen_pressure_mmhg
    return 100.0 / (23400.0 / (p**3 + 150.0 * p) + 1.0)


_PRESSURES = np.linspace(10.0, 400.0, 1561)
_SATURATIONS = saturation_pct(_PRESSURES)


def oxygen_mmhg(saturation: Array) -> Array:
    """The same curve the other way, from 10 to 400 mmHg."""
    return np.interp(saturation, _SATURATIONS, _PRESSURES)
