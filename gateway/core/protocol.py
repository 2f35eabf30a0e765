"""A clinical protocol as data: rules with their limits, the cuff schedule, and what readiness asks for.

Every number a clinician approves stands in `gateway/protocols/*.toml` and arrives here as these types.
"""

import hashlib
from functools import cached_property
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from gateway.wire import FallbackLimits

Identifier = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,31}$")]
Label = Annotated[str, Meta(min_length=1, max_length=80)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
SeenAge = Annotated[float, Meta(ge=60, le=14_400)]
"""How old an observation may be and still count; staff need a minute to enter one."""
SEEN_AGE_S = 1_800
"""Where a protocol does not say: twice the quarter of an hour at which patients are looked at in recovery."""
AlarmLevel = Literal["low", "medium", "high"]
RANK: dict[str, int] = {"none": 0, "low": 1, "medium": 2, "high": 3}

Measure = Literal[
    "spo2_pct", "pulse_bpm", "below_range",  # vitals
    "resp_bpm", "spo2_fall_pct", "pulse_fall_bpm", "pulse_rise_bpm",  # the falls and rises are within the rule's window
    "sys_mmhg", "dia_mmhg", "map_mmhg", "sys_rise_mmhg", "dia_rise_mmhg",  # cuff; the rises are over the baseline
    "above_range", "cuff_failures", "cuff_overdue_s",
    "vitals_age_s", "board_age_s", "unwatched_s", "finger_off", "poor_signal", "seat_left", "seat_without_session",
    "board_fault", "safe_mode", "clock_apart_s", "uncalibrated", "calibration_expired", "battery_pct",
    "nurse_call", "local_alarm",
]  # fmt: skip
Phase = Literal["before", "dosing", "recovery"]
PHASES: tuple[Phase, ...] = ("before", "dosing", "recovery")
Suppressor = Literal["cuff_hold", "away", "silence"]
Clock = Literal["first_dose", "last_dose", "dose_end"]
Item = Literal[
    "moaas", "cadss", "dissociation", "nausea", "pain", "gait", "oriented", "escort", "activity", "breathing", "oxygen",
]  # fmt: skip
"""What staff observe; the names of `wire.Observe`."""
Word = Literal["steady", "help", "unable", "deep", "limited", "apnoea"]
"""What staff see of the gait and the breathing, by its published scales from good to bad."""
WORD_VALUE: dict[str, int] = {"steady": 2, "help": 1, "unable": 0, "deep": 2, "limited": 1, "apnoea": 0}


class Tier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One level of a rule: the limit, and how long or for how many readings it must be crossed.

    Exactly one of `below`, `above` (both without the limit itself) and `reaches` (the limit or more).
    `depth_s` is a smart delay: the distance beyond the limit times the seconds there (for saturation %*s). The level
    holds as soon as it is reached, and never later than after `delay_s`. 0: by `delay_s` alone.
    """

    level: AlarmLevel
    below: float | None = None
    above: float | None = None
    reaches: float | None = None
    delay_s: Seconds = 0
    depth_s: Seconds = 0
    readings: Annotated[int, Meta(ge=1, le=5)] = 1

    @property
    def limits(self) -> list[tuple[str, float]]:
        """The sides given, with their numbers; a valid tier has one."""
        sides = (("below", self.below), ("above", self.above), ("reaches", self.reaches))
        return [(side, limit) for side, limit in sides if limit is not None]

    @property
    def limit(self) -> float:
        limit = self.below if self.below is not None else self.above if self.above is not None else self.reaches
        assert limit is not None
        return limit

    def crossed(self, value: float, margin: float = 0.0) -> bool:
        """Is `value` beyond the limit, or within `margin` of it on the inside?"""
        if self.below is not None:
            return value < self.below + margin
        if self.above is not None:
            return value > self.above - margin
        return self.reaches is not None and value >= self.reaches - margin


class SuppressedBy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What keeps a rule from sounding, and for how long at most: the cuff on the same arm (`cuff_hold`), staff who took
    the patient elsewhere (`away`), or a chair without data, which has its own alarm (`silence`)."""

    by: Suppressor
    at_most_s: Annotated[float, Meta(gt=0, le=3_600)]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One condition with its levels, gentlest first. `always`: judged without a session too. Outside its `phases` it is
    not judged, and an alarm that stood ends with the phase. `window_s` is how far back a fall or a rise looks. A medium
    or high alarm that nobody acknowledges for `escalate_s` is signalled one level higher; 0: never."""

    id: Identifier
    measure: Measure
    kind: Literal["physiological", "technical"]
    reason: Label
    unit: Annotated[str, Meta(max_length=8)] = ""
    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1, max_length=3)]
    hysteresis: Annotated[float, Meta(ge=0)] = 0
    clear_s: Seconds = 0
    window_s: Annotated[float, Meta(ge=0, le=3_600)] = 0
    escalate_s: Seconds = 0
    suppress: Annotated[tuple[SuppressedBy, ...], Meta(max_length=3)] = ()
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
    """What staff saw after a clock, and not too long ago. One of at_least, at_most, equals. An answer that is older
    than `age_max_s` is unknown, whatever it was: somebody has to look again."""

    id: Identifier
    label: Label
    item: Item
    since: Clock | None = None
    age_max_s: SeenAge = SEEN_AGE_S
    at_least: float | None = None
    at_most: float | None = None
    equals: bool | Word | None = None


class Quiet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="quiet"):
    """No alarm of at least a level for some time."""

    id: Identifier
    label: Label
    level: AlarmLevel
    for_s: Seconds


class Score(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="score"):
    """A published score (`core.scores`) of what was seen and measured after a clock; every item must be known."""

    id: Identifier
    label: Label
    score: Literal["aldrete", "padss"]
    at_least: Annotated[int, Meta(ge=1, le=10)]
    since: Clock
    pressure_age_max_s: Annotated[float, Meta(gt=0)]
    spo2_age_max_s: Annotated[float, Meta(ge=1, le=60)] = 60
    observed_age_max_s: SeenAge = SEEN_AGE_S


class Coverage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="coverage"):
    """The share of good saturations in the last minutes, live: what came late was not watched."""

    id: Identifier
    label: Label
    at_least_pct: Annotated[float, Meta(gt=0, le=100)]
    over_s: Annotated[float, Meta(ge=60, le=3_600)]


Criterion = Elapsed | Hold | NearBaseline | Observed | Quiet | Score | Coverage


class ObservationPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What staff are asked to look at: first when one of these phases has lasted `after_s`, and again when the last
    answer is `every_s` old; with 0 once in each phase."""

    id: Identifier
    item: Item
    label: Label
    phases: Annotated[tuple[Phase, ...], Meta(min_length=1, max_length=3)] = PHASES
    after_s: Seconds = 0
    every_s: Seconds = 0


class Protocol(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
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
    calibration_days_max: Annotated[float, Meta(ge=1, le=3_660)] = 366
    """A board whose calibration is older is said to be out of it."""
    observations: tuple[ObservationPlan, ...] = ()
    observed_age_max_s: SeenAge = SEEN_AGE_S
    """An observation that is older is left out of the scores that a screen shows."""
    permissions: dict[str, tuple[str, ...]] = {}
    """An action of `wire.actions`, by its name on the wire, and the roles that may do it; one not named is open to
    every role."""
    roles: tuple[Identifier, ...] = ("nurse", "physician", "lead")

    @cached_property
    def by_measure(self) -> dict[str, tuple[Rule, ...]]:
        """The rules that each measure goes to."""
        measures = {rule.measure for rule in self.rules}
        return {name: tuple(rule for rule in self.rules if rule.measure == name) for name in measures}


def content_hash(protocol: Protocol) -> str:
    """Names what is in effect, number by number: the first 12 hex digits of the SHA-256 of its canonical JSON."""
    # A number that a file gives and one that a type has by itself are the same: 0 is 0.0.
    plain = msgspec.convert(msgspec.to_builtins(protocol), Protocol)
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()[:12]


def fallback(protocol: Protocol) -> FallbackLimits:
    """What a board alone judges by: the limits of the gravest level of each rule."""

    def gravest(measure: Measure, *, low: bool) -> float:
        for rule in protocol.rules:
            tier = rule.tiers[-1]
            if rule.measure == measure and set(rule.phases) == set(PHASES) and (tier.below is not None) == low:
                return tier.limit
        raise ValueError(f"no rule for {measure} {'below' if low else 'above'} a limit")

    return FallbackLimits(
        spo2_low_pct=gravest("spo2_pct", low=True),
        pulse_low_bpm=gravest("pulse_bpm", low=True),
        pulse_high_bpm=gravest("pulse_bpm", low=False),
        sys_low_mmhg=gravest("sys_mmhg", low=True),
        sys_high_mmhg=gravest("sys_mmhg", low=False),
    )
