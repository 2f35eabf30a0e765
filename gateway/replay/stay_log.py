"""The event log of a simulated stay (`chairside sim record`): the board's own readings with their qualities."""

import json
from pathlib import Path
from typing import Any

import msgspec

from gateway import wire
from gateway.core.chair_state import CuffRead, VitalsRead
from gateway.replay.monitor import BOOT
from gateway.replay.monitor_csv import PRESSURES, VITALS
from gateway.replay.recording import Ended, Recording, RecordingError, Timed

MEASURES = frozenset(
    (*VITALS, *PRESSURES, "resp_bpm", "spo2_fall_pct", "pulse_fall_bpm", "pulse_rise_bpm", "below_range", "above_range",
     "cuff_failures", "vitals_age_s", "unwatched_s", "finger_off", "poor_signal", "seat_left")
)  # fmt: skip


def read(path: Path) -> Recording:
    """Raises RecordingError, OSError, UnicodeDecodeError."""
    readings: list[tuple[int, VitalsRead | CuffRead]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError("not an object")
            reading = _reading(entry)
        except (ValueError, KeyError, msgspec.ValidationError) as error:
            raise RecordingError(f"{path} line {number}: not a line of a simulated stay: {error}") from None
        if reading is not None:
            readings.append(reading)
    if not readings:
        raise RecordingError(f"{path}: holds no vitals and no cuff measurement")
    # A reading that was resent came late, and the log has it where it came; here each counts at its own time.
    readings.sort(key=lambda timed: timed[0])
    first_ms, last_ms = readings[0][0], readings[-1][0]
    events: list[Timed] = [
        (at_ms - first_ms, msgspec.structs.replace(read, at_mono_ms=at_ms - first_ms)) for at_ms, read in readings
    ]
    return Recording(
        name=path.name,
        events=[*events, (last_ms - first_ms + 1000, Ended())],
        zero_ms=-first_ms,
        from_ms=0,
        measures=MEASURES,
    )


def _reading(entry: dict[str, Any]) -> tuple[int, VitalsRead | CuffRead] | None:
    kind = entry.get("kind")
    if kind not in ("vitals", "cuff") or entry.get("late"):
        return None
    at_ms = int(entry["at_ms"]) - int(entry.get("age_ms", 0))
    record: dict[str, Any] = {"v": 1, "boot": BOOT, "base": 1, "up_ms": max(0, at_ms)}
    fields = {name: value for name, value in entry.items() if name not in ("kind", "at_ms", "age_ms")}
    if kind == "vitals":
        vitals = msgspec.convert({"sqi_pct": 100} | record | fields, wire.Vitals)
        return at_ms, VitalsRead(record=vitals, at_mono_ms=at_ms, delay_ms=0)
    cuff = msgspec.convert(record | fields, wire.Cuff)
    return at_ms, CuffRead(record=cuff, at_mono_ms=at_ms, delay_ms=0)
