"""What types cannot say of readiness criteria: each must be able to be met, and to be unmet."""

from collections.abc import Iterator
from typing import get_args

from gateway.core.protocol import RANK, Clock, Elapsed, Hold, NearBaseline, Observed, Protocol, Quiet, Score
from gateway.core.session import CUFFS_MAX
from gateway.protocol_files import ranges
from gateway.toml_files.places import Path
from gateway.toml_files.refusal import Misfit, shown

WITHIN_MMHG_MAX = 100.0
TOO_OLD = "a reading would be too old before the next is taken"
ALWAYS_MET = "a criterion with an effect: this one is met whatever happens"


def check(protocol: Protocol) -> Iterator[Misfit]:
    if not protocol.criteria:
        yield Misfit(("criteria",), "an empty list", "at least one criterion")
    for number, criterion in enumerate(protocol.criteria):
        path: Path = ("criteria", number)
        match criterion:
            case Elapsed() if criterion.at_least_s == 0:
                yield Misfit((*path, "at_least_s"), "0", ALWAYS_MET)
            case Hold():
                yield from _hold(criterion, path)
            case NearBaseline():
                yield from _near_baseline(protocol, criterion, path)
            case Observed():
                yield from _observed(criterion, path)
                yield from _asked_in_time(protocol, criterion, path)
            case Score() if criterion.pressure_age_max_s < protocol.cuff.recovery_s:
                allowed = f"at least cuff.recovery_s, {protocol.cuff.recovery_s:g}: {TOO_OLD}"
                yield Misfit((*path, "pressure_age_max_s"), f"{criterion.pressure_age_max_s:g}", allowed)
            case Quiet():
                yield from _quiet(protocol, criterion, path)


def _hold(criterion: Hold, path: Path) -> Iterator[Misfit]:
    low, high = ranges.of_measure(criterion.measure)
    between = f"a range within {low:g} to {high:g}"
    for side in ("at_least", "at_most"):
        if not low <= getattr(criterion, side) <= high:
            yield Misfit((*path, side), f"{getattr(criterion, side):g}", between)
    if criterion.at_least > criterion.at_most:
        yield Misfit((*path, "at_least"), f"{criterion.at_least:g}", f"at most at_most, {criterion.at_most:g}")
    elif criterion.at_least <= low and criterion.at_most >= high:
        yield Misfit((*path, "at_least"), f"{criterion.at_least:g} to {criterion.at_most:g}", ALWAYS_MET)


def _near_baseline(protocol: Protocol, criterion: NearBaseline, path: Path) -> Iterator[Misfit]:
    for name in ("sys_within_mmhg", "dia_within_mmhg"):
        if getattr(criterion, name) > WITHIN_MMHG_MAX:
            allowed = f"at most {WITHIN_MMHG_MAX:g}: beyond that it has no effect"
            yield Misfit((*path, name), f"{getattr(criterion, name):g}", allowed)
    interval_s = protocol.cuff.recovery_s
    if criterion.spacing_s > 0 and criterion.readings == 1:
        yield Misfit((*path, "spacing_s"), f"{criterion.spacing_s:g}", "only with readings of at least 2")
    if criterion.readings > CUFFS_MAX:
        yield Misfit((*path, "readings"), f"{criterion.readings}", f"at most {CUFFS_MAX}, which are kept")
    if interval_s > 0 and criterion.spacing_s > interval_s and criterion.readings > 1:
        allowed = f"at most cuff.recovery_s, {interval_s:g}: readings closer together never meet it"
        yield Misfit((*path, "spacing_s"), f"{criterion.spacing_s:g}", allowed)
    if criterion.age_max_s < interval_s:
        allowed = f"at least cuff.recovery_s, {interval_s:g}: {TOO_OLD}"
        yield Misfit((*path, "age_max_s"), f"{criterion.age_max_s:g}", allowed)


def _observed(criterion: Observed, path: Path) -> Iterator[Misfit]:
    given = [name for name in ("at_least", "at_most", "equals") if getattr(criterion, name) is not None]
    if len(given) != 1:
        yield Misfit(path, " and ".join(given) or "no limit", "exactly one of at_least, at_most, equals")
        return
    if criterion.since is None and criterion.item != "escort":
        allowed = f"one of {', '.join(get_args(Clock))}: what was seen before the dose says nothing of now"
        yield Misfit((*path, "since"), "nothing", allowed)
    side, value = given[0], getattr(criterion, given[0])
    if criterion.item == "escort" and value is not True:
        yield Misfit((*path, side), shown(value), "equals, true: nobody goes home alone")
        return
    item = ranges.of_items()[criterion.item]
    if isinstance(item[0], str):
        if side != "equals" or shown(value).strip("'") not in item:
            yield Misfit((*path, side), shown(value), f"equals, one of {', '.join(map(str, item))}")
        return
    low, high = item
    between = f"{low:g} to {high:g}"
    if side == "equals":
        yield Misfit((*path, side), shown(value), f"at_least or at_most, a number from {between}")
    elif value > high if side == "at_least" else value < low:
        yield Misfit((*path, side), f"{value:g}", f"what {criterion.item} can be: {between}")
    elif value <= low if side == "at_least" else value >= high:
        yield Misfit((*path, side), f"{value:g}", f"within {between}; {ALWAYS_MET}")


def _asked_in_time(protocol: Protocol, criterion: Observed, path: Path) -> Iterator[Misfit]:
    """Staff are asked again before the answer counts no more, or the patient waits for nobody's question."""
    for number, plan in enumerate(protocol.observations):
        if plan.item != criterion.item:
            continue
        if plan.every_s == 0:
            allowed = f"over 0, at most {criterion.age_max_s:g}: criterion {criterion.id} counts no older answer"
            yield Misfit(("observations", number, "every_s"), "0", allowed)
        elif plan.every_s > criterion.age_max_s:
            allowed = f"at least every_s of {plan.id}, {plan.every_s:g}: an answer would be too old before the next"
            yield Misfit((*path, "age_max_s"), f"{criterion.age_max_s:g}", allowed)


def _quiet(protocol: Protocol, criterion: Quiet, path: Path) -> Iterator[Misfit]:
    if criterion.for_s == 0:
        yield Misfit((*path, "for_s"), "0", "over 0: an alarm that stands would not count")
    if not any(RANK[tier.level] >= RANK[criterion.level] for rule in protocol.rules for tier in rule.tiers):
        yield Misfit((*path, "level"), criterion.level, "a level that some rule has")
