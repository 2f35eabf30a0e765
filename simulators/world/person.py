"""Who sits in the chair: body, baseline, and how strongly this one answers to ketamine. Facts, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """One adult on one day. The defaults are a typical one; `population.draw` makes others.

    The rises are the drug's own effect at the typical peak of a treatment dose (effect 1, see `effects.py`).
    The three `_at` are the effect at which that symptom begins. `seed` fixes this day's chance: the same person
    with the same seed has the same beats.
    """

    seed: int = 0
    age_y: float = 45.0
    weight_kg: float = 75.0
    sys_mmhg: float = 122.0
    dia_mmhg: float = 78.0
    pulse_bpm: float = 72.0
    resp_bpm: float = 14.0
    spo2_pct: float = 97.5
    perfusion_pct: float = 2.0
    clearance: float = 1.0  # as a multiple of the model's
    sys_rise_mmhg: float = 10.0
    dia_rise_mmhg: float = 7.0
    pulse_rise_bpm: float = 4.0
    resp_rise_bpm: float = -1.0
    spo2_rise_pct: float = -0.5
    drowsy_at: float = 0.9
    dizzy_at: float = 1.1
    nausea_at: float = 2.0
    cadss_at_peak: float = 7.0
