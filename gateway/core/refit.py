"""A gateway that comes back may have other protocols than before: what the state of a chair makes of that.

A running session goes on under the protocol of today, and its record says so. An alarm whose rule is gone ends with a
transition: it would sound for ever, and nothing judges it any more.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.core import alarms
from gateway.core.chair_state import AlarmChanged, ChairState, Decision, SessionMarked
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
    return replace(state, session=replace(session, protocol_hash=today)), decisions


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
