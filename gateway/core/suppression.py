"""Why a rule may stay without signal for a time: bounded, shown, and never for a high physiological alarm.

    cuff_hold   the cuff presses on the arm that the finger probe is on
    away        staff took the patient elsewhere and said for how long
    silence     the chair sends no vitals, which is an alarm of its own: its followers need not sound beside it

A rule names what suppresses it, and for how long at most, counted from when that began. At the bound the alarm
signals, whatever goes on.
"""

from typing import NamedTuple

from msgspec.structs import replace

from gateway.core import alarms
from gateway.core.alarm import Change
from gateway.core.chair_state import ChairState
from gateway.core.protocol import Protocol, Rule, Suppressor


class Source(NamedTuple):
    since_ms: int
    until_ms: int | None
    """None: as long as it lasts, and as the rule allows."""
    reason: str


def noticed(state: ChairState, now_ms: int) -> ChairState:
    """Since when the patient is away: staff who say it again meanwhile do not begin its bound anew."""
    away = state.session is not None and state.session.away(now_ms)
    if away == (state.away_mono_ms is not None):
        return state
    return replace(state, away_mono_ms=now_ms if away else None)


def sources(protocol: Protocol, state: ChairState, now_ms: int) -> dict[Suppressor, Source]:
    """What suppresses now. Only a session has anything to suppress."""
    found: dict[Suppressor, Source] = {}
    if state.session is None:
        return found
    if state.hold_mono_ms is not None:
        found["cuff_hold"] = Source(state.hold_mono_ms, None, "the cuff is measuring on this arm")
    if state.away_mono_ms is not None and state.session.away(now_ms):
        found["away"] = Source(state.away_mono_ms, state.session.away_until_mono_ms, "the patient is away with leave")
    for rule in protocol.by_measure.get("vitals_age_s", ()):
        alarm = state.alarms.get(rule.id)
        if alarm is not None and alarm.present:
            found["silence"] = Source(alarm.raised_mono_ms, None, "the chair sends no data")
    return found


def by(rule: Rule, found: dict[Suppressor, Source], now_ms: int) -> tuple[Suppressor, int] | None:
    """What suppresses a rule longest, and until when; None: nothing does."""
    bounds = [(until_ms(rule, name, source), name) for name, source in found.items()]
    at_ms, longest = max(bounds, default=(0, "silence"))
    return (longest, at_ms) if at_ms > now_ms else None


def until_ms(rule: Rule, name: Suppressor, source: Source) -> int:
    """Until when a source suppresses a rule at most; 0: it does not."""
    for suppressed in rule.suppress:
        if suppressed.by == name:
            bound_ms = source.since_ms + round(suppressed.at_most_s * 1000)
            return bound_ms if source.until_ms is None else min(bound_ms, source.until_ms)
    return 0


def applied(protocol: Protocol, state: ChairState, now_ms: int) -> tuple[ChairState, list[Change]]:
    """Suppresses the alarms that may be, and lets the others signal."""
    watched = [rule for rule in protocol.rules if rule.suppress and rule.id in state.alarms]
    changes: list[Change] = []
    if not watched:
        return state, changes
    found = sources(protocol, state, now_ms)
    after = dict(state.alarms)
    for rule in watched:
        cause = by(rule, found, now_ms)
        if cause is None:
            after[rule.id], told = alarms.unsuppress(rule, after[rule.id], "its time or its cause is over", now_ms)
        else:
            name, at_ms = cause
            after[rule.id], told = alarms.suppress(rule, after[rule.id], name, found[name].reason, at_ms, now_ms)
        changes += told
    return replace(state, alarms=after), changes
