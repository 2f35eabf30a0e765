"""What people do to a chair. Each action is answered once by its id; a repeat gets the same answer and no effect.

An action is for the session that its screen showed: one meant for the patient before must not touch this one.
"""

import hashlib
from collections.abc import Mapping

from msgspec.structs import replace

from gateway import wire
from gateway.core import alarms, session
from gateway.core.chair_state import (
    DONE_MAX,
    AlarmChanged,
    Answered,
    ChairState,
    Decision,
    Ordered,
    ReadinessChanged,
    SessionMarked,
)
from gateway.core.measures import EVENT_MEASURES
from gateway.core.protocol import Protocol

Protocols = Mapping[str, Protocol]
Result = tuple[ChairState, list[Decision]]
WITHOUT_SESSION = (wire.Start, wire.Acknowledge, wire.PauseAudio)


class NotDone(Exception):
    """Why an action was refused, in a sentence for the person who tried."""


def act(protocols: Protocols, state: ChairState, do: wire.Do, now_ms: int) -> Result:
    answered = next((done for done in state.done if done.id == do.id), None)
    if answered is not None:
        return state, [Answered(done=answered)]
    try:
        after, decisions = _act(protocols, state, do, now_ms)
    except NotDone as refusal:
        after, decisions = state, []
        done = wire.Done(id=do.id, ok=False, session=_session_id(state), reason=str(refusal)[:200])
    else:
        done = wire.Done(id=do.id, ok=True, session=_session_id(after))
    after = replace(after, done=(*after.done, done)[-DONE_MAX:])
    return after, [*decisions, Answered(done=done)]


def refuse(state: ChairState, do: wire.Do, reason: str) -> Result:
    """The answer to an action that cannot be carried out outside the chair's own knowledge."""
    answered = next((done for done in state.done if done.id == do.id), None)
    done = answered or wire.Done(id=do.id, ok=False, session=_session_id(state), reason=reason)
    if answered is None:
        state = replace(state, done=(*state.done, done)[-DONE_MAX:])
    return state, [Answered(done=done)]


def _act(protocols: Protocols, state: ChairState, do: wire.Do, now_ms: int) -> Result:
    if do.session != _session_id(state):
        raise NotDone("this chair has another session now; look again")
    if state.session is None and not isinstance(do.action, WITHOUT_SESSION):
        raise NotDone("no session is running in this chair")
    match do.action:
        case wire.Start() as action:
            return _start(protocols, state, do, action, now_ms)
        case wire.Acknowledge() as action:
            return _acknowledge(protocols, state, do, action, now_ms)
        case wire.PauseAudio():
            return _pause(protocols, state, do, now_ms)
        case action:
            assert state.session is not None
            return _in_session(protocols, state, state.session, do, now_ms)


def _in_session(protocols: Protocols, state: ChairState, now: session.Session, do: wire.Do, now_ms: int) -> Result:
    match do.action:
        case wire.Dose() as action:
            return _dose(protocols, state, now, do, action, now_ms)
        case wire.Observe() as action:
            after = session.observed(now, action, do.who, now_ms)
            if isinstance(after, str):
                raise NotDone(after)
            seen = {name: item.value for name, item in after.seen.items() if item is not now.seen.get(name)}
            return replace(state, session=after), [_marked(now, "observed", do.who, dict(seen))]
        case wire.Measure():
            return state, [
                Ordered(id=do.id, kind="measure", session=now.id),
                _marked(now, "measure", do.who),
            ]
        case wire.SignOff():
            if now.readiness != "CRITERIA_MET":
                raise NotDone("the criteria are not met" if now.readiness == "NOT_READY" else "already signed off")
            signed = replace(now, readiness="SIGNED_OFF", signed_off_by=do.who)
            return replace(state, session=signed), [
                ReadinessChanged(session=now.id, state="SIGNED_OFF", reason="signed off", who=do.who),
                _marked(now, "signed_off", do.who),
            ]
        case wire.Discharge():
            if now.readiness != "SIGNED_OFF":
                raise NotDone("sign off first")
            escort = now.seen.get("escort")
            if escort is None or not escort.value:
                raise NotDone("no escort is recorded")
            gone = replace(now, readiness="DISCHARGED")
            left, decisions = _ended(protocols, state, gone, "discharged", do.who, now_ms)
            discharged = ReadinessChanged(session=now.id, state="DISCHARGED", reason="left with an escort", who=do.who)
            return left, [discharged, *decisions]
        case wire.Abort() as action:
            return _ended(protocols, state, now, f"aborted: {action.reason}", do.who, now_ms)
        case _:
            raise NotDone("a chair does not know this action")


