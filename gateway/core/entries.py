"""What people entered about a session, and what follows from it.

A session keeps every fact that was entered. A wrong one is superseded, never erased:

    entries:   dose first · observed gait steady (superseded) · observed gait help · dose end
    folded:    first dose 10:02, end 10:41, gait help                       what nothing supersedes, in its order

The baseline, the clocks and what was seen are folded from the entries anew each time, so that a correction leaves what
the right entry would have left, had it been made at that time.
"""

import statistics
from typing import Literal, get_args

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from gateway import wire
from gateway.core.protocol import WORD_VALUE, Item
from gateway.core.scores import CADSS_DISSOCIATED
from gateway.core.session import Entry, Pressure, Seen, Session

ENTRIES_MAX = 200
BASELINE_READINGS_MIN = 2


class Wrong(Exception):
    """Why something cannot be entered, in a sentence for the person who tried."""


def entered(session: Session, id: str, who: str, fact: wire.Fact, now_ms: int) -> Session:
    """The session with one more entry. Raises Wrong."""
    at_ms = _at_ms(session, fact, now_ms)
    if at_ms is None:
        at_ms = now_ms
    entry = Entry(id=id, who=who, at_mono_ms=at_ms, fact=_checked(fact), readings=_readings(session, fact, at_ms))
    return _folded(session, (*session.entries, entry))


def corrected(session: Session, id: str, who: str, action: wire.Correct, now_ms: int) -> Session:
    """The session as if the entry had been right from the beginning, or had not been made. Raises Wrong."""
    wrong = next((entry for entry in session.entries if entry.id == action.entry), None)
    if wrong is None:
        raise Wrong("there is no such entry in this session; look again")
    if wrong.superseded_by:
        raise Wrong("this entry is corrected already; correct the newer one")
    made: tuple[Entry, ...] = ()
    if not isinstance(action.instead, UnsetType):
        fact = _checked(action.instead)
        if type(fact) is not type(wrong.fact):
            raise Wrong("an entry is corrected by another one of its kind, or by nothing")
        at_ms = _at_ms(session, fact, now_ms)
        if at_ms is None:
            at_ms = wrong.at_mono_ms
        made = (Entry(id=id, who=who, at_mono_ms=at_ms, fact=fact, readings=_readings(session, fact, at_ms)),)
    entries: list[Entry] = []
    for entry in session.entries:
        entries += (replace(entry, superseded_by=id), *made) if entry is wrong else (entry,)
    try:
        return _folded(session, tuple(entries))
    except Wrong as wrong_then:
        raise Wrong(f"with this correction, {wrong_then}") from None


def kind(fact: wire.Fact) -> Literal["baseline", "dose", "observe"]:
    if isinstance(fact, wire.Dose):
        return "dose"
    return "observe" if isinstance(fact, wire.Observe) else "baseline"


def stands_on(session: Session) -> tuple[object, ...]:
    """All that readiness takes from what people entered."""
    doses = (session.first_dose_mono_ms, session.last_dose_mono_ms, session.dose_end_mono_ms)
    return (session.baseline, doses, session.seen)


def mark(fact: wire.Fact) -> str:
    """What the record calls it."""
    if isinstance(fact, wire.Dose):
        return f"dose_{fact.what}"
    return "observed" if isinstance(fact, wire.Observe) else "baseline"


def text(fact: wire.Fact) -> str:
    """A fact as people read it."""
    if isinstance(fact, wire.Dose):
        return {"first": "first dose", "further": "further dose", "end": "end of the dose"}[fact.what]
    if isinstance(fact, wire.Baseline):
        measured = isinstance(fact.sys_mmhg, UnsetType)
        return "baseline as measured" if measured else f"baseline {fact.sys_mmhg:g}/{fact.dia_mmhg:g} mmHg"
    seen = [f"{item} {_said(value)}" for item in get_args(Item) if (value := getattr(fact, item)) is not UNSET]
    note = [] if isinstance(fact.note, UnsetType) else [fact.note]
    return ", ".join([*seen, *note])[:200]


def values(fact: wire.Fact) -> dict[str, float | str]:
    """What the record says of a fact, by field."""
    if isinstance(fact, wire.Dose):
        return {} if isinstance(fact.minutes_ago, UnsetType) else {"minutes_ago": float(fact.minutes_ago)}
    if isinstance(fact, wire.Baseline):
        if isinstance(fact.sys_mmhg, UnsetType) or isinstance(fact.dia_mmhg, UnsetType):
            return {}
        return {"baseline_sys_mmhg": fact.sys_mmhg, "baseline_dia_mmhg": fact.dia_mmhg}
    note: dict[str, float | str] = {} if isinstance(fact.note, UnsetType) else {"note": fact.note}
    return {**_items(fact), **note}


class _Fold(Struct):
    first_ms: int | None = None
    last_ms: int | None = None
    end_ms: int | None = None
    phase_ms: int = 0
    baselines: tuple[Entry, ...] = ()
    seen: dict[str, Seen] = {}


