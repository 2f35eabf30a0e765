"""What the gateway tells the screens: each chair, every change of an alarm, and itself."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.wire.base import (
    AlarmId,
    Boot,
    Bpm,
    Count,
    CuffPhase,
    GatewayMessage,
    Level,
    Mmhg,
    Name,
    Pct,
    Quality,
    Seq,
    Text,
)


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
    lasted_ms: Count | UnsetType = UNSET
    """From its raise to this change."""


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
