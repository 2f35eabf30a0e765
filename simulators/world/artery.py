"""The brachial artery under the cuff: its volume against the pressure across its wall.

Form after C. F. Babbs, BioMedical Engineering OnLine 11:56 (2012): the compliance falls off exponentially on
both sides of zero transmural pressure, faster when the artery is squeezed than when it is stretched. The two
constants are chosen so that the largest oscillation comes near 0.4 of the way from diastolic to systolic, close
to what recordings show (Chandrasekhar et al., Frontiers in Physiology 10:1415, 2019). People differ in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulators.world.patient import Patient
from simulators.world.pulse import artery_pressure


@dataclass(frozen=True)
class Artery:
    """One person's; the defaults are a typical one's."""

    collapse_per_mmhg: float = 0.062
    stretch_per_mmhg: float = 0.041
    rest_volume_ml: float = 0.55  # at zero transmural pressure, along the cuff

    def volume_ml(self, transmural_mmhg: float) -> float:
        """Volume under the cuff; rises from 0 when collapsed to a bound when stretched."""
        if transmural_mmhg < 0:
            return self.rest_volume_ml * math.exp(self.collapse_per_mmhg * transmural_mmhg)
        stretched = 1.0 - math.exp(-self.stretch_per_mmhg * transmural_mmhg)
        return self.rest_volume_ml * (1.0 + self.collapse_per_mmhg / self.stretch_per_mmhg * stretched)


TYPICAL = Artery()


def pressure_mmhg(patient: Patient, t: float) -> float:
    """True pressure in the artery at world time t, between the patient's diastolic and systolic."""
    dia = patient.at("dia_mmhg", t)
    return dia + (patient.at("sys_mmhg", t) - dia) * artery_pressure(patient.beats(t))
