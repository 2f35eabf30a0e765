"""No alarm is lost, none comes without a cause or ends before its cause does, and none stays on.

For each level of each rule this follows the readings from one side of the limit to the other, with the two kinds of
knowledge of `facts`: what must have been noticed, and what may have been. A deadline is the rule's own delay after the
first reading beyond; what comes earlier than that, or stays away later, is broken. It knows nothing of states.
"""

from __future__ import annotations

from gateway import wire
from gateway.core.protocol import RANK, Protocol, Rule, Tier
from simulators.clinic.invariants.facts import FORGOTTEN_MS, Facts, Reading, good_pressure, measures, reported
from simulators.clinic.invariants.sides import WITHIN, Broken, Side, Watched, crossed

FROM_TIME = ("vitals_age_s", "board_age_s", "unwatched_s", "cuff_overdue_s")
UNJUDGED = ("clock_apart_s",)
"""Measures whose truth does not pass the border: of these only reason and number are looked at."""
EVENTS = ("nurse_call", "local_alarm")
RESTART_MS = 1_500
ROUNDING = 0.06


class Conditions:
    def __init__(self, facts: Facts, broken: Broken) -> None:
        self.facts, self._broken = facts, broken
        self.level: dict[str, str] = {}
        """What the gateway shows as present, by rule."""
        self._protocol: Protocol | None = None
        self._phase = ""
        self._session = ""
        self._rules: dict[str, Watched] = {}
        self._failures = 0
        self._failures_sure = True
        self._quiet_ms = -(10**9)
        """When silence was last shown."""
        self._good_ms: tuple[int | None, int | None] = (None, None)
        """The last saturation: surely, and perhaps."""

    # --- what the gateway hears

    def heard(self, reading: Reading) -> None:
        self._follow()
        record, sure = reading.record, reading.certainty == "live"
        if reading.certainty == "history":
            return
        stay = self.facts.stay
        found = measures(record, in_session=stay is not None)
        if isinstance(record, wire.Cuff) and stay is not None:
            good = good_pressure(record)
            self._failures = 0 if good else self._failures + 1
            self._failures_sure = sure and (good or self._failures_sure)
            found["cuff_failures"] = float(self._failures)
            if good and stay.baseline is not None:
                for side, baseline in zip(("sys", "dia"), stay.baseline, strict=True):
                    found[f"{side}_rise_mmhg"] = found[f"{side}_mmhg"] - baseline
        if "spo2_pct" in found:
            self._good_ms = (reading.made_ms if sure else self._good_ms[0], reading.made_ms)
        for name, value in found.items():
            self._sample(name, value, reading.made_ms, reading.arrived_ms, sure)

    def reported(self, status: wire.Status, now_ms: int) -> None:
        """A board says how it is."""
        self._follow()
        for name, value in reported(status).items():
            self._sample(name, value, now_ms, now_ms, True)

    def _sample(self, measure: str, value: float, made_ms: int, arrived_ms: int, sure: bool) -> None:
        for watched in self._rules.values():
            rule = watched.rule
            if rule.measure in WITHIN and WITHIN[rule.measure][0] == measure:
                values = watched.change(value, made_ms, sure)
                sure_now = sure and len(values) == 1
            elif rule.measure == measure:
                values = [value]
                sure_now = sure and (measure != "cuff_failures" or self._failures_sure)
            else:
                continue
            for tier, side in zip(rule.tiers, watched.sides, strict=True):
                for one in values:
                    beyond, near = crossed(tier, one), crossed(tier, one, rule.hysteresis)
                    side.read(beyond, near, made_ms, arrived_ms, sure_now, tier.readings)
                side.deepen(abs(values[0] - tier.limit) if crossed(tier, values[0]) else 0.0, made_ms)
            watched.values += values
            watched.last_ms, watched.arrived_ms = made_ms, arrived_ms

    def acknowledged(self, rules: set[str]) -> None:
        """An event has no end of its own."""
        for name in rules:
            watched = self._rules.get(name)
            if watched is not None and watched.rule.measure in EVENTS:
                watched.sides = [Side() for _ in watched.sides]

    def crashed(self) -> None:
        """A delay that had begun may begin again with the next reading; what was shown stays."""
        sure_ms, may_ms = self._good_ms
        self._good_ms = (sure_ms - FORGOTTEN_MS if sure_ms is not None else None, may_ms)
        for watched in self._rules.values():
            for tier, side in zip(watched.rule.tiers, watched.sides, strict=True):
                if RANK[self.level.get(watched.rule.id, "none")] < RANK[tier.level]:
                    side.must_ms, side.must_count = None, 0
                side.inside_must_ms = None

    def _follow(self) -> None:
        """Another session or another phase has other rules, which have seen nothing yet."""
        stay, protocol = self.facts.stay, self.facts.protocol
        session, phase = (stay.id, stay.phase) if stay else ("", "")
        if (protocol, session, phase) == (self._protocol, self._session, self._phase):
            return
        before = self._rules
        same = session == self._session
        self._rules = {}
        for rule in protocol.rules:
            judged = rule.always if stay is None else stay.phase in rule.phases
            if not judged:
                continue
            old = before.get(rule.id)
            kept = old is not None and old.rule == rule and (rule.always or same)
            self._rules[rule.id] = old if kept and old else Watched(rule, [Side() for _ in rule.tiers])
        if not same:
            self._failures, self._failures_sure = 0, True
            self._good_ms = (None, None)
        self._protocol, self._session, self._phase = protocol, session, phase

    # --- what the gateway says

    def shown(self, state: wire.State, now_ms: int) -> None:
        """Everything that must be seen is seen, and nothing that is over."""
        self._follow()
        self.level = {view.rule: view.level for view in state.alarms if view.condition != "latched"}
        facts = self.facts
        if self.level.get("silence"):
            self._quiet_ms = now_ms
        settled = now_ms - max(facts.up_ms + RESTART_MS, facts.changed_ms) > facts.slack_ms
        if not settled or state.session != self._session:
            return
        for watched in self._rules.values():
            rule = watched.rule
            rank = RANK[self.level.get(rule.id, "none")]
            for tier, side in zip(rule.tiers, watched.sides, strict=True):
                if rank < RANK[tier.level] and (why := self._due(rule, tier, side, now_ms)):
                    invariant = "silence_noticed" if rule.measure == "vitals_age_s" else "alarm_not_lost"
                    seen = self.level.get(rule.id, "not shown")
                    self._broken(invariant, rule.id, f"{rule.id} must be {tier.level}: {why}; it is {seen}")
            first = watched.sides[0]
            if (
                rank
                and first.inside_must_ms is not None
                and watched.last_ms - first.inside_must_ms >= rule.clear_s * 1000
                and now_ms - watched.arrived_ms > facts.slack_ms
            ):
                self._broken("alarm_ends", rule.id, f"{rule.id} is still shown; {self._last(watched)} is inside")

    def _due(self, rule: Rule, tier: Tier, side: Side, now_ms: int) -> str:
        """Why it must be shown by now, if it must."""
        slack_ms = self.facts.slack_ms
        if rule.measure in FROM_TIME:
            past_ms = self._past_ms(rule.measure, now_ms, sure=True)
            over = past_ms is not None and past_ms > tier.limit * 1000 + slack_ms
            return f"{rule.measure} is {past_ms / 1000:.1f} s" if over and past_ms is not None else ""
        if side.must_ms is None or side.must_count < tier.readings:
            return ""
        due_ms = max(side.must_ms + tier.delay_s * 1000, side.arrived_ms) + slack_ms
        return f"beyond its limit since {side.must_ms / 1000:.1f} s" if now_ms > due_ms else ""

    def changed(self, alarm: wire.AlarmTransition, now_ms: int) -> None:
        """A transition has a reason; what begins has a cause, what ends has lost it."""
        self._follow()
        if not alarm.reason.strip():
            self._broken("alarm_has_reason", alarm.rule, f"{alarm.rule}: {alarm.what} without a reason")
        watched = self._rules.get(alarm.rule)
        if watched is None or now_ms - self.facts.changed_ms <= self.facts.slack_ms:
            return
        if alarm.what in ("raised", "level"):
            self._begins(watched, alarm, now_ms)
        elif alarm.what in ("cleared", "latched") and watched.rule.measure not in EVENTS:
            self._ends(watched, watched.rule.tiers[0], watched.sides[0], alarm, now_ms)

    def _begins(self, watched: Watched, alarm: wire.AlarmTransition, now_ms: int) -> None:
        rule, said = watched.rule, f"{alarm.rule} is {alarm.level}"
        pairs = list(zip(rule.tiers, watched.sides, strict=True))
        pair = next(((tier, side) for tier, side in pairs if tier.level == alarm.level), None)
        if pair is None:
            return
        tier, side = pair
        fell = alarm.what == "level" and RANK[alarm.level] < RANK[self.level.get(rule.id, "none")]
        self.level[rule.id] = alarm.level
        if fell:
            return
        slack_ms = self.facts.slack_ms
        if rule.unit and not isinstance(alarm.value, float):
            self._broken("alarm_has_reason", rule.id, f"{said} without a number")
        if rule.measure in UNJUDGED:
            return
        if rule.measure in FROM_TIME:
            past_ms = self._past_ms(rule.measure, now_ms, sure=False)
            if past_ms is not None and past_ms < tier.limit * 1000 - slack_ms:
                why = f"{said}, and {rule.measure} is only {past_ms / 1000:.1f} s"
                self._broken("alarm_has_cause", rule.id, why)
            return
        if isinstance(alarm.value, float):
            if not crossed(tier, alarm.value):
                self._broken("alarm_has_cause", rule.id, f"{said} at {alarm.value:g}, which is inside")
            elif all(abs(alarm.value - value) > ROUNDING for value in watched.values):
                self._broken("alarm_has_cause", rule.id, f"{said} at {alarm.value:g}, which nobody measured")
        if side.may_ms is None or side.may_count < tier.readings:
            self._broken("alarm_has_cause", rule.id, f"{said}; {self._last(watched)} gives no cause")
        elif now_ms < side.soonest_ms(tier) - slack_ms:
            why = f"{said} after {(now_ms - side.may_ms) / 1000:.1f} s of {tier.delay_s:g}"
            self._broken("alarm_has_cause", rule.id, why)

    def _ends(self, watched: Watched, tier: Tier, side: Side, alarm: wire.AlarmTransition, now_ms: int) -> None:
        rule, slack_ms = watched.rule, self.facts.slack_ms
        self.level.pop(rule.id, None)
        if rule.measure in UNJUDGED:
            return
        if rule.measure in FROM_TIME:
            past_ms = self._past_ms(rule.measure, now_ms, sure=False)
            if past_ms is not None and past_ms > tier.limit * 1000 + slack_ms and rule.measure != "unwatched_s":
                self._broken("alarm_not_lost", rule.id, f"{rule.id} ended; {rule.measure} is {past_ms / 1000:.1f} s")
            return
        if side.inside_may_ms is None:
            self._broken("alarm_not_lost", rule.id, f"{rule.id} ended; {self._last(watched)} is no good value inside")
        elif watched.last_ms - side.inside_may_ms < rule.clear_s * 1000 - slack_ms:
            why = f"{rule.id} ended after {(watched.last_ms - side.inside_may_ms) / 1000:.1f} s inside"
            self._broken("alarm_not_lost", rule.id, why)

    def _last(self, watched: Watched) -> str:
        if not watched.values:
            return f"{watched.rule.measure} was never measured"
        return f"{watched.rule.measure} was {watched.values[-1]:g} at {watched.last_ms / 1000:.1f} s"

    # --- what grows while nothing comes

    def _past_ms(self, measure: str, now_ms: int, *, sure: bool) -> int | None:
        """How long it has been: at least (`sure`) or at most. None: it is not judged now."""
        stay = self.facts.stay
        if stay is None:
            return None
        if measure == "vitals_age_s":
            # A reading that may have counted shortens it for sure; one that may not, does not.
            newest_ms = self.facts.newest_vitals_ms if sure else self._newest_sure_ms()
            return now_ms - max(stay.started_ms, newest_ms or 0)
        if measure == "board_age_s":
            return now_ms - max(stay.started_ms, self.facts.newest_ms)
        if measure == "unwatched_s":
            if now_ms - self._quiet_ms < 2 * self.facts.slack_ms and sure:
                return None
            return now_ms - max(stay.started_ms, self._good_ms[1 if sure else 0] or 0)
        if stay.put_off_ms is not None:
            return None
        schedule = stay.protocol.cuff
        intervals_s = [schedule.before_s, schedule.dosing_s, schedule.recovery_s, schedule.repeat_s]
        last_ms = max(stay.phase_ms, self.facts.newest_cuff_ms or 0)
        if sure:
            due_ms = last_ms + 1000 * max(schedule.interval_s(stay.phase), schedule.repeat_s)
            return round(now_ms - due_ms) if schedule.interval_s(stay.phase) > 0 else None
        measured = self.facts.newest_cuff_ms is not None
        soonest_ms = min((s for s in intervals_s if s > 0), default=0) * 1000 if measured else 0
        return round(now_ms - max(stay.started_ms, self.facts.newest_cuff_ms or 0) - soonest_ms)

    def _newest_sure_ms(self) -> int:
        stay = self.facts.stay
        sure = (r.made_ms for r in reversed(stay.vitals) if r.certainty == "live") if stay else iter(())
        return next(sure, 0)
