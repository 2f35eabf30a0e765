"""Lamp, sounder, cuff schedule and command checks: what a board shows and does, told or alone."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unix_port import run

LIMITS = {
    "spo2_low_pct": 85.0, "pulse_low_bpm": 40.0, "pulse_high_bpm": 140.0, "sys_low_mmhg": 80.0, "sys_high_mmhg": 180.0,
}  # fmt: skip

# Each step is [now_ms, name, arguments...]; every step is followed by what is then to be seen and heard.
STEPS = """
from chair.annunciator import Annunciator
from chair.memory import Memory
a = Annunciator(0, Memory())
result = []
for now_ms, name, given in steps:
    told = None
    if name == "told":
        told = a.told(given[0], given[1], now_ms)
    elif name in ("judge", "judge_cuff"):
        told = getattr(a, name)(given, now_ms)
    elif name:
        getattr(a, name)(now_ms)
    result.append([told, a.signal(now_ms)])
"""
PATTERN = """
from chair import annunciator
level = annunciator.LEVELS.index(name)
result = [[annunciator.lamp_lit(level, t), annunciator.tone_hz(level, t)] for t in range(0, 60000, 5)]
"""


def told(beat: int, level: str = "none", sound: bool = False, retained: bool = False, **more: Any) -> Any:
    message = {
        "run": "r",
        "beat": beat,
        "level": level,
        "sound": sound,
        "session": "s",
        "limits": LIMITS,
        "cuff_interval_s": 300,
    }
    return [message | more, retained]


def play(*steps: Any) -> Any:
    with TemporaryDirectory() as flash:
        return run(STEPS, Path(flash), steps=[list(step) for step in steps])


def good(**values: float) -> dict[str, Any]:
    return {"quality": "good", **values}


NONE, LOW, MEDIUM, HIGH = range(4)


def test_with_the_gateway_it_shows_what_it_is_told() -> None:
    """Level and sound come from the gateway; no reading of the board's own changes them."""
    shown = play(
        (1000, "told", told(1, "medium", True)),
        (1500, "judge", good(spo2_pct=60.0)),
        (2000, "told", told(2)),
    )
    assert [signal for _, signal in shown] == [[MEDIUM, True], [MEDIUM, True], [NONE, False]]


def test_a_beat_that_does_not_rise_is_no_life() -> None:
    """A repeated, an older and a retained message leave the board alone after 3 s; a new run counts again."""
    shown = play(
        (1000, "told", told(7)),
        (3000, "told", told(7)),
        (3500, "told", told(6, "low")),
        (3900, "told", told(9, "low", retained=True)),
        (3999, "", None),
        (4000, "", None),
        (5000, "told", told(1, run="r2")),
    )
    assert [life for life, _ in shown] == [True, False, False, False, None, None, True]
    assert [signal for _, signal in shown][4:] == [[NONE, False], [MEDIUM, False], [NONE, False]]


def test_a_change_within_the_same_beat_is_shown() -> None:
    """Two messages of the gateway in one millisecond: the second has the same beat and the later truth."""
    shown = play((1000, "told", told(7)), (1001, "told", told(7, "high", True)), (1002, "told", told(6)))
    assert [signal for _, signal in shown] == [[NONE, False], [HIGH, True], [HIGH, True]]


def test_a_retained_message_never_lights_an_old_alarm() -> None:
    """After a restart beside a dead gateway the board is alone; it takes over the limits and the session only."""
    shown = play(
        (100, "told", told(50, "high", True, retained=True)),
        (200, "judge", good(spo2_pct=84.0)),
    )
    assert shown[0][1] == [MEDIUM, False]
    assert shown[1] == [[["spo2_low", 84.0, 85.0, "%"]], [HIGH, True]]


def test_the_silence_itself_sounds_after_30_s_with_a_session() -> None:
    """Seen after 3 s, heard after 30 s; the acknowledge button pauses it for 120 s and no longer."""
    shown = play(
        (1000, "told", told(1)), (4000, "", None), (30_900, "", None), (31_000, "", None),
        (32_000, "acknowledge", None), (151_900, "", None), (152_000, "", None),
    )  # fmt: skip
    assert [signal for _, signal in shown] == [
        [NONE, False], [MEDIUM, False], [MEDIUM, False], [MEDIUM, True],
        [MEDIUM, False], [MEDIUM, False], [MEDIUM, True],
    ]  # fmt: skip


def test_without_a_session_silence_is_shown_and_does_not_sound() -> None:
    """An empty chair does not call anyone because the gateway is being updated."""
    shown = play((1000, "told", told(1, session="")), (300_000, "", None), (300_001, "judge", good(spo2_pct=50.0)))
    assert [signal for _, signal in shown][1:] == [[LOW, False], [LOW, False]]


