"""What types cannot say of a protocol: whether each alarm can begin and end, and whether each criterion means anything.

Every check yields where it is in the protocol, what was found, and what is allowed.
"""

import itertools
from collections import Counter
from collections.abc import Iterator

from gateway.core.measures import EVENT_MEASURES
from gateway.core.protocol import PHASES, RANK, Protocol, Rule, fallback
from gateway.protocol_files import ranges
from gateway.toml_files.places import Path
from gateway.toml_files.refusal import Misfit, one_of, shown

DELAY_S_MAX = {"physiological": 60.0, "technical": 300.0}
"""Monitors in use wait 0 to 30 s; a delay of minutes is an alarm that nobody hears."""
CLEAR_S_MAX = 600.0
CUFF_REST_S = 30.0


def check(protocol: Protocol) -> Iterator[Misfit]:
    yield from _names(protocol)
    for number, rule in enumerate(protocol.rules):
        path: Path = ("rules", number)
        yield from _tiers(rule, path)
        yield from _begins_and_ends(rule, path)
        yield from _phases(rule, path)
        yield from _signal(rule, path)
    yield from _windows(protocol)
    yield from _cuff(protocol)
    yield from _needed(protocol)
    yield from _people(protocol)
    if protocol.lost_s <= protocol.live_s:
        yield Misfit(("lost_s",), f"{protocol.lost_s:g}", f"over live_s, {protocol.live_s:g}")


def _names(protocol: Protocol) -> Iterator[Misfit]:
    entries = [
        ((part, number), entry.id)
        for part in ("rules", "criteria", "observations")
        for number, entry in enumerate(getattr(protocol, part))
    ]
    seen: dict[str, str] = {}
    for (part, number), name in entries:
        if name in seen:
            yield Misfit((part, number, "id"), f"{name!r} twice", f"a name that no entry of {seen[name]} has")
        seen.setdefault(name, part)


def _tiers(rule: Rule, path: Path) -> Iterator[Misfit]:
    for number, tier in enumerate(rule.tiers):
        if len(tier.limits) != 1:
            given = ", ".join(side for side, _ in tier.limits) or "no limit"
            yield Misfit((*path, "tiers", number), given, "exactly one of below, above, reaches")
            return
    sides = [tier.limits[0][0] for tier in rule.tiers]
    if len(set(sides)) != 1:
        yield Misfit((*path, "tiers"), " and ".join(sides), "the same side for all levels: below, above or reaches")
        return
    for number, (gentle, grave) in enumerate(itertools.pairwise(rule.tiers), 1):
        at = (*path, "tiers", number)
        if RANK[grave.level] <= RANK[gentle.level]:
            yield Misfit((*at, "level"), f"{grave.level} after {gentle.level}", "levels from low to high, each once")
        elif not gentle.crossed(grave.limit) and grave.limit != gentle.limit:
            side = "at most" if grave.below is not None else "at least"
            allowed = f"{side} {gentle.limit:g}, the limit of level {gentle.level}"
            yield Misfit((*at, sides[number]), f"{grave.limit:g}", allowed)


def _begins_and_ends(rule: Rule, path: Path) -> Iterator[Misfit]:
    """An alarm that cannot begin watches nothing, and one that cannot end is no longer heard."""
    low, high = ranges.of_measure(rule.measure)
    seldom = rule.measure in ranges.SELDOM
    for number, tier in enumerate(rule.tiers):
        if len(tier.limits) != 1:
            continue
        at = (*path, "tiers", number)
        side, limit = tier.limits[0]
        best, worst = (high, low) if side == "below" else (low, high)
        best = ranges.ORDINARY.get(rule.measure, best)
        between = f"{rule.measure} lies between {low:g} and {high:g}"
        if not tier.crossed(worst):
            yield Misfit((*at, side), f"{limit:g}, which nothing crosses", f"a limit that can be crossed: {between}")
        elif tier.crossed(best):
            yield Misfit((*at, side), f"{limit:g}, which {best:g} crosses", f"a limit with {best:g} inside")
        elif tier.crossed(best, margin=rule.hysteresis):
            room = f"{'under' if side == 'reaches' else 'at most'} {abs(best - limit):g}"
            allowed = f"{room}, or {best:g} does not end the {tier.level} alarm"
            yield Misfit((*path, "hysteresis"), f"{rule.hysteresis:g}", allowed)
        if tier.delay_s > DELAY_S_MAX[rule.kind]:
            allowed = f"at most {DELAY_S_MAX[rule.kind]:g} for a {rule.kind} rule"
            yield Misfit((*at, "delay_s"), f"{tier.delay_s:g}", allowed)
        if seldom and tier.readings > 1:
            yield Misfit((*at, "readings"), f"{tier.readings}", f"1: {rule.measure} is told once")
    if seldom and rule.clear_s > 0:
        allowed = f"0: {rule.measure} is told once, and the alarm would not end"
        yield Misfit((*path, "clear_s"), f"{rule.clear_s:g}", allowed)
    elif rule.clear_s > CLEAR_S_MAX:
        yield Misfit((*path, "clear_s"), f"{rule.clear_s:g}", f"at most {CLEAR_S_MAX:g}, or the alarm does not end")


