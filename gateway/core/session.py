"""One patient's stay in a chair: what was entered, what follows from it, and the clocks that readiness counts from.

Times are the gateway's monotonic milliseconds; the shell labels them with UTC.
"""

from typing import Literal

from msgspec import Struct

from gateway.core.protocol import Clock, Phase
from gateway.wire import Fact

CUFFS_MAX = 24
MINUTE_MS = 60_000
GOOD_MINUTES_MAX = 62
"""An hour, and the minutes at its ends."""
ReadinessState = Literal["NOT_READY", "CRITERIA_MET", "SIGNED_OFF", "DISCHARGED"]


class Seen(Struct, frozen=True, kw_only=True):
    """One observation by a member of staff; a yes is 1, a word its place on its scale."""

    value: float
    at_mono_ms: int
    who: str


class Pressure(Struct, frozen=True, kw_only=True):
    sys_mmhg: float
    dia_mmhg: float
    at_mono_ms: int


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fact that staff entered, under the id of their action. A wrong one stays, with what supersedes it."""

    id: str
    who: str
    at_mono_ms: int
    """When it was true."""
    fact: Fact
    readings: tuple[Pressure, ...] = ()
    """Of a measured baseline: the good cuff readings there were."""
    superseded_by: str = ""


class Held(Struct, frozen=True, kw_only=True):
    """How long a value has been inside its range: since when, and the last good value."""

    since_mono_ms: int | None = None
    last_mono_ms: int
    value: float


class Latest(Struct, frozen=True, kw_only=True):
    """A good value."""

    value: float
    at_mono_ms: int


class Off(Struct, frozen=True, kw_only=True):
    """The computer was off until this moment, and nobody knows for how long. `since_utc_ms` is when it went off; None:
    that will never be known."""

    until_mono_ms: int
    since_utc_ms: int | None = None
    again_mono_ms: int | None = None
    """It was off once more before that became known, until this moment."""

    @property
    def last_mono_ms(self) -> int:
        """What is from before this is of unknown age."""
        return self.until_mono_ms if self.again_mono_ms is None else self.again_mono_ms


class Session(Struct, frozen=True, kw_only=True):
    """`entries` is what people said; the baseline, the clocks and `seen` are folded from it (`core.entries`)."""

    id: str
    start_id: str = ""
    """The action that began it."""
    alias: str
    protocol: str
    protocol_hash: str = ""
    """Of the protocol as it was in effect, by `protocol.content_hash`."""
    started_mono_ms: int
    phase_mono_ms: int
    seated_mono_ms: int = 0
    """When these sensors became this patient's, if later than the start: by a move or another board."""
    entries: tuple[Entry, ...] = ()
    baseline: Pressure | None = None
    baseline_readings: int = 0
    """Of so many the baseline is the median; 0: typed."""
    first_dose_mono_ms: int | None = None
    last_dose_mono_ms: int | None = None
    dose_end_mono_ms: int | None = None
    seen: dict[str, Seen] = {}
    away_until_mono_ms: int | None = None
    """Off the sensors with leave, until then at most."""
    cuff_due_mono_ms: int | None = None
    """When the cuff that staff put off was due."""
    pressures: tuple[Pressure, ...] = ()
    held: dict[str, Held] = {}
    latest: dict[str, Latest] = {}
    good_ms: tuple[tuple[int, int], ...] = ()
    """How much of each minute since the start had good saturations, newest last; minutes without are left out."""
    loud_mono_ms: dict[str, int] = {}
    """By level: when an alarm of at least that level was last present."""
    readiness: ReadinessState = "NOT_READY"
    verdicts: dict[str, str] = {}
    """The last verdict of each criterion, so that only changes are recorded."""
    first_met_mono_ms: int | None = None
    first_met_but_time_mono_ms: int | None = None
    """When every criterion was first met but those that only ask for time to pass."""
    signed_off_by: str = ""
    ended_mono_ms: int | None = None
    off: Off | None = None

    @property
    def phase(self) -> Phase:
        if self.first_dose_mono_ms is None:
            return "before"
        return "dosing" if self.dose_end_mono_ms is None else "recovery"

    def of_unknown_age(self, at_ms: int) -> bool:
        """Was that before the computer was off for a time that nobody knows?"""
        return self.off is not None and at_ms <= self.off.last_mono_ms

    def clock_ms(self, clock: Clock) -> int | None:
        """When a readiness clock began, or None while it has not."""
        return {
            "first_dose": self.first_dose_mono_ms,
            "last_dose": self.last_dose_mono_ms,
            "dose_end": self.dose_end_mono_ms,
        }[clock]

    @property
    def here_ms(self) -> int:
        """Since when readings of this chair's board are of this patient."""
        return max(self.started_mono_ms, self.seated_mono_ms)

    def away(self, now_ms: int) -> bool:
        return self.away_until_mono_ms is not None and now_ms < self.away_until_mono_ms
