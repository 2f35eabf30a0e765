"""A protocol in words: for the tables of `check-config`, for the reference pages, and for the picture."""

from typing import Any

import msgspec

from gateway.core.measures import SWITCHES
from gateway.core.protocol import (
    PHASES,
    Coverage,
    Criterion,
    Elapsed,
    Hold,
    NearBaseline,
    ObservationPlan,
    Observed,
    Protocol,
    Quiet,
    Rule,
    Score,
    Tier,
)

MARKS = {"low": "*", "medium": "**", "high": "***"}
SIDES = {"below": "below", "above": "above", "reaches": "from"}
CLOCKS = {"first_dose": "the first dose", "last_dose": "the last dose", "dose_end": "the end of the dose"}


def span(seconds: float) -> str:
    """A length of time as people say it, without loss."""
    if seconds >= 3600 and seconds % 1800 == 0:
        return f"{seconds / 3600:g} h"
    if seconds >= 120 and seconds % 60 == 0:
        return f"{seconds / 60:g} min"
    return f"{seconds:g} s"


def tier(rule: Rule, one: Tier) -> str:
    """`below 90 % for 10 s`; what is or is not so has no number."""
    side, limit = one.limits[0]
    if rule.measure in SWITCHES:
        words = f"for {span(one.delay_s)}" if one.delay_s else "at once"
    else:
        words = f"{SIDES[side]} {limit:g} {rule.unit}".strip()
        words += f" for {span(one.delay_s)}" if one.delay_s else ""
    if one.depth_s:
        words += f", or sooner by {one.depth_s:g} {rule.unit}·s"
    if one.readings > 1:
        words += f", {one.readings} readings"
    return words


def levels(rule: Rule) -> dict[str, str]:
    return {one.level: tier(rule, one) for one in rule.tiers}


def ends(rule: Rule) -> str:
    """What it takes until the alarm is over."""
    parts = []
    if rule.hysteresis:
        parts.append(f"{rule.hysteresis:g} {rule.unit} inside".replace("  ", " "))
    if rule.clear_s:
        parts.append(f"for {span(rule.clear_s)}")
    if rule.latches(rule.tiers[-1].level):
        parts.append("high latches")
    return ", ".join(parts)


def when(rule: Rule) -> str:
    """When it is judged, and what makes it louder or keeps it quiet."""
    parts = ["always"] if rule.always else [] if set(rule.phases) == set(PHASES) else ["only " + ", ".join(rule.phases)]
    if rule.window_s:
        parts.append(f"within {span(rule.window_s)}")
    if rule.escalate_s:
        parts.append(f"louder after {span(rule.escalate_s)}")
    if rule.suppress:
        quiet = ", ".join(f"{one.by.replace('_', ' ')} {span(one.at_most_s)}" for one in rule.suppress)
        parts.append(f"quiet by {quiet} at most")
    return "; ".join(parts)


def cuff(protocol: Protocol) -> dict[str, str]:
    """How often the pressure is measured, by phase and after a pressure over a limit or a failure."""
    phases = {phase: protocol.cuff.interval_s(phase) for phase in PHASES}
    words = {phase: f"every {span(s)}" if s else "only by hand" for phase, s in phases.items()}
    return words | {"after a limit or a failure": f"again after {span(protocol.cuff.repeat_s)}"}


def criterion(one: Criterion) -> str:
    """What must be so."""
    match one:
        case Elapsed():
            return f"{span(one.at_least_s)} have passed"
        case Hold():
            gap = f", no gap over {span(one.gap_max_s)}"
            return f"{one.measure} {one.at_least:g} to {one.at_most:g} {one.unit} for {span(one.hold_s)}{gap}"
        case NearBaseline():
            apart = f", {span(one.spacing_s)} apart" if one.spacing_s else ""
            count = f"the last {one.readings} pressures" if one.readings > 1 else "the last pressure"
            near = f"within {one.sys_within_mmhg:g}/{one.dia_within_mmhg:g} mmHg of the baseline"
            return f"{count} {near}{apart}, not older than {span(one.age_max_s)}"
        case Observed():
            side, value = next(
                (side, value)
                for side, value in (("at least", one.at_least), ("at most", one.at_most), ("", one.equals))
                if value is not None
            )
            said = ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}" if side else str(value)
            said = f"{one.item.replace('_', ' ')}: {side} {said}".replace("  ", " ")
            return f"{said}, not older than {span(one.age_max_s)}"
        case Quiet():
            return f"no alarm of level {one.level} or higher for {span(one.for_s)}"
        case Score():
            pressure, seen = span(one.pressure_age_max_s), span(one.observed_age_max_s)
            return f"{one.score} at least {one.at_least}, pressure not older than {pressure}, answers than {seen}"
        case Coverage():
            return f"good saturations in {one.at_least_pct:g} % of the last {span(one.over_s)}"


def clock(one: Criterion) -> str:
    """From when on it counts."""
    since = getattr(one, "since", None)
    return CLOCKS[since] if since else "the start" if isinstance(one, Observed) else "now, looking back"


def asked(one: ObservationPlan) -> str:
    first = f"after {span(one.after_s)}" if one.after_s else "at once"
    again = f", then every {span(one.every_s)}" if one.every_s else ", once"
    return f"{', '.join(one.phases)}: {first}{again}"


def flat(protocol: Protocol) -> dict[str, Any]:
    """Every value by its key, entries by their names: `rules.spo2_low.medium.below`."""
    found: dict[str, Any] = {}
    _flat(msgspec.to_builtins(protocol), "", found)
    return found


def changes(before: Protocol, after: Protocol) -> dict[str, tuple[Any, Any]]:
    """What another file changed: key, value before, value now; None: not there."""
    was, now = flat(before), flat(after)
    return {key: (was.get(key), now.get(key)) for key in {**was, **now} if was.get(key) != now.get(key)}


def _flat(value: Any, key: str, found: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _flat(item, f"{key}.{name}".removeprefix("."), found)
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        for number, item in enumerate(value):
            name = item.get("id") or item.get("level") or item.get("by") or str(number + 1)
            _flat(item, f"{key.removesuffix('.tiers')}.{name}", found)
    else:
        found[key] = list(value) if isinstance(value, tuple) else value
