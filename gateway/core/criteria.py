"""One criterion of readiness at a time: met, unmet with its number, or unknown with what is missing.

Only what is known can be met: a clock that was not started, a value that is old, an observation from before the dose
ended or from long ago are unknown.
"""

import itertools

from gateway.core import scores
from gateway.core.protocol import (
    WORD_VALUE,
    Clock,
    Coverage,
    Criterion,
    Elapsed,
    Hold,
    Item,
    NearBaseline,
    Observed,
    Protocol,
    Quiet,
    Score,
)
from gateway.core.session import MINUTE_MS, Seen, Session

CLOCK_WORDS: dict[Clock, str] = {
    "first_dose": "the first dose", "last_dose": "the last dose", "dose_end": "the end of the dose",
}  # fmt: skip
Judged = tuple[str, str]
"""The verdict, and its number or what is missing."""


def judged(criterion: Criterion, session: Session, now_ms: int) -> Judged:
    match criterion:
        case Elapsed():
            return _elapsed(criterion, session, now_ms)
        case Hold():
            return _hold(criterion, session, now_ms)
        case NearBaseline():
            return _near_baseline(criterion, session, now_ms)
        case Observed():
            return _observed(criterion, session, now_ms)
        case Quiet():
            return _quiet(criterion, session, now_ms)
        case Score():
            return _score(criterion, session, now_ms)
        case Coverage():
            return _coverage(criterion, session, now_ms)


def escort(protocol: Protocol, session: Session, now_ms: int) -> Judged:
    """Is somebody here who takes the patient home, seen as late as the protocol's criterion asks if it has one."""
    usual = Observed(id="escort", label="Escort", item="escort", equals=True, age_max_s=protocol.observed_age_max_s)
    own = (one for one in protocol.criteria if isinstance(one, Observed) and one.item == "escort")
    return _observed(next(own, usual), session, now_ms)


def known(
    session: Session, since_ms: int, now_ms: int, *, pressure_age_ms: float, vitals_age_ms: float, seen_age_s: float
) -> scores.Known:
    """What a score may count: seen and measured since a time, and not older than it may be."""
    values: dict[str, float] = {}
    old: dict[str, str] = {}
    for item, seen in session.seen.items():
        if seen.at_mono_ms < since_ms:
            continue
        if when := _long_ago(session, seen, seen_age_s, now_ms):
            old[item] = when
        else:
            values[item] = seen.value
    for name, latest in session.latest.items():
        if latest.at_mono_ms >= since_ms and now_ms - latest.at_mono_ms <= vitals_age_ms:
            values[name] = latest.value
    pressure = session.pressures[-1] if session.pressures else None
    if pressure is not None and pressure.at_mono_ms >= since_ms and now_ms - pressure.at_mono_ms <= pressure_age_ms:
        values["sys_mmhg"] = pressure.sys_mmhg
    if session.baseline is not None:
        values["baseline_sys_mmhg"] = session.baseline.sys_mmhg
    items = {name: values[name] for name in scores.Known.__struct_fields__ if name in values}
    return scores.Known(**items, old=old)


def _not_begun(clock: Clock) -> Judged:
    return "unknown", f"{CLOCK_WORDS[clock]} is not marked"


def _elapsed(criterion: Elapsed, session: Session, now_ms: int) -> Judged:
    began_ms = session.clock_ms(criterion.since)
    if began_ms is None:
        return _not_begun(criterion.since)
    passed_s = (now_ms - began_ms) / 1000
    if passed_s >= criterion.at_least_s:
        return "met", f"{_span(passed_s)} of {_span(criterion.at_least_s)}"
    if session.of_unknown_age(began_ms):
        return "unknown", f"at least {_span(passed_s)}: the computer was off, nobody knows for how long"
    return "unmet", f"{_span(passed_s)} of {_span(criterion.at_least_s)}"


def _hold(criterion: Hold, session: Session, now_ms: int) -> Judged:
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


