"""`step`: the one function that decides about a chair.

    (state, what happened, now) -> (state, what follows)

It is pure: the same story gives the same decisions on a Raspberry Pi, in a simulation and in a replay.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from gateway.core import alarms, cuff_plan, measures, readiness, staff
from gateway.core.chair_state import (
    AlarmChanged,
    ChairState,
    CuffRead,
    Decision,
    Happened,
    Happening,
    Reported,
    Staff,
    Tick,
    VitalsRead,
)
from gateway.core.history import from_before, with_history
from gateway.core.judging import Step, judge, with_changes
from gateway.core.passing import passed
from gateway.core.protocol import Protocol
from gateway.core.session import CUFFS_MAX, Pressure, Session

Protocols = Mapping[str, Protocol]
EVENT_AGE_MAX_MS = 600_000
RISES = ("sys_rise_mmhg", "dia_rise_mmhg")


def step(protocols: Protocols, state: ChairState, event: Happening, now_ms: int) -> Step:
    """What `event` at `now_ms` (the gateway's monotonic clock) makes of a chair. Time comes first: what fell due
    before the event must not be hidden by it, nor be signed off by somebody who acts on what was."""
    overdue: list[Decision] = []
    protocol = protocol_of(protocols, state)
    if now_ms >= state.settled_mono_ms or isinstance(event, Staff):
        state, overdue = passed(protocol, state, now_ms)
    if isinstance(event, Tick):
        return state, overdue
    if isinstance(event, VitalsRead):
        state, decisions = _vitals(protocol, state, event, now_ms)
        if not state.alarms and (state.session is None or state.session.readiness == "NOT_READY"):
            # Calm: a reading ends what time began, and nothing was begun.
            return state, overdue + decisions
    elif isinstance(event, CuffRead):
        state, decisions = _cuff(protocol, state, event, now_ms)
    elif isinstance(event, Happened):
        state, decisions = _event(protocol, state, event, now_ms)
    elif isinstance(event, Reported):
        # A board may say more than once in a boot what is wrong with it.
        origin = f"{event.status.boot}-{event.status.conn}-{event.status.up_ms}"
        sampled = measures.from_status(event.status)
        state, decisions = judge(protocol, replace(state, status=event.status), sampled, now_ms, origin, now_ms)
    else:
        before = state.session
        state, decisions = staff.act(protocols, state, event, now_ms)
        state, anew = _over_baseline(protocol_of(protocols, state), state, before, now_ms)
        decisions += anew
    state, followed = passed(protocol_of(protocols, state), state, now_ms)
    return state, [*overdue, *decisions, *followed]


def fitted(state: ChairState) -> ChairState:
    """The state of a gateway that comes back: the next step looks at it under today's protocols."""
    return replace(state, settled_mono_ms=0)


def resumed(state: ChairState) -> ChairState:
    """The state after the computer was off for a time that nobody knows: no value is of now, and nothing held.
    Alarms, doses and observations stay; without vitals the next tick tells the silence, though somebody was away."""
    session = state.session
    if session is not None:
        session = replace(session, pressures=(), held={}, latest={}, good_ms=(), away_until_mono_ms=None)
    return replace(
        state, session=session, vitals=None, heard_mono_ms=None, hold_mono_ms=None, windows={}, cuff=None,
        settled_mono_ms=0,
    )  # fmt: skip


def protocol_of(protocols: Protocols, state: ChairState) -> Protocol:
    return protocols[state.session.protocol if state.session else state.idle_protocol]


def _vitals(protocol: Protocol, state: ChairState, event: VitalsRead, now_ms: int) -> Step:
    at_ms, record = event.at_mono_ms, event.record
    sampled = measures.from_vitals(event, state)
    stale = now_ms - at_ms > protocol.live_s * 1000
    overtaken = state.vitals is not None and at_ms < state.vitals.at_mono_ms
    # A board whose sensor says nothing any more is still there, however old its last value is.
    heard_ms = _heard_ms(state, at_ms + record.age_ms)
    if stale or overtaken or from_before(state, at_ms):
        return with_history(protocol, replace(state, heard_mono_ms=heard_ms), sampled, at_ms), []
    session = state.session
    if session is not None:
        session = readiness.held_with(protocol, session, sampled, at_ms, history=False)
    held = record.quality == "cuff_hold"
    state = replace(
        state,
        session=session,
        vitals=event,
        heard_mono_ms=heard_ms,
        hold_mono_ms=(at_ms if state.hold_mono_ms is None else state.hold_mono_ms) if held else None,
        last_value_mono_ms=at_ms if "spo2_pct" in sampled else state.last_value_mono_ms,
    )
    state = with_changes(protocol, state, sampled, at_ms)
    return judge(protocol, state, sampled, at_ms, f"{record.boot}-{record.seq}", now_ms, event.delay_ms)


def _cuff(protocol: Protocol, state: ChairState, event: CuffRead, now_ms: int) -> Step:
    if from_before(state, event.at_mono_ms):
        return state, []
    session = state.session
    newest = state.cuff is None or event.at_mono_ms >= state.cuff.at_mono_ms
    good = measures.measured(event.record)
    failures = state.cuff_failures
    state = replace(state, heard_mono_ms=_heard_ms(state, event.at_mono_ms))
    if session is not None and session.of_unknown_age(event.at_mono_ms):
        # Its time is right, those of the stay before are too young: nobody can say which doses it came after.
        return with_history(protocol, state, measures.from_cuff(event, failures, session), event.at_mono_ms), []
    if newest:
        failures = 0 if good else failures + 1
        state = replace(state, cuff=event, cuff_failures=failures)
    if session is None:
        return state, []
    sampled = measures.from_cuff(event, failures, session)
    if good and "dia_mmhg" in sampled:
        pressure = Pressure(sys_mmhg=sampled["sys_mmhg"], dia_mmhg=sampled["dia_mmhg"], at_mono_ms=event.at_mono_ms)
        pressures = sorted((*session.pressures, pressure), key=lambda one: one.at_mono_ms)
        state = replace(state, session=replace(session, pressures=tuple(pressures[-CUFFS_MAX:])))
    if not newest:
        return with_history(protocol, state, sampled, event.at_mono_ms), []
    decisions: list[Decision] = []
    if now_ms - event.at_mono_ms <= protocol.cuff.current_s(session.phase) * 1000:
        origin = f"{event.record.boot}-{event.record.seq}"
        state, decisions = judge(protocol, state, sampled, event.at_mono_ms, origin, now_ms, event.delay_ms)
    else:
        state = with_history(protocol, state, sampled, event.at_mono_ms)
    over = any(
        rule.kind == "physiological" and rule.id in state.alarms and state.alarms[rule.id].present
        for measure in sampled
        for rule in protocol.by_measure.get(measure, ())
    )
    assert state.session is not None
    session, next_ms = cuff_plan.after_reading(
        protocol, state.session, event.at_mono_ms, now_ms, over=over, failures=failures
    )
    return replace(state, session=session, next_cuff_mono_ms=next_ms), decisions


def _over_baseline(protocol: Protocol, state: ChairState, before: Session | None, now_ms: int) -> Step:
    """The last pressure against a baseline that has just changed: the next one may be a quarter of an hour away. A
    rise over one that was taken away would never be judged again, so it ends."""
    session, read = state.session, state.cuff
    if session is None or before is None or session.baseline == before.baseline:
        return state, []
    if session.baseline is None:
        kept, decisions = dict(state.alarms), list[Decision]()
        for rule in protocol.rules:
            if rule.measure in RISES and rule.id in kept:
                _, changes = alarms.end(rule, kept.pop(rule.id), "the baseline was taken away", now_ms)
                decisions += [AlarmChanged(change=change, session=session.id) for change in changes]
        return replace(state, alarms=kept), decisions
    if read is None:
        return state, []
    if now_ms - read.at_mono_ms > protocol.cuff.current_s(session.phase) * 1000:
        return state, []
    sampled = measures.from_cuff(read, state.cuff_failures, session)
    rises = {name: value for name, value in sampled.items() if name in RISES}
    return judge(protocol, state, rises, read.at_mono_ms, f"{read.record.boot}-{read.record.seq}", now_ms)


def _event(protocol: Protocol, state: ChairState, event: Happened, now_ms: int) -> Step:
    if now_ms - event.at_mono_ms > EVENT_AGE_MAX_MS:
        return state, []
    sampled = measures.from_event(event)
    if from_before(state, event.at_mono_ms):
        # A call is from whoever sits here now; what the board alarmed for alone was the patient before.
        sampled.pop("local_alarm", None)
    else:
        state = replace(state, heard_mono_ms=_heard_ms(state, event.at_mono_ms))
    state, told = _again(protocol, state, sampled, now_ms)
    origin = f"{event.record.boot}-{event.record.seq}"
    state, decisions = judge(protocol, state, sampled, event.at_mono_ms, origin, now_ms, event.delay_ms)
    return state, [*told, *decisions]


def _again(protocol: Protocol, state: ChairState, sampled: measures.Measures, now_ms: int) -> Step:
    """Somebody calls who has called before: a silence was for the call before."""
    after, decisions = dict(state.alarms), list[Decision]()
    for rule in (rule for measure in sampled for rule in protocol.by_measure.get(measure, ()) if rule.id in after):
        after[rule.id], changes = alarms.again(rule, after[rule.id], now_ms)
        session = state.session.id if state.session is not None else ""
        decisions += [AlarmChanged(change=change, session=session) for change in changes]
    return (replace(state, alarms=after), decisions) if decisions else (state, [])


def _heard_ms(state: ChairState, at_ms: int) -> int:
    return at_ms if state.heard_mono_ms is None else max(at_ms, state.heard_mono_ms)
