"""How much ketamine reaches the brain: three compartments and an effect site, solved in closed form.

Disposition after Domino and others (Clinical Pharmacology and Therapeutics 36:645, 1984), the adult set that pumps
for target-controlled infusion carry: a central volume of 0.063 l/kg and five rate constants. Against a meta-analysis
of 18 studies (Kamp and others, Anesthesiology 133:1192, 2020) its steady volume in 70 kg is 193 l (theirs 200 to 304)
and its clearance 116 l/h (theirs 69 to 90), so late levels run low. It is kept for its early shape: 0.5 mg/kg in
40 min peaks at 240 ng/ml, where a trial measured 185 (Zarate and others, 2006).

Assumed, for want of a published number that fits this model: the effect site follows with a half-time of 3.5 min;
a dose into muscle or nose enters at a constant rate, during 20 and 40 min, which puts the effect of a spray at
40 min (the label has the plasma peak 20 to 40 min after the last one); esketamine is counted like ketamine, because
the meta-analysis of pressures (see `effect_sizes.py`) found no difference between them.
Bioavailability: muscle 93 %, nose 48 % (label of esketamine). Not modelled: the metabolites, age, tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CENTRAL_L_PER_KG = 0.063
# Rate constants per minute: elimination, then to and from the fast and the slow tissue.
K10, K12, K21, K13, K31 = 0.438, 0.592, 0.247, 0.590, 0.0146
KE0 = 0.2
MUSCLE_SHARE, MUSCLE_S = 0.93, 20 * 60.0
NOSE_SHARE, NOSE_S = 0.48, 40 * 60.0
DEVICE_MG, DEVICE_GAP_S = 28.0, 300.0
SPRAY_DOSES_MG = (28.0, 56.0, 84.0)


@dataclass(frozen=True)
class Inflow:
    """Drug that reaches the blood at a constant rate: what every route comes down to."""

    start_s: float
    mg: float
    over_s: float
    by_pump: bool = False  # an infusion: stops when the pump does


def infusion(start_s: float, weight_kg: float, mg_per_kg: float = 0.5, over_s: float = 2400.0) -> list[Inflow]:
    """Ketamine into a vein; the usual treatment dose unless said otherwise."""
    return [Inflow(start_s, weight_kg * mg_per_kg, over_s, by_pump=True)]


def injection(start_s: float, mg: float) -> list[Inflow]:
    """Ketamine into a muscle."""
    return [Inflow(start_s, mg * MUSCLE_SHARE, MUSCLE_S)]


def sprays(start_s: float, mg: float) -> list[Inflow]:
    """Esketamine into the nose: devices of 28 mg, five minutes apart. Raises ValueError for a dose that is not made."""
    if mg not in SPRAY_DOSES_MG:
        raise ValueError(f"{mg:g} mg of esketamine is not a dose: allowed are {SPRAY_DOSES_MG}")
    devices = round(mg / DEVICE_MG)
    return [Inflow(start_s + i * DEVICE_GAP_S, DEVICE_MG * NOSE_SHARE, NOSE_S) for i in range(devices)]


def stopped(inflows: Iterable[Inflow], at_s: float) -> list[Inflow]:
    """What remains when no more is given from a moment on; what is in muscle or nose still comes."""
    given = [inflow for inflow in inflows if inflow.start_s < at_s]
    return [
        replace(inflow, mg=inflow.mg * (at_s - inflow.start_s) / inflow.over_s, over_s=at_s - inflow.start_s)
        if inflow.by_pump and at_s < inflow.start_s + inflow.over_s
        else inflow
        for inflow in given
    ]


@dataclass(frozen=True)
class Kinetics:
    """The way of the drug through one body."""

    weight_kg: float
    clearance: float = 1.0

    @cached_property
    def _modes(self) -> tuple[Array, Array, Array]:
        """Decay rates per second; what each adds to plasma and to effect site, in ng/ml for a mg that enters."""
        k10 = K10 * self.clearance
        flow = np.array(
            [  # central, fast, slow amounts and effect-site level
                [-(k10 + K12 + K13), K21, K31, 0.0],
                [K12, -K21, 0.0, 0.0],
                [K13, 0.0, -K31, 0.0],
                [KE0, 0.0, 0.0, -KE0],
            ]
        )
        values, vectors = np.linalg.eig(flow / 60.0)
        entry = np.linalg.inv(vectors)[:, 0]
        ng_per_ml = 1000.0 / (CENTRAL_L_PER_KG * self.weight_kg)
        return values.real, (vectors[0] * entry).real * ng_per_ml, (vectors[3] * entry).real * ng_per_ml

    def plasma_ng_ml(self, inflows: Iterable[Inflow], times_s: Array) -> Array:
        """Concentration in the blood at each time."""
        return self._level(self._modes[1], inflows, times_s)

    def effect_site_ng_ml(self, inflows: Iterable[Inflow], times_s: Array) -> Array:
        """Concentration where the drug works, at each time."""
        return self._level(self._modes[2], inflows, times_s)

    def _level(self, weights: Array, inflows: Iterable[Inflow], times_s: Array) -> Array:
        rates = self._modes[0]
        level = np.zeros(len(times_s))
        for inflow in inflows:
            since_start = np.maximum(times_s - inflow.start_s, 0.0)[:, None]
            since_end = np.maximum(times_s - inflow.start_s - inflow.over_s, 0.0)[:, None]
            # The integral of a decay over the time that the drug was flowing in.
            share = (np.exp(rates * since_start) - np.exp(rates * since_end)) / rates
            level += share @ weights * (inflow.mg / inflow.over_s)
        return level
