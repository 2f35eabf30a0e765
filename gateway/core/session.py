"""One patient's stay in a chair: what was entered, and the clocks that readiness counts from.

Times are the gateway's monotonic milliseconds; the shell labels them with UTC.
"""

from typing import Literal

from msgspec import UNSET, Struct
from msgspec.structs import replace

from gateway.core.protocol import Clock, Phase
from gateway.wire import Dose, Observe, Start

CUFFS_MAX = 8
ReadinessState = Literal["NOT_READY", "CRITERIA_MET", "SIGNED_OFF", "DISCHARGED"]


class Seen(Struct, frozen=True, kw_only=True):
    """One observation by a member of staff; a yes is 1."""

    value: float
    at_mono_ms: int
    who: str


class Pressure(Struct, frozen=True, kw_only=True):
    sys_mmhg: float
    dia_mmhg: float
    at_mono_ms: int


class Held(Struct, frozen=True, kw_only=True):
    """How long a value has been inside its range: since when, and the last good value."""

    since_mono_ms: int | None = None
    last_mono_ms: int
    value: float


class Session(Struct, frozen=True, kw_only=True):
    id: str
    alias: str
    protocol: str
    started_mono_ms: int
    phase_mono_ms: int
    baseline: Pressure | None = None
    first_dose_mono_ms: int | None = None
    last_dose_mono_ms: int | None = None
    dose_end_mono_ms: int | None = None
    seen: dict[str, Seen] = {}
    pressures: tuple[Pressure, ...] = ()
    held: dict[str, Held] = {}
    loud_mono_ms: dict[str, int] = {}
    """By level: when an alarm of at least that level was last present."""
    readiness: ReadinessState = "NOT_READY"
    verdicts: dict[str, str] = {}
    """The last verdict of each criterion, so that only changes are recorded."""
    first_met_mono_ms: int | None = None
    signed_off_by: str = ""
    ended_mono_ms: int | None = None

    @property
    def phase(self) -> Phase:
        if self.first_dose_mono_ms is None:
            return "before"
        return "dosing" if self.dose_end_mono_ms is None else "recovery"

    def clock_ms(self, clock: Clock) -> int | None:
        """When a readiness clock began, or None while it has not."""
        return {
            "first_dose": self.first_dose_mono_ms,
            "last_dose": self.last_dose_mono_ms,
            "dose_end": self.dose_end_mono_ms,
        }[clock]


def begun(action: Start, session_id: str, now_ms: int) -> Session | str:
    """A new session, or why it cannot begin: whoever types half a baseline believes that rises are watched."""
    sys_mmhg, dia_mmhg = action.baseline_sys_mmhg, action.baseline_dia_mmhg
    baseline = None
    if sys_mmhg is not UNSET and dia_mmhg is not UNSET:
        if sys_mmhg <= dia_mmhg:
            return "the systolic baseline must be over the diastolic"
        baseline = Pressure(sys_mmhg=sys_mmhg, dia_mmhg=dia_mmhg, at_mono_ms=now_ms)
    elif sys_mmhg is not UNSET or dia_mmhg is not UNSET:
        return "a baseline is both pressures, systolic and diastolic"
    return Session(
        id=session_id,
        alias=action.alias,
        protocol=action.protocol,
        started_mono_ms=now_ms,
        phase_mono_ms=now_ms,
        baseline=baseline,
    )


def dosed(session: Session, action: Dose, now_ms: int) -> Session | str:
    """The session after a dose was marked, or why it cannot be."""
    if action.what == "first":
        if session.first_dose_mono_ms is not None:
            return "the first dose is already marked"
        return replace(session, first_dose_mono_ms=now_ms, last_dose_mono_ms=now_ms, phase_mono_ms=now_ms)
    if session.first_dose_mono_ms is None:
        return "mark the first dose before"
    if action.what == "further":
        # Dosing goes on: what was counted from the end of the dose counts no more.
        phase_ms = session.phase_mono_ms if session.dose_end_mono_ms is None else now_ms
        return replace(session, last_dose_mono_ms=now_ms, dose_end_mono_ms=None, phase_mono_ms=phase_ms)
    if session.dose_end_mono_ms is not None:
        return "the end of the dose is already marked"
    return replace(session, dose_end_mono_ms=now_ms, phase_mono_ms=now_ms)


def observed(session: Session, action: Observe, who: str, now_ms: int) -> Session | str:
    """The session with every item that was given; an item not given keeps what it was."""
    given = {
        item: Seen(value=float(value), at_mono_ms=now_ms, who=who)
        for item in ("moaas", "dissociation", "nausea", "gait_steady", "oriented", "escort")
        if isinstance(value := getattr(action, item), int)
    }
    if not given:
        return "nothing was observed: give at least one item"
    return replace(session, seen={**session.seen, **given})
