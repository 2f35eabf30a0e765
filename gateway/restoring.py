"""What the engine comes back with after a crash: its chairs and boards as snapshots of the journal, out and in."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import chair, recovery
from gateway.core.boards import Boards
from gateway.core.chair_state import ChairState
from gateway.core.device import Device
from gateway.core.outputs import Snapshot
from gateway.core.protocol import Protocol
from gateway.core.site import SiteState

S = TypeVar("S", bound=Struct)


class Keeper:
    """Snapshots at a moment of both clocks. `host_boot` names this run of the computer, and so its monotonic clock; a
    snapshot that cannot be read is left out and counted by `unreadable`: monitoring begins without it."""

    def __init__(self, protocols: Mapping[str, Protocol], host_boot: str, unreadable: Callable[[str], None]) -> None:
        self._protocols, self._host_boot, self._unreadable = protocols, host_boot, unreadable
        self.utc_trusted = False
        """Does a time service keep UTC? Only then does it say how long the computer was off."""

    def chair(self, name: str, state: ChairState, now_ms: int, utc_ms: int) -> Snapshot:
        return self._kept(f"chair/{name}", state, now_ms, utc_ms)

    def device(self, board: str, known: Device, now_ms: int, utc_ms: int) -> Snapshot:
        # What was accepted is only as good as what is durable: the journal's ranges are read back instead.
        kept = replace(known, accepted={}, durable={})
        return self._kept(f"device/{board}", kept, now_ms, utc_ms)

    def site(self, state: SiteState, now_ms: int, utc_ms: int) -> Snapshot:
        return self._kept("site", state, now_ms, utc_ms)

    def site_from(self, body: bytes | None, now_ms: int, utc_ms: int) -> SiteState:
        return self._restored(body, SiteState, now_ms, utc_ms)[0] or SiteState()

    def boards(self, kept: Boards, now_ms: int, utc_ms: int) -> Snapshot:
        return recovery.snapshot("boards", kept, now_ms, utc_ms, self._host_boot)

    def boards_from(self, body: bytes | None, now_ms: int, utc_ms: int) -> Boards:
        return self._restored(body, Boards, now_ms, utc_ms)[0] or Boards()

    def chair_from(self, body: bytes | None, now_ms: int, utc_ms: int) -> ChairState:
        idle = next(iter(self._protocols))
        state, off = self._restored(body, ChairState, now_ms, utc_ms)
        if state is not None and state.session is not None and state.session.protocol not in self._protocols:
            self._unreadable("snapshot")
            state = None
        if state is None:
            return ChairState(idle_protocol=idle)
        state = chair.fitted(replace(state, idle_protocol=idle))
        return state if off is None else recovery.noted(chair.resumed(state), off, now_ms)

    def device_from(self, body: bytes | None, now_ms: int, utc_ms: int) -> Device:
        known, off = self._restored(body, Device, now_ms, utc_ms)
        if known is None:
            return Device()
        return known if off is None else replace(known, time_map=None, time_map_before=None, heard_mono_ms=None)

    def bridged(self, state: ChairState, now_ms: int, utc_ms: int) -> ChairState:
        """The state once it is known how long the computer was off."""
        unknown = state.session is not None and state.session.off is not None
        return recovery.bridged(state, now_ms, utc_ms) if unknown and self.utc_trusted else state

    def _kept(self, key: str, state: Struct, now_ms: int, utc_ms: int) -> Snapshot:
        return recovery.snapshot(key, state, now_ms, utc_ms, self._host_boot, utc_trusted=self.utc_trusted)

    def _restored(
        self, body: bytes | None, kind: type[S], now_ms: int, utc_ms: int
    ) -> tuple[S | None, recovery.WasOff | None]:
        if body is None:
            return None, None
        try:
            return recovery.restored(body, kind, now_ms, utc_ms, self._host_boot, utc_trusted=self.utc_trusted)
        except recovery.UNREADABLE:
            self._unreadable("snapshot")
            return None, None
