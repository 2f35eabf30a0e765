"""What people do to a session: begin it, enter facts and correct them, put off the cuff, sign and end.

Raises `NotDone` or `entries.Wrong` with a sentence for the person who tried; then nothing has changed.
"""

import hashlib
from collections.abc import Mapping

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from gateway import wire
from gateway.core import criteria, cuff_plan, entries, staff_alarms
from gateway.core.chair_state import ChairState, Decision, Ordered, ReadinessChanged, SessionMarked, Staff
from gateway.core.protocol import RANK, Protocol, content_hash
from gateway.core.session import Session

Protocols = Mapping[str, Protocol]
Result = tuple[ChairState, list[Decision]]


class NotDone(Exception):
    """Why an action was refused."""


def act(protocols: Protocols, state: ChairState, now: Session, do: wire.Do, now_ms: int) -> Result:
    protocol = protocols[now.protocol]
    match do.action:
        case wire.Dose() | wire.Baseline() | wire.Observe() as fact:
            return _enter(protocol, state, now, do, fact, now_ms)
        case wire.Correct() as action:
            return _correct(protocol, state, now, do, action, now_ms)
        case wire.Away() as action:
            return _away(state, now, do, action, now_ms)
        case wire.Back():
            if not now.away(now_ms):
                raise NotDone("the patient is not away")
            after, due_ms = cuff_plan.taken_up(replace(now, away_until_mono_ms=None), state.next_cuff_mono_ms, now_ms)
            return replace(state, session=after, next_cuff_mono_ms=due_ms), [_marked(now, "back", do.who)]
        case wire.Measure():
            return state, [
                Ordered(id=do.id, kind="measure", session=now.id),
                _marked(now, "measure", do.who),
            ]
        case wire.Defer() as action:
            return _defer(state, now, do, action, now_ms)
        case wire.SignOff():
            return _sign_off(state, now, do)
        case wire.Discharge():
            return _discharge(protocols, state, now, do, now_ms)
        case wire.Abort() as action:
            return _ended(protocols, state, now, f"aborted: {action.reason}"[:200], do.who, now_ms)
        case _:
            raise NotDone("a chair does not know this action")


def start(protocols: Protocols, state: ChairState, asked: Staff, action: wire.Start, now_ms: int) -> Result:
    do = asked.do
    if state.session is not None:
        raise NotDone("a session is already running in this chair")
    if action.protocol not in protocols:
        raise NotDone(f"unknown protocol; there are {', '.join(sorted(protocols))}")
    protocol = protocols[action.protocol]
    # Screens that number their actions anew give two patients one id: the chair and the session before tell them apart.
    origin = "\n".join((asked.chair, state.ended.id if state.ended is not None else "", do.id))
    begun = Session(
        id=f"s-{hashlib.blake2b(origin.encode(), digest_size=8).hexdigest()}",
        start_id=do.id,
        alias=action.alias,
        protocol=action.protocol,
        protocol_hash=content_hash(protocol),
        started_mono_ms=now_ms,
        phase_mono_ms=now_ms,
    )
    detail: dict[str, float | str] = {
        "protocol": begun.protocol,
        "protocol_hash": begun.protocol_hash,
        "alias": begun.alias,
    }
    if action.baseline_sys_mmhg is not UNSET or action.baseline_dia_mmhg is not UNSET:
        baseline = wire.Baseline(sys_mmhg=action.baseline_sys_mmhg, dia_mmhg=action.baseline_dia_mmhg)
        begun = entries.entered(begun, do.id, do.who, baseline, now_ms)
        detail |= entries.values(baseline)
    idle = protocols[state.idle_protocol]
    after, decisions = staff_alarms.handed_to(idle, protocol, state, "a session began", now_ms)
    # Nothing of the patient before may be taken for this one's.
    after = ChairState(
        idle_protocol=state.idle_protocol,
        session=begun,
        ended=state.ended,
        alarms=after.alarms,
        status=state.status,
        next_cuff_mono_ms=now_ms if protocol.cuff.before_s > 0 else None,
        done=state.done,
    )
    return after, [*decisions, _marked(begun, "started", do.who, detail)]


def _enter(protocol: Protocol, state: ChairState, now: Session, do: wire.Do, fact: wire.Fact, now_ms: int) -> Result:
    after = entries.entered(now, do.id, do.who, fact, now_ms)
    decisions: list[Decision] = [_marked(now, entries.mark(fact), do.who, entries.values(fact))]
    if isinstance(fact, wire.Dose):
        due_ms = cuff_plan.in_phase(protocol, after, state.next_cuff_mono_ms, now_ms)
        state = replace(state, next_cuff_mono_ms=due_ms)
    if not isinstance(fact, wire.Observe):
        after, voided = _voided(now, after, do.who, f"{entries.text(fact)} was entered after the sign-off")
        decisions += voided
    return replace(state, session=after), decisions


