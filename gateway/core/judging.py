"""Holds measures against the rules of a chair: the ones that have a limit crossed or an alarm under way.

Nearly every reading there is crosses nothing, and then nothing of the chair changes here.
"""

from msgspec.structs import replace

from gateway.core import alarms, changes, readiness, suppression
from gateway.core.alarm import Alarm
from gateway.core.chair_state import AlarmChanged, ChairState, Decision
from gateway.core.measures import Measures
from gateway.core.protocol import RANK, Protocol, Rule
from gateway.core.session import Session
from gateway.core.tiers import Sample
from gateway.wire import Level

Step = tuple[ChairState, list[Decision]]
NORMAL = Alarm()


def judge(
    protocol: Protocol,
    state: ChairState,
    sampled: Measures,
    at_ms: int,
    origin: str,
    now_ms: int,
    delay_ms: int = 0,
) -> Step:
    """What `sampled`, true at `at_ms` and brought by the record `origin`, makes of the alarms; those under way and not
    sampled are judged by time alone."""
    touched: set[str] = set()
    for measure, value in sampled.items():
        for rule in protocol.by_measure.get(measure, ()):
            if rule.tiers[0].crossed(value):
                touched.add(rule.id)
    if not touched and not state.alarms:
        return state, []
    session, before = state.session, level(state)
    after = dict(state.alarms)
    decisions: list[Decision] = []
    for rule in protocol.rules:
        if rule.id not in after and not (rule.id in touched and applies(rule, session)):
            continue
        alarm = after.pop(rule.id, NORMAL)
        if session is None and not rule.always:
            alarm, told = alarms.end(rule, alarm, "not judged without a session", now_ms)
        elif session is not None and session.phase not in rule.phases:
            alarm, told = alarms.phase_over(rule, alarm, f"not judged in phase {session.phase}", now_ms)
        else:
            sample = None
            if rule.measure in sampled:
                value = sampled[rule.measure]
                sample = Sample(value=value, at_mono_ms=at_ms, origin=origin, delay_ms=delay_ms)
            episode = f"{session.id if session is not None else 'idle'}-{rule.id}"
            alarm, told = alarms.judge(rule, alarm, sample, now_ms, episode)
        if alarm.condition != "normal":
            after[rule.id] = alarm
        decisions += [_changed(state, change) for change in told]
    state, told = suppression.applied(protocol, replace(state, alarms=after), now_ms)
    decisions += [_changed(state, change) for change in told]
    if session is not None:
        # An alarm that ends now was present until now.
        loud = max(before, level(state), key=RANK.__getitem__)
        state = replace(state, session=readiness.loud_with(session, loud, now_ms))
    return state, decisions


def with_changes(protocol: Protocol, state: ChairState, sampled: Measures, at_ms: int) -> ChairState:
    """Adds to `sampled` how far its values fell or rose, and remembers them for the next."""
    windows = state.windows
    for measure, (source, _) in changes.SOURCES.items():
        rules = protocol.by_measure.get(measure)
        if rules is None or source not in sampled:
            continue
        value, window_ms = sampled[source], round(rules[0].window_s * 1000)
        window = changes.with_value(windows.get(measure, ()), measure, value, at_ms, window_ms)
        windows = {**windows, measure: window}
        sampled[measure] = changes.change(window, measure, value)
    return state if windows is state.windows else replace(state, windows=windows)


def applies(rule: Rule, session: Session | None) -> bool:
    return session.phase in rule.phases if session is not None else rule.always


def level(state: ChairState) -> Level:
    """The gravest level of what is present; a latched alarm is shown but is over."""
    present = [alarm.level for alarm in state.alarms.values() if alarm.present]
    return max(present, key=RANK.__getitem__, default="none")


def _changed(state: ChairState, change: alarms.Change) -> AlarmChanged:
    return AlarmChanged(change=change, session=state.session.id if state.session is not None else "")
