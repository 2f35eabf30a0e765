"""Why there was no alarm: what every rule of the protocol had before it at one moment.

The state is the core's own, from the journal replayed up to then; here it is only put into words.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import UNSET, Struct

from gateway.core import changes, judging, measures
from gateway.core.alarm import Alarm
from gateway.core.chair_state import ChairState
from gateway.core.protocol import Protocol, Rule
from gateway.explain import words
from gateway.replay.times import lasted

Because = Literal["alarm", "latched", "waits", "not_judged", "not_measured", "inside"]
CUFF = ("sys_mmhg", "dia_mmhg", "map_mmhg", "sys_rise_mmhg", "dia_rise_mmhg", "above_range", "cuff_failures")
TIMED = ("vitals_age_s", "board_age_s", "unwatched_s", "cuff_overdue_s")
STATUS = ("board_fault", "safe_mode", "uncalibrated", "calibration_expired", "battery_pct")


class Verdict(Struct, frozen=True, kw_only=True):
    """One rule at one moment. `value` is the last that there was, also where it was not of that moment."""

    rule: str
    because: Because
    words: str
    limits: tuple[str, ...]
    value: float | None = None
    unit: str = ""
    alarm: str = ""
    """The id of the alarm that there was."""


def verdicts(protocol: Protocol, state: ChairState, now_ms: int, clock: Callable[[int], str]) -> list[Verdict]:
    """Each rule of the chair's protocol; `clock` tells a time of the state."""
    known = known_at(protocol, state, now_ms)
    return [_verdict(protocol, rule, state, known.get(rule.measure), now_ms, clock) for rule in protocol.rules]


def known_at(protocol: Protocol, state: ChairState, now_ms: int) -> measures.Measures:
    """The measures that the core has of its last readings and of the time."""
    known = measures.from_time(state, now_ms)
    if state.status is not None:
        known |= measures.from_status(state.status)
    if state.cuff is not None:
        known |= measures.from_cuff(state.cuff, state.cuff_failures, state.session)
    if state.vitals is not None:
        known |= measures.from_vitals(state.vitals, state)
    for measure, (source, _) in changes.SOURCES.items():
        if source in known and measure in protocol.by_measure:
            known[measure] = changes.change(state.windows.get(measure, ()), measure, known[source])
    return known


def _verdict(
    protocol: Protocol, rule: Rule, state: ChairState, value: float | None, now_ms: int, clock: Callable[[int], str]
) -> Verdict:
    alarm = state.alarms.get(rule.id, Alarm())
    because, said = _because(protocol, rule, state, alarm, value, now_ms, clock)
    late = next((one for one in state.outage if one.rule == rule.id), None)
    if late is not None:
        said += f"; {words.number(rule, late.value)} of {clock(late.at_mono_ms)} came too late to sound"
    return Verdict(
        rule=rule.id,
        because=because,
        words=said,
        limits=tuple(words.level(rule, tier) for tier in rule.tiers),
        value=value,
        unit=rule.unit,
        alarm=alarm.id if alarm.shown else "",
    )


def _because(
    protocol: Protocol,
    rule: Rule,
    state: ChairState,
    alarm: Alarm,
    value: float | None,
    now_ms: int,
    clock: Callable[[int], str],
) -> tuple[Because, str]:
    if not judging.applies(rule, state.session):
        where = "without a session" if state.session is None else f"in phase {state.session.phase}"
        return "not_judged", f"not judged {where}"
    if alarm.present:
        return "alarm", f"{alarm.level} alarm since {clock(alarm.raised_mono_ms)}{signal(alarm, clock)}"
    if alarm.condition == "latched":
        return "latched", f"its alarm of {clock(alarm.raised_mono_ms)} is over and waits to be acknowledged"
    gone = _unmeasured(protocol, rule, state, value, now_ms)
    if alarm.condition == "pending":
        timers = "; ".join(words.timers(rule, alarm, now_ms))
        return "waits", f"beyond the limit, waits: {timers}" + (f"; {gone}" if gone else "")
    if gone:
        return "not_measured", gone
    if value is None or (rule.measure in measures.SWITCHES and not value):
        return "inside", "it is not so"
    if rule.tiers[0].crossed(value):
        return "not_measured", f"{words.number(rule, value)} is beyond the limit, and no reading of it could be judged"
    return "inside", f"{words.number(rule, value)} is inside"


def signal(alarm: Alarm, clock: Callable[[int], str]) -> str:
    """Why a present alarm did not sound."""
    said = ""
    if alarm.acknowledged_by:
        said += f", acknowledged by {alarm.acknowledged_by}"
    if alarm.suppressed_by:
        until_ms = alarm.suppressed_until_mono_ms
        said += f", suppressed by {alarm.suppressed_by}" + (f" until {clock(until_ms)}" if until_ms is not None else "")
    if alarm.paused_until_mono_ms is not None:
        said += f", sound paused until {clock(alarm.paused_until_mono_ms)}"
    if alarm.audio_off_by:
        said += f", sound off by {alarm.audio_off_by}"
    return said


def _unmeasured(protocol: Protocol, rule: Rule, state: ChairState, value: float | None, now_ms: int) -> str:
    """Why there is no value of now; empty if there is one."""
    if rule.measure in measures.EVENT_MEASURES:
        return ""
    if rule.measure in CUFF:
        return _no_pressure(rule, state, value)
    if rule.measure in STATUS:
        return "" if value is not None else "the board does not say"
    if rule.measure in TIMED:
        return "" if value is not None else "no measurement is due"
    if state.vitals is None:
        return "not measured: no vitals of now"
    age_s = (now_ms - state.vitals.at_mono_ms) / 1000
    if age_s > protocol.live_s:
        return f"not measured: no vitals for {lasted(age_s)}"
    if value is None and rule.measure == "clock_apart_s":
        return "not measured: the board or the gateway does not know UTC"
    if value is None:
        return f"not measured: {words.QUALITIES.get(state.vitals.record.quality, 'the board gives no value')}"
    return ""


def _no_pressure(rule: Rule, state: ChairState, value: float | None) -> str:
    if value is not None:
        return ""
    if state.cuff is None:
        return "not measured: no cuff measurement yet"
    if not measures.measured(state.cuff.record):
        reason = state.cuff.record.reason
        return f"not measured: the cuff failed ({'no reason given' if reason is UNSET else reason})"
    no_baseline = state.session is not None and state.session.baseline is None
    return "not measured: no baseline" if no_baseline else "not measured: the cuff gave no such value"
