"""What people do to the alarms of a chair: acknowledge, pause, switch the sound off and on; and their end with the
session."""

from msgspec import UNSET
from msgspec.structs import replace

from gateway import wire
from gateway.core import alarms
from gateway.core.chair_state import AlarmChanged, ChairState, Decision, SessionMarked
from gateway.core.measures import EVENT_MEASURES
from gateway.core.protocol import RANK, Protocol

Result = tuple[ChairState, list[Decision]]


def acknowledge(protocol: Protocol, state: ChairState, who: str, action: wire.Acknowledge, now_ms: int) -> Result:
    """Nothing decided: nothing was left to acknowledge."""
    after = dict(state.alarms)
    decisions: list[Decision] = []
    everything = not action.alarms and not action.outage
    for rule in protocol.rules:
        alarm = state.alarms.get(rule.id)
        if alarm is None or not (everything or alarm.id in action.alarms):
            continue
        if action.upto is not UNSET and RANK[alarm.level] > RANK[action.upto]:
            continue
        alarm, changes = alarms.acknowledge(rule, alarm, who, now_ms)
        if rule.measure in EVENT_MEASURES and changes:
            alarm, over = alarms.end(rule, alarm, "acknowledged", now_ms, who)
            changes += over
        after[rule.id] = alarm
        decisions += _told(state, changes)
    seen = state.outage if everything or action.outage else ()
    if seen and state.session is not None:
        crossed = "; ".join(f"{one.reason} {one.value:g} {one.unit}".strip() for one in seen)
        decisions.append(SessionMarked(session=state.session.id, what="outage_seen", who=who, detail={"why": crossed}))
    return replace(state, alarms=after, outage=() if seen else state.outage), decisions


def pause(protocol: Protocol, state: ChairState, who: str, now_ms: int) -> Result:
    until_ms = now_ms + round(protocol.audio_pause_s * 1000)
    after = dict(state.alarms)
    decisions: list[Decision] = []
    for rule in protocol.rules:
        if rule.id in after:
            after[rule.id], changes = alarms.pause(rule, after[rule.id], who, until_ms, now_ms)
            decisions += _told(state, changes)
    return replace(state, alarms=after), decisions


def switch_audio(protocol: Protocol, state: ChairState, who: str, now_ms: int, *, off: bool) -> Result:
    switched = alarms.audio_off if off else alarms.audio_on
    after = dict(state.alarms)
    decisions: list[Decision] = []
    for rule in protocol.rules:
        if rule.id in after:
            after[rule.id], changes = switched(rule, after[rule.id], who, now_ms)
            decisions += _told(state, changes)
    return replace(state, alarms=after), decisions


def handed_to(before: Protocol, to: Protocol, state: ChairState, reason: str, now_ms: int) -> Result:
    """Ends the alarms that nothing judges any more, so that none stays for ever; `always` rules go on."""
    kept = {rule.id for rule in to.rules if rule.always}
    after: dict[str, alarms.Alarm] = {}
    decisions: list[Decision] = []
    for rule in before.rules:
        alarm = state.alarms.get(rule.id)
        if alarm is None:
            continue
        if rule.id in kept:
            after[rule.id] = alarm
            continue
        _, changes = alarms.end(rule, alarm, reason, now_ms)
        decisions += _told(state, changes)
    return replace(state, alarms=after), decisions


def _told(state: ChairState, changes: list[alarms.Change]) -> list[Decision]:
    session = state.session.id if state.session is not None else ""
    return [AlarmChanged(change=change, session=session) for change in changes]
