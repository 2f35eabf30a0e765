"""The finger on the oximeter: Beer-Lambert absorption by arterial and venous blood, by published extinction.

Light that comes back at a wavelength is gain * LED current * exp(-path * (blood absorption)). Only the
arterial volume pulses; breathing moves the venous volume a little. Nothing here knows how readings are made.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from simulators.world.patient import Patient
from simulators.world.pulse import Shape, finger_volume

# Molar extinction of haemoglobin in 1/(cm mol/l): nm -> (oxygenated, deoxygenated).
# S. Prahl's compilation of Moaveni (1970) and Schmitt, omlc.org/spectra/hemoglobin/moaveni.html.
EXTINCTION = {
    640: (440.0, 3640.0),
    650: (380.0, 3420.0),
    660: (320.0, 3200.0),
    670: (320.0, 3080.0),
    680: (320.0, 2960.0),
    860: (1080.0, 840.0),
    870: (1120.0, 840.0),
    880: (1160.0, 840.0),
    890: (1180.0, 860.0),
    900: (1200.0, 880.0),
}
RED_NM, IR_NM = 660.0, 880.0
# Red light scatters more and travels further in tissue than infrared does.
RED_PATH = 1.4
VENOUS_DROP = 0.25  # venous saturation lies this fraction below arterial
VENOUS_SHARE = 3.0  # venous volume, and below the resting arterial volume, in arterial pulses
ARTERIAL_REST = 8.0
BREATH_SHARE = 0.08  # venous volume moved by a breath, in arterial pulses
PERFUSION_AT = 0.97  # saturation at which `perfusion_pct` is the infrared pulse


def extinction(nm: float) -> tuple[float, float]:
    """Oxygenated and deoxygenated extinction, interpolated; raises KeyError outside the two LED bands."""
    low = math.floor(nm / 10) * 10
    share = (nm - low) / 10
    if share == 0:
        return EXTINCTION[low]
    (oxy_low, deoxy_low), (oxy_high, deoxy_high) = EXTINCTION[low], EXTINCTION[low + 10]
    return oxy_low + share * (oxy_high - oxy_low), deoxy_low + share * (deoxy_high - deoxy_low)


class Finger:
    """Photodiode currents for one board. `seed` fixes the board's LED wavelengths, gains and noise.

    `occlusion(t)` is the share of the arterial pulse that passes a cuff on the same arm (1 without one).
    """

    def __init__(self, patient: Patient, seed: int, shape: Shape = finger_volume) -> None:
        chance = random.Random(seed * 7919 + 1)
        self.patient = patient
        self.shape = shape
        self._red = extinction(RED_NM + chance.uniform(-4, 4))
        self._ir = extinction(IR_NM + chance.uniform(-8, 8))
        self._red_path = RED_PATH * chance.uniform(0.97, 1.03)
        self._red_na_per_ma = 190.0 * chance.uniform(0.85, 1.15)
        self._ir_na_per_ma = 230.0 * chance.uniform(0.85, 1.15)
        self._noise = random.Random(seed * 7919 + 2)
        self.noise_na = 0.12
        self.occlusion: Callable[[float], float] = lambda t: 1.0

    def light(self, t: float, red_ma: float, ir_ma: float) -> tuple[float, float]:
        """Photodiode current in nA for the red and the infrared pulse at world time t."""
        noise = self._noise.gauss
        if not self.patient.finger_on(t):
            # Cover glass reflection and what ambient light the chip's canceller leaves.
            return (
                abs(0.4 * red_ma + 0.3 + noise(0.0, self.noise_na)),
                abs(0.4 * ir_ma + 0.3 + noise(0.0, self.noise_na)),
            )
        arterial = self.patient.at("spo2_pct", t) / 100.0
        venous = max(0.0, arterial - VENOUS_DROP)
        unit = self.patient.at("perfusion_pct", t) / 100.0 / _mix(self._ir, PERFUSION_AT)
        pulse = self.shape(self.patient.beats(t)) * self.occlusion(t)
        breath = BREATH_SHARE * math.sin(2 * math.pi * self.patient.breaths(t))
        arterial_volume = unit * (ARTERIAL_REST + pulse)
        venous_volume = unit * (VENOUS_SHARE + breath)

        def returned(extinctions: tuple[float, float], path: float) -> float:
            absorbed = _mix(extinctions, arterial) * arterial_volume + _mix(extinctions, venous) * venous_volume
            return math.exp(-path * absorbed)

        red_na = self._red_na_per_ma * red_ma * returned(self._red, self._red_path)
        ir_na = self._ir_na_per_ma * ir_ma * returned(self._ir, 1.0)
        return red_na + noise(0.0, self.noise_na), ir_na + noise(0.0, self.noise_na)


def _mix(extinctions: tuple[float, float], saturation: float) -> float:
    return saturation * extinctions[0] + (1.0 - saturation) * extinctions[1]
