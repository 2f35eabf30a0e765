"""The contract on the wire: every MQTT payload as a type, and the names of its topics.

Terms. A *record* (`Vitals`, `Cuff`, `Event`) carries one `seq` from 1 in each boot and is delivered end to end.
A value that was not measured is absent; `quality` says why. Values carry `age_ms` at the moment of sending; a
receiver adds its own monotonic time. `up_ms` is the board's time since boot, `at_ms` is UTC.

    board  ──  status, vitals, cuff, event, reply     ──▶  gateway
    board  ◀──  ack, annunciate, cmd                   ──  gateway
    screen ──  do  ──▶  gateway  ──  state, alarm, done, gateway  ──▶  screens

Decoding refuses a wrong type, a missing field, a value out of range and an unknown version; a field that is not
known is ignored, so that a board may be newer than its gateway.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

VERSION = 1
BOARD_BYTES_MAX = 2048
STATE_BYTES_MAX = 16384

Boot = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", max_length=16)]
Device = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$")]
Name = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=200)]
AlarmId = Annotated[str, Meta(max_length=128)]
"""Session, rule, boot and seq: longer than a name."""
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seq = Annotated[int, Meta(ge=1, le=2**53)]
Pct = Annotated[float, Meta(ge=0, le=100)]
Mmhg = Annotated[float, Meta(ge=0, le=400)]
Bpm = Annotated[float, Meta(ge=0, le=300)]
Version = Literal[1]

Level = Literal["none", "low", "medium", "high"]
Quality = Literal[
    "good", "settling", "no_finger", "low_perfusion", "motion", "saturation", "ambient", "sensor_fault",
    "cuff_hold", "below_range",
]  # fmt: skip
CuffPhase = Literal["idle", "zeroing", "inflating", "deflating", "dumping", "fault"]


class Message(Struct, kw_only=True):
    """What every message has: the contract's version."""

    v: Version = 1


# ---- from the board ---------------------------------------------------------------------------------------


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


# ---- from the gateway -------------------------------------------------------------------------------------


class GatewayMessage(Message, kw_only=True):
    epoch: Count = 0


class Ack(GatewayMessage, kw_only=True):
    """Every seq from the board's `base` to `upto` is durable, and the ranges in `have` too."""

    boot: Boot
    run: Name
    upto: Count
    have: Annotated[list[tuple[int, int]], Meta(max_length=16)] = []


class FallbackLimits(Struct, kw_only=True):
    """What a board judges by when it is alone."""

    spo2_low_pct: float
    pulse_low_bpm: float
    pulse_high_bpm: float
    sys_low_mmhg: float
    sys_high_mmhg: float


class Annunciate(GatewayMessage, kw_only=True):
    """Lamp and sounder of a board; sent each second with a rising `beat`, by which boards count silence."""

    run: Name
    beat: Count
    level: Level
    sound: bool
    session: Name
    """Empty without a session."""
    cuff_interval_s: Count
    """0: no automatic measurement."""
    cuff_next_s: Count | UnsetType = UNSET
    limits: FallbackLimits | UnsetType = UNSET


class UpdateStep(Struct, kw_only=True):
    """One step of a firmware update; files come in chunks that fit a message."""

    step: Literal["begin", "chunk", "apply", "cancel"]
    file: Name | UnsetType = UNSET
    at: Count | UnsetType = UNSET
    """Offset of the chunk in its file, bytes."""
    data: Annotated[str, Meta(max_length=1500)] | UnsetType = UNSET
    """Base64."""


class Cmd(GatewayMessage, kw_only=True):
    id: Name
    kind: Literal["measure", "abort", "identify", "reboot", "waveform", "update"]
    session: Name
    boot: Boot
    valid_until_up_ms: Count
    update: UpdateStep | UnsetType = UNSET


class AlarmView(Struct, kw_only=True):
    """One alarm as a display needs it."""

    id: AlarmId
    rule: Name
    level: Level
    condition: Literal["active", "clearing", "latched"]
    since_s: float
    reason: Text
    acknowledged_by: Name | UnsetType = UNSET
    silenced_s: float | UnsetType = UNSET
    """Seconds until a paused sound comes back."""
    value: float | UnsetType = UNSET
    limit: float | UnsetType = UNSET
    unit: Name | UnsetType = UNSET


