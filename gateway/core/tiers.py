"""Compares one rule's measure with its limits: which levels hold, and since when.

    beyond      a good value is over the tier's limit; its delay runs
    holds       beyond for its delay, or deep for less, and in enough readings
    inside      holds, and good values are back inside the limit with its margin, for `clear_s` until it ends

A reading that is absent or bad is no sample: it never clears, and a delay that has begun goes on. Sensor time starts a
delay, the gateway's own clock ends it, so a stream that stops cannot hold an alarm back.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.protocol import Rule, Tier
from gateway.wire import Level

Finding = Literal["calm", "beyond", "holds", "inside"]


class Sample(Struct, frozen=True, kw_only=True, gc=False):
    """A good value. `origin` names the record that brought it; `delay_ms` is sensor to gateway."""

    value: float
    at_mono_ms: int
    origin: str
    delay_ms: int = 0


class TierState(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    beyond_mono_ms: int | None = None
    origin: str = ""
    """The record that first went beyond."""
    readings: int = 0
    depth_s: float = 0.0
    """Distance beyond the limit times seconds, up to the last sample; only if the tier has a smart delay."""
    beyond_by: float = 0.0
    """The last sample's distance beyond the limit."""
    sampled_mono_ms: int = 0
    holds: bool = False
    """Until the value was inside, with its margin, for `clear_s`."""
    inside_mono_ms: int | None = None


Tiers = tuple[TierState, ...]


def judged(rule: Rule, tiers: Tiers, sample: Sample | None, now_ms: int) -> Tiers:
    """The tiers after a good sample, or after time alone."""
    if sample is not None:
        tiers = tuple(_sampled(rule, t, s, sample) for t, s in zip(rule.tiers, tiers, strict=True))
    held: list[TierState] = []
    graver = False
    for tier, state in zip(reversed(rule.tiers), reversed(tiers), strict=True):
        if not state.holds and state.beyond_mono_ms is not None:
            due_ms = holds_at_ms(tier, state)
            # Beyond a graver limit is beyond a gentler one: that needs no delay of its own, or a value between the two
            # would seem to have ended the alarm.
            if graver or (due_ms is not None and due_ms <= now_ms):
                state = replace(state, holds=True)  # noqa: PLW2901
        graver = graver or state.holds
        held.append(state)
    return tuple(reversed(held))


def found(tiers: Tiers) -> Finding:
    held = [state for state in tiers if state.holds]
    if held:
        return "inside" if all(state.inside_mono_ms is not None for state in held) else "holds"
    return "beyond" if any(state.beyond_mono_ms is not None for state in tiers) else "calm"


def level(rule: Rule, tiers: Tiers) -> Level:
    """The gravest that holds."""
    for tier, state in zip(reversed(rule.tiers), reversed(tiers), strict=True):
        if state.holds:
            return tier.level
    return "none"


def began(tiers: Tiers) -> tuple[int, str]:
    """When a value first went beyond, and the record that did; some tier is beyond."""
    return min((t.beyond_mono_ms, t.origin) for t in tiers if t.beyond_mono_ms is not None)


def holds_at_ms(tier: Tier, state: TierState) -> int | None:
    """When time alone makes a tier hold that is beyond: by its delay, or sooner by its depth. None: it waits
    for another reading."""
    if state.beyond_mono_ms is None or state.readings < tier.readings:
        return None
    due_ms = state.beyond_mono_ms + round(tier.delay_s * 1000)
    if tier.depth_s > 0 and state.beyond_by > 0:
        left_ms = round(1000 * max(0.0, tier.depth_s - state.depth_s) / state.beyond_by)
        due_ms = min(due_ms, state.sampled_mono_ms + left_ms)
    return due_ms


def _sampled(rule: Rule, tier: Tier, state: TierState, sample: Sample) -> TierState:
    if state.holds:
        if tier.crossed(sample.value, margin=rule.hysteresis):
            return replace(state, inside_mono_ms=None)
        inside_ms = sample.at_mono_ms if state.inside_mono_ms is None else state.inside_mono_ms
        if sample.at_mono_ms - inside_ms >= rule.clear_s * 1000:
            return TierState()
        return replace(state, inside_mono_ms=inside_ms)
    if not tier.crossed(sample.value):
        return TierState()
    if state.beyond_mono_ms is None:
        state = TierState(beyond_mono_ms=sample.at_mono_ms, origin=sample.origin, readings=1)
    else:
        state = replace(state, readings=state.readings + 1)
    if tier.depth_s == 0:
        return state
    return replace(
        state,
        depth_s=state.depth_s + state.beyond_by * max(0, sample.at_mono_ms - state.sampled_mono_ms) / 1000,
        beyond_by=abs(sample.value - tier.limit),
        sampled_mono_ms=sample.at_mono_ms,
    )
