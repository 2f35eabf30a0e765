"""Vitals cheap enough for a thousand chairs: each value wanders about its own mean, and some patients desaturate.

A value is a mean-reverting walk (Ornstein-Uhlenbeck, a step a reading): it drifts over minutes and stays in a range
in which no limit of the shipped protocols is crossed. For bodies with drugs, breathing and reflexes see
`simulators.world`.
"""

import math
import random

from msgspec import Struct

REVERT_S = 30.0
CALM_SPO2_PCT_MIN = 93.5


class Course(Struct, frozen=True):
    """A saturation that falls in a line from `begins_s` to `floor_pct`, and stays there."""

    begins_s: float
    falls_s: float
    floor_pct: float


class Walk:
    """A value about `mean` with the spread `sd`, at most three of it away."""

    def __init__(self, mean: float, sd: float, chance: random.Random) -> None:
        self.value = self._mean = mean
        self._sd, self._chance = sd, chance

    def step(self, passed_s: float) -> float:
        kept = math.exp(-passed_s / REVERT_S)
        spread = self._sd * math.sqrt(1 - kept * kept)
        moved = self._mean + (self.value - self._mean) * kept + self._chance.gauss(0, spread)
        self.value = min(max(moved, self._mean - 3 * self._sd), self._mean + 3 * self._sd)
        return self.value


class Patient:
    """One patient. `course` makes the saturation fall; its clock begins when `begin` is called."""

    def __init__(self, chance: random.Random, course: Course | None = None) -> None:
        self._chance = chance
        self._course = course
        self._course_s: float | None = None
        self._spo2 = Walk(chance.uniform(96, 98.5), 0.5, chance)
        self._pulse = Walk(chance.uniform(62, 88), 3.0, chance)
        self._perfusion = Walk(chance.uniform(1.5, 6), 0.3, chance)
        self._breathing = Walk(chance.uniform(12, 18), 1.0, chance)
        self.sys_mmhg = chance.uniform(108, 134)
        self.dia_mmhg = self.sys_mmhg - chance.uniform(38, 48)

    def begin(self) -> None:
        self._course_s = 0.0

    def vitals(self, passed_s: float) -> dict[str, float]:
        """Values `passed_s` after the last ones, rounded as a board rounds them."""
        spo2_pct = max(self._spo2.step(passed_s), CALM_SPO2_PCT_MIN)
        if self._course is not None and self._course_s is not None:
            self._course_s += passed_s
            done = min(max((self._course_s - self._course.begins_s) / self._course.falls_s, 0.0), 1.0)
            spo2_pct += (self._course.floor_pct - spo2_pct) * done
        return {
            "spo2_pct": round(min(spo2_pct, 100.0), 1),
            "pulse_bpm": round(self._pulse.step(passed_s), 1),
            "pi_pct": round(self._perfusion.step(passed_s), 2),
            "resp_bpm": round(self._breathing.step(passed_s), 1),
        }

    def pressure(self) -> tuple[float, float, float]:
        """Systolic, diastolic and mean of one measurement, with its own scatter."""
        sys_mmhg = round(self.sys_mmhg + self._chance.gauss(0, 3))
        dia_mmhg = round(self.dia_mmhg + self._chance.gauss(0, 2))
        return float(sys_mmhg), float(dia_mmhg), float(round(dia_mmhg + (sys_mmhg - dia_mmhg) * 0.4))
