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
    JournalWord,
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
    audio_off: bool = False
    """Without sound until somebody switches it on; a reminder sounds meanwhile."""
    escalated: bool = False
    """Nobody acknowledged it in its time: signalled one level higher, or marked if it is high."""
    suppressed_s: float | UnsetType = UNSET
    """Seconds at most until a suppressed alarm signals."""
    suppressed_by: Text | UnsetType = UNSET
    carried_by: AlarmId | UnsetType = UNSET
    """The alarm of the site that sounds for this one: one cause for many chairs."""
    value: float | UnsetType = UNSET
    limit: float | UnsetType = UNSET
    unit: Name | UnsetType = UNSET


class SuppressionView(Struct, kw_only=True):
    """Why some rules do not sound now, and for how long at most."""

    by: Literal["cuff_hold", "away", "silence"]
    reason: Text
    rules: list[Name]
    left_s: float


class CriterionView(Struct, kw_only=True):
    id: Name
    label: Text
    verdict: Literal["met", "unmet", "unknown"]
    detail: Text


class ReachedView(Struct, kw_only=True):
    """When something was first reached: so long ago, and so long after the first dose where there was one."""

    ago_s: float
    after_first_dose_s: float | UnsetType = UNSET


class ReadinessView(Struct, kw_only=True):
    state: Literal["NO_SESSION", "NOT_READY", "CRITERIA_MET", "SIGNED_OFF", "DISCHARGED"]
    criteria: list[CriterionView]
    signed_off_by: Name | UnsetType = UNSET
    first_met: ReachedView | UnsetType = UNSET
    """When every criterion was first met."""
    first_met_but_time: ReachedView | UnsetType = UNSET
    """When every criterion was first met but those that only ask for time to pass."""


class ScoreItemView(Struct, kw_only=True):
    id: Name
    label: Text
    detail: Text
    """What the points are for, or what is missing."""
    points: int | UnsetType = UNSET


class ScoreView(Struct, kw_only=True):
    """A published score as far as it is measured; a total only when no item is missing."""

    id: Literal["aldrete", "padss", "news2"]
    label: Text
    items: list[ScoreItemView]
    total: int | UnsetType = UNSET


class EntryView(Struct, kw_only=True):
    """What staff entered. One that was wrong stays, with the id of the correction."""

    id: Name
    who: Name
    kind: Literal["baseline", "dose", "observe"]
    text: Text
    ago_s: float
    """How long ago it was true."""
    superseded_by: Name | UnsetType = UNSET


class AskView(Struct, kw_only=True):
    """What staff are asked to observe: in so many seconds, negative when it is overdue."""

    id: Name
    item: Name
    label: Text
    due_s: float


class BaselineView(Struct, kw_only=True):
    sys_mmhg: Mmhg
    dia_mmhg: Mmhg
    readings: Count
    """Of so many cuff readings the median; 0: typed."""


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
    protocol_hash: Name = ""
    """Names the protocol's numbers as they are in effect: its file, what it extends, and the clinic's own values."""
    vitals: VitalsView | UnsetType = UNSET
    pressure: CuffView | UnsetType = UNSET
    cuff_next_s: float | UnsetType = UNSET
    baseline: BaselineView | UnsetType = UNSET
    away_s: float | UnsetType = UNSET
    """Seconds at most until the patient is taken to be back on the sensors."""
    scores: list[ScoreView] = []
    asks: list[AskView] = []
    entries: list[EntryView] = []
    """The newest first."""
    during_outage: Annotated[list[Text], Meta(max_length=8)] = []
    """Limits crossed by readings that came too late to sound."""
    suppressions: list[SuppressionView] = []
    audio_off: bool = False
    """The sound of an alarm that is present is switched off."""


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
    what: Literal[
        "raised", "level", "clearing", "returned", "latched", "cleared", "acknowledged", "paused", "sounding",
        "audio_off", "audio_on", "suppressed", "unsuppressed", "escalated",
    ]  # fmt: skip
    who: Name | UnsetType = UNSET
    value: float | UnsetType = UNSET
    limit: float | UnsetType = UNSET
    unit: Name | UnsetType = UNSET
    sensor_delay_ms: Count | UnsetType = UNSET
    """Sensor to gateway, of the reading that made the change."""
    condition_delay_ms: Count | UnsetType = UNSET
    """First reading over the limit to the condition."""
    signal_delay_ms: Count | UnsetType = UNSET
    """The condition to its signal, as the gateway gives it."""
    lasted_ms: Count | UnsetType = UNSET
    """From its raise to this change."""
    acknowledged_by: Name | UnsetType = UNSET
    """Who had acknowledged it before this change."""


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
    """Are rows being written?"""
    journal: JournalWord = "ok"
    """`slow`: the disk has not answered for seconds; `full`, `failed`: it refuses; `set_aside`: a damaged file was
    replaced and records of before are in another file; `altered`: the audit trail does not fit together."""
    journal_s: float = 0.0
    """For so long it has been what `journal` says; 0 while it is ok."""
    utc_trusted: bool = False
    """Does a time service keep the gateway's UTC? Until then `at_ms` is a guess."""
    alarms: Annotated[list[AlarmView], Meta(max_length=8)] = []
    """Those of the whole site: one cause for many chairs, and what the gateway itself suffers from."""
