"""What the engine comes back with after a crash: its chairs and boards as snapshots of the journal, out and in."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import chair, recovery
from gateway.core.chair_state import ChairState
from gateway.core.device import Device
from gateway.core.outputs import Snapshot
from gateway.core.protocol import Protocol

S = TypeVar("S", bound=Struct)


class Keeper:
    """Snapshots at a moment of both clocks. `host_boot` names this run of the computer, and so its monotonic clock; a
    snapshot that cannot be read is left out and counted by `unreadable`: monitoring begins without it."""

    def __init__(self, protocols: Mapping[str, Protocol], host_boot: str, unreadable: Callable[[str], None]) -> None:
        self._protocols, self._host_boot, self._unreadable = protocols, host_boot, unreadable

    def chair(self, name: str, state: ChairState, now_ms: int, utc_ms: int) -> Snapshot:
        return recovery.snapshot(f"chair/{name}", state, now_ms, utc_ms, self._host_boot)

    def device(self, board: str, known: Device, now_ms: int, utc_ms: int) -> Snapshot:
        # What was accepted is only as good as what is durable: the journal's ranges are read back instead.
        kept = replace(known, accepted={}, durable={})
        return recovery.snapshot(f"device/{board}", kept, now_ms, utc_ms, self._host_boot)

    def chair_from(self, body: bytes | None, now_ms: int, utc_ms: int) -> ChairState:
        idle = next(iter(self._protocols))
        state, was_off = self._restored(body, ChairState, now_ms, utc_ms)
        if state is not None and state.session is not None and state.session.protocol not in self._protocols:
            self._unreadable("snapshot")
            state = None
        if state is None:
            return ChairState(idle_protocol=idle)
        state = chair.fitted(self._protocols, replace(state, idle_protocol=idle))
        return chair.resumed(state) if was_off else state

    def device_from(self, body: bytes | None, now_ms: int, utc_ms: int) -> Device:
        known, was_off = self._restored(body, Device, now_ms, utc_ms)
        if known is None:
            return Device()
        return replace(known, time_map=None, heard_mono_ms=None) if was_off else known

    def _restored(self, body: bytes | None, kind: type[S], now_ms: int, utc_ms: int) -> tuple[S | None, bool]:
        if body is None:
            return None, False
        try:
            return recovery.restored(body, kind, now_ms, utc_ms, self._host_boot)
        except recovery.UNREADABLE:
            self._unreadable("snapshot")
            return None, False
