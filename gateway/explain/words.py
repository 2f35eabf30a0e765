"""A rule's numbers, an alarm's timers and a missing value, in words."""

from gateway.core.alarm import Alarm
from gateway.core.measures import SWITCHES
from gateway.core.protocol import PHASES, Rule, Tier
from gateway.core.tiers import TierState
from gateway.replay.report import MARKS
from gateway.replay.times import lasted

SIDES = {"below": "below", "above": "above", "reaches": "from"}
QUALITIES = {
    "no_finger": "no finger", "low_perfusion": "too little pulse", "motion": "motion", "saturation": "too much light",
    "ambient": "light from outside", "sensor_fault": "the sensor gives nothing", "cuff_hold": "the cuff is measuring",
    "settling": "still settling", "below_range": "below what the board is calibrated for",
}  # fmt: skip


def number(rule: Rule, value: float) -> str:
    """A value with its unit; yes or no of a switch."""
    if rule.measure in SWITCHES:
        return "yes" if value else "no"
    return f"{value:.4g} {rule.unit}".strip()


def limit(rule: Rule, tier: Tier) -> str:
    if rule.measure in SWITCHES:
        return "yes"
    return f"{SIDES[tier.limits[0][0]]} {number(rule, tier.limit)}"


def level(rule: Rule, tier: Tier) -> str:
    """One level with its limit and what it waits for."""
    waits = []
    if tier.delay_s:
        waits.append(f"for {lasted(tier.delay_s)}")
    if tier.depth_s:
        waits.append(f"or {depth(rule, tier.depth_s)} beyond it")
    if tier.readings > 1:
        waits.append(f"in {tier.readings} readings")
    return " ".join([f"{MARKS[tier.level]} {tier.level}", limit(rule, tier), *(waits or ["at once"])])


def depth(rule: Rule, depth_s: float) -> str:
    return f"{depth_s:.3g} {rule.unit}·s"


def ends(rule: Rule) -> str:
    """What it takes to end, to be seen and to be silent."""
    inside = f"{number(rule, rule.hysteresis)} inside the limit" if rule.hysteresis else "inside the limit"
    said = [f"ends {inside}" + (f" for {lasted(rule.clear_s)}" if rule.clear_s else " at once")]
    if any(rule.latches(tier.level) for tier in rule.tiers):
        said.append("high latches until it is acknowledged")
    if rule.escalate_s:
        said.append(f"signals a level higher after {lasted(rule.escalate_s)} without acknowledgement")
    said += [f"without signal under {one.by} for {lasted(one.at_most_s)} at most" for one in rule.suppress]
    if rule.phases != PHASES:
        said.append(f"judged only in {', '.join(rule.phases)}")
    return "; ".join(said)


def timers(rule: Rule, alarm: Alarm, now_ms: int) -> list[str]:
    """How far each level that is beyond its limit has come."""
    states = zip(rule.tiers, alarm.tiers, strict=False)
    return [
        f"{tier.level}: {_timer(rule, tier, state, now_ms)}"
        for tier, state in states
        if state.beyond_mono_ms is not None
    ]


def _timer(rule: Rule, tier: Tier, state: TierState, now_ms: int) -> str:
    assert state.beyond_mono_ms is not None
    said = [
        f"{lasted((now_ms - state.beyond_mono_ms) / 1000)} of {lasted(tier.delay_s)} delay"
        if tier.delay_s
        else "no delay"
    ]
    if tier.depth_s:
        so_far = state.depth_s + state.beyond_by * max(0, now_ms - state.sampled_mono_ms) / 1000
        said.append(f"{depth(rule, so_far)} of {depth(rule, tier.depth_s)}")
    if tier.readings > 1:
        said.append(f"{state.readings} of {tier.readings} readings")
    return ", ".join(said) + (" (holds)" if state.holds else "")
