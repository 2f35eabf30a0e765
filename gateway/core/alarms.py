"""An alarm through its life: what readings, time and people make of it. The table is in `alarm_table`.

A good sample goes to the rule's tiers, which say what holds; that is an event of the table, like what people do. The
guards here say when an event happens at all: nobody can pause what does not sound.
"""

from msgspec.structs import replace

from gateway.core import tiers
from gateway.core.alarm import Alarm, Change
from gateway.core.alarm_table import ESCALATES, Did, Event, Given, happens
from gateway.core.protocol import RANK, Rule, Tier
from gateway.core.tiers import Sample, Tiers, TierState
from gateway.wire import Level

__all__ = [
    "Alarm", "Change", "Sample", "acknowledge", "again", "audio_off", "audio_on", "due_ms", "end", "judge", "pause",
    "phase_over", "suppress", "tier_of", "unsuppress",
]  # fmt: skip


def judge(rule: Rule, alarm: Alarm, sample: Sample | None, now_ms: int, episode: str) -> Did:
    """The alarm after a good sample, or after time alone (no sample). `episode` makes ids: session and rule."""
    states = alarm.tiers if len(alarm.tiers) == len(rule.tiers) else _fitted(rule, alarm)
    states = tiers.judged(rule, states, sample, now_ms)
    finding, level = tiers.found(states), tiers.level(rule, states)
    alarm = replace(alarm, tiers=states, sample=sample or alarm.sample)
    given = Given(now_ms=now_ms, level=level, episode=episode, sampled=sample is not None)
    events: list[Event] = []
    if alarm.present and level not in ("none", alarm.level):
        events.append("rises" if RANK[level] > RANK[alarm.level] else "falls")
    events.append(finding)
    changes: list[Change] = []
    for event in events:
        alarm, told = happens(event, rule, alarm, given)
        changes += told
    if alarm.paused_until_mono_ms is not None and now_ms >= alarm.paused_until_mono_ms:
        alarm, told = happens("pause_end", rule, alarm, given)
        changes += told
    due_ms = _escalates_at_ms(rule, alarm)
    if due_ms is not None and now_ms >= due_ms:
        reason = f"nobody acknowledged for {rule.escalate_s:g} s"
        alarm, told = happens("escalate", rule, alarm, Given(now_ms=now_ms, reason=reason))
        changes += told
    return alarm, changes


def due_ms(rule: Rule, alarm: Alarm) -> int | None:
    """When time alone changes something: a delay, a pause or a suppression ends, or nobody has come."""
    held = [tiers.holds_at_ms(t, s) for t, s in zip(rule.tiers, alarm.tiers, strict=False) if not s.holds]
    times = [*held, alarm.paused_until_mono_ms, alarm.suppressed_until_mono_ms, _escalates_at_ms(rule, alarm)]
    return min((at_ms for at_ms in times if at_ms is not None), default=None)


def acknowledge(rule: Rule, alarm: Alarm, who: str, now_ms: int) -> Did:
    """Somebody has seen it: silent until it rises or comes anew; a latched one ends."""
    if alarm.acknowledged_by:
        return alarm, []
    return happens("acknowledge", rule, alarm, Given(now_ms=now_ms, who=who))


def pause(rule: Rule, alarm: Alarm, who: str, until_ms: int, now_ms: int) -> Did:
    """Silent until a time; comes back by itself. An alarm that begins meanwhile sounds."""
    if not alarm.sounding:
        return alarm, []
    return happens("pause", rule, alarm, Given(now_ms=now_ms, who=who, until_ms=until_ms))


def audio_off(rule: Rule, alarm: Alarm, who: str, now_ms: int) -> Did:
    """Silent, with a reminder, until switched on again, until it rises or comes anew."""
    if alarm.acknowledged_by or alarm.audio_off_by:
        return alarm, []
    return happens("audio_off", rule, alarm, Given(now_ms=now_ms, who=who))


def audio_on(rule: Rule, alarm: Alarm, who: str, now_ms: int) -> Did:
    return happens("audio_on", rule, alarm, Given(now_ms=now_ms, who=who)) if alarm.audio_off_by else (alarm, [])


def suppress(rule: Rule, alarm: Alarm, by: str, reason: str, until_ms: int, now_ms: int) -> Did:
    """Shown without signal until a time at most. A high physiological one never is."""
    if rule.latches(alarm.level) or (alarm.suppressed_by, alarm.suppressed_until_mono_ms) == (by, until_ms):
        return alarm, []
    if alarm.suppressed_by == by:
        return replace(alarm, suppressed_until_mono_ms=until_ms), []
    return happens("suppress", rule, alarm, Given(now_ms=now_ms, by=by, reason=reason, until_ms=until_ms))


def unsuppress(rule: Rule, alarm: Alarm, reason: str, now_ms: int) -> Did:
    return (
        happens("unsuppress", rule, alarm, Given(now_ms=now_ms, reason=reason)) if alarm.suppressed_by else (alarm, [])
    )


def again(rule: Rule, alarm: Alarm, now_ms: int) -> Did:
    """It happened once more: whoever paused it or switched its sound off has not heard this one."""
    given = Given(now_ms=now_ms, reason="it happened again")
    changes: list[Change] = []
    if alarm.paused_until_mono_ms is not None:
        alarm, told = happens("pause_end", rule, alarm, given)
        changes += told
    if alarm.audio_off_by:
        alarm, told = happens("audio_on", rule, alarm, given)
        changes += told
    return alarm, changes


def phase_over(rule: Rule, alarm: Alarm, reason: str, now_ms: int) -> Did:
    """The rule is not judged now. What latches stays until somebody has seen it."""
    return happens("phase_over", rule, alarm, Given(now_ms=now_ms, reason=reason))


def end(rule: Rule, alarm: Alarm, reason: str, now_ms: int, who: str = "") -> Did:
    """The session or the rule ended: nothing is left to watch, and the record says so."""
    return happens("end", rule, alarm, Given(now_ms=now_ms, who=who, reason=reason))


def tier_of(rule: Rule, level: Level) -> Tier:
    """The tier that speaks for a level; the gentlest when none does."""
    return next((tier for tier in rule.tiers if tier.level == level), rule.tiers[0])


def _fitted(rule: Rule, alarm: Alarm) -> Tiers:
    """The tiers of an alarm that this rule has not judged yet, or had judged with other tiers: a present one stays, and
    its last value counts against the limits of today."""
    held = TierState(beyond_mono_ms=alarm.began_mono_ms, holds=True)

    def stays(tier: Tier) -> bool:
        beyond = tier is rule.tiers[0] if alarm.sample is None else tier.crossed(alarm.sample.value)
        return alarm.present and (beyond or RANK[tier.level] <= RANK[alarm.level])

    return tuple(held if stays(tier) else TierState() for tier in rule.tiers)


def _escalates_at_ms(rule: Rule, alarm: Alarm) -> int | None:
    """A pause, switched off audio and a suppression are somebody's doing: while they last nothing escalates."""
    if rule.escalate_s == 0 or alarm.level not in ESCALATES or alarm.escalated_mono_ms is not None:
        return None
    return alarm.unseen_mono_ms + round(rule.escalate_s * 1000) if alarm.sounding else None
