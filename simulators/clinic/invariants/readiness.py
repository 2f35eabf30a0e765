"""No readiness on a criterion that is unmet or unknown.

Each criterion that is shown as met is held against what was measured and entered. What is worked out here is what must
have been true at least; where an answer depends on a tick, the benefit of the doubt is the gateway's.
"""

from __future__ import annotations

import itertools

from gateway import wire
from gateway.core.protocol import RANK, Criterion, Elapsed, Hold, NearBaseline, Observed, Quiet
from simulators.clinic.invariants.facts import Facts, Reading, Stay, good_pressure, measures
from simulators.clinic.invariants.sides import Broken

INV = "readiness_is_founded"
LOOK_MS = 2_000
"""Hours of readings take their time; a change of readiness is looked at at once."""
READY = ("CRITERIA_MET", "SIGNED_OFF")


class Readiness:
    def __init__(self, facts: Facts, broken: Broken) -> None:
        self.facts, self._broken = facts, broken
        self._loud: list[tuple[int, str]] = []
        self._looked_ms, self._state = -LOOK_MS, ""

    def changed(self, alarm: wire.AlarmTransition, now_ms: int) -> None:
        if alarm.what in ("raised", "level"):
            self._loud.append((now_ms, alarm.level))

    def shown(self, state: wire.State, now_ms: int) -> None:
        stay, view = self.facts.stay, state.readiness
        self._loud += [(now_ms, one.level) for one in state.alarms if one.condition != "latched"]
        self._loud = self._loud[-500:]
        if stay is None or stay.id != state.session:
            return
        verdicts = {one.id: one for one in view.criteria}
        if view.state in READY:
            for criterion in stay.protocol.criteria:
                verdict = verdicts[criterion.id].verdict if criterion.id in verdicts else "not there"
                if verdict != "met":
                    self._broken(INV, criterion.id, f"{view.state}, and {criterion.id} is {verdict}")
            if not stay.protocol.criteria:
                self._broken(INV, "none", f"{view.state} without any criterion")
        if stay.unknown or now_ms - self.facts.entered_ms <= self.facts.slack_ms:
            return
        if now_ms - self._looked_ms < LOOK_MS and view.state == self._state:
            return
        self._looked_ms, self._state = now_ms, view.state
        for criterion in stay.protocol.criteria:
            if criterion.id in verdicts and verdicts[criterion.id].verdict == "met":
                why = self._why_not(criterion, stay, now_ms)
                if why:
                    self._broken(INV, criterion.id, f"{criterion.id} counts as met: {why}")

    def _why_not(self, criterion: Criterion, stay: Stay, now_ms: int) -> str:
        """What speaks against it, or nothing."""
        slack_ms = self.facts.slack_ms
        match criterion:
            case Elapsed():
                began_ms = stay.clock_ms(criterion.since)
                if began_ms is None:
                    return f"{criterion.since} is not marked"
                passed_s = (now_ms + slack_ms - began_ms) / 1000
                return "" if passed_s >= criterion.at_least_s else f"only {passed_s:.0f} s of {criterion.at_least_s:g}"
            case Observed():
                return _observed(criterion, stay, now_ms - slack_ms)
            case Quiet():
                since_ms = now_ms - criterion.for_s * 1000 + slack_ms
                loud = [at_ms for at_ms, level in self._loud if RANK[level] >= RANK[criterion.level]]
                return f"an alarm {(now_ms - loud[-1]) / 1000:.0f} s ago" if loud and loud[-1] > since_ms else ""
            case Hold():
                return self._held(criterion, stay, now_ms)
            case NearBaseline():
                return self._near(criterion, stay, now_ms)
        return ""

    def _held(self, criterion: Hold, stay: Stay, now_ms: int) -> str:
        began_ms = stay.clock_ms(criterion.since)
        if began_ms is None:
            return f"{criterion.since} is not marked"
        slack_ms = self.facts.slack_ms
        values = [(r, m[criterion.measure]) for r in stay.vitals if criterion.measure in (m := measures(r.record))]
        current = [r.made_ms for r, _ in values if r.certainty != "history"]
        if not current or now_ms - current[-1] > criterion.gap_max_s * 1000 + slack_ms:
            return "no good value"
        since_ms = current[-1] - criterion.hold_s * 1000 + slack_ms
        if began_ms > since_ms:
            return f"{criterion.since} was {(now_ms - began_ms) / 1000:.0f} s ago"
        for reading, value in values:
            settled = now_ms - reading.arrived_ms > slack_ms and reading.certainty != "maybe"
            if reading.made_ms > since_ms and settled and not criterion.at_least <= value <= criterion.at_most:
                return f"it was {value:g} {(now_ms - reading.made_ms) / 1000:.0f} s ago"
        inside = [at_ms for at_ms in current if at_ms > since_ms]
        gaps = [later - earlier for earlier, later in itertools.pairwise([since_ms, *inside])]
        worst_ms = max(gaps, default=0)
        return f"a gap of {worst_ms / 1000:.1f} s" if worst_ms > criterion.gap_max_s * 1000 + slack_ms else ""

    def _near(self, criterion: NearBaseline, stay: Stay, now_ms: int) -> str:
        began_ms, slack_ms = stay.clock_ms(criterion.since), self.facts.slack_ms
        if began_ms is None:
            return f"{criterion.since} is not marked"
        if stay.baseline is None:
            return "there is no baseline"
        good: list[Reading] = []
        for reading in stay.cuffs:
            if isinstance(reading.record, wire.Cuff) and good_pressure(reading.record):
                good.append(reading)
        good.sort(key=lambda reading: reading.made_ms)
        last = [r for r in good if r.made_ms >= began_ms - slack_ms][-criterion.readings :]
        if len(last) < criterion.readings:
            return f"{len(last)} of {criterion.readings} pressures"
        if now_ms - last[-1].made_ms > criterion.age_max_s * 1000 + slack_ms:
            return "the last pressure is too old"
        for reading in last:
            values = measures(reading.record)
            rises = (values["sys_mmhg"] - stay.baseline[0], values["dia_mmhg"] - stay.baseline[1])
            far = abs(rises[0]) > criterion.sys_within_mmhg or abs(rises[1]) > criterion.dia_within_mmhg
            if far and now_ms - reading.arrived_ms > slack_ms:
                return f"{rises[0]:+.0f}/{rises[1]:+.0f} mmHg from the baseline"
        spacings_ms = [later.made_ms - earlier.made_ms for earlier, later in itertools.pairwise(last)]
        return "too close together" if min(spacings_ms, default=10**9) + slack_ms < criterion.spacing_s * 1000 else ""


def _observed(criterion: Observed, stay: Stay, now_ms: int) -> str:
    began_ms = stay.started_ms if criterion.since is None else stay.clock_ms(criterion.since)
    if began_ms is None:
        return f"{criterion.since} is not marked"
    value, at_ms = stay.seen.get(criterion.item, (None, 0))
    if value is None or at_ms < began_ms:
        return "nobody has seen it since"
    if now_ms - at_ms > criterion.age_max_s * 1000:
        return f"it was seen {(now_ms - at_ms) / 1000:.0f} s ago"
    if criterion.equals is not None:
        return "" if value == criterion.equals else f"it is {value}"
    if isinstance(value, str):
        return ""
    low, high = criterion.at_least, criterion.at_most
    return f"it is {value:g}" if (low is not None and value < low) or (high is not None and value > high) else ""
