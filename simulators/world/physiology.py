"""How a body departs from its baseline: drug, rhythms and events, as tables that grow with world time.

Everything is a function of time, worked out a minute at a time on a grid of a quarter of a second and interpolated;
so a chip that looks a hundred times a second costs an interpolation. What is added later (a dose, an event) changes
only what comes after it: the table is cut there and grows again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from simulators.world.course import Course
from simulators.world.effects import effect, rises
from simulators.world.events import Apnoea, Pull
from simulators.world.person import Person
from simulators.world.pharmacology import Array, Inflow, Kinetics
from simulators.world.rhythms import REFLEX_LAG_S, Rhythms

GRID_HZ = 4
STRETCH = 60 * GRID_HZ
PULSE_PRESSURE_MMHG_MIN = 8.0
REFLEX_BPM_MAX = 20.0
BOUNDED = {"spo2_pct": (35.0, 100.0), "perfusion_pct": (0.02, 20.0), "motion": (0.0, 1.0), "nausea": (0.0, 1.0)}


class Living:
    """The slow part of one person: drug and sway. What a cuff reading would find, but for the reading's own error."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.rhythms = Rhythms(person)
        self.kinetics = Kinetics(person.weight_kg, person.clearance)

    def effect(self, inflows: Iterable[Inflow], times_s: Array) -> Array:
        """The drug's effect at each time; 1 is the typical peak."""
        return effect(self.kinetics.effect_site_ng_ml(inflows, times_s))

    def departures(self, inflows: Iterable[Inflow], times_s: Array) -> dict[str, Array]:
        """What drug and sway add to the baseline, by quantity."""
        added = rises(self.person, self.effect(inflows, times_s))
        for name, sway in zip(("sys_mmhg", "dia_mmhg", "pulse_bpm"), self.rhythms.slow(times_s), strict=True):
            added[name] = added[name] + sway
        return added


class Physiology:
    """Departures of one patient from the baseline courses. Without a person, only events depart from them."""

    def __init__(self, baseline: Mapping[str, Course], person: Person | None) -> None:
        self.baseline = baseline
        self.living = Living(person) if person else None
        self.inflows: list[Inflow] = []
        self.pulls: list[Pull] = []
        self.apnoeas: list[Apnoea] = []
        self._tables: dict[str, list[float]] = {name: [] for name in baseline}
        # Cycles of heart and breath that the departures of their rates add up to.
        self._cycles: dict[str, list[float]] = {"pulse_bpm": [], "resp_bpm": []}

    def departure(self, name: str, t: float) -> float:
        """What to add to the baseline of a quantity at world time t."""
        return self._look(self._tables[name], t)

    def cycles(self, name: str, t: float) -> float:
        """What to add to the cycles that the baseline rate makes until t."""
        return self._look(self._cycles[name], t)

    def effect(self, t: float) -> float:
        """The drug's effect at world time t."""
        return float(self.living.effect(self.inflows, np.array([t]))[0]) if self.living else 0.0

    def changed(self, now_s: float) -> None:
        """Something that begins at `now_s` was added: what comes after it must be worked out anew."""
        keep = int(max(0.0, now_s) * GRID_HZ) + 1
        for table in (*self._tables.values(), *self._cycles.values()):
            del table[keep:]

    def _look(self, table: list[float], t: float) -> float:
        position = max(0.0, t) * GRID_HZ
        i = int(position)
        while i + 1 >= len(table):
            self._grow()
        here = table[i]
        return here + (table[i + 1] - here) * (position - i)

    def _grow(self) -> None:
        """The next minute of every table."""
        have = len(self._tables["pulse_bpm"])
        first = max(0, have - 1)
        times = np.arange(first, first + STRETCH + 1) / GRID_HZ
        moments = times.tolist()
        base = {name: np.array([course.at(t) for t in moments]) for name, course in self.baseline.items()}
        value = dict(base)
        if self.living:
            for name, added in self.living.departures(self.inflows, times).items():
                value[name] = value[name] + added
        pulled = self._pulled(value, times)
        pulled["resp_bpm"] = np.maximum(pulled["resp_bpm"], 0.0)
        self._count("resp_bpm", pulled["resp_bpm"] - base["resp_bpm"], first < have)
        if self.living:
            pulled["pulse_bpm"] += self._reflex(value, times)
            self._add_rhythms(pulled, times, moments)
        for apnoea in self.apnoeas:
            pulled["spo2_pct"] = apnoea.saturation_pct(pulled["spo2_pct"], times)
        _bound(pulled, base)
        self._count("pulse_bpm", pulled["pulse_bpm"] - base["pulse_bpm"], first < have)
        for name, table in self._tables.items():
            table.extend((pulled[name] - base[name])[first < have :].tolist())

    def _pulled(self, value: dict[str, Array], times: Array) -> dict[str, Array]:
        pulled = {name: course.copy() for name, course in value.items()}
        for pull in self.pulls:
            here = pulled[pull.quantity]
            pulled[pull.quantity] = here + pull.share(times) * (pull.target - here)
        return pulled

    def _reflex(self, value: dict[str, Array], times: Array) -> Array:
        """The pulse's answer to pressures that events raise."""
        assert self.living
        raised = np.zeros_like(times)
        for pull in self.pulls:
            if pull.reflex:
                raised += pull.share(times - REFLEX_LAG_S) * (pull.target - value[pull.quantity])
        return np.clip(-self.living.rhythms.reflex * raised, -REFLEX_BPM_MAX, REFLEX_BPM_MAX)

    def _add_rhythms(self, value: dict[str, Array], times: Array, moments: list[float]) -> None:
        assert self.living
        rate = self.baseline["resp_bpm"]
        added = np.array(self._cycles["resp_bpm"][-len(moments) :])
        breaths = np.array([rate.integral(t) for t in moments]) / 60.0 + added
        sys, dia, pulse = self.living.rhythms.quick(times, breaths)
        value["sys_mmhg"] += sys
        value["dia_mmhg"] += dia
        # A heart that hardly beats has no waves in its beat.
        value["pulse_bpm"] += pulse * np.clip(value["pulse_bpm"] / self.living.person.pulse_bpm, 0.0, 1.0)

    def _count(self, name: str, added_bpm: Array, joined: bool) -> None:
        """Append the cycles of this stretch; its first point is the last of the stretch before."""
        table = self._cycles[name]
        steps = 0.5 * (added_bpm[1:] + added_bpm[:-1]) / (60.0 * GRID_HZ)
        if not joined:
            table.append(0.0)
        table.extend((table[-1] + np.cumsum(steps)).tolist())


def _bound(value: dict[str, Array], base: dict[str, Array]) -> None:
    """Keep what was departed from within what a body can be."""
    value["pulse_bpm"] = np.maximum(value["pulse_bpm"], 0.0)
    for name, (low, high) in BOUNDED.items():
        value[name] = np.where(value[name] == base[name], value[name], np.clip(value[name], low, high))
    highest = value["sys_mmhg"] - PULSE_PRESSURE_MMHG_MIN
    value["dia_mmhg"] = np.minimum(value["dia_mmhg"], np.maximum(highest, 0.0))
