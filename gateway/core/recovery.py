"""What a gateway comes back with: the state of chairs and boards, and its own monotonic time.

Monotonic clocks begin anew when the computer restarts. A snapshot names the run of the computer and holds both clocks
of its moment. In the same run the monotonic clock went on, whatever UTC did meanwhile. In another one the computer was
off. If a time service kept UTC at the snapshot and keeps it now, UTC says for how long. Else nobody knows (a Raspberry
Pi has no clock that runs on): that time is not counted, every stamp is as old as it was, and the session remembers that
something is missing until UTC can be trusted again. Fields that hold a monotonic stamp end in `_mono_ms`.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.core.alarm import Alarm, Change
from gateway.core.chair_state import AlarmChanged, ChairState, Decision
from gateway.core.outputs import Snapshot
from gateway.core.protocol import RANK, Rule
from gateway.core.session import Off
from gateway.wire import State, VitalsView

SAME_CLOCK_MS = 2_000
"""Where the system has no name for its runs: one in which the clocks' difference stayed like this is the same."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T", bound=Struct)


class Kept(Struct, kw_only=True):
    mono_ms: int
    utc_ms: int
    utc_trusted: bool = False
    host_boot: str = ""
    state: msgspec.Raw


class WasOff(Struct, frozen=True, kw_only=True):
    """The computer was off. `since_utc_ms` is given while nobody knows for how long, and can still become known."""

    known: bool
    since_utc_ms: int | None = None


def snapshot(
    key: str, state: Struct, mono_ms: int, utc_ms: int, host_boot: str = "", *, utc_trusted: bool = False
) -> Snapshot:
    raw = msgspec.Raw(msgspec.json.encode(state))
    kept = Kept(mono_ms=mono_ms, utc_ms=utc_ms, utc_trusted=utc_trusted, host_boot=host_boot, state=raw)
    return Snapshot(key=key, body=msgspec.json.encode(kept))


def restored(
    body: bytes, kind: type[T], mono_ms: int, utc_ms: int, host_boot: str = "", *, utc_trusted: bool = False
) -> tuple[T, WasOff | None]:
    """The state of a snapshot in today's monotonic time, and whether the computer was off meanwhile. Raises
    UNREADABLE if it is not one."""
    kept = msgspec.json.decode(body, type=Kept)
    plain = msgspec.json.decode(kept.state)
    if _same_run(kept, mono_ms, utc_ms, host_boot):
        return msgspec.convert(plain, kind), None
    known = kept.utc_trusted and utc_trusted
    off_ms = max(0, utc_ms - kept.utc_ms) if known else 0
    since_utc_ms = kept.utc_ms if kept.utc_trusted and not known else None
    state = msgspec.convert(_shifted(plain, mono_ms - kept.mono_ms - off_ms), kind)
    return state, WasOff(known=known, since_utc_ms=since_utc_ms)


def noted(state: ChairState, off: WasOff, now_ms: int) -> ChairState:
    """The state after the computer was off: nobody listened for alarms, so quiet begins anew, and while nobody knows
    for how long, the session has a mark. One that is there already began earlier: its beginning stands for both."""
    session = state.session
    if session is None:
        return state
    mark = session.off
    if not off.known:
        begun = Off(until_mono_ms=now_ms, since_utc_ms=off.since_utc_ms)
        mark = begun if mark is None else replace(mark, again_mono_ms=now_ms)
    loud = {level: now_ms for level, rank in RANK.items() if rank > 0}
    return replace(state, session=replace(session, off=mark, loud_mono_ms=loud))


def bridged(state: ChairState, now_ms: int, utc_ms: int) -> ChairState:
    """Now that UTC can be trusted: what is from before the computer was off is as old as it is, and the mark is gone.
    What was said between two such times stays of unknown age. Of a computer whose UTC was not trusted before it went
    off, that never becomes known."""
    session = state.session
    if session is None or session.off is None or session.off.since_utc_ms is None:
        return state
    off = session.off
    off_ms = max(0, utc_ms - session.off.since_utc_ms - (now_ms - off.until_mono_ms))
    left = Off(until_mono_ms=off.again_mono_ms) if off.again_mono_ms is not None else None
    known = replace(state, session=replace(session, off=left))
    return msgspec.convert(_shifted(msgspec.to_builtins(known), -off_ms, upto_ms=off.until_mono_ms), ChairState)


def told_before(
    state: ChairState, told: State, rules: tuple[Rule, ...], boot: str, now_ms: int
) -> tuple[ChairState, list[Decision]]:
    """The state with the alarms that the run before said last and died before it could write them down: they go on
    under their names. `told` is its retained state, believed only where it is not older than what was written, by the
    vitals of the board's present `boot`; nobody's acknowledgement is, for it had no answer yet."""
    if told.session != (state.session.id if state.session is not None else ""):
        return state, []
    written = (state.vitals.record.boot, state.vitals.record.seq) if state.vitals is not None else (boot, 0)
    said = (told.vitals.boot, told.vitals.seq) if isinstance(told.vitals, VitalsView) else (boot, 0)
    if not written[0] == said[0] == boot or said < written:
        return state, []
    after = dict(state.alarms)
    decisions: list[Decision] = []
    for rule in rules:
        view = next((view for view in told.alarms if view.rule == rule.id and view.condition != "latched"), None)
        before = after.get(rule.id, Alarm())
        if view is None or view.id == before.id:
            continue
        raised_ms = now_ms - round(view.since_s * 1000)
        after[rule.id] = Alarm(
            condition="active",
            level=view.level,
            peak=max(view.level, before.peak, key=RANK.__getitem__),
            id=view.id,
            began_mono_ms=raised_ms,
            raised_mono_ms=raised_ms,
            unseen_mono_ms=now_ms,
        )
        change = Change(rule=rule, what="raised", before=before, after=after[rule.id], at_mono_ms=now_ms)
        decisions.append(AlarmChanged(change=change, session=told.session))
    return replace(state, alarms=after, settled_mono_ms=min(state.settled_mono_ms, now_ms)), decisions


def _same_run(kept: Kept, mono_ms: int, utc_ms: int, host_boot: str) -> bool:
    passed_ms = mono_ms - kept.mono_ms
    if host_boot != kept.host_boot or passed_ms < 0:
        return False
    return bool(host_boot) or abs(passed_ms - (utc_ms - kept.utc_ms)) <= SAME_CLOCK_MS


def _shifted(value: object, by_ms: int, stamp: bool = False, upto_ms: int | None = None) -> object:
    if isinstance(value, dict):
        return {
            key: _shifted(item, by_ms, stamp or str(key).endswith("_mono_ms"), upto_ms) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shifted(item, by_ms, stamp, upto_ms) for item in value]
    if stamp and isinstance(value, int) and not isinstance(value, bool) and (upto_ms is None or value <= upto_ms):
        return value + by_ms
    return value
