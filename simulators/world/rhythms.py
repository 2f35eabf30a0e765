"""What never stands still: breathing in the pulse, waves in the pressure, the reflex that ties them together.

Sums of sines with the person's own periods and phases: a function of time alone, so the past can be asked again,
a seed repeats it exactly, and a lag is a shift of phase. The sizes are textbook ones for a resting adult, not fits:
a breath moves the pulse by 4/min at 20 years and 1 at 80, and the pressure by 2 mmHg; pressure waves of 0.1 Hz
(Mayer) have 2 mmHg; the baroreflex answers 1 mmHg with 0.5/min at 30 years and 0.2 at 80, some seconds late.
The slow sway over minutes is what makes two cuff readings differ at rest; its size is drawn from the placebo arms
of the esketamine trials (`effect_sizes.py`), and grows with age.
"""

from __future__ import annotations

import numpy as np

from simulators.world.person import Person
from simulators.world.pharmacology import Array

MAYER_MMHG, BREATH_MMHG = 2.0, 2.0
DIA_SHARE = 0.7  # of these two waves
JITTER_BPM = 1.0
PULSE_SWAY_BPM = 2.0
SHARED_SWAY = 0.75  # correlation of the slow sways of systolic and diastolic
REFLEX_LAG_S = 4.0


def sway_mmhg(age_y: float) -> tuple[float, float]:
    """Standard deviation of systolic and diastolic pressure over the minutes of a quiet stay."""
    older = min(max(age_y - 45.0, 0.0) / 25.0, 1.5)
    return 3.5 + 3.5 * older, 2.7 + 0.8 * older


def reflex_bpm_per_mmhg(age_y: float) -> float:
    """How far the pulse slows for a pressure that rises by 1 mmHg."""
    return min(0.5, max(0.2, 0.5 - 0.006 * (age_y - 30.0)))


class Sines:
    """A sum of sines of equal size with periods spread evenly in logarithm between two bounds."""

    def __init__(self, chance: np.random.Generator, sd: float, shortest_s: float, longest_s: float, count: int) -> None:
        self._size = sd * np.sqrt(2.0 / count)
        edges = np.linspace(np.log(shortest_s), np.log(longest_s), count + 1)
        self._omega = 2.0 * np.pi / np.exp(chance.uniform(edges[:-1], edges[1:]))
        self._phase = chance.uniform(0.0, 2.0 * np.pi, count)

    def at(self, times_s: Array, lag_s: float = 0.0) -> Array:
        """The sum at each time, or as a first-order lag passes it on."""
        angle = np.outer(times_s, self._omega) + self._phase - np.arctan(self._omega * lag_s)
        total: Array = np.sin(angle) @ (self._size / np.sqrt(1.0 + (self._omega * lag_s) ** 2))
        return total


class Rhythms:
    """The variability of one person on one day."""

    def __init__(self, person: Person) -> None:
        chance = np.random.default_rng((person.seed, 11))
        sys_sd, dia_sd = sway_mmhg(person.age_y)
        self._dia_per_sys = dia_sd / sys_sd
        self._sway = Sines(chance, sys_sd, 240.0, 2400.0, 6)
        self._dia_sway = Sines(chance, dia_sd, 240.0, 2400.0, 6)
        self._mayer = Sines(chance, MAYER_MMHG / np.sqrt(2.0), 9.0, 12.0, 3)
        self._pulse_sway = Sines(chance, PULSE_SWAY_BPM, 120.0, 1200.0, 5)
        self._jitter = Sines(chance, JITTER_BPM, 2.0, 30.0, 8)
        self._breath_bpm = max(1.0, 5.0 - 0.05 * person.age_y)
        self.reflex = reflex_bpm_per_mmhg(person.age_y)

    def slow(self, times_s: Array) -> tuple[Array, Array, Array]:
        """The sway of systolic, diastolic (mmHg) and pulse (/min): what differs from one cuff reading to the next."""
        sys = self._sway.at(times_s)
        own = np.sqrt(1.0 - SHARED_SWAY**2)
        dia = SHARED_SWAY * self._dia_per_sys * sys + own * self._dia_sway.at(times_s)
        pulse = self._pulse_sway.at(times_s) - self.reflex * self._sway.at(times_s, REFLEX_LAG_S)
        return sys, dia, pulse

    def quick(self, times_s: Array, breaths: Array) -> tuple[Array, Array, Array]:
        """The waves within a minute, in the same order, at these phases of breathing."""
        breath = np.sin(2.0 * np.pi * breaths)
        wave = self._mayer.at(times_s) - BREATH_MMHG * breath
        pulse = (
            self._breath_bpm * breath + self._jitter.at(times_s) - self.reflex * self._mayer.at(times_s, REFLEX_LAG_S)
        )
        return wave, DIA_SHARE * wave, pulse
