"""The annunciator of a board that is alone: what it resumes, shows, judges and sounds by itself."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from test_annunciator import HIGH, LIMITS, LOW, MEDIUM, NONE, good, play, told
from unix_port import run

GONE = {"quality": "no_finger", "sqi_pct": 0}
HELD = {"quality": "cuff_hold", "sqi_pct": 0}


def seconds(first_s: int, last_s: int, reading: dict[str, Any]) -> list[Any]:
    """One judged reading a second."""
    return [(1000 * s, "judge", reading) for s in range(first_s, last_s + 1)]


def begun(shown: Any) -> list[str]:
    return [name for result, _ in shown if isinstance(result, list) for name, _, _, _ in result]


# ---- lamps ----------------------------------------------------------------------------------------------------

LAMPS = """
from chair.annunciator import Annunciator
from chair.memory import Memory
a = Annunciator(0, Memory())
a.told(message, False, 5000)
a.signal(5000 + silent_ms)
result = [a.tick(t)[:3] for t in range(5000 + silent_ms, 15000 + silent_ms, 25)]
"""


def lamps(folder: Path, level: str, silent_ms: int = 0, **more: Any) -> list[tuple[bool, bool, bool]]:
    message = told(1, level, run=f"{level} {silent_ms} {more}", **more)[0]
    return [tuple(lit) for lit in run(LAMPS, folder, message=message, silent_ms=silent_ms)]


def test_a_board_alone_can_be_told_by_its_lamp(tmp_path: Path) -> None:
    """Alone, cyan lights in the dark halves of the flashes; beside a gateway it never does."""
    levels = ("none", "low", "medium", "high")
    near = {level: set(lamps(tmp_path, level)[:80]) for level in levels}
    assert near == {
        "none": {(False, False, False)},
        "low": {(False, False, True)},
        "medium": {(False, True, False), (False, False, False)},
        "high": {(True, False, False), (False, False, False)},
    }
    alone = {level: lamps(tmp_path, level, 3000) for level in levels}
    assert set(alone["none"]) == set(alone["low"]) == set(alone["medium"]) == {(0, 1, 0), (0, 0, 1)}
    assert set(alone["high"]) == {(1, 0, 0), (0, 0, 1)}
    empty = lamps(tmp_path, "none", 3000, session="")
    assert set(empty) == {(0, 0, 1), (0, 0, 0)}
    assert 4 <= sum(a != b for a, b in pairwise(empty)) / 2 <= 5.5  # 0.5 Hz


def test_at_start_all_lamps_light_for_a_second_and_it_beeps(tmp_path: Path) -> None:
    """Who switches a board on sees and hears whether it can be seen and heard; then it says that it is alone."""
    script = """
from chair.annunciator import Annunciator
from chair.memory import Memory
a = Annunciator(0, Memory())
result = [a.tick(t) for t in range(0, 3000, 25)]
"""
    shown = run(script, tmp_path)
    assert all(lit[:3] == [True] * 3 for lit in shown[:40])
    assert not any(all(lit[:3]) for lit in shown[40:])
    assert [lit[3] > 0 for lit in shown] == [True] * 8 + [False] * 112


def test_an_alarm_cuts_the_self_test_short(tmp_path: Path) -> None:
    """Its lamp and its sound are not mixed with those of the test."""
    script = """
from chair.annunciator import Annunciator
from chair.memory import Memory
a = Annunciator(0, Memory())
a.tick(0)
a.told(message, False, 100)
result = [a.tick(t) for t in range(100, 500, 25)]
"""
    assert run(script, tmp_path, message=told(1, "high", True)[0])[0] == [True, False, False, 659]


def test_a_board_with_a_session_does_not_test_itself(tmp_path: Path) -> None:
    """It restarted beside a patient: the lamp shows at once how things are."""
    script = """
from chair.annunciator import Annunciator
from chair.memory import Memory
Annunciator(0, Memory()).told(message, False, 0)
a = Annunciator(0, Memory())
result = [a.tick(t) for t in range(0, 1000, 25)]
"""
    shown = run(script, tmp_path, message=told(1)[0])
    assert {tuple(each) for each in shown} == {(False, True, False, 0), (False, False, True, 0)}


# ---- what counts as news ----------------------------------------------------------------------------------------


def session_after(folder: Path, *messages: Any, before: Any = None) -> Any:
    """The session of a board that restarted after `before` was told live, and then got `messages`."""
    script = """