def _phases(rule: Rule, path: Path) -> Iterator[Misfit]:
    if len(set(rule.phases)) != len(rule.phases):
        yield Misfit((*path, "phases"), shown(rule.phases), "each phase once")
    if rule.always and rule.phases != PHASES:
        yield Misfit((*path, "phases"), shown(rule.phases), "always, or phases: give one of the two")
    if rule.kind == "physiological" and rule.tiers[-1].level == "high" and set(rule.phases) != set(PHASES):
        allowed = "all phases for a rule with a high level: an alarm that nobody has seen would end with its phase"
        yield Misfit((*path, "phases"), shown(rule.phases), allowed)


def _signal(rule: Rule, path: Path) -> Iterator[Misfit]:
    """What makes an alarm sooner, louder or silent."""
    for number, tier in enumerate(rule.tiers):
        if tier.depth_s > 0 and tier.delay_s == 0:
            yield Misfit((*path, "tiers", number, "depth_s"), f"{tier.depth_s:g}", "only with a delay_s, its longest")
    windowed = rule.measure in ranges.WINDOWED
    if windowed != (rule.window_s > 0):
        allowed = "over 0" if windowed else f"only with {', '.join(ranges.WINDOWED)}"
        yield Misfit((*path, "window_s"), f"{rule.window_s:g}", allowed)
    if rule.escalate_s > 0 and all(tier.level == "low" for tier in rule.tiers):
        yield Misfit((*path, "escalate_s"), f"{rule.escalate_s:g}", "only with a medium or high level")
    by = [one.by for one in rule.suppress]
    if len(set(by)) != len(by):
        yield Misfit((*path, "suppress"), " and ".join(by), "each cause once")
    if rule.measure == "vitals_age_s" and "silence" in by:
        yield Misfit((*path, "suppress"), "silence", "another cause: this rule is what tells the silence")
    if by and rule.kind == "physiological" and rule.tiers[-1].level == "high":
        yield Misfit((*path, "suppress"), " and ".join(by), "nothing for a physiological rule with a high level")
    if rule.measure in EVENT_MEASURES and by:
        yield Misfit((*path, "suppress"), " and ".join(by), f"nothing: {rule.measure} always sounds")


def _windows(protocol: Protocol) -> Iterator[Misfit]:
    """What fell within a minute and within ten are two measures, and one is kept."""
    first: dict[str, Rule] = {}
    for number, rule in enumerate(protocol.rules):
        one = first.setdefault(rule.measure, rule)
        if rule.window_s != one.window_s:
            allowed = f"{one.window_s:g}, as {one.id} has: one window is kept of {rule.measure}"
            yield Misfit(("rules", number, "window_s"), f"{rule.window_s:g}", allowed)


def _cuff(protocol: Protocol) -> Iterator[Misfit]:
    intervals = {phase: protocol.cuff.interval_s(phase) for phase in PHASES}
    for phase, interval_s in intervals.items():
        if 0 < interval_s < CUFF_REST_S:
            allowed = f"0 for none, or at least {CUFF_REST_S:g}: the arm needs its rest"
            yield Misfit(("cuff", f"{phase}_s"), f"{interval_s:g}", allowed)
    if not any(intervals.values()):
        yield Misfit(("cuff",), "no automatic measurement in any phase", "an interval in at least one phase")


def _needed(protocol: Protocol) -> Iterator[Misfit]:
    """What a board alone judges by, and silence."""
    try:
        fallback(protocol)
    except ValueError as error:
        allowed = (
            "in all phases, for a board alone: spo2_pct below, pulse_bpm below and above, sys_mmhg below and above"
        )
        yield Misfit(("rules",), str(error), allowed)
    silent = [(number, rule) for number, rule in enumerate(protocol.rules) if rule.measure == "vitals_age_s"]
    if not any(set(rule.phases) == set(PHASES) and rule.tiers[-1].level == "high" for _, rule in silent):
        allowed = "a rule of vitals_age_s in all phases, up to high: a board that falls silent must be an alarm"
        yield Misfit(("rules",), "no rule for silence", allowed)
    for number, rule in silent:
        last = rule.tiers[-1]
        if len(last.limits) == 1 and last.limit > protocol.lost_s:
            at = ("rules", number, "tiers", len(rule.tiers) - 1, last.limits[0][0])
            yield Misfit(at, f"{last.limit:g}", f"at most lost_s, {protocol.lost_s:g}: then no value is shown any more")


def _people(protocol: Protocol) -> Iterator[Misfit]:
    """Who may do what, and what they are asked to look at."""
    known = ranges.actions()
    for action, roles in protocol.permissions.items():
        path: Path = ("permissions", action)
        if action not in known:
            yield Misfit(path, "an action that is not known", one_of(known, action))
        if not roles:
            yield Misfit(path, "nobody", "at least one role: " + one_of(protocol.roles))
        for number, role in enumerate(roles):
            if role not in protocol.roles:
                yield Misfit((*path, number), f"the role {role!r}", one_of(protocol.roles, role))
    for name, times in Counter(protocol.roles).items():
        if times > 1:
            yield Misfit(("roles",), f"{name!r} twice", "each role once")
    for number, plan in enumerate(protocol.observations):
        at: Path = ("observations", number)
        if len(set(plan.phases)) != len(plan.phases):
            yield Misfit((*at, "phases"), shown(plan.phases), "each phase once")
        if 0 < plan.every_s < 60:
            yield Misfit((*at, "every_s"), f"{plan.every_s:g}", "0 for once in each phase, or at least 60")
