"""What a gateway comes back with: the state of chairs and boards, and its own monotonic time.

Monotonic clocks begin anew when the computer restarts. A snapshot names the run of the computer and holds both clocks
of its moment; if the run or the difference between the clocks is another one now, the computer was off. For how long
nobody knows (a Raspberry Pi has no clock that runs on), so that time is not counted: every monotonic stamp is as old as
it was. Fields that hold one end in `_mono_ms`.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.core.outputs import Snapshot

SAME_CLOCK_MS = 2_000
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T", bound=Struct)


class Kept(Struct, kw_only=True):
    mono_ms: int
    utc_ms: int
    host_boot: str = ""
    state: msgspec.Raw


def snapshot(key: str, state: Struct, mono_ms: int, utc_ms: int, host_boot: str = "") -> Snapshot:
    raw = msgspec.Raw(msgspec.json.encode(state))
    body = msgspec.json.encode(Kept(mono_ms=mono_ms, utc_ms=utc_ms, host_boot=host_boot, state=raw))
    return Snapshot(key=key, body=body)


def restored(body: bytes, kind: type[T], mono_ms: int, utc_ms: int, host_boot: str = "") -> tuple[T, bool]:
    """The state of a snapshot in today's monotonic time, and whether the computer was off meanwhile. Raises
    UNREADABLE if it is not one."""
    kept = msgspec.json.decode(body, type=Kept)
    passed_ms = mono_ms - kept.mono_ms
    was_off = host_boot != kept.host_boot or passed_ms < 0 or abs(passed_ms - (utc_ms - kept.utc_ms)) > SAME_CLOCK_MS
    plain = msgspec.json.decode(kept.state)
    return msgspec.convert(_shifted(plain, passed_ms) if was_off else plain, kind), was_off


def _shifted(value: object, by_ms: int, stamp: bool = False) -> object:
    if isinstance(value, dict):
        return {key: _shifted(item, by_ms, stamp or str(key).endswith("_mono_ms")) for key, item in value.items()}
    if isinstance(value, list):
        return [_shifted(item, by_ms, stamp) for item in value]
    if stamp and isinstance(value, int) and not isinstance(value, bool):
        return value + by_ms
    return value
