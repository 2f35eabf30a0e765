"""What the drug does at a concentration: one effect, and everything in proportion to it.

The effect is Emax/(1 + EC50/C), scaled to 1 at 230 ng/ml, the typical peak of 0.5 mg/kg in 40 min. EC50 is assumed:
350 ng/ml makes 56 mg of esketamine four fifths of 84 mg, and leaves a tail to four hours. How
many mmHg an effect of 1 is, is the person's own; `population.py` draws it from published effect sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulators.world.person import Person
from simulators.world.pharmacology import Array

PEAK_NG_ML = 230.0
EC50_NG_ML = 350.0
CADSS_MAX = 92.0
CADSS_DISSOCIATED = 4.0  # over it
CADSS_REPORTED = 10.0  # what patients speak of unasked; see `effect_sizes.py` for why there are two
FAINT_MAP_MMHG = 45.0


def effect(effect_site_ng_ml: Array) -> Array:
    """0 without drug, 1 at the typical peak, below 2.6 whatever the dose."""
    return effect_site_ng_ml / (effect_site_ng_ml + EC50_NG_ML) * ((PEAK_NG_ML + EC50_NG_ML) / PEAK_NG_ML)


def rises(person: Person, level: Array) -> dict[str, Array]:
    """What an effect adds to this person's vital signs, by quantity."""
    return {
        "sys_mmhg": person.sys_rise_mmhg * level,
        "dia_mmhg": person.dia_rise_mmhg * level,
        "pulse_bpm": person.pulse_rise_bpm * level,
        "resp_bpm": person.resp_rise_bpm * level,
        "spo2_pct": person.spo2_rise_pct * level,
    }


@dataclass(frozen=True)
class Signs:
    """What a member of staff would find who looks and asks."""

    moaa_s: int  # 5 awake .. 0 no answer
    cadss: float  # 0..92
    dizzy: bool
    nauseous: bool

    @property
    def dissociated(self) -> bool:
        return self.cadss > CADSS_DISSOCIATED

    @property
    def reports_dissociation(self) -> bool:
        return self.cadss >= CADSS_REPORTED

    @property
    def gait_steady(self) -> bool:
        return self.moaa_s == 5 and not self.dizzy


def signs(person: Person, level: float, map_mmhg: float) -> Signs:
    """Signs at an effect and a mean pressure; who has no pressure faints."""
    depth = level / person.drowsy_at
    awake = 5 if depth < 1.0 else 4 if depth < 2.0 else 3 if depth < 3.5 else 2
    return Signs(
        moaa_s=0 if map_mmhg < FAINT_MAP_MMHG else awake,
        cadss=min(CADSS_MAX, person.cadss_at_peak * level),
        dizzy=level >= person.dizzy_at,
        nauseous=level >= person.nausea_at,
    )
