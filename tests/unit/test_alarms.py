"""One rule's alarm: levels, delays, names, and what must hold for any sequence; its table is in test_alarm_table.py."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import pytest
from core_helpers import rule
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import alarms
from gateway.core.alarms import Alarm, Change, Sample
from gateway.core.protocol import RANK, Tier

MEDIUM = Tier(level="medium", below=90, delay_s=10)
HIGH = Tier(level="high", below=85)
SPO2 = rule(MEDIUM, HIGH, hysteresis=1, clear_s=3)
T0_MS = 1_000_000
INSIDE, BAND, BEYOND_MEDIUM, BEYOND_HIGH = 95.0, 90.5, 88.0, 84.0
PAUSE_S = 120

Did = tuple[Alarm, list[Change]]


class Input(NamedTuple):
    """Something that happens so long after what was before."""

    after_s: float
    act: Callable[[Alarm, int], Did]


def sample(value: float, at_ms: int, origin: str = "") -> Sample:
    return Sample(value=value, at_mono_ms=at_ms, origin=origin or f"boot-{at_ms}")


def good(value: float, after_s: float = 1) -> Input:
    """A good value, measured when it arrives."""
    return Input(after_s, lambda alarm, now_ms: alarms.judge(SPO2, alarm, sample(value, now_ms), now_ms, "s-1"))


def nothing(after_s: float) -> Input:
    """Time alone; a reading that is absent or bad is the same."""
    return Input(after_s, lambda alarm, now_ms: alarms.judge(SPO2, alarm, None, now_ms, "s-1"))


acknowledge = Input(1, lambda alarm, now_ms: alarms.acknowledge(SPO2, alarm, "A. Nurse", now_ms))
pause = Input(1, lambda alarm, now_ms: alarms.pause(SPO2, alarm, "A. Nurse", now_ms + PAUSE_S * 1000, now_ms))
end = Input(1, lambda alarm, now_ms: alarms.end(SPO2, alarm, "the session ended", now_ms))


def run(inputs: Sequence[Input]) -> list[Did]:
    alarm, now_ms, story = Alarm(), T0_MS, []
    for one in inputs:
        now_ms += round(one.after_s * 1000)
        alarm, changes = one.act(alarm, now_ms)
        story.append((alarm, changes))
    return story


def after(*inputs: Input) -> Alarm:
    return run(inputs)[-1][0]


def told(did: Did) -> str:
    """What a display and a record would say: condition, level, audio, transitions."""
    alarm, changes = did
    audio = "sounds" if alarm.sounding else "-"
    if alarm.acknowledged_by:
        audio = "acknowledged"
    elif alarm.paused_until_mono_ms is not None:
        audio = "paused"
    return " ".join([alarm.condition, alarm.level, audio, *(change.what for change in changes)])


CONDITIONS: dict[str, tuple[Input, ...]] = {
    "normal": (),
    "pending": (good(BEYOND_MEDIUM),),
    "active medium": (good(BEYOND_MEDIUM), nothing(10)),
    "active high": (good(BEYOND_HIGH),),
    "clearing medium": (good(BEYOND_MEDIUM), nothing(10), good(INSIDE)),
    "clearing high": (good(BEYOND_HIGH), good(INSIDE)),
    "latched": (good(BEYOND_HIGH), good(INSIDE), good(INSIDE, 4)),
    "acknowledged medium": (good(BEYOND_MEDIUM), nothing(10), acknowledge),
    "acknowledged high": (good(BEYOND_HIGH), acknowledge),
    "acknowledged clearing high": (good(BEYOND_HIGH), acknowledge, good(INSIDE)),
    "paused medium": (good(BEYOND_MEDIUM), nothing(10), pause),
}

# ---- level, acknowledgement, pause ----------------------------------------------------------------------------


def test_a_rise_names_who_had_acknowledged_no_more() -> None:
    """A graver level sounds again and voids the acknowledgement."""
    risen, changes = run((*CONDITIONS["acknowledged medium"], good(BEYOND_HIGH)))[-1]
    assert (risen.acknowledged_by, risen.sounding, risen.level) == ("", True, "high")
    assert changes[0].before.level == "medium"


def test_a_fall_keeps_the_acknowledgement() -> None:
    """From high to medium nobody is called again; seen while high, it ends as normal."""
    fallen = (*CONDITIONS["acknowledged high"], good(BEYOND_MEDIUM), good(BEYOND_MEDIUM, 4))
    assert told(run(fallen)[-1]) == "active medium acknowledged level"
    assert told(run((*fallen, good(INSIDE), good(INSIDE, 4)))[-1]) == "normal none - cleared"


def test_a_fall_keeps_the_sound() -> None:
    """An alarm that nobody has seen goes on sounding at its lower level."""
    fallen = (*CONDITIONS["active high"], good(BEYOND_MEDIUM), good(BEYOND_MEDIUM, 4))
    assert told(run(fallen)[-1]) == "active medium sounds level"


def test_a_high_alarm_latches_though_it_fell_to_medium_before_its_end() -> None:
    """The gravest level of the episode decides."""
    fallen = (*CONDITIONS["active high"], good(BEYOND_MEDIUM), good(BEYOND_MEDIUM, 4))
    assert told(run((*fallen, good(INSIDE), good(INSIDE, 4)))[-1]) == "latched high - latched"


A_MEDIUM_ONE_AFTER_IT = (*CONDITIONS["latched"], good(BEYOND_MEDIUM), nothing(11))


def test_what_is_latched_survives_a_gentler_episode_that_ends_by_itself() -> None:
    """Nobody has seen the high one yet: a medium one that comes and goes must not take it away."""
    over = (*A_MEDIUM_ONE_AFTER_IT, good(INSIDE), good(INSIDE, 4))
    assert told(run(over)[-1]) == "latched high - latched"
    assert told(run((*over, acknowledge))[-1]) == "normal none - acknowledged"


def test_a_gentler_episode_that_is_acknowledged_takes_the_latched_one_with_it() -> None:
    """Somebody was there: normal afterwards."""
    seen = (*A_MEDIUM_ONE_AFTER_IT, acknowledge, good(INSIDE), good(INSIDE, 4))
    assert told(run(seen)[-1]) == "normal none - cleared"


@pytest.mark.parametrize(
    ("kind", "level", "ends_as"),
    [
        ("physiological", "high", "latched"),
        ("physiological", "medium", "normal"),
        ("physiological", "low", "normal"),
        ("technical", "high", "normal"),
        ("technical", "medium", "normal"),
    ],
)
def test_only_high_physiological_latches(kind: str, level: str, ends_as: str) -> None:
    """Technical alarms never latch, nor do gentler ones."""
    one = rule(Tier(level=level, below=90), kind=kind)  # type: ignore[arg-type]
    alarm, _ = alarms.judge(one, Alarm(), sample(80, T0_MS), T0_MS, "e")
    alarm, _ = alarms.judge(one, alarm, sample(95, T0_MS + 1000), T0_MS + 1000, "e")
    assert alarm.condition == ends_as


def test_a_pause_returns_by_itself_at_its_time() -> None:
    """Not a moment later, and without any reading."""
    paused = CONDITIONS["paused medium"]
    assert told(run((*paused, nothing(119.999)))[-1]) == "active medium paused"
    assert told(run((*paused, nothing(120)))[-1]) == "active medium sounds sounding"


# ---- delays, limits -------------------------------------------------------------------------------------------


def test_a_delay_starts_by_sensor_time_and_ends_by_the_gateways_clock() -> None:
    """A reading that was 2 s on its way leaves 8 of 10 s."""
    alarm, _ = alarms.judge(SPO2, Alarm(), sample(88, T0_MS), T0_MS + 2_000, "e")
    assert alarms.judge(SPO2, alarm, None, T0_MS + 9_999, "e")[0].condition == "pending"
    assert alarms.judge(SPO2, alarm, None, T0_MS + 10_000, "e")[0].condition == "active"


@pytest.mark.parametrize(
    ("side", "beyond", "inside"),
    [("below", 89.9, 90.0), ("above", 90.1, 90.0), ("reaches", 90.0, 89.9)],
)
def test_a_limit_at_its_number(side: str, beyond: float, inside: float) -> None:
    """`below` and `above` are without the limit itself, `reaches` is with it."""
    tier = Tier(level="low", **{side: 90.0})  # type: ignore[arg-type]
    assert tier.crossed(beyond)
    assert not tier.crossed(inside)


def test_two_readings_are_asked_for() -> None:
    """With `readings = 2` the first crossing is not enough, and one inside begins the count anew."""
    one = rule(Tier(level="medium", reaches=160, readings=2))
    alarm = Alarm()
    heard = []
    for at_s, value in enumerate((165, 150, 165, 165)):
        alarm, _ = alarms.judge(one, alarm, sample(value, T0_MS + at_s * 1000), T0_MS + at_s * 1000, "e")
        heard.append(alarm.condition)
    assert heard == ["pending", "normal", "pending", "active"]


# ---- names ----------------------------------------------------------------------------------------------------


def test_an_alarm_is_named_by_the_record_that_began_it() -> None:
    """Not by the one that ended its delay."""
    alarm, _ = alarms.judge(SPO2, Alarm(), sample(88, T0_MS, "boot-7"), T0_MS, "s-1-spo2_low")
    alarm, _ = alarms.judge(SPO2, alarm, sample(87, T0_MS + 9_000, "boot-16"), T0_MS + 9_000, "s-1-spo2_low")
    alarm, changes = alarms.judge(SPO2, alarm, None, T0_MS + 10_000, "s-1-spo2_low")
    assert alarm.id == "s-1-spo2_low-boot-7"
    assert changes[0].after.id == alarm.id


@pytest.mark.parametrize("before", ["latched", "acknowledged"])
def test_an_alarm_after_a_latched_one_is_named_by_its_own_beginning(before: str) -> None:
    """Whether or not the latched one was acknowledged while the delay of the next ran."""
    began_ms = T0_MS + 60_000
    alarm, _ = alarms.judge(SPO2, after(*CONDITIONS["latched"]), sample(88, began_ms, "boot-70"), began_ms, "e")
    if before == "acknowledged":
        alarm, _ = alarms.acknowledge(SPO2, alarm, "A. Nurse", began_ms + 1000)
    alarm, _ = alarms.judge(SPO2, alarm, sample(88, began_ms + 2000, "boot-72"), began_ms + 2000, "e")
    alarm, changes = alarms.judge(SPO2, alarm, None, began_ms + 10_000, "e")
    assert [change.what for change in changes] == ["raised"]
    assert alarm.id == "e-boot-70"


# ---- for any sequence -----------------------------------------------------------------------------------------

steps = st.lists(
    st.one_of(
        st.builds(good, st.sampled_from([INSIDE, BAND, BEYOND_MEDIUM, BEYOND_HIGH]), st.sampled_from([0.1, 1, 3, 11])),
        st.builds(nothing, st.sampled_from([0.1, 3, 11, 130])),
        st.sampled_from([acknowledge, pause]),
    ),
    max_size=40,
)


@given(steps)
def test_no_alarm_goes_without_saying_so(inputs: list[Input]) -> None:
    """What is present leaves by `cleared` or `latched`; what is latched leaves by `acknowledged` or a new alarm."""
    for (before, _), (now, changes) in pairwise([(Alarm(), []), *run(inputs)]):
        said = {change.what for change in changes}
        if before.present and not now.present:
            assert said & {"cleared", "latched"}
        if before.condition == "latched" and now.condition != "latched":
            assert said & {"acknowledged", "raised"}


@given(steps)
def test_an_unseen_high_alarm_stays_until_somebody_acknowledges(inputs: list[Input]) -> None:
    """Whatever comes between."""
    unseen = False
    for one, (now, changes) in zip(inputs, run(inputs), strict=True):
        if any(change.what in ("raised", "level") and change.after.level == "high" for change in changes):
            unseen = True
        if one is acknowledge:
            unseen = False
        assert now.shown or not unseen


@given(steps)
def test_what_sounds_is_present_and_time_alone_ends_nothing(inputs: list[Input]) -> None:
    """Nor does an absent or bad reading, which is the same to a rule."""
    for now, _ in run(inputs):
        assert now.present or not now.sounding
        assert now.shown == (now.level != "none")
        assert RANK[now.peak] >= RANK[now.level]
        later, changes = alarms.judge(SPO2, now, None, T0_MS + 10_000_000, "e")
        assert later.shown or not now.shown
        assert not {change.what for change in changes} & {"cleared", "latched", "clearing"}


@given(steps)
def test_the_changes_of_a_story_join(inputs: list[Input]) -> None:
    """Each begins where the one before ended, so that a record of them is a whole history."""
    changes = [change for _, some in run(inputs) for change in some]
    for earlier, later in pairwise(changes):
        if earlier.after.shown:
            assert (later.before.condition, later.before.level) == (earlier.after.condition, earlier.after.level)


@given(steps)
def test_the_same_records_make_the_same_names(inputs: list[Input]) -> None:
    """A gateway that judges them again after a crash says the same ids, and no two episodes share one."""
    names = [change.after.id for _, changes in run(inputs) for change in changes if change.what == "raised"]
    assert names == [c.after.id for _, changes in run(inputs) for c in changes if c.what == "raised"]
    assert len(set(names)) == len(names)
