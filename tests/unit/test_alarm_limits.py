"""Limits that are more than a number: smart delays, falls and rises within a window; and the delays measured."""

import pytest
from alarm_chair import INSIDE, Chair
from core_helpers import rule
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import changes
from gateway.core.changes import EXTREMES_MAX, change, with_value
from gateway.core.protocol import Rule, Tier

DEEP = rule(Tier(level="medium", below=90, delay_s=10, depth_s=20))
FALL = rule(Tier(level="low", reaches=4), id="falling", measure="spo2_fall_pct", window_s=60, hysteresis=1)


def seconds_to_alarm(one: Rule, *values: float) -> float:
    """From the first of the values, one a second, the last for as long as it takes; ticks between."""
    chair = Chair(one)
    chair.starts()
    chair.good(INSIDE)
    began_ms = chair.now_ms + 1_000
    for value in [*values, *[values[-1]] * 30]:
        chair.passes(0.9)
        chair.good(value, after_s=0.1)
        if chair.alarm.present:
            return (chair.alarm.raised_mono_ms - began_ms) / 1_000
    raise AssertionError("no alarm")


# ---- smart delay ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spo2_pct", "after_s"), [(89.9, 10), (89, 10), (88, 10), (87, 6.7), (86, 5), (80, 2), (70, 1), (60, 0.7)]
)
def test_deeper_is_sooner_and_never_later_than_the_delay(spo2_pct: float, after_s: float) -> None:
    """Points below the limit times seconds: 20 here. A tick ends it, between two readings as well."""
    assert seconds_to_alarm(DEEP, spo2_pct) == pytest.approx(after_s, abs=0.05)


def test_the_depth_adds_up_over_a_fall() -> None:
    """1, 2, 3, 4, 5 points under the limit, a second each, are 15; the next 5 come within the sixth second."""
    assert seconds_to_alarm(DEEP, 89, 88, 87, 86, 85, 80) == pytest.approx(5.5, abs=0.05)


def test_a_good_value_inside_begins_the_depth_anew() -> None:
    """Short dips, however deep, do not add up to an alarm: each is over before it is one."""
    chair = Chair(DEEP)
    chair.starts()
    for _ in range(20):
        chair.good(81, INSIDE)
    assert chair.changes == []


def test_the_depth_goes_on_through_bad_readings() -> None:
    """As every delay does: 84 is six points under, also while the probe moves."""
    chair = Chair(DEEP)
    chair.starts()
    chair.good(84)
    for _ in range(3):
        chair.reads(quality="motion")
    assert not chair.alarm.present
    chair.reads(quality="motion")
    assert chair.alarm.present


# ---- falls and rises ------------------------------------------------------------------------------------------


def test_a_fall_within_its_window_is_an_alarm_and_a_slow_one_is_not() -> None:
    """Four points in a minute, not in four."""
    quick, slow = Chair(FALL), Chair(FALL)
    for chair in (quick, slow):
        chair.starts()
        chair.good(*[98.0] * 5)
    quick.good(*[97.0, 96.0, 95.0, 94.0])
    assert (quick.alarm.level, quick.shown.alarms[0].value, quick.shown.alarms[0].limit) == ("low", 4.0, 4)
    for step in range(5):
        slow.good(*[98.0 - step] * 61)
    assert slow.changes == []


def test_a_fall_ends_when_the_value_is_steady_or_back() -> None:
    """A minute after its height nothing of it is in the window; a value that comes back ends it at once."""
    steady, back = Chair(FALL), Chair(FALL)
    for chair in (steady, back):
        chair.starts()
        chair.good(98.0, 93.0)
        assert chair.alarm.present
    steady.good(*[93.0] * 57)
    assert steady.alarm.present
    steady.good(*[93.0] * 5)
    assert not steady.alarm.present
    back.good(96.0)
    assert not back.alarm.present


def test_a_bad_value_is_no_fall_and_ends_none() -> None:
    """A probe that comes off falls to nothing, which is no number."""
    chair = Chair(FALL)
    chair.starts()
    chair.good(98.0)
    chair.reads(quality="no_finger")
    assert not chair.alarm.present
    chair.good(93.0)
    for _ in range(70):
        chair.reads(quality="no_finger")
    assert chair.alarm.present


values = st.lists(st.tuples(st.integers(1, 4_000), st.floats(40, 100)), min_size=1, max_size=200)


@given(values, st.sampled_from(sorted(changes.SOURCES)))
def test_a_window_is_bounded_and_never_finds_more_than_there_was(story: list[tuple[int, float]], measure: str) -> None:
    """At most a few dozen numbers. What it says lies between the change over the whole window and over one that is a
    thirtieth shorter."""
    window, now_ms, seen, sign = (), 0, [], changes.SOURCES[measure][1]  # type: ignore[index]
    for after_ms, value in story:
        now_ms += after_ms
        seen.append((now_ms, value))
        window = with_value(window, measure, value, now_ms, 30_000)  # type: ignore[arg-type]
        assert len(window) <= EXTREMES_MAX + 1
        found = change(window, measure, value)  # type: ignore[arg-type]
        whole, shorter = (
            max(sign * (one - value) for at_ms, one in seen if now_ms - at_ms <= back_ms)
            for back_ms in (30_000, 29_000)
        )
        assert shorter <= found <= whole


# ---- what is measured -----------------------------------------------------------------------------------------


def test_a_transition_carries_how_long_condition_and_signal_took() -> None:
    """A tick that came 70 ms after the delay was over took 70 ms to signal; a reading signals as it comes."""
    chair = Chair(rule(Tier(level="medium", below=90, delay_s=10), Tier(level="high", below=85)))
    chair.starts()
    chair.good(88)
    chair.passes(9.9)
    chair.now_ms += 70
    chair.passes(0.1)
    chair.good(80)
    assert [(one.what, one.condition_delay_ms, one.signal_delay_ms) for one in chair.changes] == [
        ("raised", 10_000, 70),
        ("level", 0, 0),
    ]
