"""The brachial artery under the cuff: its volume against the pressure across its wall.

Form after C. F. Babbs, BioMedical Engineering OnLine 11:56 (2012): the compliance falls off exponentially on
both sides of zero transmural pressure, faster when the artery is squeezed than when it is stretched. The two
constants are chosen so that the largest oscillation comes near 0.4 of the way from diastolic to systolic, close
to what recordings show (Chandrasekhar et al., Frontiers in Physiology 10:1415, 2019).
"""

from __future__ import annotations

import math

from simulators.world.patient import Patient
from simulators.world.pulse import artery_pressure

COLLAPSE_PER_MMHG = 0.062
STRETCH_PER_MMHG = 0.041
REST_VOLUME_ML = 0.55  # at zero transmural pressure, along the cuff


def volume_ml(transmural_mmhg: float) -> float:
    """Artery volume under the cuff; rises from 0 when collapsed to a bound when stretched."""
    if transmural_mmhg < 0:
        return REST_VOLUME_ML * math.exp(COLLAPSE_PER_MMHG * transmural_mmhg)
    stretched = 1.0 - math.exp(-STRETCH_PER_MMHG * transmural_mmhg)
    return REST_VOLUME_ML * (1.0 + COLLAPSE_PER_MMHG / STRETCH_PER_MMHG * stretched)


def pressure_mmhg(patient: Patient, t: float) -> float:
    """True pressure in the artery at world time t, between the patient's diastolic and systolic."""
    dia = patient.at("dia_mmhg", t)
    return dia + (patient.at("sys_mmhg", t) - dia) * artery_pressure(patient.beats(t))
