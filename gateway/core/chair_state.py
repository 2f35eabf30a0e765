"""Everything the gateway knows of one chair, and what can happen to it."""

from typing import Literal

from msgspec import Struct

from gateway import wire
from gateway.core.alarm import Alarm, Change
from gateway.core.changes import Extreme
from gateway.core.session import Session

DONE_MAX = 64
OUTAGE_MAX = 8


class VitalsRead(Struct, frozen=True, kw_only=True):
    """Vitals with the time of their sensor; `delay_ms` is sensor to gateway."""

    record: wire.Vitals
    at_mono_ms: int
    delay_ms: int
    clock_apart_s: float | None = None
    """How far the board's own UTC is from the gateway's; None: one of them does not know it."""


class CuffRead(Struct, frozen=True, kw_only=True):
    record: wire.Cuff
    at_mono_ms: int
    delay_ms: int


class Happened(Struct, frozen=True, kw_only=True):
    record: wire.Event
    at_mono_ms: int
    delay_ms: int


class Reported(Struct, frozen=True, kw_only=True):
    """A live status: what the board says of itself."""

    status: wire.Status


class Tick(Struct, frozen=True, kw_only=True):
    """Time passed; silence is found here."""


class Staff(Struct, frozen=True, kw_only=True):
    """What somebody did to a chair. `role` is None where the site names no staff, empty for whom it does not name."""

    do: wire.Do
    chair: str = ""
    role: str | None = None


Happening = VitalsRead | CuffRead | Happened | Reported | Tick | Staff


class Crossed(Struct, frozen=True, kw_only=True):
    """A limit that a late reading crossed: shown, never sounded."""

    rule: str
    reason: str
    value: float
    unit: str
    at_mono_ms: int


class ChairState(Struct, frozen=True, kw_only=True):
    """Times are the gateway's monotonic milliseconds; every field that holds one ends in `_mono_ms`."""

    idle_protocol: str
    """Whose `always` rules are judged without a session."""
    session: Session | None = None
    ended: Session | None = None
    """The session before, to which late readings may belong."""
    alarms: dict[str, Alarm] = {}
    """By rule, those that are not normal."""
    vitals: VitalsRead | None = None
    heard_mono_ms: int | None = None
    """The newest record of any kind, by its sensor's time."""
    hold_mono_ms: int | None = None
    """Since when the cuff holds the finger's pulse."""
    away_mono_ms: int | None = None
    """Since when the patient is off the sensors with leave."""
    windows: dict[str, tuple[Extreme, ...]] = {}
    """For measures that are falls or rises: the extremes of their windows."""
    last_value_mono_ms: int | None = None
    """The last good saturation."""
    cuff: CuffRead | None = None
    cuff_failures: int = 0
    next_cuff_mono_ms: int | None = None
    status: wire.Status | None = None
    settled_mono_ms: int = 0
    """Until then time alone makes nothing happen that may not wait."""
    outage: tuple[Crossed, ...] = ()
    done: tuple[wire.Done, ...] = ()


class AlarmChanged(Struct, frozen=True, kw_only=True):
    change: Change
    session: str


class ReadinessChanged(Struct, frozen=True, kw_only=True):
    session: str
    state: str
    reason: str
    who: str = ""
    criteria: tuple[wire.CriterionView, ...] = ()


class SessionMarked(Struct, frozen=True, kw_only=True):
    """A line of the session's record: what staff did, or what the session became."""

    session: str
    what: str
    who: str
    detail: dict[str, float | str] = {}


class Answered(Struct, frozen=True, kw_only=True):
    done: wire.Done


class Ordered(Struct, frozen=True, kw_only=True):
    """A command for the board, which the shell gives an expiry."""

    id: str
    kind: Literal["measure", "abort", "identify"]
    session: str


Decision = AlarmChanged | ReadinessChanged | SessionMarked | Answered | Ordered
