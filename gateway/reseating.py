"""A patient goes to another chair, or another board comes to theirs: two chairs or two boards change in one commit."""

from msgspec.structs import replace

from gateway import wire
from gateway.core import boards, chair, seating, staff
from gateway.core.chair_state import ChairState, Ordered, Reported, Staff, Tick
from gateway.core.outputs import Output, Publish
from gateway.floor import Floor
from gateway.telling import command


def reseat(
    floor: Floor, name: str, asked: Staff, action: wire.Move | wire.Swap, now_ms: int, utc_ms: int
) -> list[Output]:
    """What staff asked for, or why not."""
    outputs = floor.step(name, Tick(), now_ms, utc_ms)
    reason = staff.why_not(floor.protocols, floor.chairs[name], asked)
    if isinstance(action, wire.Move):
        reason = reason or _why_not_to(floor, name, action.to)
    else:
        reason = reason or boards.why_not(floor.board_of, floor.devices, name, action.device)
    if reason:
        return outputs + floor.refused(name, asked.do, reason, now_ms, utc_ms)
    if isinstance(action, wire.Move):
        return outputs + _moved(floor, name, asked, action.to, now_ms, utc_ms)
    return outputs + _swapped(floor, name, asked, action.device, now_ms, utc_ms)


def _moved(floor: Floor, name: str, asked: Staff, to: str, now_ms: int, utc_ms: int) -> list[Output]:
    outputs = floor.step(to, Tick(), now_ms, utc_ms)
    state = floor.chairs[name]
    protocol, idle = chair.protocol_of(floor.protocols, state), floor.protocols[state.idle_protocol]
    (left, gone), (here, came) = seating.moved(protocol, idle, state, floor.chairs[to], asked, to, now_ms)
    floor.chairs[to] = here
    floor.chairs[name], gone = staff.done(left, asked.do, gone)
    outputs += floor.carried_out(to, came, now_ms, utc_ms)
    return outputs + floor.carried_out(name, gone, now_ms, utc_ms)


def _swapped(floor: Floor, name: str, asked: Staff, after: str, now_ms: int, utc_ms: int) -> list[Output]:
    state, before = floor.chairs[name], floor.board_of[name]
    outputs = _sent_away(floor, name, before, asked.do.id, now_ms)
    kept = floor.swap(name, after, now_ms, utc_ms)
    protocol = chair.protocol_of(floor.protocols, state)
    state, decisions = seating.swapped(protocol, state, asked, before, after, now_ms)
    floor.chairs[name], decisions = staff.done(state, asked.do, decisions)
    outputs += kept + floor.carried_out(name, decisions, now_ms, utc_ms)
    status = floor.devices[after].status
    return outputs if status is None else outputs + floor.step(name, Reported(status=status), now_ms, utc_ms)


def _why_not_to(floor: Floor, name: str, to: str) -> str:
    if to not in floor.chairs:
        return f"there is no chair {to}; there are {', '.join(floor.chairs)}"
    if to == name:
        return f"the patient is in {to}"
    return f"{to} is taken" if floor.chairs[to].session is not None else ""


def _sent_away(floor: Floor, name: str, board: str, id: str, now_ms: int) -> list[Output]:
    """A board that leaves its chair: its cuff opens, nothing sounds, and nobody finds its last orders later."""
    state = floor.chairs[name]
    session = state.session.id if state.session is not None else ""
    stop = command(board, Ordered(id=id, kind="abort", session=session), floor.devices[board], now_ms)
    idle = ChairState(idle_protocol=state.idle_protocol)
    orders = floor.tell.annunciate(name, board, idle, now_ms)
    return [*stop, replace(orders, retain=False), Publish(topic=orders.topic, message=None, retain=True)]
