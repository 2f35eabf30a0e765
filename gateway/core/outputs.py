"""What a decision asks the shell to do."""

from typing import Literal

from msgspec import Struct

from gateway.wire import JournalWord, Message

Measurement = Literal["vitals", "cuff", "alarm", "readiness", "session", "device", "gateway"]


class Publish(Struct, frozen=True, kw_only=True):
    """One MQTT publication. One that is `durable` waits until every row asked for before it is on the disk.
    Without a message the retained topic is cleared."""

    topic: str
    message: Message | None
    qos: Literal[0, 1] = 0
    retain: bool = False
    durable: bool = False


class Row(Struct, frozen=True, kw_only=True):
    """One line of the journal, later one point in InfluxDB.

    `at_ms` is UTC, by the sensor's time where there is one. A row of a board's record carries its boot and seq
    (from 1); (device, boot, seq) is stored at most once. Fields are quantities (float) or words (str).
    An `urgent` row is committed at once: acknowledgements, staff actions, alarms.
    """

    measurement: Measurement
    at_ms: int
    device: str
    chair: str
    fields: dict[str, float | str]
    tags: dict[str, str] = {}
    boot: str = ""
    seq: int = 0
    urgent: bool = False
    audit: bool = False
    """Goes into the hash-chained audit trail as well: what a person did, and every alarm transition."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """The state to come back with after a crash; the last one of each key counts. Committed in order with the
    rows around it."""

    key: str
    body: bytes


class Refusal(Struct, frozen=True, kw_only=True):
    """A message that changed nothing. The shell logs one for each kind and minute."""

    topic: str
    kind: str
    detail: str


Output = Publish | Row | Snapshot | Refusal


class RecordId(Struct, frozen=True):
    """What delivery is about."""

    device: str
    boot: str
    seq: int


class Health(Struct, frozen=True, kw_only=True):
    """What the shell knows of itself, for the heartbeat."""

    queued: dict[str, int] = {}
    dropped: dict[str, int] = {}
    sink: Literal["off", "ok", "behind", "down", "refused"] = "off"
    sink_lag_s: float = 0.0
    sink_quarantined: int = 0
    journal_ok: bool = True
    journal: JournalWord = "ok"
    journal_since_mono_ms: int | None = None
    """Since when it is what `journal` says; None while it is ok."""
    unread: int = 0
    """Snapshots of chairs and boards that could not be read at the start."""
    utc_trusted: bool = False
    """Does a time service keep the computer's UTC?"""