class CriterionView(Struct, kw_only=True):
    id: Name
    label: Text
    verdict: Literal["met", "unmet", "unknown"]
    detail: Text


class ReadinessView(Struct, kw_only=True):
    state: Literal["NO_SESSION", "NOT_READY", "CRITERIA_MET", "SIGNED_OFF", "DISCHARGED"]
    criteria: list[CriterionView]
    signed_off_by: Name | UnsetType = UNSET


class VitalsView(Struct, kw_only=True):
    """The last vitals. `freshness` is judged by the gateway; a display greys what is not live."""

    boot: Boot
    seq: Seq
    age_ms: Count
    freshness: Literal["live", "stale", "lost"]
    quality: Quality
    spo2_pct: Pct | UnsetType = UNSET
    pulse_bpm: Bpm | UnsetType = UNSET
    pi_pct: Pct | UnsetType = UNSET
    cuff: CuffPhase = "idle"
    cuff_mmhg: float | UnsetType = UNSET


class CuffView(Struct, kw_only=True):
    age_ms: Count
    quality: Literal["good", "failed"]
    current: bool
    """False: older than twice its interval, drawn grey with its age."""
    sys_mmhg: Mmhg | UnsetType = UNSET
    dia_mmhg: Mmhg | UnsetType = UNSET
    map_mmhg: Mmhg | UnsetType = UNSET
    reason: Name | UnsetType = UNSET


class State(GatewayMessage, kw_only=True):
    """A whole chair as a display needs it. Retained; a retained delivery is history until a live one follows."""

    run: Name
    site: Name
    chair: Name
    device: Name
    online: bool
    session: Name
    alias: Name
    phase: Name
    phase_s: float
    """Seconds in this phase."""
    level: Level
    sound: bool
    alarms: list[AlarmView]
    readiness: ReadinessView
    protocol: Name = ""
    vitals: VitalsView | UnsetType = UNSET
    pressure: CuffView | UnsetType = UNSET
    cuff_next_s: float | UnsetType = UNSET
    during_outage: Annotated[list[Text], Meta(max_length=8)] = []
    """Limits crossed by readings that came too late to sound."""


class AlarmTransition(GatewayMessage, kw_only=True):
    """Every change of an alarm: what, from, to, and the measured delays."""

    run: Name
    id: AlarmId
    site: Name
    chair: Name
    device: Name
    session: Name
    rule: Name
    from_condition: Name
    to_condition: Name
    level: Level
    reason: Text
    at_ms: Count
    what: Literal["raised", "level", "clearing", "returned", "latched", "cleared", "acknowledged", "paused", "sounding"]
    who: Name | UnsetType = UNSET
    value: float | UnsetType = UNSET
    limit: float | UnsetType = UNSET
    unit: Name | UnsetType = UNSET
    sensor_delay_ms: Count | UnsetType = UNSET
    """Sensor to gateway, of the reading that made the change."""
    condition_delay_ms: Count | UnsetType = UNSET
    """First reading over the limit to the condition."""


# ---- from a screen, and its answer ------------------------------------------------------------------------


class Start(Struct, kw_only=True, tag_field="kind", tag="start"):
    """Begin a session. The baseline is typed, or absent until one is typed."""

    protocol: Name
    alias: Annotated[str, Meta(min_length=1, max_length=12)]
    baseline_sys_mmhg: Annotated[float, Meta(ge=50, le=260)] | UnsetType = UNSET
    baseline_dia_mmhg: Annotated[float, Meta(ge=20, le=180)] | UnsetType = UNSET


class Dose(Struct, kw_only=True, tag_field="kind", tag="dose"):
    """`first`, a `further` one, or its `end` (infusion stopped, injection given, last spray)."""

    what: Literal["first", "further", "end"]


