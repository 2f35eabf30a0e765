"""What people do to a chair. Each action is answered once by its id; a repeat gets the same answer and no effect.

An action is for the session that its screen showed: one meant for the patient before must not touch this one.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from gateway import wire
from gateway.core import entries, permissions, staff_alarms, staff_session
from gateway.core.chair_state import (
    DONE_MAX,
    Answered,
    ChairState,
    Decision,
    Staff,
)
from gateway.core.protocol import Protocol
from gateway.core.staff_session import NotDone

Protocols = Mapping[str, Protocol]
Result = tuple[ChairState, list[Decision]]
WITHOUT_SESSION = (wire.Start, wire.Acknowledge, wire.PauseAudio, wire.AudioOff, wire.Swap)


def act(protocols: Protocols, state: ChairState, asked: Staff, now_ms: int) -> Result:
    answered = answer_of(state, asked.do.id)
    if answered is not None:
        return state, [Answered(done=answered)]
    try:
        after, decisions = _act(protocols, state, asked, now_ms)
    except (NotDone, entries.Wrong) as refusal:
        return refuse(state, asked.do, str(refusal))
    return done(after, asked.do, decisions)


def answer_of(state: ChairState, id: str) -> wire.Done | None:
    """The answer that this id had. What it began or entered tells so longer than the last answers do."""
    answered = next((done for done in state.done if done.id == id), None)
    if answered is not None:
        return answered
    for now in (state.session, state.ended):
        if now is not None and (
            id == now.start_id or any(id in (entry.id, entry.superseded_by) for entry in now.entries)
        ):
            return wire.Done(id=id, ok=True, session=now.id)
    return None


def done(state: ChairState, do: wire.Do, decisions: list[Decision]) -> Result:
    answer = wire.Done(id=do.id, ok=True, session=_session_id(state))
    return replace(state, done=(*state.done, answer)[-DONE_MAX:]), [*decisions, Answered(done=answer)]


def refuse(state: ChairState, do: wire.Do, reason: str) -> Result:
    """A refusal changes nothing."""
    answer = answer_of(state, do.id)
    if answer is None:
        answer = wire.Done(id=do.id, ok=False, session=_session_id(state), reason=reason[:200])
        state = replace(state, done=(*state.done, answer)[-DONE_MAX:])
    return state, [Answered(done=answer)]


def why_not(protocols: Protocols, state: ChairState, asked: Staff) -> str:
    """Why this may not be done to this chair by this person, or nothing."""
    do = asked.do
    if do.session != _session_id(state):
        return "this chair has another session now; look again"
    if state.session is None and not isinstance(do.action, WITHOUT_SESSION):
        return "no session is running in this chair"
    protocol = _protocol(protocols, state)
    if isinstance(do.action, wire.Start):
        protocol = protocols.get(do.action.protocol, protocol)
    return permissions.why_not(protocol, do, asked.role)


def _act(protocols: Protocols, state: ChairState, asked: Staff, now_ms: int) -> Result:
    if reason := why_not(protocols, state, asked):
        raise NotDone(reason)
    do, protocol = asked.do, _protocol(protocols, state)
    match do.action:
        case wire.Start() as action:
            return staff_session.start(protocols, state, asked, action, now_ms)
        case wire.Acknowledge() as action:
            after, decisions = staff_alarms.acknowledge(protocol, state, do.who, action, now_ms)
            if not decisions:
                raise NotDone("nothing is left to acknowledge")
            return after, decisions
        case wire.PauseAudio():
            after, decisions = staff_alarms.pause(protocol, state, do.who, now_ms)
            if not decisions:
                raise NotDone("nothing sounds")
            return after, decisions
        case wire.AudioOff(on=off):
            after, decisions = staff_alarms.switch_audio(protocol, state, do.who, now_ms, off=off)
            if not decisions:
                raise NotDone("there is no alarm to switch off" if off else "the sound is not off")
            return after, decisions
        case action:
            assert state.session is not None
            return staff_session.act(protocols, state, state.session, do, now_ms)


def _protocol(protocols: Protocols, state: ChairState) -> Protocol:
    return protocols[state.session.protocol if state.session else state.idle_protocol]


def _session_id(state: ChairState) -> str:
    return state.session.id if state.session else ""
