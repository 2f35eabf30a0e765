"""Mistakes that somebody could make in the alarm table and in readiness, to be planted on purpose."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gateway.core import alarms, readiness, recovery, views
from gateway.core.alarms import Alarm
from gateway.core.chair_state import ChairState
from gateway.core.protocol import RANK

Plant = Callable[[pytest.MonkeyPatch], None]
JUDGE, PAUSE, STATE, RESTORED = alarms.judge, alarms.pause, views.state, recovery.restored


def _judge(changed: Callable) -> Plant:
    """Another `alarms.judge`: it gets the right answer and what it was made of."""

    def judge(rule, alarm, sample, now_ms, episode):
        after, changes = JUDGE(rule, alarm, sample, now_ms, episode)
        return changed(rule, alarm, sample, now_ms, after, changes)

    return lambda patch: patch.setattr(alarms, "judge", judge)


def _clears_by_absence(rule, before, sample, now_ms, after, changes):
    if sample is None and before.present and rule.kind == "physiological":
        return alarms.end(rule, before, "no reading", now_ms)
    return after, changes


def _survives_a_rise(rule, before, sample, now_ms, after, changes):
    if before.acknowledged_by and after.present and RANK[after.level] > RANK[before.level]:
        after = replace(after, acknowledged_by=before.acknowledged_by)
    return after, changes


def _waits_for_readings(rule, before, sample, now_ms, after, changes):
    silent = sample is None and before.condition == "pending"
    return (before, []) if silent and rule.kind == "physiological" else (after, changes)


def _does_not_latch(rule, before, sample, now_ms, after, changes):
    return (Alarm(tiers=after.tiers), changes) if after.condition == "latched" else (after, changes)


def _ends_at_once(rule, before, sample, now_ms, after, changes):
    if before.present and after.condition == "clearing" and rule.clear_s:
        return alarms.end(rule, before, "inside", now_ms)
    return after, changes


def _looks_at_the_limit_only(rule, before, sample, now_ms, after, changes):
    """No delay at all."""
    if sample is not None and before.condition == "normal" and rule.tiers[0].delay_s and rule.unit:
        eager = replace(rule, tiers=tuple(replace(tier, delay_s=0) for tier in rule.tiers))
        return JUDGE(eager, before, sample, now_ms, "eager")
    return after, changes


def _pause_hides_what_is_new(patch: pytest.MonkeyPatch) -> None:
    paused: list[tuple[int, int]] = []

    def pause(rule, alarm, who, until_ms, now_ms):
        paused[:] = [(now_ms, until_ms)]
        return PAUSE(rule, alarm, who, until_ms, now_ms)

    def changed(rule, before, sample, now_ms, after, changes):
        if paused and now_ms < paused[0][0]:
            paused.clear()  # another stay has begun
        if after.present and not before.present and paused and now_ms < paused[0][1]:
            after = replace(after, paused_until_mono_ms=paused[0][1])
        return after, changes

    patch.setattr(alarms, "pause", pause)
    _judge(changed)(patch)


def _unknown_is_met(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(readiness, "all_met", lambda verdicts: all(one.verdict != "unmet" for one in verdicts))


def _old_looks_live(patch: pytest.MonkeyPatch) -> None:
    def state(*args, **given):
        told = STATE(*args, **given)
        if told.vitals:
            told.vitals.freshness = "live"
        return told

    patch.setattr(views, "state", state)


def _a_crash_forgets_who_heard_it(patch: pytest.MonkeyPatch) -> None:
    def restored(body, kind, *given, **named):
        state, off = RESTORED(body, kind, *given, **named)
        if isinstance(state, ChairState):
            forgotten = {name: replace(alarm, acknowledged_by="") for name, alarm in state.alarms.items()}
            state = replace(state, alarms=forgotten)
        return state, off

    patch.setattr(recovery, "restored", restored)


PLANTED: dict[str, tuple[Plant, set[str]]] = {
    "an absent reading clears": (_judge(_clears_by_absence), {"alarm_not_lost", "alarm_latches"}),
    "an acknowledgement survives a rise": (_judge(_survives_a_rise), {"alarm_not_hidden"}),
    "a delay does not end when the stream stops": (_judge(_waits_for_readings), {"alarm_not_lost"}),
    "a high alarm does not latch": (_judge(_does_not_latch), {"alarm_latches"}),
    "one value inside ends an alarm": (_judge(_ends_at_once), {"alarm_not_lost", "alarm_latches"}),
    "a delay is forgotten": (_judge(_looks_at_the_limit_only), {"alarm_has_cause"}),
    "a pause hides what is new": (_pause_hides_what_is_new, {"alarm_not_hidden"}),
    "what is unknown counts as met": (_unknown_is_met, {"readiness_is_founded"}),
    "a crash forgets who heard an alarm": (_a_crash_forgets_who_heard_it, {"crash_loses_nothing"}),
    "an old number looks live": (_old_looks_live, {"reading_is_true"}),
}
"""What is planted, and what of it is seen."""