def _folded(session: Session, entries: tuple[Entry, ...]) -> Session:
    if len(entries) > ENTRIES_MAX:
        raise Wrong(f"the session has {ENTRIES_MAX} entries, which is all that fits")
    fold = _Fold(phase_ms=session.started_mono_ms)
    before_ms = session.started_mono_ms
    for entry in entries:
        if entry.superseded_by:
            continue
        if isinstance(entry.fact, wire.Dose):
            if entry.at_mono_ms < before_ms:
                raise Wrong(
                    f"the {text(entry.fact)} would be before {'an earlier dose' if fold.first_ms else 'the start'}"
                )
            before_ms = entry.at_mono_ms
            _dosed(fold, entry.fact, entry.at_mono_ms)
        elif isinstance(entry.fact, wire.Baseline):
            fold.baselines = (*fold.baselines, entry)
        else:
            seen = {
                item: Seen(value=value, at_mono_ms=entry.at_mono_ms, who=entry.who)
                for item, value in _items(entry.fact).items()
            }
            fold.seen = {**fold.seen, **seen}
    baseline, readings = None, 0
    for entry in fold.baselines:
        # Each must hold, not only the last, which counts: that one may be corrected away.
        baseline, readings = _baseline(entry, fold.first_ms)
    return replace(
        session,
        entries=entries,
        phase_mono_ms=fold.phase_ms,
        baseline=baseline,
        baseline_readings=readings,
        first_dose_mono_ms=fold.first_ms,
        last_dose_mono_ms=fold.last_ms,
        dose_end_mono_ms=fold.end_ms,
        seen=fold.seen,
    )


def _dosed(fold: _Fold, dose: wire.Dose, at_ms: int) -> None:
    if dose.what == "first":
        if fold.first_ms is not None:
            raise Wrong("the first dose is already marked")
        fold.first_ms = fold.last_ms = fold.phase_ms = at_ms
    elif fold.first_ms is None:
        raise Wrong("mark the first dose before")
    elif dose.what == "further":
        # Dosing goes on: what was counted from the end of the dose counts no more.
        if fold.end_ms is not None:
            fold.phase_ms = at_ms
        fold.last_ms, fold.end_ms = at_ms, None
    else:
        if fold.end_ms is not None:
            raise Wrong("the end of the dose is already marked")
        fold.end_ms = fold.phase_ms = at_ms


def _baseline(entry: Entry, first_dose_ms: int | None) -> tuple[Pressure | None, int]:
    """The baseline and of how many readings it is the median."""
    fact = entry.fact
    assert isinstance(fact, wire.Baseline)
    if not isinstance(fact.sys_mmhg, UnsetType) and not isinstance(fact.dia_mmhg, UnsetType):
        return Pressure(sys_mmhg=fact.sys_mmhg, dia_mmhg=fact.dia_mmhg, at_mono_ms=entry.at_mono_ms), 0
    readings = [one for one in entry.readings if first_dose_ms is None or one.at_mono_ms < first_dose_ms]
    if len(readings) < BASELINE_READINGS_MIN:
        raise Wrong(
            f"a measured baseline needs {BASELINE_READINGS_MIN} good cuff readings before the first dose; "
            f"there {'is' if len(readings) == 1 else 'are'} {len(readings)}"
        )
    median = Pressure(
        sys_mmhg=statistics.median(one.sys_mmhg for one in readings),
        dia_mmhg=statistics.median(one.dia_mmhg for one in readings),
        at_mono_ms=entry.at_mono_ms,
    )
    return median, len(readings)


def _at_ms(session: Session, fact: wire.Fact, now_ms: int) -> int | None:
    """When a fact was true, if it says so."""
    if not isinstance(fact, wire.Dose) or isinstance(fact.minutes_ago, UnsetType):
        return None
    at_ms = now_ms - round(fact.minutes_ago * 60_000)
    off = session.off
    if off is not None and off.since_utc_ms is not None and at_ms <= off.last_mono_ms:
        # Stamps from before it came back move when that time is known; this one is right already.
        raise Wrong("the computer was off until later than that, for a time that is not known yet; say it again soon")
    if at_ms < session.started_mono_ms:
        raise Wrong(f"{fact.minutes_ago:g} min ago this session had not begun")
    return at_ms


def _readings(session: Session, fact: wire.Fact, at_ms: int) -> tuple[Pressure, ...]:
    """The good cuff readings that a measured baseline may stand on. Those after the first dose are kept beside: a
    correction of that dose may make them count."""
    if not isinstance(fact, wire.Baseline) or not isinstance(fact.sys_mmhg, UnsetType):
        return ()
    return tuple(one for one in session.pressures if one.at_mono_ms <= at_ms)


def _checked(fact: wire.Fact) -> wire.Fact:
    if isinstance(fact, wire.Baseline):
        sys_mmhg, dia_mmhg = fact.sys_mmhg, fact.dia_mmhg
        if isinstance(sys_mmhg, UnsetType) != isinstance(dia_mmhg, UnsetType):
            # Whoever types half a baseline believes that rises are watched.
            raise Wrong("a baseline is both pressures, systolic and diastolic")
        if not isinstance(sys_mmhg, UnsetType) and not isinstance(dia_mmhg, UnsetType) and sys_mmhg <= dia_mmhg:
            raise Wrong("the systolic baseline must be over the diastolic")
    elif isinstance(fact, wire.Observe) and fact == wire.Observe():
        raise Wrong("nothing was observed: give at least one item")
    return fact


def _items(fact: wire.Observe) -> dict[str, float]:
    """What was seen, as numbers; a yes is 1, a word its place on its scale."""
    given = {item: value for item in get_args(Item) if (value := getattr(fact, item)) is not UNSET}
    items = {item: float(WORD_VALUE.get(value, value)) for item, value in given.items()}
    if "cadss" in items:
        # A score over the limit is dissociation, whatever the yes or no beside it says.
        scored = items["cadss"] > CADSS_DISSOCIATED
        items["dissociation"] = max(float(scored), items.get("dissociation", 0.0))
    return items


def _said(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value}"
