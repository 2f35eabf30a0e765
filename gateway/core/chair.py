"""`step`: the one function that decides about a chair.

    (state, what happened, now) -> (state, what follows)

It is pure: the same story gives the same decisions on a Raspberry Pi, in a simulation and in a replay.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from gateway.core import alarms, measures, readiness, staff
from gateway.core.alarms import Alarm, Sample
from gateway.core.chair_state import (
    OUTAGE_MAX,
    AlarmChanged,
    ChairState,
    Crossed,
    CuffRead,
    Decision,
    Happened,
    Happening,
    ReadinessChanged,
    Reported,
    Staff,
    Tick,
    VitalsRead,
)
from gateway.core.protocol import RANK, Protocol
from gateway.core.session import CUFFS_MAX, Pressure
from gateway.wire import Level

Protocols = Mapping[str, Protocol]
Step = tuple[ChairState, list[Decision]]
EVENT_AGE_MAX_MS = 600_000
SETTLED_S_MAX = 1.5
"""A calm chair is looked at after so long without a reading; each reading looks as well."""
NORMAL = Alarm()


def step(protocols: Protocols, state: ChairState, event: Happening, now_ms: int) -> Step:
    """What `event` at `now_ms` (the gateway's monotonic clock) makes of a chair. Time comes first: what fell due
    before the event must not be hidden by it, nor be signed off by somebody who acts on what was."""
    overdue: list[Decision] = []
    if now_ms >= state.settled_mono_ms or isinstance(event, Staff):
        state, overdue = _passed(protocols, state, now_ms)
    if isinstance(event, Tick):
        return state, overdue
    if isinstance(event, VitalsRead):
        state, decisions = _vitals(protocols, state, event, now_ms)
    elif isinstance(event, CuffRead):
        state, decisions = _cuff(protocols, state, event, now_ms)
    elif isinstance(event, Happened):
        state, decisions = _event(protocols, state, event, now_ms)
    elif isinstance(event, Reported):
        state = replace(state, status=event.status)
        sampled = measures.from_status(event.status)
        # A board may say more than once in a boot what is wrong with it.
        origin = f"{event.status.boot}-{event.status.conn}-{event.status.up_ms}"
        state, decisions = _judge(protocols, state, sampled, now_ms, origin, now_ms)
    else:
        state, decisions = staff.act(protocols, state, event.do, now_ms)
    state, followed = _passed(protocols, state, now_ms)
    return state, [*overdue, *decisions, *followed]


def _passed(protocols: Protocols, state: ChairState, now_ms: int) -> Step:
    """What is true by now."""
    sampled = measures.from_time(state, now_ms)
    state, timed = _judge(protocols, state, sampled, now_ms, _origin(state), now_ms)
    state, ready = _readiness(protocols, state, now_ms)
    settled_ms = _settled_ms(protocol_of(protocols, state), state, sampled, now_ms)
    return replace(state, settled_mono_ms=settled_ms), [*timed, *ready]


def _settled_ms(protocol: Protocol, state: ChairState, sampled: measures.Measures, now_ms: int) -> int:
    """When time alone must be looked at next. At once while an alarm is under way or a patient may go: both can end
    by time. Else when the next silence is too long; what may become met by time waits so long at most."""
    session = state.session
    if session is not None and session.readiness != "NOT_READY":
        return now_ms
    if any(alarm.condition != "normal" for alarm in state.alarms.values()):
        return now_ms
    # These measures grow by a second each second.
    left_s = [
        tier.limit - sampled[rule.measure] for rule in protocol.rules if rule.measure in sampled for tier in rule.tiers
    ]
    return now_ms + int(1000 * max(0.0, min([*left_s, SETTLED_S_MAX])))


def fitted(protocols: Protocols, state: ChairState) -> ChairState:
    """The state under today's protocols: an alarm whose rule is gone would sound for ever, seen by nobody."""
    judged = {rule.id for rule in protocol_of(protocols, state).rules if state.session is not None or rule.always}
    alarms_ = {name: alarm for name, alarm in state.alarms.items() if name in judged}
    return replace(state, alarms=alarms_, settled_mono_ms=0)


def resumed(state: ChairState) -> ChairState:
    """The state after the computer was off for a time that nobody knows: no value is of now, and nothing held.
    Alarms, doses and observations stay; without vitals the next tick tells the silence."""
    session = replace(state.session, pressures=(), held={}) if state.session is not None else None
    return replace(state, session=session, vitals=None, cuff=None, settled_mono_ms=0)


def protocol_of(protocols: Protocols, state: ChairState) -> Protocol:
    return protocols[state.session.protocol if state.session else state.idle_protocol]


def level(state: ChairState) -> Level:
    """The gravest level of what is present; a latched alarm is shown but is over."""
    present = [alarm.level for alarm in state.alarms.values() if alarm.present]
    return max(present, key=RANK.__getitem__, default="none")


def sounding(state: ChairState) -> bool:
    return any(alarm.sounding for alarm in state.alarms.values())


def _vitals(protocols: Protocols, state: ChairState, event: VitalsRead, now_ms: int) -> Step:
    sampled = measures.from_vitals(event)
    protocol = protocol_of(protocols, state)
    newest_ms = state.vitals.at_mono_ms if state.vitals else None
    stale = now_ms - event.at_mono_ms > protocol.live_s * 1000
    overtaken = newest_ms is not None and event.at_mono_ms < newest_ms
    if stale or overtaken or _from_before(state, event.at_mono_ms):
        return _history(protocol, state, sampled, event.at_mono_ms), []
    state = replace(state, vitals=event)
    if "spo2_pct" in sampled:
        state = replace(state, last_value_mono_ms=event.at_mono_ms)
    if state.session is not None:
        session = readiness.held_with(protocol, state.session, sampled, event.at_mono_ms, history=False)
        state = replace(state, session=session)
    origin = f"{event.record.boot}-{event.record.seq}"
    return _judge(protocols, state, sampled, event.at_mono_ms, origin, now_ms, event.delay_ms)


def _history(protocol: Protocol, state: ChairState, sampled: measures.Measures, at_ms: int) -> ChairState:
    """Too late to sound; it breaks holds, and what it crossed is listed."""
    if state.session is None or _from_before(state, at_ms):
        return state
    outage = state.outage
    for rule in protocol.rules:
        value = sampled.get(rule.measure) if state.session.phase in rule.phases else None
        gentlest = rule.tiers[0]
        if rule.kind == "physiological" and value is not None and gentlest.crossed(value):
            crossed = Crossed(rule=rule.id, reason=rule.reason, value=value, unit=rule.unit, at_mono_ms=at_ms)
            same = next((c for c in outage if c.rule == rule.id), None)
            if same is None:
                outage = (*outage, crossed)[-OUTAGE_MAX:]
            elif value < same.value if gentlest.below is not None else value > same.value:
                outage = tuple(crossed if c is same else c for c in outage)
    session = readiness.held_with(protocol, state.session, sampled, at_ms, history=True)
    return replace(state, session=session, outage=outage)


def _cuff(protocols: Protocols, state: ChairState, event: CuffRead, now_ms: int) -> Step:
    if _from_before(state, event.at_mono_ms):
        return state, []
    protocol, session = protocol_of(protocols, state), state.session
    newest = state.cuff is None or event.at_mono_ms >= state.cuff.at_mono_ms
    good = measures.measured(event.record)
    failures = state.cuff_failures
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
        return _history(protocol, state, sampled, event.at_mono_ms), []
    decisions: list[Decision] = []
    if now_ms - event.at_mono_ms <= protocol.cuff.current_s(session.phase) * 1000:
        origin = f"{event.record.boot}-{event.record.seq}"
        state, decisions = _judge(protocols, state, sampled, event.at_mono_ms, origin, now_ms, event.delay_ms)
    else:
        state = _history(protocol, state, sampled, event.at_mono_ms)
    over = any(rule.measure in sampled and state.alarms.get(rule.id, Alarm()).present for rule in protocol.rules)
    interval_s = protocol.cuff.interval_s(session.phase)
    wait_s = protocol.cuff.repeat_s if over or not good else interval_s
    next_ms = max(now_ms, event.at_mono_ms + round(wait_s * 1000)) if interval_s > 0 else None
    return replace(state, next_cuff_mono_ms=next_ms), decisions


def _event(protocols: Protocols, state: ChairState, event: Happened, now_ms: int) -> Step:
    if now_ms - event.at_mono_ms > EVENT_AGE_MAX_MS:
        return state, []
    sampled = measures.from_event(event)
    if _from_before(state, event.at_mono_ms):
        # A call is from whoever sits here now; what the board alarmed for alone was the patient before.
        sampled.pop("local_alarm", None)
    origin = f"{event.record.boot}-{event.record.seq}"
    return _judge(protocols, state, sampled, event.at_mono_ms, origin, now_ms, event.delay_ms)


def _judge(
    protocols: Protocols,
    state: ChairState,
    sampled: measures.Measures,
    at_ms: int,
    origin: str,
    now_ms: int,
    delay_ms: int = 0,
) -> Step:
    """Every rule of the protocol: with its sample where there is one, else with time alone."""
    session = state.session.id if state.session else ""
    after = dict(state.alarms)
    decisions: list[Decision] = []
    for rule in protocol_of(protocols, state).rules:
        if state.session is None and not rule.always:
            continue
        before = after.get(rule.id, NORMAL)
        if state.session is not None and state.session.phase not in rule.phases:
            after[rule.id], changes = alarms.end(rule, before, f"not judged in phase {state.session.phase}", now_ms)
            decisions += [AlarmChanged(change=change, session=session) for change in changes]
            continue
        value = sampled.get(rule.measure)
        if value is None and before.condition == "normal":
            continue
        sample = None
        if value is not None:
            sample = Sample(value=value, at_mono_ms=at_ms, origin=origin, delay_ms=delay_ms)
        after[rule.id], changes = alarms.judge(rule, before, sample, now_ms, f"{session or 'idle'}-{rule.id}")
        decisions += [AlarmChanged(change=change, session=session) for change in changes]
    state = replace(state, alarms=after)
    if state.session is not None:
        state = replace(state, session=readiness.loud_with(state.session, level(state), now_ms))
    return state, decisions


def _readiness(protocols: Protocols, state: ChairState, now_ms: int) -> Step:
    """Follows the criteria: met and revoked by themselves, signed by people only."""
    session = state.session
    if session is None:
        return state, []
    verdicts = readiness.assess(protocol_of(protocols, state), session, now_ms)
    changed = tuple(view for view in verdicts if session.verdicts.get(view.id) != view.verdict)
    met = readiness.all_met(verdicts)
    reason = ""
    if session.readiness == "NOT_READY" and met:
        first_ms = session.first_met_mono_ms if session.first_met_mono_ms is not None else now_ms
        session = replace(session, readiness="CRITERIA_MET", first_met_mono_ms=first_ms)
        reason = "every criterion is met"
    elif session.readiness != "NOT_READY" and not met:
        broken = "; ".join(f"{view.label}: {view.detail}" for view in verdicts if view.verdict != "met")
        session = replace(session, readiness="NOT_READY", signed_off_by="")
        reason = f"revoked: {broken}"
    elif not changed:
        return state, []
    session = replace(session, verdicts={view.id: view.verdict for view in verdicts})
    moved = ReadinessChanged(session=session.id, state=session.readiness, reason=reason[:200], criteria=changed)
    return replace(state, session=session), [moved]


def _from_before(state: ChairState, at_ms: int) -> bool:
    """True before the session began: of the patient before, however it came."""
    return state.session is not None and at_ms < state.session.started_mono_ms


def _origin(state: ChairState) -> str:
    """Names what began by silence: the last record before it."""
    return f"{state.vitals.record.boot}-{state.vitals.record.seq}" if state.vitals else "0"