def test_an_alarm_that_sounded_when_the_gateway_fell_silent_sounds_on() -> None:
    """Nobody has said that it is over."""
    shown = play((1000, "told", told(1, "high", True)), (4000, "", None), (600_000, "", None))
    assert [signal for _, signal in shown] == [[HIGH, True]] * 3


def test_alone_a_crossed_limit_sounds_at_once_and_bad_values_do_not_clear_it() -> None:
    """It ends 10 s after the last good crossing, by a good value; a new one ends a pause of the sound."""
    shown = play(
        (0, "told", told(1)), (3000, "", None),
        (4000, "judge", good(spo2_pct=84.9, pulse_bpm=70.0)),
        (5000, "acknowledge", None),
        (6000, "judge", {"quality": "motion", "sqi_pct": 3}),
        (30_000, "judge", {"quality": "no_finger", "sqi_pct": 0}),
        (31_000, "judge", good(spo2_pct=84.9, pulse_bpm=141.0)),
        (40_999, "judge", good(spo2_pct=97.0, pulse_bpm=70.0)),
        (41_000, "judge", good(spo2_pct=97.0, pulse_bpm=70.0)),
    )  # fmt: skip
    assert shown[2] == [[["spo2_low", 84.9, 85.0, "%"]], [HIGH, True]]
    assert [signal for _, signal in shown[3:6]] == [[HIGH, False]] * 3
    assert shown[6] == [[["pulse_limit", 141.0, 140.0, "/min"]], [HIGH, True]]
    assert shown[7] == [[], [HIGH, True]]
    assert shown[8][1] == [MEDIUM, True]  # only the silence is left


def test_alone_a_saturation_too_low_for_a_number_sounds_at_once() -> None:
    """`below_range` is beyond any limit: one alarm begins, without a value, and it sounds until a good value."""
    steps = play(
        [0, "told", told(1)],
        [3000, "", None],
        [4000, "judge", {"quality": "below_range"}],
        [5000, "judge", {"quality": "below_range"}],
        [6000, "judge", {"quality": "no_finger"}],
    )
    assert steps[2] == [[["spo2_low", None, 85.0, "%"]], [HIGH, True]]
    assert steps[3] == [[], [HIGH, True]]
    assert steps[4] == [[], [HIGH, True]]


def test_alone_a_cuff_result_is_judged_and_its_pulse_is_not() -> None:
    """The pulse rate is the oximeter's to judge."""
    shown = play(
        (0, "told", told(1)), (3000, "", None),
        (4000, "judge_cuff", good(sys_mmhg=185.0, dia_mmhg=100.0, pulse_bpm=160.0)),
        (5000, "judge_cuff", {"quality": "failed", "reason": "leak", "sys_mmhg": 60.0}),
    )  # fmt: skip
    assert shown[2][0] == [["sys_limit", 185.0, 180.0, "mmHg"]]
    assert shown[3][0] == []


def flanks(flags: list[bool]) -> list[int]:
    return [i * 5 for i in range(len(flags)) if flags[i] and (i == 0 or not flags[i - 1])]


def test_lamps_flash_as_the_alarm_standard_asks() -> None:
    """High 1.4 to 2.8 Hz, medium 0.4 to 0.8 Hz, both 20 to 60 % lit; low is steady; none is dark."""
    for level, low_hz, high_hz in (("high", 1.4, 2.8), ("medium", 0.4, 0.8)):
        lit = [moment[0] for moment in run(PATTERN, name=level)]
        assert low_hz <= len(flanks(lit)) / 60 <= high_hz
        assert 0.2 <= sum(lit) / len(lit) <= 0.6
    assert {moment[0] for moment in run(PATTERN, name="low")} == {True}
    assert {tuple(moment) for moment in run(PATTERN, name="none")} == {(False, 0)}


