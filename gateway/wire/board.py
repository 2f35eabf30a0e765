"""What a board says."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.wire.base import Boot, Bpm, Count, CuffPhase, Message, Mmhg, Name, Pct, Quality, Seq, Text


class Calibration(Struct, kw_only=True):
    state: Literal["calibrated", "uncalibrated", "expired"]
    made_on: Name | UnsetType = UNSET
    led_order: Literal["verified", "unverified"] | UnsetType = UNSET
    """Red and infrared may be swapped on a clone; only the bench can tell."""


class Status(Message, kw_only=True):
    """Retained birth and last will. The will carries only `v`, `boot`, `conn` and `online: false`."""

    boot: Boot
    conn: Count
    online: bool
    firmware: Name | UnsetType = UNSET
    reset_cause: Name | UnsetType = UNSET
    up_ms: Count | UnsetType = UNSET
    calibration: Calibration | UnsetType = UNSET
    faults: Annotated[list[Name], Meta(max_length=16)] | UnsetType = UNSET
    heap_free_bytes: Count | UnsetType = UNSET
    rssi_dbm: Annotated[int, Meta(ge=-130, le=20)] | UnsetType = UNSET
    battery_pct: Pct | UnsetType = UNSET
    dropped: Count | UnsetType = UNSET
    """Records that the outbox had to give up since boot."""
    refused: Count | UnsetType = UNSET
    """Messages that did not fit the contract, since boot."""
    boots: Count | UnsetType = UNSET
    safe_mode: bool = False
    """After three bad boots: the board talks and takes updates, and measures nothing."""
    slot: Name | UnsetType = UNSET
    """Where the running firmware lies: `flashed`, `a` or `b`."""
    security: Count | UnsetType = UNSET
    """The counter below which no update is taken."""


class Record(Message, kw_only=True):
    """What vitals, cuff and event share. `base` is the lowest seq the board still holds."""

    boot: Boot
    seq: Seq
    base: Seq
    up_ms: Count
    age_ms: Count = 0
    """Age of the values at `up_ms`."""
    at_ms: Count | UnsetType = UNSET
    late: bool = False


class Vitals(Record, kw_only=True):
    """One second. Values come with `good`, and with `below_range` a saturation that is lower than the board's curve
    was made for: a direction, not a measurement."""

    quality: Quality
    sqi_pct: Pct
    spo2_pct: Pct | UnsetType = UNSET
    pulse_bpm: Bpm | UnsetType = UNSET
    pi_pct: Pct | UnsetType = UNSET
    resp_bpm: Annotated[float, Meta(ge=0, le=120)] | UnsetType = UNSET
    resp_sqi_pct: Pct | UnsetType = UNSET
    ratio: Annotated[float, Meta(ge=0, le=10)] | UnsetType = UNSET
    """Ratio of ratios, what a bench calibrates with."""
    cuff: CuffPhase = "idle"
    cuff_mmhg: Annotated[float, Meta(ge=-50, le=400)] | UnsetType = UNSET
    seat: Literal["occupied", "empty", "unknown"] = "unknown"
    uncalibrated: bool = False
    """By the published curve and an unverified order of the LEDs."""


class Cuff(Record, kw_only=True):
    """One finished (`quality` good) or failed measurement; a failed one names its `reason`."""

    quality: Literal["good", "failed"]
    trigger: Literal["schedule", "command", "repeat", "button"]
    duration_ms: Count = 0
    reason: Name | UnsetType = UNSET
    sqi_pct: Pct | UnsetType = UNSET
    uncalibrated: bool = False
    sys_mmhg: Mmhg | UnsetType = UNSET
    dia_mmhg: Mmhg | UnsetType = UNSET
    map_mmhg: Mmhg | UnsetType = UNSET
    pulse_bpm: Bpm | UnsetType = UNSET
    envelope: Annotated[list[tuple[float, float]], Meta(max_length=24)] | UnsetType = UNSET
    """Cuff pressure and pulse amplitude, both mmHg, in the order of deflation."""


class Event(Record, kw_only=True):
    """Something that happened at the board: a local alarm, a button, a fault, a start."""

    kind: Literal["start", "button", "fault", "local_alarm", "link", "update"]
    name: Name
    value: float | UnsetType = UNSET
    limit: float | UnsetType = UNSET
    unit: Name | UnsetType = UNSET
    detail: Text | UnsetType = UNSET


class Reply(Message, kw_only=True):
    boot: Boot
    id: Name
    result: Literal["accepted", "refused"]
    reason: Name | UnsetType = UNSET


class Waveform(Message, kw_only=True):
    """A second of the pleth, on request; not a record: what is lost is lost."""

    boot: Boot
    up_ms: Count
    rate_hz: Annotated[int, Meta(ge=1, le=1000)]
    ir: Annotated[list[int], Meta(max_length=128)]
    """Infrared pulsation, 1e-5 of its steady part."""
