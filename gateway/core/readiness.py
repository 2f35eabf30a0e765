"""May the patient go home? Each criterion is met, unmet with its number, or unknown with what is missing.

Only what is known can be met: a clock that was not started, a value that is old, an observation from before the dose
ended are unknown. The answer is advice; people sign.
"""

import itertools

from msgspec.structs import replace

from gateway.core.protocol import (
    RANK,
    Clock,
    Criterion,
    Elapsed,
    Hold,
    NearBaseline,
    Observed,
    Protocol,
    Quiet,
)
from gateway.core.session import Held, Session
from gateway.wire import CriterionView, Level

CLOCK_WORDS: dict[Clock, str] = {
    "first_dose": "the first dose", "last_dose": "the last dose", "dose_end": "the end of the dose",
}  # fmt: skip


def assess(protocol: Protocol, session: Session, now_ms: int) -> list[CriterionView]:
    return [_assess(criterion, session, now_ms) for criterion in protocol.criteria]


def all_met(verdicts: list[CriterionView]) -> bool:
    """A protocol without criteria says nothing about anybody."""
    return bool(verdicts) and all(verdict.verdict == "met" for verdict in verdicts)


def held_with(protocol: Protocol, session: Session, values: dict[str, float], at_ms: int, *, history: bool) -> Session:
    """The holds after good values at a time. History cannot build a hold, but it breaks one."""
    held = dict(session.held)
    for criterion in protocol.criteria:
        if not isinstance(criterion, Hold) or criterion.measure not in values:
            continue
        value = values[criterion.measure]
        inside = criterion.at_least <= value <= criterion.at_most
        before = held.get(criterion.id)
        if history:
            if before is not None and before.since_mono_ms is not None and not inside:
                held[criterion.id] = replace(before, since_mono_ms=max(before.since_mono_ms, at_ms))
            continue
        unbroken = (
            before is not None
            and before.since_mono_ms is not None
            and at_ms - before.last_mono_ms <= criterion.gap_max_s * 1000
        )
        since_ms = (before.since_mono_ms if unbroken and before else at_ms) if inside else None
        held[criterion.id] = Held(since_mono_ms=since_ms, last_mono_ms=at_ms, value=value)
    return replace(session, held=held)


def loud_with(session: Session, level: Level, now_ms: int) -> Session:
    """Remembers that an alarm of this level was present now."""
    if RANK[level] == 0:
        return session
    quieter = {name: now_ms for name, rank in RANK.items() if 0 < rank <= RANK[level]}
    return replace(session, loud_mono_ms={**session.loud_mono_ms, **quieter})


def _assess(criterion: Criterion, session: Session, now_ms: int) -> CriterionView:
    if isinstance(criterion, Elapsed):
        verdict, detail = _elapsed(criterion, session, now_ms)
    elif isinstance(criterion, Hold):
        verdict, detail = _hold(criterion, session, now_ms)
    elif isinstance(criterion, NearBaseline):
        verdict, detail = _near_baseline(criterion, session, now_ms)
    elif isinstance(criterion, Observed):
        verdict, detail = _observed(criterion, session)
    else:
        verdict, detail = _quiet(criterion, session, now_ms)
    return CriterionView(id=criterion.id, label=criterion.label, verdict=verdict, detail=detail)  # type: ignore[arg-type]


def _not_begun(clock: Clock) -> tuple[str, str]:
    return "unknown", f"{CLOCK_WORDS[clock]} is not marked"


def _elapsed(criterion: Elapsed, session: Session, now_ms: int) -> tuple[str, str]:
    began_ms = session.clock_ms(criterion.since)
    if began_ms is None:
        return _not_begun(criterion.since)
    passed_s = (now_ms - began_ms) / 1000
    verdict = "met" if passed_s >= criterion.at_least_s else "unmet"
    return verdict, f"{_span(passed_s)} of {_span(criterion.at_least_s)}"


