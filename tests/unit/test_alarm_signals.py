"""What people see and hear: escalation, pause, audio off with its reminder, suppression within its bound."""

import pytest
from alarm_chair import HIGH, INSIDE, MEDIUM, SPO2, Chair
from core_helpers import rule
from msgspec.structs import replace

from gateway import wire
from gateway.core.chair import resumed
from gateway.core.protocol import Rule, SuppressedBy, Tier
from gateway.core.signal import BURST_MS, REMINDER_MS

OFF, ON = wire.AudioOff(on=True), wire.AudioOff(on=False)
ESCALATE_S = SPO2.escalate_s
AWAY = SuppressedBy(by="away", at_most_s=300)
SILENT = SuppressedBy(by="silence", at_most_s=60)
HOLD = SuppressedBy(by="cuff_hold", at_most_s=30)
FINGER = rule(
    Tier(level="medium", reaches=1), id="finger_off", measure="finger_off", kind="technical", suppress=(AWAY, SILENT)
)
SILENCE = rule(Tier(level="medium", reaches=10), id="silence", measure="vitals_age_s", kind="technical")
PRESSURE = rule(Tier(level="medium", reaches=180), id="sys_high", measure="sys_mmhg")
UNWATCHED = rule(
    Tier(level="medium", reaches=20), id="unwatched", measure="unwatched_s", kind="technical", suppress=(HOLD,)
)


def watching(one: Rule = SPO2, *others: Rule) -> Chair:
    chair = Chair(one, others)
    chair.starts()
    chair.good(INSIDE)
    return chair


def alarming(value: float = MEDIUM, one: Rule = SPO2, *others: Rule) -> Chair:
    chair = watching(one, *others)
    chair.good(value)
    chair.passes(10)
    chair.told = []
    assert chair.sounds
    return chair


# ---- escalation -----------------------------------------------------------------------------------------------


def test_an_alarm_that_nobody_acknowledges_signals_a_level_higher() -> None:
    """The alarm keeps its own level; lamp and screens show the next one, until somebody acknowledges."""
    chair = alarming()
    chair.passes(ESCALATE_S - 1)
    assert (chair.shown.level, chair.changes) == ("medium", [])
    chair.passes(1)
    assert [change.what for change in chair.changes] == ["escalated"]
    [view] = chair.shown.alarms
    assert (chair.shown.level, view.level, view.escalated) == ("high", "medium", True)
    chair.does(wire.Acknowledge())
    [view] = chair.shown.alarms
    assert (chair.shown.level, view.escalated) == ("medium", False)


def test_a_high_alarm_that_nobody_acknowledges_is_marked() -> None:
    """There is no higher level; the rise before began its time anew."""
    chair = alarming()
    chair.passes(ESCALATE_S - 1)
    chair.good(HIGH)
    chair.passes(ESCALATE_S - 1)
    assert not chair.shown.alarms[0].escalated
    chair.passes(1)
    assert (chair.shown.level, chair.shown.alarms[0].escalated) == ("high", True)


def test_a_low_alarm_never_escalates() -> None:
    """It asks for awareness: nobody has to come."""
    chair = alarming(MEDIUM, replace(SPO2, tiers=(Tier(level="low", below=90),)))
    chair.passes(ESCALATE_S + 5)
    assert (chair.shown.level, chair.shown.alarms[0].escalated) == ("low", False)


def test_after_a_pause_there_is_the_whole_time_to_come() -> None:
    """Whoever paused is there; a pause does not run the time out."""
    chair = alarming()
    chair.passes(ESCALATE_S - 5)
    chair.does(wire.PauseAudio())
    chair.passes(125)
    assert chair.alarm.sounding
    assert not chair.shown.alarms[0].escalated
    chair.passes(ESCALATE_S)
    assert chair.shown.alarms[0].escalated


# ---- audio off ------------------------------------------------------------------------------------------------