def test_bursts_have_their_pulses_and_repeats() -> None:
    """High 10 pulses every 2.5 to 15 s, medium 3 every 2.5 to 30 s, low 1 over 15 s; fundamental 150 to 1000 Hz."""
    for level, pulses, shortest_ms, longest_ms, low_ms, high_ms in (
        ("high", 10, 75, 200, 2500, 15_000),
        ("medium", 3, 125, 250, 2500, 30_000),
        ("low", 1, 1, 1000, 15_001, 60_000),
    ):
        tones = [moment[1] for moment in run(PATTERN, name=level)]
        starts = flanks([tone > 0 for tone in tones])
        lengths = {5 * tones[s // 5 : s // 5 + 200].index(0) for s in starts}
        repeat_ms = starts[pulses] - starts[0]
        assert low_ms <= repeat_ms <= high_ms, level
        assert [s + repeat_ms for s in starts[:pulses]] == starts[pulses : 2 * pulses], level
        assert all(shortest_ms <= length <= longest_ms for length in lengths), level
        assert {tone for tone in tones if tone} <= set(range(150, 1001)), level


# ---- cuff schedule --------------------------------------------------------------------------------------------

SCHEDULE = """
from chair.schedule import Schedule
s = Schedule()
result = []
for now_ms, name, given in steps:
    if name == "told":
        s.told(given[0], given[1], now_ms)
    elif name == "busy":
        s.busy(now_ms)
    if s.due(now_ms):
        result.append(now_ms)
"""


def starts(*steps: Any) -> Any:
    return run(SCHEDULE, steps=[list(step) for step in steps])


def measured(begin_ms: int) -> list[Any]:
    """The gateway says "now" through the measurement and for 2 s after it; then it has the result."""
    during = [
        (at, name, [300, 0])
        for at in range(begin_ms, begin_ms + 47_000, 1000)
        for name in (("told", "busy") if at < begin_ms + 45_000 else ("told",))
    ]
    later = range(begin_ms + 47_000, begin_ms + 300_000, 1000)
    after = [(at, "told", [300, 300 - (at - begin_ms) // 1000]) for at in later]
    return [*during, *after]


def test_one_measurement_for_each_time_that_comes() -> None:
    """The gateway counts down to "now" and stays there until it has the result: one measurement, not two."""
    assert starts(*measured(60_000), *measured(360_000)) == [60_000, 360_000]


def test_a_count_that_ends_early_does_not_measure_twice() -> None:
    """The board starts by its own clock while the gateway still says "in one second"."""
    steps = [(0, "told", [300, 10]), (10_000, "", None), (10_050, "told", [300, 1]), (10_100, "busy", None),
             (11_050, "told", [300, 0]), (20_000, "busy", None), (50_100, "busy", None), (51_000, "told", [300, 0]),
             (52_000, "told", [300, 258])]  # fmt: skip
    assert starts(*steps) == [10_000]


def test_alone_the_schedule_goes_on() -> None:
    """The gateway fell silent: the time it named is kept, and then every interval."""
    silent = [(at, "", None) for at in range(1000, 700_000, 1000)]
    assert starts((0, "told", [300, 20]), *silent) == [20_000, 320_000, 620_000]


def test_without_a_next_time_nothing_is_measured() -> None:
    """The session ended: no interval, no time, no inflation."""
    silent = [(at, "", None) for at in range(10_000, 700_000, 1000)]
    assert starts((0, "told", [300, 20]), (9000, "told", [0, None]), *silent) == []


def test_a_measurement_whose_result_is_on_the_way_is_not_repeated_alone() -> None:
    """The link broke right after the measurement began: what fell due while it ran is done, the interval goes on."""
    steps = [(0, "told", [300, 10]), (10_000, "", None), (10_050, "told", [300, 1]), (10_060, "told", [300, 0])]
    steps += [(at, "busy", None) for at in range(10_100, 55_000, 100)]
    steps += [(at, "", None) for at in range(55_000, 400_000, 1000)]
    first, second = starts(*steps)
    assert (first, 300_000 <= second - first <= 302_000) == (10_000, True)


def test_an_order_that_stays_is_followed_again_after_a_minute() -> None:
    """The result never reached the gateway, or it wants another: not before the arm had a minute."""
    steps = [(0, "told", [300, 0]), (1000, "busy", None), (40_000, "busy", None)]
    steps += [(at, "told", [300, 0]) for at in range(41_000, 130_000, 1000)]
    assert starts(*steps) == [0, 100_000]


# ---- commands -------------------------------------------------------------------------------------------------

COMMANDS = """
from chair.commands import Commands
c = Commands("00112233445566aa")
result = [c.refusal(command, "s-1", now_ms) for now_ms, command in given]
"""


def command(id: str = "a", until_ms: int = 15_000, **more: Any) -> dict[str, Any]:
    return {
        "id": id, "kind": "measure", "session": "s-1", "boot": "00112233445566aa", "valid_until_up_ms": until_ms,
    } | more  # fmt: skip


def test_a_command_is_obeyed_once_in_time_and_for_this_boot_and_session() -> None:
    """Late, repeated, foreign, or valid so long that it could come late: each is refused by name."""
    answers = run(
        COMMANDS,
        given=[
            [10_000, command("a")],
            [10_000, command("a")],
            [15_000, command("b")],
            [10_000, command("c", boot="ff" * 8)],
            [10_000, command("d", session="s-2")],
            [10_000, command("e", until_ms=16_001)],
            [10_000, command("f", until_ms=16_001, kind="identify", session="")],
            [10_000, command("g", until_ms=90_000, kind="reboot")],
            [10_000, command("b", until_ms=15_500)],
        ],
    )
    assert answers == ["", "repeated", "expired", "boot", "session", "valid_too_long", "", "valid_too_long", "repeated"]
