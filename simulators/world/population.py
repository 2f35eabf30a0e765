"""People to simulate: drawn by seed from the groups in which the cited effects were measured.

Three groups, because the cited figures come from three, and no one of them shows all: the adults and the older adults
of the esketamine trials, whose dose was withheld above 140/90 (150/90 from 65 years), and a clinic that gave everybody
their infusion. A fourth, untreated hypertension, is what "165/100 in 44 %" takes when it is read as one stay.

Between patients the rise of pressure is log-normal: most rise a little, a few by 40 mmHg or more. Between two stays
of one patient the baseline and the rise move again. Means, spreads and correlations here are fitted so that readings
taken as the studies took them give the studies' figures; `effect_sizes.py` does that and prints the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simulators.world.person import Person

CUFF_ERROR_MMHG = (3.5, 3.0)  # of one reading, systolic and diastolic; the standard allows a spread of 8
STAY_BASE_SD = (6.0, 4.0)  # of the baseline between two days, mmHg
STAY_RISE_SIGMA = 0.33  # of the rise between two days, log-normal
OLDER_Y = 65.0
# The normal distributions reach where outpatients do not.
SYS_MMHG_MIN, DIA_MMHG_MIN, PULSE_PRESSURE_MMHG_MIN = 92.0, 52.0, 25.0


@dataclass(frozen=True)
class Group:
    """Whom a study looked at. Pairs are mean and standard deviation; `withheld_over` is the trial's dosing limit."""

    name: str
    age_y: tuple[float, float]
    ages: tuple[float, float]
    sys_mmhg: tuple[float, float]
    dia_mmhg: tuple[float, float]
    withheld_over: tuple[float, float] | None = None


TRIAL_ADULTS = Group("trial, 18 to 64 years", (46, 11), (18, 64), (120, 10), (74, 7), withheld_over=(140, 90))
TRIAL_OLDER = Group("trial, 65 and over", (70, 4), (65, 86), (119, 8), (72, 7), withheld_over=(150, 90))
CLINIC = Group("clinic", (45, 14), (18, 80), (125, 13), (79, 9))
HYPERTENSIVE = Group("untreated hypertension", (52, 12), (18, 80), (135, 13), (85, 8))
GROUPS = (TRIAL_ADULTS, TRIAL_OLDER, CLINIC, HYPERTENSIVE)

# The drug's own rise at its peak: median mmHg and log-normal sigma between patients.
SYS_RISE, SYS_RISE_OLDER, SYS_SIGMA = 9.1, 10.1, 0.69
DIA_RISE, DIA_SIGMA = 6.3, 0.62
RISE_CORRELATION = 0.7


def draw(group: Group, seed: int) -> Person:
    """The patient with this number in a group, with their usual baseline and answer to the drug."""
    chance = np.random.default_rng((seed, 1))
    age_y = float(np.clip(chance.normal(*group.age_y), *group.ages))
    shared, own = chance.normal(size=2)
    dia_z = RISE_CORRELATION * shared + np.sqrt(1.0 - RISE_CORRELATION**2) * own
    base_shared, base_own = chance.normal(size=2)
    # Whoever is over the trial's limit on most days does not enter it.
    sys_max, dia_max = group.withheld_over or (np.inf, np.inf)
    sys_rise = SYS_RISE_OLDER if age_y >= OLDER_Y else SYS_RISE
    return Person(
        seed=seed,
        age_y=age_y,
        weight_kg=float(np.clip(chance.normal(78, 15), 45, 140)),
        sys_mmhg=min(sys_max, group.sys_mmhg[0] + group.sys_mmhg[1] * float(base_shared)),
        dia_mmhg=min(dia_max, group.dia_mmhg[0] + group.dia_mmhg[1] * float(0.6 * base_shared + 0.8 * base_own)),
        pulse_bpm=float(np.clip(chance.normal(73, 9), 50, 105)),
        resp_bpm=float(np.clip(chance.normal(14.5, 1.8), 10, 20)),
        spo2_pct=float(np.clip(chance.normal(97.3, 1.0), 94, 99.5)),
        perfusion_pct=float(np.clip(np.exp(chance.normal(np.log(2.0), 0.5)), 0.4, 8.0)),
        clearance=float(np.exp(chance.normal(0.0, 0.2))),
        sys_rise_mmhg=float(sys_rise * np.exp(SYS_SIGMA * shared)),
        dia_rise_mmhg=float(DIA_RISE * np.exp(DIA_SIGMA * dia_z)),
        pulse_rise_bpm=chance.normal(4.1, 5.0),
        resp_rise_bpm=chance.normal(-1.0, 1.0),
        spo2_rise_pct=-abs(chance.normal(0.0, 0.7)),
        drowsy_at=float(np.exp(chance.normal(-0.08, 0.6))),
        dizzy_at=float(np.exp(chance.normal(0.07, 0.6))),
        nausea_at=float(np.exp(chance.normal(0.65, 0.6))),
        cadss_at_peak=float(np.exp(chance.normal(1.93, 1.0))),
    )


def stay(person: Person, number: int) -> Person:
    """The same patient on another day: baseline and rise have moved, and so has every wave."""
    chance = np.random.default_rng((person.seed, 2, number))
    shared, own = chance.normal(size=2)
    factor = float(np.exp(STAY_RISE_SIGMA * chance.normal()))
    sys_mmhg = max(SYS_MMHG_MIN, person.sys_mmhg + STAY_BASE_SD[0] * float(shared))
    dia_mmhg = person.dia_mmhg + STAY_BASE_SD[1] * float(0.6 * shared + 0.8 * own)
    return replace(
        person,
        seed=person.seed * 1009 + number + 1,
        sys_mmhg=sys_mmhg,
        dia_mmhg=min(max(dia_mmhg, DIA_MMHG_MIN), sys_mmhg - PULSE_PRESSURE_MMHG_MIN),
        sys_rise_mmhg=person.sys_rise_mmhg * factor,
        dia_rise_mmhg=person.dia_rise_mmhg * factor,
    )
