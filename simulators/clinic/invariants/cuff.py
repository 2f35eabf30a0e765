"""The cuff presses neither too hard nor too long, and leaves the arm its rest."""

from __future__ import annotations

from gateway import wire
from simulators.clinic.invariants.sides import Broken

INV = "cuff_limits"
PRESSURE_MMHG_MAX = 300.0
HELD_S_MAX = 180.0
REST_MS_MIN = 29_000
"""30 s, and a second for what a record does not tell of its own time."""
AUTOMATIC = ("schedule", "repeat")


class CuffLimits:
    def __init__(self, broken: Broken) -> None:
        self._broken = broken
        self._ended: tuple[str, int] | None = None

    def made(self, record: wire.Record, made_ms: int) -> None:
        """A measurement ended; its board says how long it took."""
        if not isinstance(record, wire.Cuff) or record.late:
            return
        began_ms = made_ms - record.duration_ms
        same_boot = self._ended is not None and self._ended[0] == record.boot
        if same_boot and self._ended and record.trigger in AUTOMATIC:
            rest_ms = began_ms - self._ended[1]
            if rest_ms < REST_MS_MIN:
                self._broken(INV, "rest", f"an automatic measurement began {rest_ms / 1000:.1f} s after another")
        self._ended = (record.boot, made_ms)

    def pressed(self, pressure_mmhg_max: float, held_s_max: float) -> None:
        """What an arm had to bear."""
        if pressure_mmhg_max > PRESSURE_MMHG_MAX:
            self._broken(INV, "pressure", f"the cuff reached {pressure_mmhg_max:.0f} mmHg")
        if held_s_max > HELD_S_MAX:
            self._broken(INV, "time", f"the cuff pressed for {held_s_max:.0f} s")