def _near_baseline(criterion: NearBaseline, session: Session, now_ms: int) -> Judged:
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


def _observed(criterion: Observed, session: Session, now_ms: int) -> Judged:
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
    if when := _long_ago(session, seen, criterion.age_max_s, now_ms):
        return "unknown", f"observe again: {when}, counts for {_span(criterion.age_max_s)}"
    if isinstance(criterion.equals, str):
        met = seen.value == WORD_VALUE[criterion.equals]
        return "met" if met else "unmet", f"{_word(criterion.item, seen.value)}, {seen.who}"
    if criterion.equals is not None:
        met = bool(seen.value) == criterion.equals
        return "met" if met else "unmet", f"{'yes' if seen.value else 'no'}, {seen.who}"
    met = (criterion.at_least is None or seen.value >= criterion.at_least) and (
        criterion.at_most is None or seen.value <= criterion.at_most
    )
    return "met" if met else "unmet", f"{seen.value:g}, {seen.who}"


def _quiet(criterion: Quiet, session: Session, now_ms: int) -> Judged:
    loud_ms = session.loud_mono_ms.get(criterion.level, session.started_mono_ms)
    quiet_s = (now_ms - loud_ms) / 1000
    verdict = "met" if quiet_s >= criterion.for_s else "unmet"
    return verdict, f"quiet for {_span(min(quiet_s, criterion.for_s))} of {_span(criterion.for_s)}"


def _score(criterion: Score, session: Session, now_ms: int) -> Judged:
    began_ms = session.clock_ms(criterion.since)
    if began_ms is None:
        return _not_begun(criterion.since)
    what = known(
        session,
        began_ms,
        now_ms,
        pressure_age_ms=criterion.pressure_age_max_s * 1000,
        vitals_age_ms=criterion.spo2_age_max_s * 1000,
        seen_age_s=criterion.observed_age_max_s,
    )
    items = scores.score(criterion.score, what)
    total = scores.total(items)
    if total is None:
        return "unknown", "; ".join(item.detail for item in items if item.points is None)
    lost = ", ".join(f"{item.label.lower()} {item.points}" for item in items if item.points != scores.POINTS_MAX)
    verdict = "met" if total >= criterion.at_least else "unmet"
    return verdict, f"{total} of {scores.POINTS_MAX * len(items)}{f': {lost}' if lost else ''}"


def _coverage(criterion: Coverage, session: Session, now_ms: int) -> Judged:
    """Over whole minutes since the start and what has passed of this one, so that no minute is cut."""
    stay_ms = now_ms - session.started_mono_ms
    first = (stay_ms - round(criterion.over_s * 1000)) // MINUTE_MS
    if first < 0:
        return "unmet", f"{_span(stay_ms / 1000)} of {_span(criterion.over_s)} since the start"
    good_ms = sum(good_ms for minute, good_ms in session.good_ms if minute >= first)
    share_pct = 100 * good_ms / (stay_ms - first * MINUTE_MS)
    verdict = "met" if share_pct >= criterion.at_least_pct else "unmet"
    # Cut, not rounded: 89.9 % is not 90.
    return verdict, f"{int(share_pct)} % of the last {_span(criterion.over_s)}, at least {criterion.at_least_pct:g} %"


def _long_ago(session: Session, seen: Seen, age_max_s: float, now_ms: int) -> str:
    """When it was seen, if that is too long ago or nobody knows; else nothing."""
    if session.of_unknown_age(seen.at_mono_ms):
        return "seen before the computer was off, nobody knows for how long"
    age_s = (now_ms - seen.at_mono_ms) / 1000
    return f"seen {_span(age_s)} ago" if age_s > age_max_s else ""


def _word(item: Item, value: float) -> str:
    words = ("steady", "help", "unable") if item == "gait" else ("deep", "limited", "apnoea")
    return next(word for word in words if WORD_VALUE[word] == value)


def _span(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