def test_switched_off_audio_reminds_for_a_burst_every_150_s() -> None:
    """And only then: no escalation, no other sound, and every screen says that the sound is off."""
    chair = alarming()
    chair.does(OFF)
    off_ms = chair.now_ms
    heard: list[int] = []
    for _ in range(4_000):
        chair.passes(0.1)
        if chair.sounds:
            heard.append(chair.now_ms - off_ms)
    assert {at_ms // REMINDER_MS for at_ms in heard} == {1, 2}
    assert {at_ms % REMINDER_MS for at_ms in heard} == set(range(0, BURST_MS, 100))
    assert (chair.shown.audio_off, chair.shown.alarms[0].audio_off, chair.shown.level) == (True, True, "medium")
    chair.does(ON)
    assert chair.sounds
    assert not chair.shown.audio_off


def test_switched_off_audio_is_for_what_is_present() -> None:
    """An alarm that begins later sounds."""
    chair = alarming(MEDIUM, SPO2, PRESSURE)
    chair.does(OFF)
    chair.measures(190.0)
    assert chair.sounds
    assert {view.rule: view.audio_off for view in chair.shown.alarms} == {"spo2_low": True, "sys_high": False}


def test_what_rises_sounds_although_it_was_switched_off() -> None:
    """From medium to high."""
    chair = alarming()
    chair.does(OFF)
    chair.good(HIGH)
    assert chair.alarm.sounding
    assert not chair.shown.audio_off


# ---- suppression ----------------------------------------------------------------------------------------------


def test_an_alarm_of_a_patient_who_is_away_is_shown_and_does_not_signal() -> None:
    """It says what suppresses it and for how long at most; back, it signals."""
    chair = watching(FINGER)
    chair.does(wire.Away(minutes=15))
    [suppression] = chair.shown.suppressions
    assert (suppression.by, suppression.rules, suppression.left_s) == ("away", ["finger_off"], AWAY.at_most_s)
    chair.reads(quality="no_finger")
    [view] = chair.shown.alarms
    assert (view.rule, view.suppressed_by) == ("finger_off", "away")
    assert (chair.shown.level, chair.shown.sound) == ("none", False)
    chair.does(wire.Back())
    assert (chair.shown.level, chair.shown.sound, chair.shown.suppressions) == ("medium", True, [])
    assert [change.what for change in chair.changes] == ["raised", "suppressed", "unsuppressed"]


@pytest.mark.parametrize("again", [False, True])
def test_a_suppression_ends_by_itself_at_its_bound(again: bool) -> None:
    """Counted from when the patient left, also if somebody says meanwhile that they are still away."""
    chair = watching(FINGER)
    chair.does(wire.Away(minutes=15))
    chair.reads(quality="no_finger")
    chair.passes(AWAY.at_most_s - 10)
    if again:
        chair.does(wire.Away(minutes=15))
    chair.passes(5)
    assert not chair.sounds
    chair.passes(6)
    assert chair.sounds
    assert chair.shown.suppressions == []


def test_a_high_physiological_alarm_is_never_suppressed() -> None:
    """Neither when it begins so, nor when it rises to it, whatever its rule says."""
    chair = watching()
    chair.does(wire.Away(minutes=10))
    chair.good(MEDIUM)
    chair.passes(10)
    assert not chair.sounds
    chair.good(HIGH)
    assert chair.sounds
    assert (chair.shown.level, chair.shown.alarms[0].suppressed_by) == ("high", wire.UNSET)
    begun = watching()
    begun.does(wire.Away(minutes=10))
    begun.good(HIGH)
    assert begun.sounds


def test_a_chair_without_data_has_one_alarm_that_sounds() -> None:
    """Others that follow from it are shown, for a minute at most here; with data they signal again at once."""
    chair = watching(FINGER, SILENCE)
    chair.reads(quality="no_finger")
    chair.does(wire.Acknowledge())
    chair.does(wire.AudioOff(on=True))
    chair.passes(10)
    assert {view.rule: view.suppressed_by for view in chair.shown.alarms} == {
        "finger_off": "silence",
        "silence": wire.UNSET,
    }
    chair.passes(SILENT.at_most_s)
    assert not chair.alarm.suppressed_by
    chair.reads(quality="no_finger")
    assert [view.rule for view in chair.shown.alarms] == ["finger_off"]


def test_a_cuff_that_holds_the_finger_too_long_suppresses_no_more() -> None:
    """The board bounds a hold; if it did not, the gateway would."""
    chair = watching(UNWATCHED)
    for _ in range(25):
        chair.reads(quality="cuff_hold")
    assert chair.alarm.suppressed_by == "cuff_hold"
    for _ in range(6):
        chair.reads(quality="cuff_hold")
    assert chair.alarm.sounding
    assert not chair.shown.suppressions


def test_after_a_time_that_nobody_knows_no_one_is_away() -> None:
    """The computer was off: whether the patient is back cannot be known, so what is wrong signals."""
    chair = watching(FINGER)
    chair.does(wire.Away(minutes=15))
    chair.reads(quality="no_finger")
    assert not chair.sounds
    chair.state = resumed(chair.state)
    chair.passes(0.1)
    assert chair.sounds


def test_a_suppressed_alarm_is_no_quiet() -> None:
    """Readiness counts the alarm, not its signal."""
    chair = watching(FINGER)
    chair.does(wire.Away(minutes=10))
    chair.reads(quality="no_finger")
    assert chair.state.session is not None
    assert chair.state.session.loud_mono_ms["medium"] == chair.now_ms
