"""A gateway that comes back may have other protocols than before: what the state of a chair makes of that.

A running session goes on under the protocol of today, and its record says so. What was held or signed by other numbers
counts no more. An alarm whose rule is gone ends with a transition: it would sound for ever, and nothing judges it any
more; the others are judged by the limits of today.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.core import alarms, measures
from gateway.core.chair_state import AlarmChanged, ChairState, Decision, ReadinessChanged, SessionMarked
from gateway.core.judging import judge
from gateway.core.protocol import Protocol, Rule, Tier, content_hash
from gateway.core.recovery import UNREADABLE, Kept

GONE = "The protocol has no such rule any more"


def refitted(protocol: Protocol, state: ChairState, now_ms: int) -> tuple[ChairState, list[Decision]]:
    """The state under today's protocol, and what that changes. Asked for once after a restart."""
    judged = {rule.id for rule in protocol.rules if state.session is not None or rule.always}
    session = state.session
    name = session.id if session is not None else ""
    decisions: list[Decision] = []
    for rule_id, alarm in state.alarms.items():
        if rule_id not in judged:
            _, changes = alarms.end(_stand_in(rule_id, alarm), alarm, GONE, now_ms)
            decisions += [AlarmChanged(change=change, session=name) for change in changes]
    state = replace(state, alarms={name: alarm for name, alarm in state.alarms.items() if name in judged})
    if session is None or session.protocol_hash == (today := content_hash(protocol)):
        return state, decisions
    why = f"protocol changed from {session.protocol_hash or 'unknown'} to {today}"
    detail: dict[str, float | str] = {"why": why, "protocol": protocol.id, "protocol_hash": today}
    decisions.append(SessionMarked(session=name, what="protocol_changed", who="gateway", detail=detail))
    if session.readiness != "NOT_READY":
        reason = "revoked: the protocol changed"
        decisions.append(ReadinessChanged(session=name, state="NOT_READY", reason=reason))
    session = replace(session, protocol_hash=today, held={}, readiness="NOT_READY", signed_off_by="")
    fitted = dict(state.alarms)
    for rule in protocol.rules:
        present = fitted.get(rule.id)
        if present is not None and present.present and not _fits(rule, present):
            fitted[rule.id] = replace(present, tiers=())
    state, raised = _judged_anew(protocol, replace(state, session=session, alarms=fitted), now_ms)
    return state, [*decisions, *raised]


def _fits(rule: Rule, alarm: alarms.Alarm) -> bool:
    """Whether the tiers say of the last value what the limits of today say. Of some tiers the delay has yet to pass, or
    a second reading to come: those must not hold because of a change elsewhere."""
    if alarm.sample is None or len(alarm.tiers) != len(rule.tiers):
        return False
    value = alarm.sample.value
    for tier, state in zip(rule.tiers, alarm.tiers, strict=True):
        if state.holds:
            if state.inside_mono_ms is not None and tier.crossed(value, margin=rule.hysteresis):
                return False
        elif tier.crossed(value) != (state.beyond_mono_ms is not None):
            return False
    return True


def _judged_anew(protocol: Protocol, state: ChairState, now_ms: int) -> tuple[ChairState, list[Decision]]:
    """The last pressure by rules that may be new: the next one may be a quarter of an hour away. Where an alarm of its
    measure is under way it was judged before, and is no second reading."""
    session, read = state.session, state.cuff
    if session is None or read is None:
        return state, []
    if now_ms - read.at_mono_ms > protocol.cuff.current_s(session.phase) * 1000:
        return state, []
    sampled = {
        measure: value
        for measure, value in measures.from_cuff(read, state.cuff_failures, session).items()
        if not any(rule.id in state.alarms for rule in protocol.by_measure.get(measure, ()))
    }
    return judge(protocol, state, sampled, read.at_mono_ms, f"{read.record.boot}-{read.record.seq}", now_ms)


def without_protocol(snapshots: Mapping[str, bytes], protocols: Mapping[str, Protocol]) -> dict[str, str]:
    """Chairs whose running session has a protocol that is not there: nothing would judge that patient."""
    lost: dict[str, str] = {}
    for key, body in snapshots.items():
        kind, _, chair = key.partition("/")
        if kind != "chair":
            continue
        try:
            kept = msgspec.json.decode(msgspec.json.decode(body, type=Kept).state, type=_Chair)
        except UNREADABLE:
            continue  # Counted and left out where it is restored.
        if kept.session is not None and kept.session.protocol not in protocols:
            lost[chair] = kept.session.protocol
    return lost


class _Session(Struct):
    protocol: str


class _Chair(Struct):
    session: _Session | None = None


def _stand_in(rule_id: str, alarm: alarms.Alarm) -> Rule:
    """For a rule that nobody has any more: what a transition needs to say of it."""
    level = "low" if alarm.level == "none" else alarm.level
    tiers = (Tier(level=level, reaches=1),)
    return Rule(id=rule_id, measure="board_fault", kind="technical", reason=GONE, tiers=tiers)