from chair.annunciator import Annunciator
from chair.memory import Memory
if before:
    for message in before:
        Annunciator(0, Memory()).told(message[0], False, 0)
a = Annunciator(0, Memory())
lives = [a.told(message[0], message[1], 1000) for message in messages]
result = [a.session, any(lives), a.local.limits]
"""
    return run(script, folder, messages=messages, before=before)


def test_a_restart_resumes_the_session_and_its_limits(tmp_path: Path) -> None:
    """Without a word of anybody."""
    assert session_after(tmp_path, before=[told(5)]) == ["s", False, LIMITS]


def test_a_newer_retained_message_is_news_and_an_older_one_is_none(tmp_path: Path) -> None:
    """The broker may have outlived the board's absence, or come back with what it saved half an hour ago."""
    before = [told(100)]
    assert session_after(tmp_path, told(90, session="", retained=True), before=before)[0] == "s"
    assert session_after(tmp_path, told(110, session="", retained=True), before=before)[:2] == ["", False]


def test_a_session_that_ended_does_not_come_back_from_the_broker(tmp_path: Path) -> None:
    """Not with an older beat, not from another run of the gateway; a live gateway may name any session."""
    before = [told(100), told(101, session="")]
    assert session_after(tmp_path, told(100, retained=True), before=before)[0] == ""
    assert session_after(tmp_path, told(900, run="q", retained=True), before=before)[0] == ""
    assert session_after(tmp_path, told(900, run="q", session="s-9", retained=True), before=before)[0] == "s-9"
    assert session_after(tmp_path, told(1, run="t"), before=before)[:2] == ["s", True]


def test_a_retained_message_of_an_unknown_run_does_not_speak_over_a_gateway_that_was_met(tmp_path: Path) -> None:
    """After a reconnect the broker repeats what it kept, of whichever gateway."""
    assert session_after(tmp_path, told(5), told(9, session="x", run="q", retained=True))[0] == "s"


# ---- judging ----------------------------------------------------------------------------------------------------


def test_alone_no_reading_sounds_after_30_s() -> None:
    """Silence of the sensor is a condition too: it ends a pause of the sound, and only good readings end it."""
    shown = play(
        (0, "told", told(1)),
        (3000, "", None),
        *seconds(4, 10, good(spo2_pct=97.0, pulse_bpm=70.0)),
        (10_500, "acknowledge", None),
        *seconds(11, 40, GONE),
        *seconds(41, 49, good(spo2_pct=97.0, pulse_bpm=70.0)),
        *seconds(50, 50, good(spo2_pct=97.0, pulse_bpm=70.0)),
    )
    assert begun(shown) == ["no_reading"]
    at_39 = shown[2 + 7 + 1 + 28]
    at_40 = shown[2 + 7 + 1 + 29]
    assert at_39 == [[], [MEDIUM, False]]
    assert at_40 == [[["no_reading", None, 30, "s"]], [HIGH, True]]
    assert [signal for _, signal in shown[-10:]] == [[HIGH, True]] * 9 + [[MEDIUM, True]]


def test_a_finger_that_is_off_when_the_gateway_dies_has_been_off_since_then() -> None:
    """The 30 s do not begin anew with the silence."""
    shown = play(*seconds(1, 20, GONE), (20_000, "told", told(1)), *seconds(21, 33, GONE))
    assert begun(shown[:-4]) == []
    assert begun(shown[-4:]) == ["no_reading"]


def test_a_cuff_that_holds_the_oximeter_neither_ends_nor_adds_to_the_silence() -> None:
    """A measurement of 45 s on the same arm is no alarm, and a finger that fell out before it is none the less."""
    quiet = play((0, "told", told(1)), (3000, "", None), *seconds(4, 49, HELD), *seconds(50, 60, GONE))
    assert begun(quiet) == []
    fallen = play(
        (0, "told", told(1)), (3000, "", None), *seconds(4, 23, GONE), *seconds(24, 60, HELD), *seconds(61, 75, GONE)
    )
    assert begun(fallen) == ["no_reading"]


