"""The whole way from the patient to the alarm: what is truly far beyond a limit rings, and what is truly calm does not.

The other invariants take a reading for what it says. This one looks at the simulated patient: with margins wide enough
for the accuracy that is asked of a board, and only while nothing else is wrong with the chair.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gateway import wire
from gateway.core.protocol import RANK, Rule, Tier
from simulators.clinic.invariants.facts import Facts
from simulators.clinic.invariants.sides import Broken, crossed

MARGINS = {"spo2_pct": 4.0, "pulse_bpm": 6.0, "sys_mmhg": 15.0, "dia_mmhg": 15.0}
CONTINUOUS = ("spo2_pct", "pulse_bpm")
"""Measured each second; a pressure only when the cuff works."""
CALM_S = 90
"""So long nothing was wrong: a finger settles, windows fill, a resent reading is old."""
SEEN_S = 25
"""After a rule's delay: an average over some seconds, a board that connects."""
LOWEST_PCT = 76.0
"""Below this a board may have no saturation and no pulse, which is an alarm of its own."""
PERFUSION_PCT_MIN = 0.5


class Truth:
    def __init__(self, facts: Facts, broken: Broken) -> None:
        self.facts, self._broken = facts, broken
        self._past: deque[tuple[int, dict[str, float]]] = deque()
        self._wrong: set[str] = set()
        self._right_ms = 0
        self._level: dict[str, str] = {}
        self.look: Callable[[], None] = lambda: None
        """Asks for the truth of this moment."""

    def fault(self, name: str, begins: bool, now_ms: int) -> None:
        """Something breaks, or is whole again."""
        (self._wrong.add if begins else self._wrong.discard)(name)
        self._right_ms = now_ms

    def is_true(self, values: dict[str, float], finger_on: bool, now_ms: int) -> None:
        """How the patient is: once a second, and when an alarm comes."""
        if not finger_on or values["perfusion_pct"] < PERFUSION_PCT_MIN:
            self._right_ms = now_ms
        self._past.append((now_ms, values))
        while now_ms - self._past[0][0] > CALM_S * 1000:
            self._past.popleft()
        stay = self.facts.stay
        if stay is None or not self._healthy(now_ms):
            return
        for rule in stay.protocol.rules:
            if rule.measure not in CONTINUOUS or stay.phase not in rule.phases:
                continue
            for tier in rule.tiers:
                self._rings(rule, tier, now_ms)

    def shown(self, state: wire.State) -> None:
        self._level = {view.rule: view.level for view in state.alarms if view.condition != "latched"}

    def changed(self, alarm: wire.AlarmTransition, now_ms: int) -> None:
        """Nothing of the patient begins while the patient was calm for long."""
        rule = next((one for one in self.facts.protocol.rules if one.id == alarm.rule), None)
        if rule is None or alarm.what != "raised" or rule.measure not in MARGINS or not self._healthy(now_ms):
            return
        self.look()
        margin, tier = MARGINS[rule.measure], rule.tiers[0]
        if not any(crossed(tier, one[rule.measure], margin) for _, one in self._past):
            value = self._past[-1][1][rule.measure]
            self._broken("alarm_has_cause", f"true {rule.id}", f"{rule.id} rings, and the patient is at {value:.1f}")

    def _rings(self, rule: Rule, tier: Tier, now_ms: int) -> None:
        seconds = round(tier.delay_s) + SEEN_S
        last = [one for at_ms, one in self._past if now_ms - at_ms <= seconds * 1000]
        far = all(crossed(tier, one[rule.measure], -MARGINS[rule.measure]) for one in last)
        low = min(one["spo2_pct"] for one in last) < LOWEST_PCT
        if far and not low and RANK[self._level.get(rule.id, "none")] < RANK[tier.level]:
            value = last[-1][rule.measure]
            why = f"the patient is at {value:.1f} for {seconds} s, and {rule.id} is not {tier.level}"
            self._broken("alarm_not_lost", f"true {rule.id}", why)

    def _healthy(self, now_ms: int) -> bool:
        since_ms = max(self._right_ms, self.facts.up_ms, self.facts.changed_ms)
        return not self._wrong and now_ms - since_ms > CALM_S * 1000
