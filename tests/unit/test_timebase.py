"""A board's clock in the gateway's time: by the least delayed message, and never from the future."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from gateway.core.timebase import TimeMap, fed, sensor_mono_ms

BOARD_ON_MS = 5_000_000


def heard(sent_and_delay: list[tuple[int, int]], ppm: int = 0) -> TimeMap:
    """The map after messages that a board, whose clock is off by `ppm`, sent at real times with delays."""
    time_map = None
    for sent_ms, delay_ms in sent_and_delay:
        time_map = fed(time_map, "b1", up_ms(sent_ms, ppm), BOARD_ON_MS + sent_ms + delay_ms)
    assert time_map is not None
    return time_map


def up_ms(sent_ms: int, ppm: int) -> int:
    return sent_ms + sent_ms * ppm // 1_000_000


def test_one_quick_message_corrects_the_slow_ones() -> None:
    """A message cannot arrive before it was sent, so the smallest delay is nearest to the truth."""
    time_map = heard([(1_000, 900), (2_000, 20), (3_000, 700)])
    assert sensor_mono_ms(time_map, 3_000, 0) == BOARD_ON_MS + 3_000 + 20


def test_age_is_counted_back() -> None:
    """A value that was 400 ms old when it was sent is 400 ms older."""
    assert sensor_mono_ms(heard([(1_000, 0)]), 1_000, 400) == BOARD_ON_MS + 600


@settings(max_examples=examples(20), deadline=None)
@given(st.sampled_from([-50, 50]), st.integers(0, 2**32))
def test_a_drifting_clock_is_followed(ppm: int, seed: int) -> None:
    """50 ppm for two hours are 360 ms; the map stays within the delays and what drifts in its two minutes."""
    chance = random.Random(seed)
    sent = [(second * 12_000, chance.randint(0, 150)) for second in range(600)]
    time_map = heard(sent, ppm)
    last_ms = sent[-1][0]
    error_ms = sensor_mono_ms(time_map, up_ms(last_ms, ppm), 0) - (BOARD_ON_MS + last_ms)
    assert -10 <= error_ms <= 150


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200))
def test_no_value_is_from_the_future(delays_ms: list[int]) -> None:
    """Whatever the delays, a message that arrives now was true now or before; and later messages are later."""
    time_map, before_ms, now_ms = None, 0, 0
    for second, delay_ms in enumerate(delays_ms):
        # One link keeps the order.
        now_ms = max(now_ms, BOARD_ON_MS + second * 1000 + delay_ms)
        time_map = fed(time_map, "b1", second * 1000, now_ms)
        at_ms = sensor_mono_ms(time_map, second * 1000, 0)
        assert before_ms <= at_ms <= now_ms
        before_ms = at_ms


def test_the_best_of_the_last_minute_counts_on() -> None:
    """A minute that begins with a slow message does not forget the quick ones before."""
    time_map = heard([(1_000, 20), (62_000, 900)])
    assert sensor_mono_ms(time_map, 62_000, 0) == BOARD_ON_MS + 62_000 + 20


def test_a_new_boot_starts_afresh() -> None:
    """Its clock began at another moment."""
    time_map = fed(heard([(1_000, 0)]), "b2", 50, 9_000_000)
    assert sensor_mono_ms(time_map, 50, 0) == 9_000_000


def test_resent_records_do_not_turn_a_map_that_was_not_fed() -> None:
    """A board whose live records stop keeps its map; only a live one that comes sooner, or two minutes, move it."""
    before = heard([(1_000, 20)])
    assert fed(before, "b1", up_ms(200_000, 0), BOARD_ON_MS + 205_000).offset_mono_ms == BOARD_ON_MS + 5_000
    late = fed(before, "b1", up_ms(50_000, 0), BOARD_ON_MS + 55_000)
    assert sensor_mono_ms(late, 50_000, 0) == BOARD_ON_MS + 50_020


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.integers(0, 2_000), min_size=3, max_size=300), st.integers(0, 600))
def test_a_radio_that_is_slow_for_minutes_is_believed_in_the_end(delays_ms: list[int], extra_ms: int) -> None:
    """A delay that stays is learned within two minutes, and until then values look older than they are, never newer."""
    slow = [(1_000 * second, delay_ms) for second, delay_ms in enumerate(delays_ms)]
    steady = [(1_000 * (len(slow) + second), 2_000 + extra_ms) for second in range(125)]
    time_map = heard([*slow, *steady])
    last_ms = steady[-1][0]
    assert sensor_mono_ms(time_map, last_ms, 0) == BOARD_ON_MS + last_ms + 2_000 + extra_ms
    at_ms = sensor_mono_ms(heard([*slow, *steady[:10]]), steady[9][0], 0)
    assert at_ms <= BOARD_ON_MS + steady[9][0] + 2_000 + extra_ms