def _hold(criterion: Hold, session: Session, now_ms: int) -> tuple[str, str]:
    began_ms = session.clock_ms(criterion.since)
    if began_ms is None:
        return _not_begun(criterion.since)
    held = session.held.get(criterion.id)
    if held is None or held.last_mono_ms < began_ms:
        return "unknown", "no good value yet"
    if now_ms - held.last_mono_ms > criterion.gap_max_s * 1000:
        return "unknown", f"no good value for {_span((now_ms - held.last_mono_ms) / 1000)}"
    if held.since_mono_ms is None:
        return "unmet", f"{held.value:.0f} {criterion.unit}".strip()
    held_s = max(0, held.last_mono_ms - max(held.since_mono_ms, began_ms)) / 1000
    verdict = "met" if held_s >= criterion.hold_s else "unmet"
    return verdict, f"held {_span(min(held_s, criterion.hold_s))} of {_span(criterion.hold_s)}"


def _near_baseline(criterion: NearBaseline, session: Session, now_ms: int) -> tuple[str, str]:
    began_ms = session.clock_ms(criterion.since)
    if began_ms is None:
        return _not_begun(criterion.since)
    if session.baseline is None:
        return "unknown", "no baseline"
    readings = [p for p in session.pressures if p.at_mono_ms >= began_ms][-criterion.readings :]
    if len(readings) < criterion.readings:
        return (
            "unknown",
            f"{len(readings)} of {criterion.readings} readings since {CLOCK_WORDS[criterion.since]}",
        )
    age_s = (now_ms - readings[-1].at_mono_ms) / 1000
    if age_s > criterion.age_max_s:
        return "unknown", f"last reading {_span(age_s)} ago, at most {_span(criterion.age_max_s)}"
    for reading in readings:
        rises = (
            (reading.sys_mmhg - session.baseline.sys_mmhg, criterion.sys_within_mmhg, "systolic"),
            (reading.dia_mmhg - session.baseline.dia_mmhg, criterion.dia_within_mmhg, "diastolic"),
        )
        for rise, within, word in rises:
            if abs(rise) > within:
                return "unmet", f"{word} {rise:+.0f} mmHg from baseline, within {within:g}"
    for earlier, later in itertools.pairwise(readings):
        if later.at_mono_ms - earlier.at_mono_ms < criterion.spacing_s * 1000:
            return "unmet", f"readings must be {_span(criterion.spacing_s)} apart"
    last = readings[-1]
    return "met", f"{last.sys_mmhg:.0f}/{last.dia_mmhg:.0f} mmHg"


def _observed(criterion: Observed, session: Session) -> tuple[str, str]:
    began_ms = session.started_mono_ms
    if criterion.since is not None:
        clock_ms = session.clock_ms(criterion.since)
        if clock_ms is None:
            return _not_begun(criterion.since)
        began_ms = clock_ms
    seen = session.seen.get(criterion.item)
    if seen is None or seen.at_mono_ms < began_ms:
        since = f" since {CLOCK_WORDS[criterion.since]}" if criterion.since else ""
        return "unknown", f"not recorded{since}"
    if criterion.equals is not None:
        met = bool(seen.value) == criterion.equals
        return "met" if met else "unmet", f"{'yes' if seen.value else 'no'}, {seen.who}"
    met = (criterion.at_least is None or seen.value >= criterion.at_least) and (
        criterion.at_most is None or seen.value <= criterion.at_most
    )
    return "met" if met else "unmet", f"{seen.value:g}, {seen.who}"


def _quiet(criterion: Quiet, session: Session, now_ms: int) -> tuple[str, str]:
    loud_ms = session.loud_mono_ms.get(criterion.level, session.started_mono_ms)
    quiet_s = (now_ms - loud_ms) / 1000
    verdict = "met" if quiet_s >= criterion.for_s else "unmet"
    return verdict, f"quiet for {_span(min(quiet_s, criterion.for_s))} of {_span(criterion.for_s)}"


def _span(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
