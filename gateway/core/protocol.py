"""A clinical protocol as data: rules with their limits, the cuff schedule, and what readiness asks for.

Every number a clinician approves stands in `gateway/protocols/*.toml` and arrives here as these types.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.wire import FallbackLimits

Identifier = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,31}$")]
Label = Annotated[str, Meta(min_length=1, max_length=80)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
AlarmLevel = Literal["low", "medium", "high"]
RANK: dict[str, int] = {"none": 0, "low": 1, "medium": 2, "high": 3}

Measure = Literal[
    "spo2_pct", "pulse_bpm", "below_range",  # vitals
    "sys_mmhg", "dia_mmhg", "map_mmhg", "sys_rise_mmhg", "dia_rise_mmhg",  # cuff; the rises are over the baseline
    "above_range", "cuff_failures", "cuff_overdue_s",
    "vitals_age_s", "unwatched_s", "finger_off", "poor_signal",
    "board_fault", "uncalibrated", "battery_pct", "nurse_call", "local_alarm",
]  # fmt: skip
Phase = Literal["before", "dosing", "recovery"]
PHASES: tuple[Phase, ...] = ("before", "dosing", "recovery")
Clock = Literal["first_dose", "last_dose", "dose_end"]


class Tier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One level of a rule: the limit, and how long or for how many readings it must be crossed.

    Exactly one of `below`, `above` (both without the limit itself) and `reaches` (the limit or more).
    """

    level: AlarmLevel
    below: float | None = None
    above: float | None = None
    reaches: float | None = None
    delay_s: Seconds = 0
    readings: Annotated[int, Meta(ge=1, le=5)] = 1

    @property
    def limits(self) -> list[tuple[str, float]]:
        """The sides given, with their numbers; a valid tier has one."""
        sides = (("below", self.below), ("above", self.above), ("reaches", self.reaches))
        return [(side, limit) for side, limit in sides if limit is not None]

    @property
    def limit(self) -> float:
        return self.limits[0][1]

    def crossed(self, value: float, margin: float = 0.0) -> bool:
        """Is `value` beyond the limit, or within `margin` of it on the inside?"""
        if self.below is not None:
            return value < self.below + margin
        if self.above is not None:
            return value > self.above - margin
        return self.reaches is not None and value >= self.reaches - margin


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One condition with its levels, gentlest first. `always`: judged without a session too. Outside its `phases` it is
    not judged, and an alarm that stood ends with the phase."""

    id: Identifier
    measure: Measure
    kind: Literal["physiological", "technical"]
    reason: Label
    unit: Annotated[str, Meta(max_length=8)] = ""
    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1, max_length=3)]
    hysteresis: Annotated[float, Meta(ge=0)] = 0
    clear_s: Seconds = 0
    always: bool = False
    phases: Annotated[tuple[Phase, ...], Meta(min_length=1, max_length=3)] = PHASES

    def latches(self, level: str) -> bool:
        return self.kind == "physiological" and level == "high"


class CuffSchedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    before_s: Seconds
    dosing_s: Seconds
    recovery_s: Seconds
    repeat_s: Annotated[float, Meta(ge=30, le=3_600)]
    """After a pressure over a limit or a failed measurement; the arm needs its rest."""

    def interval_s(self, phase: Phase) -> float:
        return {"before": self.before_s, "dosing": self.dosing_s, "recovery": self.recovery_s}[phase]

    def current_s(self, phase: Phase) -> float:
        """How long a reading is current: twice its interval. One taken by hand in a phase without automatic ones
        counts like the others."""
        return 2 * (self.interval_s(phase) or max(self.before_s, self.dosing_s, self.recovery_s, self.repeat_s))


class Elapsed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="elapsed"):
    """Long enough since a clock of the session."""

    id: Identifier
    label: Label
    since: Clock
    at_least_s: Seconds


class Hold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="hold"):
    """A value inside its range without a break. A gap in good readings over `gap_max_s` breaks it."""

    id: Identifier
    label: Label
    measure: Literal["spo2_pct", "pulse_bpm"]
    at_least: float
    at_most: float
    hold_s: Seconds
    since: Clock
    gap_max_s: Annotated[float, Meta(ge=1, le=60)] = 5
    unit: Annotated[str, Meta(max_length=8)] = ""


class NearBaseline(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="near_baseline"
):
    """The last cuff readings since a clock, each within a distance of the baseline."""

    id: Identifier
    label: Label
    sys_within_mmhg: Annotated[float, Meta(gt=0)]
    dia_within_mmhg: Annotated[float, Meta(gt=0)]
    readings: Annotated[int, Meta(ge=1, le=5)] = 1
    spacing_s: Seconds = 0
    since: Clock
    age_max_s: Annotated[float, Meta(gt=0)]


class Observed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="observed"):
    """What staff saw after a clock. One of at_least, at_most, equals."""

    id: Identifier
    label: Label
    item: Literal["moaas", "dissociation", "nausea", "gait_steady", "oriented", "escort"]
    since: Clock | None = None
    at_least: float | None = None
    at_most: float | None = None
    equals: bool | None = None


class Quiet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="quiet"):
    """No alarm of at least a level for some time."""

    id: Identifier
    label: Label
    level: AlarmLevel
    for_s: Seconds


Criterion = Elapsed | Hold | NearBaseline | Observed | Quiet


class Protocol(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
    title: Label
    notice: Annotated[str, Meta(max_length=300)]
    rules: tuple[Rule, ...]
    cuff: CuffSchedule
    criteria: tuple[Criterion, ...]
    live_s: Annotated[float, Meta(gt=0, le=10)]
    """Vitals older than this are history, and greyed."""
    lost_s: Annotated[float, Meta(gt=0, le=120)]
    """Vitals older than this are not shown at all."""
    audio_pause_s: Annotated[float, Meta(gt=0, le=300)]


def fallback(protocol: Protocol) -> FallbackLimits:
    """What a board alone judges by: the limits of the gravest level of each rule."""

    def gravest(measure: Measure, *, low: bool) -> float:
        for rule in protocol.rules:
            tier = rule.tiers[-1]
            if rule.measure == measure and (tier.below is not None) == low:
                return tier.limit
        raise ValueError(f"no rule for {measure} {'below' if low else 'above'} a limit")

    return FallbackLimits(
        spo2_low_pct=gravest("spo2_pct", low=True),
        pulse_low_bpm=gravest("pulse_bpm", low=True),
        pulse_high_bpm=gravest("pulse_bpm", low=False),
        sys_low_mmhg=gravest("sys_mmhg", low=True),
        sys_high_mmhg=gravest("sys_mmhg", low=False),
    )
