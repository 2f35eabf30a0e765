"""What time alone makes of a chair: silence, delays, pauses, and readiness that is met or revoked."""

from msgspec.structs import replace

from gateway.core import alarms, measures, readiness, suppression
from gateway.core.chair_state import ChairState, Decision
from gateway.core.judging import Step, judge
from gateway.core.protocol import Protocol
from gateway.core.refit import refitted

SETTLED_MS_MAX = 1_500
"""A calm chair is looked at after so long at the latest."""


def passed(protocol: Protocol, state: ChairState, now_ms: int) -> Step:
    """What is true by now."""
    refit: list[Decision] = []
    if state.settled_mono_ms == 0:
        state, refit = refitted(protocol, state, now_ms)
    state = suppression.noticed(state, now_ms)
    sampled = measures.from_time(state, now_ms)
    state, timed = judge(protocol, state, sampled, now_ms, _origin(state), now_ms)
    state, ready = _readiness(protocol, state, now_ms)
    settled_ms = _settled_ms(protocol, state, sampled, now_ms)
    return replace(state, settled_mono_ms=settled_ms), [*refit, *timed, *ready]


def _settled_ms(protocol: Protocol, state: ChairState, sampled: measures.Measures, now_ms: int) -> int:
    """When time alone must be looked at next: at once while a patient may go, which time can revoke; else when the next
    silence is too long, or something is due in an alarm. What may become met by time waits SETTLED_MS_MAX at most."""
    if state.session is not None and state.session.readiness != "NOT_READY":
        return now_ms
    due_ms = now_ms + SETTLED_MS_MAX
    # These measures grow by a second each second.
    for measure, value in sampled.items():
        for rule in protocol.by_measure.get(measure, ()):
            for tier in rule.tiers:
                if not tier.crossed(value):
                    due_ms = min(due_ms, now_ms + int(1000 * (tier.limit - value)))
    if state.alarms:
        for rule in protocol.rules:
            if (alarm := state.alarms.get(rule.id)) is not None and (at_ms := alarms.due_ms(rule, alarm)) is not None:
                due_ms = min(due_ms, at_ms)
    return max(now_ms, due_ms)


def _readiness(protocol: Protocol, state: ChairState, now_ms: int) -> Step:
    """Follows the criteria: met and revoked by themselves, signed by people only."""
    session = state.session
    if session is None:
        return state, []
    session, moved = readiness.follow(protocol, session, now_ms)
    return replace(state, session=session), [moved] if moved is not None else []


def _origin(state: ChairState) -> str:
    """Names what began by silence: the last record before it."""
    return f"{state.vitals.record.boot}-{state.vitals.record.seq}" if state.vitals else "0"
