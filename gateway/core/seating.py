"""A patient who goes to another chair, and a chair that gets another board.

The session goes on with all that is known of the patient; what only these sensors could know begins anew. From then on
readings of the new sensors are the patient's, and no hold spans the change. An alarm that is present stays present: the
last reading keeps its age until the new sensors speak.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from gateway.core import alarms, staff_alarms
from gateway.core.chair_state import AlarmChanged, ChairState, Decision, Ordered, SessionMarked, Staff
from gateway.core.protocol import Measure, Protocol
from gateway.core.session import Session

OF_THE_BOARD: tuple[Measure, ...] = (
    "board_fault", "safe_mode", "clock_apart_s", "uncalibrated", "calibration_expired", "battery_pct", "seat_left",
)  # fmt: skip
"""What a board says of itself and of the seat: not true of another one, which may have nothing to end it with."""
Result = tuple[ChairState, list[Decision]]


def moved(
    protocol: Protocol, idle: Protocol, source: ChairState, target: ChairState, asked: Staff, to: str, now_ms: int
) -> tuple[Result, Result]:
    """The chair that the patient left, and the one where they are now. Alarms of places and boards stay there."""
    session, do = source.session, asked.do
    assert session is not None
    assert target.session is None
    staying = {rule.id for rule in protocol.rules if rule.always}
    going = {name: alarm for name, alarm in source.alarms.items() if name not in staying}
    left = replace(source, alarms={name: alarm for name, alarm in source.alarms.items() if name in staying})
    why = f"the patient went to {to}"
    left, ended = staff_alarms.handed_to(protocol, idle, left, why, now_ms)
    going, of_the_board = _without_board(protocol, going, session.id, why, now_ms)
    left = ChairState(
        idle_protocol=source.idle_protocol,
        ended=replace(session, ended_mono_ms=now_ms),
        alarms=left.alarms,
        heard_mono_ms=source.heard_mono_ms,
        status=source.status,
        settled_mono_ms=now_ms,
        done=source.done,
    )
    here, begun = staff_alarms.handed_to(idle, protocol, target, f"the patient of {asked.chair} came", now_ms)
    here = replace(
        source,
        session=_seated(session, now_ms),
        ended=target.ended,
        alarms={**here.alarms, **going},
        hold_mono_ms=None,
        windows={},
        status=target.status,
        settled_mono_ms=now_ms,
        done=target.done,
    )
    return (
        (
            left,
            [
                *ended,
                *of_the_board,
                SessionMarked(session=session.id, what="moved", who=do.who, detail={"why": f"to {to}"}),
                Ordered(id=do.id, kind="abort", session=session.id),
            ],
        ),
        (
            here,
            [
                *begun,
                SessionMarked(session=session.id, what="moved", who=do.who, detail={"why": f"from {asked.chair}"}),
            ],
        ),
    )


def swapped(protocol: Protocol, state: ChairState, asked: Staff, before: str, after: str, now_ms: int) -> Result:
    """The chair with another board."""
    name = state.session.id if state.session is not None else ""
    kept, decisions = _without_board(protocol, state.alarms, name, f"{after} took the place of {before}", now_ms)
    state = replace(state, alarms=kept, hold_mono_ms=None, windows={}, status=None, settled_mono_ms=now_ms)
    if state.session is None:
        state = replace(state, vitals=None)
    else:
        state = replace(state, session=_seated(state.session, now_ms))
    detail: dict[str, float | str] = {"why": f"{after} for {before}"}
    return state, [*decisions, SessionMarked(session=name, what="board_swapped", who=asked.do.who, detail=detail)]


def _without_board(
    protocol: Protocol, before: Mapping[str, alarms.Alarm], session: str, why: str, now_ms: int
) -> tuple[dict[str, alarms.Alarm], list[Decision]]:
    """The alarms that do not hang on the board, and the end of those that do."""
    kept = dict(before)
    decisions: list[Decision] = []
    for rule in protocol.rules:
        if rule.measure in OF_THE_BOARD and rule.id in kept:
            _, changes = alarms.end(rule, kept.pop(rule.id), why, now_ms)
            decisions += [AlarmChanged(change=change, session=session) for change in changes]
    return kept, decisions


def _seated(session: Session, now_ms: int) -> Session:
    return replace(session, seated_mono_ms=now_ms, held={})