def _start(protocols: Protocols, state: ChairState, do: wire.Do, action: wire.Start, now_ms: int) -> Result:
    if state.session is not None:
        raise NotDone("a session is already running in this chair")
    if action.protocol not in protocols:
        raise NotDone(f"unknown protocol; there are {', '.join(sorted(protocols))}")
    # Short, and another one for every id: a screen may number its actions at the end of long ids.
    name = hashlib.blake2b(do.id.encode(), digest_size=8).hexdigest()
    begun = session.begun(action, f"s-{name}", now_ms)
    if isinstance(begun, str):
        raise NotDone(begun)
    after, decisions = _handed_to(protocols, state, protocols[begun.protocol], "a session began", now_ms)
    # Nothing of the patient before may be taken for this one's.
    after = ChairState(
        idle_protocol=state.idle_protocol,
        session=begun,
        ended=state.ended,
        alarms=after.alarms,
        status=state.status,
        next_cuff_mono_ms=now_ms if protocols[begun.protocol].cuff.before_s > 0 else None,
        done=state.done,
    )
    detail: dict[str, float | str] = {"protocol": begun.protocol, "alias": begun.alias}
    if begun.baseline is not None:
        detail |= {
            "baseline_sys_mmhg": begun.baseline.sys_mmhg,
            "baseline_dia_mmhg": begun.baseline.dia_mmhg,
        }
    return after, [*decisions, _marked(begun, "started", do.who, detail)]


def _dose(
    protocols: Protocols, state: ChairState, now: session.Session, do: wire.Do, action: wire.Dose, now_ms: int
) -> Result:
    after = session.dosed(now, action, now_ms)
    if isinstance(after, str):
        raise NotDone(after)
    interval_s = protocols[now.protocol].cuff.interval_s(after.phase)
    next_ms = None
    if interval_s > 0:
        due_ms = now_ms + round(interval_s * 1000)
        next_ms = due_ms if state.next_cuff_mono_ms is None else min(state.next_cuff_mono_ms, due_ms)
    state = replace(state, session=after, next_cuff_mono_ms=next_ms)
    return state, [_marked(now, f"dose_{action.what}", do.who)]


def _acknowledge(protocols: Protocols, state: ChairState, do: wire.Do, action: wire.Acknowledge, now_ms: int) -> Result:
    after = dict(state.alarms)
    decisions: list[Decision] = []
    everything = not action.alarms and not action.outage
    for rule in _protocol(protocols, state).rules:
        alarm = state.alarms.get(rule.id)
        if alarm is None or not (everything or alarm.id in action.alarms):
            continue
        alarm, changes = alarms.acknowledge(rule, alarm, do.who, now_ms)
        if rule.measure in EVENT_MEASURES and changes:
            alarm, over = alarms.end(rule, alarm, "acknowledged", now_ms, do.who)
            changes += over
        after[rule.id] = alarm
        decisions += [AlarmChanged(change=change, session=_session_id(state)) for change in changes]
    seen = state.outage if everything or action.outage else ()
    if not decisions and not seen:
        raise NotDone("nothing is left to acknowledge")
    if seen and state.session is not None:
        crossed = "; ".join(f"{one.reason} {one.value:g} {one.unit}".strip() for one in seen)
        decisions.append(_marked(state.session, "outage_seen", do.who, {"why": crossed}))
    return replace(state, alarms=after, outage=() if seen else state.outage), decisions


def _pause(protocols: Protocols, state: ChairState, do: wire.Do, now_ms: int) -> Result:
    protocol = _protocol(protocols, state)
    until_ms = now_ms + round(protocol.audio_pause_s * 1000)
    after = dict(state.alarms)
    decisions: list[Decision] = []
    for rule in protocol.rules:
        if rule.id in after:
            after[rule.id], changes = alarms.pause(rule, after[rule.id], do.who, until_ms, now_ms)
            decisions += [AlarmChanged(change=change, session=_session_id(state)) for change in changes]
    if not decisions:
        raise NotDone("nothing sounds")
    return replace(state, alarms=after), decisions


def _ended(protocols: Protocols, state: ChairState, now: session.Session, what: str, who: str, now_ms: int) -> Result:
    idle = protocols[state.idle_protocol]
    after, decisions = _handed_to(protocols, state, idle, "the session ended", now_ms)
    over = replace(now, ended_mono_ms=now_ms)
    after = replace(after, session=None, ended=over, next_cuff_mono_ms=None, cuff=None, cuff_failures=0, outage=())
    stop = Ordered(id=f"{now.id}-end", kind="abort", session=now.id)
    return after, [*decisions, _marked(now, "ended", who, {"why": what}), stop]


def _handed_to(protocols: Protocols, state: ChairState, to: Protocol, reason: str, now_ms: int) -> Result:
    """Ends the alarms that nothing judges any more, so that none stays for ever; `always` rules go on."""
    kept = {rule.id for rule in to.rules if rule.always}
    after: dict[str, alarms.Alarm] = {}
    decisions: list[Decision] = []
    for rule in _protocol(protocols, state).rules:
        alarm = state.alarms.get(rule.id)
        if alarm is None:
            continue
        if rule.id in kept:
            after[rule.id] = alarm
            continue
        _, changes = alarms.end(rule, alarm, reason, now_ms)
        decisions += [AlarmChanged(change=change, session=_session_id(state)) for change in changes]
    return replace(state, alarms=after), decisions


def _marked(now: session.Session, what: str, who: str, detail: dict[str, float | str] | None = None) -> SessionMarked:
    return SessionMarked(session=now.id, what=what, who=who, detail=detail or {})


def _protocol(protocols: Protocols, state: ChairState) -> Protocol:
    return protocols[state.session.protocol if state.session else state.idle_protocol]


def _session_id(state: ChairState) -> str:
    return state.session.id if state.session else ""