class Observe(Struct, kw_only=True, tag_field="kind", tag="observe"):
    """What staff saw. Every item is optional; an absent one stays unknown."""

    moaas: Annotated[int, Meta(ge=0, le=5)] | UnsetType = UNSET
    dissociation: bool | UnsetType = UNSET
    nausea: Annotated[int, Meta(ge=0, le=10)] | UnsetType = UNSET
    gait_steady: bool | UnsetType = UNSET
    oriented: bool | UnsetType = UNSET
    escort: bool | UnsetType = UNSET


class Acknowledge(Struct, kw_only=True, tag_field="kind", tag="acknowledge"):
    """Acknowledge the alarms named, and what is listed of the outage; naming neither means all there is now."""

    alarms: Annotated[list[AlarmId], Meta(max_length=32)] = []
    outage: bool = False


class PauseAudio(Struct, kw_only=True, tag_field="kind", tag="pause_audio"):
    pass


class Measure(Struct, kw_only=True, tag_field="kind", tag="measure"):
    pass


class SignOff(Struct, kw_only=True, tag_field="kind", tag="sign_off"):
    pass


class Discharge(Struct, kw_only=True, tag_field="kind", tag="discharge"):
    pass


class Abort(Struct, kw_only=True, tag_field="kind", tag="abort"):
    reason: Text


Action = Start | Dose | Observe | Acknowledge | PauseAudio | Measure | SignOff | Discharge | Abort


class Do(Message, kw_only=True):
    """A staff action. Idempotent by `id`; the screen repeats it until `done`. `session` may be empty for a start."""

    id: Annotated[str, Meta(min_length=8, max_length=64)]
    session: Name
    who: Annotated[str, Meta(min_length=1, max_length=32)]
    action: Action


class Done(GatewayMessage, kw_only=True):
    id: Name
    ok: bool
    session: Name = ""
    reason: Text = ""


class Heartbeat(GatewayMessage, kw_only=True):
    """The gateway's own state, each second; also its last will with `online: false`."""

    run: Name
    online: bool
    at_ms: Count = 0
    chairs: Count = 0
    devices_online: Count = 0
    received: Count = 0
    duplicates: Count = 0
    gaps: Count = 0
    refused: dict[str, int] = {}
    """Refused messages by reason since start."""
    dropped: dict[str, int] = {}
    """What a full queue had to drop, by queue."""
    queued: dict[str, int] = {}
    sink: Literal["off", "ok", "behind", "down", "refused"] = "off"
    sink_lag_s: float = 0.0
    sink_quarantined: Count = 0
    journal_ok: bool = True


# ---- topics -----------------------------------------------------------------------------------------------

ROOT = "chairside/v1"
BOARD_TOPICS: dict[str, type[Message]] = {
    "status": Status,
    "vitals": Vitals,
    "cuff": Cuff,
    "event": Event,
    "reply": Reply,
    "waveform": Waveform,
}


def device_topic(device: str, leaf: str) -> str:
    return f"{ROOT}/dev/{device}/{leaf}"


def chair_topic(site: str, chair: str, leaf: str) -> str:
    return f"{ROOT}/site/{site}/chair/{chair}/{leaf}"


def gateway_topic(site: str) -> str:
    return f"{ROOT}/site/{site}/gateway"


class Refused(ValueError):
    """A payload that does not fit the contract; `kind` is one of a few words that are counted."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


M = TypeVar("M", bound=Message)
_decoders: dict[type, msgspec.json.Decoder[Message]] = {}
_encoder = msgspec.json.Encoder()


class _Versioned(Struct):
    """`v` has a default so that we need not write it; a sender that leaves it out is refused all the same."""

    v: int


_version_decoder = msgspec.json.Decoder(_Versioned)


def decode(payload: bytes, kind: type[M], bytes_max: int = BOARD_BYTES_MAX) -> M:
    """The payload as `kind`. Raises `Refused`: oversized, malformed, version or invalid."""
    if len(payload) > bytes_max:
        raise Refused("oversized", f"{len(payload)} bytes, at most {bytes_max}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        version = _version_decoder.decode(payload).v
        if version != VERSION:
            raise Refused("version", f"{version}, this gateway speaks {VERSION}")
        return decoder.decode(payload)  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        raise Refused("version" if "`v`" in str(error) else "invalid", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("malformed", str(error)) from None


def encode(message: Message) -> bytes:
    return _encoder.encode(message)
