"""One rule is one condition with levels; this is its state and its table.

Condition, after IEC 60601-1-8 (structure; no clause text was read):

                 beyond a limit            for its delay                 inside, margin kept
    normal ───────────────────▶ pending ─────────────────▶ active ◀──────────────────▶ clearing
      ▲  ▲ ◀─────────────────────┘ inside                      again beyond                │
      │  └─────────────────────────────────────────────────────────────────────────────────┤ inside for clear_s
      └── acknowledged ── latched ◀── an unacknowledged high physiological one ─────────────┘

Apart from the condition stand the level, the acknowledgement and the pause. A reading that is absent or bad is no
sample: it never clears, and a delay that has begun goes on. Sensor time starts a delay, the gateway's own clock ends
it, so a stream that stops cannot hold an alarm back.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.protocol import RANK, Rule, Tier
from gateway.wire import Level

Condition = Literal["normal", "pending", "active", "clearing", "latched"]
What = Literal[
    "raised", "level", "clearing", "returned", "latched", "cleared", "acknowledged", "paused", "sounding"
]  # fmt: skip


class Sample(Struct, frozen=True, kw_only=True):
    """A good value. `origin` names the record that brought it; `delay_ms` is sensor to gateway."""

    value: float
    at_mono_ms: int
    origin: str
    delay_ms: int = 0


class TierState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    beyond_mono_ms: int | None = None
    origin: str = ""
    """The record that first went beyond."""
    readings: int = 0
    holds: bool = False
    """Beyond for its delay and readings; until the value was inside, with its margin, for clear_s."""
    inside_mono_ms: int | None = None


class Alarm(Struct, frozen=True, kw_only=True, omit_defaults=True):
    condition: Condition = "normal"
    level: Level = "none"
    peak: Level = "none"
    """The gravest level of this episode; what decides about latching."""
    id: str = ""
    tiers: tuple[TierState, ...] = ()
    sample: Sample | None = None
    began_mono_ms: int = 0
    raised_mono_ms: int = 0
    acknowledged_by: str = ""
    paused_until_mono_ms: int | None = None

    @property
    def present(self) -> bool:
        return self.condition in ("active", "clearing")

    @property
    def sounding(self) -> bool:
        return self.present and not self.acknowledged_by and self.paused_until_mono_ms is None

    @property
    def shown(self) -> bool:
        return self.present or self.condition == "latched"


class Change(Struct, frozen=True, kw_only=True):
    """One transition, for the wire and the record."""

    rule: Rule
    what: What
    before: Alarm
    after: Alarm
    at_mono_ms: int
    who: str = ""
    reason: str = ""


def judge(rule: Rule, alarm: Alarm, sample: Sample | None, now_ms: int, episode: str) -> tuple[Alarm, list[Change]]:
    """The alarm after a good sample, or after time alone (no sample). `episode` makes ids: session and rule."""
    quiet = alarm.condition == "normal" and len(alarm.tiers) == len(rule.tiers)
    if quiet and sample is not None and not any(tier.crossed(sample.value) for tier in rule.tiers):
        # Nearly every sample there is: nothing was beyond a limit and nothing is.
        return replace(alarm, sample=sample), []
    tiers = alarm.tiers if len(alarm.tiers) == len(rule.tiers) else _fitted(rule, alarm)
    if sample is not None:
        tiers = tuple(_sampled(rule, t, s, sample) for t, s in zip(rule.tiers, tiers, strict=True))
    tiers = _timed(rule, tiers, now_ms)
    judged = replace(alarm, tiers=tiers, sample=sample or alarm.sample)
    level = _level(rule, tiers)
    if alarm.present:
        return _goes_on(rule, alarm, judged, level, now_ms)
    if level != "none":
        return _raised(rule, alarm, judged, level, now_ms, episode)
    if alarm.condition == "latched":
        return judged, []
    beyond = [tier.beyond_mono_ms for tier in tiers if tier.beyond_mono_ms is not None]
    if not beyond:
        return replace(judged, condition="normal", began_mono_ms=0), []
    return replace(judged, condition="pending", began_mono_ms=min(beyond)), []


def acknowledge(rule: Rule, alarm: Alarm, who: str, now_ms: int) -> tuple[Alarm, list[Change]]:
    """Somebody has seen it: silent until it rises or comes anew; a latched one ends."""
    if alarm.condition == "latched":
        after = _rest(alarm)
    elif alarm.present and not alarm.acknowledged_by:
        after = replace(alarm, acknowledged_by=who, paused_until_mono_ms=None)
    else:
        return alarm, []
    change = Change(rule=rule, what="acknowledged", before=alarm, after=after, at_mono_ms=now_ms, who=who)
    return after, [change]


def pause(rule: Rule, alarm: Alarm, who: str, until_ms: int, now_ms: int) -> tuple[Alarm, list[Change]]:
    """Silent until a time; comes back by itself. An alarm that begins meanwhile sounds."""
    if not alarm.sounding:
        return alarm, []
    after = replace(alarm, paused_until_mono_ms=until_ms)
    return after, [Change(rule=rule, what="paused", before=alarm, after=after, at_mono_ms=now_ms, who=who)]


def end(rule: Rule, alarm: Alarm, reason: str, now_ms: int, who: str = "") -> tuple[Alarm, list[Change]]:
    """The session or the rule ended: nothing is left to watch, and the record says so."""
    if not alarm.shown:
        return Alarm(), []
    change = Change(rule=rule, what="cleared", before=alarm, after=Alarm(), at_mono_ms=now_ms, who=who, reason=reason)
    return Alarm(), [change]


def tier_of(rule: Rule, level: Level) -> Tier:
    """The tier that speaks for a level; the gentlest when none does."""
    return next((tier for tier in rule.tiers if tier.level == level), rule.tiers[0])


def _fitted(rule: Rule, alarm: Alarm) -> tuple[TierState, ...]:
    """The tiers of an alarm that this rule has not judged yet, or had judged with other tiers: a present one stays."""
    held = TierState(beyond_mono_ms=alarm.began_mono_ms, holds=True)
    return tuple(
        held if alarm.present and RANK[tier.level] <= RANK[alarm.level] else TierState() for tier in rule.tiers
    )


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
        return TierState(beyond_mono_ms=sample.at_mono_ms, origin=sample.origin, readings=1)
    return replace(state, readings=state.readings + 1)


def _timed(rule: Rule, tiers: tuple[TierState, ...], now_ms: int) -> tuple[TierState, ...]:
    """Tiers whose delay is over hold. Beyond a graver limit is beyond a gentler one: that needs no delay of its own,
    or a value between the two would seem to have ended the alarm."""
    timed: list[TierState] = []
    graver = False
    for tier, state in zip(reversed(rule.tiers), reversed(tiers), strict=True):
        if not state.holds and state.beyond_mono_ms is not None:
            due = now_ms - state.beyond_mono_ms >= tier.delay_s * 1000 and state.readings >= tier.readings
            state = replace(state, holds=graver or due)  # noqa: PLW2901
        graver = graver or state.holds
        timed.append(state)
    return tuple(reversed(timed))


def _level(rule: Rule, tiers: tuple[TierState, ...]) -> Level:
    for tier, state in zip(reversed(rule.tiers), reversed(tiers), strict=True):
        if state.holds:
            return tier.level
    return "none"


def _raised(
    rule: Rule, alarm: Alarm, judged: Alarm, level: Level, now_ms: int, episode: str
) -> tuple[Alarm, list[Change]]:
    began_ms, origin = min((t.beyond_mono_ms, t.origin) for t in judged.tiers if t.beyond_mono_ms is not None)
    after = Alarm(
        condition="active",
        level=level,
        # One that latched and that nobody has seen goes on in this one: it latches again.
        peak=max(level, alarm.peak, key=RANK.__getitem__),
        # Named by the record that began it: a gateway that comes back from a crash says the same name.
        id=f"{episode}-{origin}",
        tiers=judged.tiers,
        sample=judged.sample,
        began_mono_ms=began_ms,
        raised_mono_ms=now_ms,
    )
    return after, [Change(rule=rule, what="raised", before=alarm, after=after, at_mono_ms=now_ms)]


def _goes_on(rule: Rule, alarm: Alarm, judged: Alarm, level: Level, now_ms: int) -> tuple[Alarm, list[Change]]:
    if level == "none":
        return _over(rule, alarm, judged, now_ms)
    changes: list[Change] = []
    if level != alarm.level:
        risen = RANK[level] > RANK[alarm.level]
        judged = replace(
            judged,
            level=level,
            peak=level if RANK[level] > RANK[alarm.peak] else alarm.peak,
            acknowledged_by="" if risen else alarm.acknowledged_by,
            paused_until_mono_ms=None if risen else alarm.paused_until_mono_ms,
        )
        changes.append(Change(rule=rule, what="level", before=alarm, after=judged, at_mono_ms=now_ms))
    clearing = all(tier.inside_mono_ms is not None for tier in judged.tiers if tier.holds)
    if clearing != (alarm.condition == "clearing"):
        before = judged
        judged = replace(judged, condition="clearing" if clearing else "active")
        what: What = "clearing" if clearing else "returned"
        changes.append(Change(rule=rule, what=what, before=before, after=judged, at_mono_ms=now_ms))
    if judged.paused_until_mono_ms is not None and now_ms >= judged.paused_until_mono_ms:
        before = judged
        judged = replace(judged, paused_until_mono_ms=None)
        changes.append(Change(rule=rule, what="sounding", before=before, after=judged, at_mono_ms=now_ms))
    return judged, changes


def _over(rule: Rule, alarm: Alarm, judged: Alarm, now_ms: int) -> tuple[Alarm, list[Change]]:
    if rule.latches(alarm.peak) and not alarm.acknowledged_by:
        after = replace(judged, condition="latched", level=alarm.peak, paused_until_mono_ms=None)
        return after, [Change(rule=rule, what="latched", before=alarm, after=after, at_mono_ms=now_ms)]
    after = _rest(judged)
    return after, [Change(rule=rule, what="cleared", before=alarm, after=after, at_mono_ms=now_ms)]


def _rest(alarm: Alarm) -> Alarm:
    """Normal or pending, whatever the tiers say, with nothing of the episode left."""
    beyond = [tier.beyond_mono_ms for tier in alarm.tiers if tier.beyond_mono_ms is not None]
    if not beyond:
        return Alarm(tiers=alarm.tiers, sample=alarm.sample)
    return Alarm(condition="pending", tiers=alarm.tiers, sample=alarm.sample, began_mono_ms=min(beyond))
