"""When the cuff measures once more, and when the schedule goes on by itself."""

from typing import Any

from unix_port import run

SCHEDULE = """
from chair.schedule import Schedule
s = Schedule()
result = []
for now_ms, name, given in steps:
    if name == "told":
        s.told(given[0], given[1], now_ms)
    elif name == "again":
        s.again(given)
    elif name == "busy":
        s.busy(now_ms)
    trigger = s.due(now_ms)
    if trigger:
        result.append([now_ms, trigger])
"""


def begun(*steps: tuple[int, str, Any], until_ms: int = 1_000_000) -> Any:
    """[now_ms, trigger] of each measurement, asked once a second."""
    asked = [(now_ms, "", None) for now_ms in range(0, until_ms, 1000)]
    return run(SCHEDULE, steps=sorted([*map(list, steps), *map(list, asked)], key=lambda step: step[0]))


def busy(from_ms: int, to_ms: int) -> list[tuple[int, str, Any]]:
    return [(now_ms, "busy", None) for now_ms in range(from_ms, to_ms, 500)]


def test_a_repeat_begins_at_its_time_and_once() -> None:
    """Ordered for 40 s after a measurement: it begins then, as a repeat, and never again."""
    assert begun(*busy(10_000, 50_000), (50_000, "again", 90_000)) == [[90_000, "repeat"]]


def test_a_repeat_leaves_the_arm_its_rest() -> None:
    """Ordered for at once, it waits until the arm has had its pause after the last measurement."""
    assert begun(*busy(10_000, 50_000), (50_000, "again", 50_000)) == [[81_000, "repeat"]]


def test_a_measurement_in_between_is_the_repeat() -> None:
    """Somebody measured by hand, or the interval came first: nothing is left to repeat."""
    assert begun(*busy(10_000, 50_000), (50_000, "again", 170_000), *busy(100_000, 140_000)) == []
    told = (50_000, "told", [600, 60])
    assert begun(*busy(10_000, 50_000), told, (50_500, "again", 170_000), until_ms=600_000) == [[110_000, "schedule"]]


def test_a_repeat_can_be_taken_back() -> None:
    """Another patient sits down: what the last one's arm was owed is forgotten."""
    assert begun(*busy(10_000, 50_000), (50_000, "again", 90_000), (60_000, "again", None)) == []


def test_a_repeat_does_not_move_the_interval_before_it_was_due() -> None:
    """The interval's own time stays where it was when a repeat comes well before it."""
    steps = [(0, "told", [300, 10]), *busy(10_500, 50_000), (50_000, "again", 81_000), *busy(81_500, 121_000)]
    found = begun(*steps, until_ms=400_000)
    assert found == [[10_000, "schedule"], [81_000, "repeat"], [310_000, "schedule"]]


def test_a_board_that_starts_beside_a_dead_gateway_waits_first() -> None:
    """Told at its start what it kept in flash, it measures when that time has passed, never at once, and goes on."""
    assert begun((0, "told", [300, 300])) == [[300_000, "schedule"], [600_000, "schedule"], [900_000, "schedule"]]


def test_without_a_session_nothing_is_due() -> None:
    """No interval and no time: never."""
    assert begun((0, "told", [0, None])) == []