def _correct(
    protocol: Protocol, state: ChairState, now: Session, do: wire.Do, action: wire.Correct, now_ms: int
) -> Result:
    after = entries.corrected(now, do.id, do.who, action, now_ms)
    wrong = next(entry for entry in now.entries if entry.id == action.entry)
    right = "nothing" if isinstance(action.instead, UnsetType) else entries.text(action.instead)
    detail: dict[str, float | str] = {"why": f"{entries.text(wrong.fact)[:90]}: {right}"[:200], "entry": wrong.id}
    if not isinstance(action.instead, UnsetType):
        detail |= entries.values(action.instead)
    if after.phase != now.phase:
        due_ms = cuff_plan.in_phase(protocol, after, state.next_cuff_mono_ms, now_ms)
        state = replace(state, next_cuff_mono_ms=due_ms)
    after, voided = _voided(now, after, do.who, "an entry was corrected after the sign-off")
    return replace(state, session=after), [_marked(now, "corrected", do.who, detail), *voided]


def _voided(before: Session, after: Session, who: str, reason: str) -> tuple[Session, list[Decision]]:
    """Readiness stood on other facts: who signed has not signed these, and when they were first met counts anew."""
    if entries.stands_on(before) == entries.stands_on(after):
        return after, []
    after = replace(after, first_met_mono_ms=None, first_met_but_time_mono_ms=None)
    if before.readiness != "SIGNED_OFF":
        return after, []
    after = replace(after, readiness="CRITERIA_MET", signed_off_by="")
    return after, [ReadinessChanged(session=after.id, state="CRITERIA_MET", reason=f"revoked: {reason}"[:200], who=who)]


def _away(state: ChairState, now: Session, do: wire.Do, action: wire.Away, now_ms: int) -> Result:
    until_ms = now_ms + round(action.minutes * 60_000)
    after, due_ms = replace(now, away_until_mono_ms=until_ms), state.next_cuff_mono_ms
    if due_ms is not None:
        after, due_ms = cuff_plan.put_off(after, due_ms, until_ms)
    state = replace(state, session=after, next_cuff_mono_ms=due_ms)
    return state, [_marked(now, "away", do.who, {"minutes": float(action.minutes)})]


def _defer(state: ChairState, now: Session, do: wire.Do, action: wire.Defer, now_ms: int) -> Result:
    if state.next_cuff_mono_ms is None:
        raise NotDone("no automatic measurement is due in this phase")
    until_ms = now_ms + round(action.minutes * 60_000)
    after, due_ms = cuff_plan.put_off(now, state.next_cuff_mono_ms, until_ms)
    if due_ms == state.next_cuff_mono_ms:
        later = until_ms <= due_ms
        raise NotDone("the next measurement is later anyway" if later else "it was put off as long as it may be")
    return replace(state, session=after, next_cuff_mono_ms=due_ms), [
        _marked(now, "deferred", do.who, {"minutes": round((due_ms - now_ms) / 60_000, 1)})
    ]


def _sign_off(state: ChairState, now: Session, do: wire.Do) -> Result:
    if now.readiness != "CRITERIA_MET":
        raise NotDone("the criteria are not met" if now.readiness == "NOT_READY" else "already signed off")
    _no_alarm(state)
    signed = replace(now, readiness="SIGNED_OFF", signed_off_by=do.who)
    return replace(state, session=signed), [
        ReadinessChanged(session=now.id, state="SIGNED_OFF", reason="signed off", who=do.who),
        _marked(now, "signed_off", do.who),
    ]


def _discharge(protocols: Protocols, state: ChairState, now: Session, do: wire.Do, now_ms: int) -> Result:
    if now.readiness != "SIGNED_OFF":
        raise NotDone("sign off first")
    protocol = protocols[now.protocol]
    here, why = criteria.escort(protocol, now, now_ms)
    if here != "met":
        raise NotDone(f"no escort is here: {why}")
    _no_alarm(state)
    gone = replace(now, readiness="DISCHARGED")
    left, decisions = _ended(protocols, state, gone, "discharged", do.who, now_ms)
    discharged = ReadinessChanged(session=now.id, state="DISCHARGED", reason="left with an escort", who=do.who)
    return left, [discharged, *decisions]


def _no_alarm(state: ChairState) -> None:
    """Whatever a protocol asks for: nobody goes home while something is wrong with them, or nobody knows."""
    grave = [alarm for alarm in state.alarms.values() if alarm.shown and RANK[alarm.level] >= RANK["medium"]]
    if any(alarm.present for alarm in grave):
        raise NotDone("an alarm of medium or high level is present")
    if grave:
        raise NotDone("an alarm is over that nobody has seen; acknowledge it first")


def _ended(protocols: Protocols, state: ChairState, now: Session, what: str, who: str, now_ms: int) -> Result:
    idle = protocols[state.idle_protocol]
    after, decisions = staff_alarms.handed_to(protocols[now.protocol], idle, state, "the session ended", now_ms)
    over = replace(now, ended_mono_ms=now_ms)
    after = replace(after, session=None, ended=over, next_cuff_mono_ms=None, cuff=None, cuff_failures=0, outage=())
    stop = Ordered(id=f"{now.id}-end", kind="abort", session=now.id)
    return after, [*decisions, _marked(now, "ended", who, {"why": what}), stop]


def _marked(now: Session, what: str, who: str, detail: dict[str, float | str] | None = None) -> SessionMarked:
    return SessionMarked(session=now.id, what=what, who=who, detail=detail or {})