def test_without_a_session_a_missing_reading_is_none() -> None:
    """An empty chair."""
    shown = play((0, "told", told(1, session="")), *seconds(1, 60, GONE))
    assert begun(shown) == []
    assert shown[-1][1] == [LOW, False]


def test_alone_a_pressure_above_the_cuffs_range_is_over_the_limit() -> None:
    """Not bracketed at 280 mmHg: there is no number, and it sounds."""
    shown = play(
        (0, "told", told(1)),
        (3000, "", None),
        (4000, "judge_cuff", {"quality": "failed", "reason": "above_range"}),
        (300_000, "judge_cuff", {"quality": "failed", "reason": "leak"}),
        (600_000, "judge_cuff", good(sys_mmhg=150.0)),
    )
    assert shown[2] == [[["sys_limit", None, 180.0, "mmHg"]], [HIGH, True]]
    assert shown[3] == [[], [HIGH, True]]
    assert shown[4][1] == [MEDIUM, True]


def test_alone_pressures_that_do_not_come_sound_too() -> None:
    """Cuff off, or no converter: after twice the interval (here 300 s) and a minute, until a good result."""
    vitals = good(spo2_pct=97.0, pulse_bpm=70.0)
    failed = {"quality": "failed", "reason": "no_rise"}
    shown = play(
        (100_000, "told", told(1)),
        (105_000, "acknowledge", None),
        (300_000, "judge_cuff", failed),
        (600_000, "judge_cuff", failed),
        *seconds(755, 760, vitals),
        (900_000, "judge_cuff", good(sys_mmhg=120.0)),
        (901_000, "acknowledge", None),
        *seconds(902, 910, vitals),
    )
    assert begun(shown) == ["no_pressure"]
    assert shown[4 + 5] == [[["no_pressure", None, 600, "s"]], [MEDIUM, True]]
    assert shown[-1] == [[], [MEDIUM, False]]


def test_without_a_schedule_no_pressure_is_missed() -> None:
    """A session whose protocol measures by hand."""
    vitals = good(spo2_pct=97.0, pulse_bpm=70.0)
    assert begun(play((0, "told", told(1, cuff_interval_s=0)), *seconds(5000, 5003, vitals))) == []


def test_alone_a_call_sounds_at_the_chair() -> None:
    """Nobody else hears it: with or without a session, through a pause, until it is acknowledged."""
    for session, before, after in (("s", [MEDIUM, False], [MEDIUM, False]), ("", [LOW, False], [LOW, False])):
        shown = play(
            (0, "told", told(1, session=session)),
            (5000, "acknowledge", None),
            (6000, "call", None),
            (7000, "acknowledge", None),
        )
        assert [signal for _, signal in shown] == [[NONE, False], before, [MEDIUM, True], after]


def test_beside_a_gateway_the_gateway_calls() -> None:
    """The board shows what it is told, and no more."""
    shown = play((1000, "told", told(1)), (1500, "call", None), (1600, "acknowledge", None))
    assert [signal for _, signal in shown] == [[NONE, False]] * 3


def test_a_session_that_is_too_old_takes_its_alarms_with_it(tmp_path: Path) -> None:
    """Then there is nobody to sound for."""
    shown = play((0, "told", told(1, "high", True)), *seconds(4, 4, good(spo2_pct=60.0)), (5000, "", None))
    assert shown[-1][1] == [HIGH, True]
    script = """
from chair.annunciator import Annunciator
from chair.memory import Memory
a = Annunciator(0, Memory())
a.told(message, False, 0)
a.signal(4000)
a.judge({"quality": "good", "spo2_pct": 60.0}, 4000)
a.forget()
result = [a.signal(900_000), a.judge({"quality": "good", "spo2_pct": 60.0}, 901_000), a.signal(902_000)]
"""
    assert run(script, tmp_path, message=told(1, "high", True)[0]) == [[LOW, False], [], [LOW, False]]
