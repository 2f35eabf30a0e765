"""What a gateway comes back with: the state of chairs and boards, and its own monotonic time.

Monotonic clocks begin anew when the computer restarts. A snapshot holds both clocks of its moment; if the difference
between them is another one now, every monotonic stamp is moved by it. Fields that hold one end in `_mono_ms`.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.core.outputs import Snapshot

SAME_CLOCK_MS = 2_000
T = TypeVar("T", bound=Struct)


class Kept(Struct, kw_only=True):
    mono_ms: int
    utc_ms: int
    state: msgspec.Raw


def snapshot(key: str, state: Struct, mono_ms: int, utc_ms: int) -> Snapshot:
    body = msgspec.json.encode(Kept(mono_ms=mono_ms, utc_ms=utc_ms, state=msgspec.Raw(msgspec.json.encode(state))))
    return Snapshot(key=key, body=body)


def restored(body: bytes, kind: type[T], mono_ms: int, utc_ms: int) -> T:
    """The state of a snapshot in today's monotonic time. Raises msgspec.DecodeError if it is not one."""
    kept = msgspec.json.decode(body, type=Kept)
    shift_ms = (mono_ms - kept.mono_ms) - (utc_ms - kept.utc_ms)
    plain = msgspec.json.decode(kept.state)
    if abs(shift_ms) > SAME_CLOCK_MS:
        plain = _shifted(plain, shift_ms)
    return msgspec.convert(plain, kind)


def _shifted(value: object, by_ms: int, stamp: bool = False) -> object:
    if isinstance(value, dict):
        return {key: _shifted(item, by_ms, stamp or str(key).endswith("_mono_ms")) for key, item in value.items()}
    if isinstance(value, list):
        return [_shifted(item, by_ms, stamp) for item in value]
    if stamp and isinstance(value, int) and not isinstance(value, bool):
        return value + by_ms
    return value
