"""What readings, silence and events make of a chair: told as stories through the engine."""

import pytest
from core_helpers import DEMO, Story, only, protocol, published, rows, rule, transitions
from msgspec.structs import replace

from gateway import protocols, wire
from gateway.core.protocol import Tier

BAD = ("settling", "no_finger", "low_perfusion", "motion", "saturation", "ambient", "sensor_fault", "cuff_hold")


def watching(**given: object) -> Story:
    """A session with a minute of calm behind it."""
    story = Story(**given)  # type: ignore[arg-type]
    story.starts()
    story.watched(2)
    story.cuff()
    story.watched(5)
    assert not story.state().alarms
    return story


# ---- vitals ---------------------------------------------------------------------------------------------------


def test_a_high_alarm_follows_from_one_reading() -> None:
    """In the same batch as the reading, with value, limit, unit and the measured delays."""
    story = watching()
    change = only(wire.AlarmTransition, story.vitals(spo2_pct=84.0))
    assert (change.what, change.rule, change.level) == ("raised", "spo2_low", "high")
    assert (change.value, change.limit, change.unit) == (84.0, 85, "%")
    assert (change.sensor_delay_ms, change.condition_delay_ms) == (0, 0)
    assert story.state().level == "high"
    assert story.state().sound


@pytest.mark.parametrize("quality", BAD)
def test_a_bad_reading_clears_nothing(quality: str) -> None:
    """The alarm stays, with its last good value, however long readings are bad."""
    story = watching()
    story.watched(15, spo2_pct=88.0)
    story.watched(60, quality=quality)
    alarm = story.alarm("spo2_low")
    assert (alarm.condition, alarm.level) == ("active", "medium")


@pytest.mark.parametrize("quality", BAD)
def test_a_delay_goes_on_through_bad_readings(quality: str) -> None:
    """Ten seconds after the first low value it is an alarm, by the gateway's own timer."""
    story = watching()
    story.vitals(spo2_pct=88.0)
    story.watched(9, quality=quality)
    assert story.alarm("spo2_low").condition == "pending"
    assert "raised" in transitions(story.passes(1), "spo2_low")


def test_a_delay_goes_on_through_silence() -> None:
    """Without a single message."""
    story = watching()
    story.vitals(spo2_pct=88.0)
    assert transitions(story.passes(9.9), "spo2_low") == []
    assert transitions(story.passes(0.1), "spo2_low") == ["raised"]


def test_a_good_reading_may_lack_a_value() -> None:
    """An absent value is no zero and clears nothing."""
    story = watching()
    story.vitals(spo2_pct=84.0)
    story.watched(10, spo2_pct=wire.UNSET)
    assert story.alarm("spo2_low").condition == "active"
    assert story.state().vitals.spo2_pct is wire.UNSET  # type: ignore[union-attr]


def test_zero_is_a_value() -> None:
    """A saturation of zero is below every limit."""
    story = watching()
    story.vitals(spo2_pct=0.0)
    assert story.alarm("spo2_low").level == "high"


@pytest.mark.parametrize("quality", ["cuff_hold", "sensor_fault"])
def test_a_reading_that_cannot_know_leaves_the_finger_alarm(quality: str) -> None:
    """While the cuff stops the pulse, or the sensor is dead, nobody knows whether the finger is there."""
    story = watching()
    story.watched(16, quality="no_finger")
    assert story.alarm("finger_off").condition == "active"
    story.watched(30, quality=quality)
    assert story.alarm("finger_off").condition == "active"
    story.vitals()
    assert story.alarm("finger_off").condition == "normal"


def test_a_cuff_cycle_does_not_begin_the_finger_delay_anew() -> None:
    """A probe that is off between two measurements is found."""
    story = watching()
    story.watched(10, quality="no_finger")
    story.watched(6, quality="cuff_hold")
    assert story.alarm("finger_off").condition == "active"


def test_a_probe_that_comes_off_does_not_end_a_poor_signal() -> None:
    """It ends by a good reading."""
    story = watching()
    story.watched(32, quality="motion")
    story.watched(5, quality="no_finger")
    assert story.alarm("poor_signal").condition == "active"
    story.vitals()
    assert story.alarm("poor_signal").condition == "normal"


@pytest.mark.parametrize(("quality", "raised"), [("no_finger", {"finger_off"}), ("cuff_hold", set())])
def test_a_missing_signal_is_no_poor_one(quality: str, raised: set[str]) -> None:
    """One cause, one alarm; and a cuff that holds the pulse for its time is none."""
    story = watching()
    story.watched(40, quality=quality)
    assert {view.rule for view in story.state().alarms} == raised


def test_a_saturation_too_low_for_a_number_is_a_measure() -> None:
    """A protocol can alarm on it: a patient at 60 % must not pass as a poor signal."""
    story = watching()
    story.watched(3, quality="below_range")
    assert story.alarm("spo2_below_range").level == "high"
    story.watched(5, quality="motion")
    assert story.alarm("spo2_below_range").condition == "active"
    story.vitals()
    assert story.alarm("spo2_below_range").condition == "latched"


def test_saturation_that_nobody_measures_is_an_alarm() -> None:
    """Records come, but no good value: medium after 90 s."""
    story = watching()
    story.watched(95, quality="motion")
    assert story.alarm("unwatched").level == "medium"
    story.vitals()
    assert not story.alarm("unwatched").present


# ---- silence --------------------------------------------------------------------------------------------------


def silence(story: Story) -> str:
    return story.alarm("silence").level


def test_a_board_that_never_spoke_is_an_alarm() -> None:
    """From the session's start: medium at 10 s, high at 30 s, not a tick before."""
    story = Story()
    story.starts()
    heard = []
    for seconds in (9.9, 0.1, 19.9, 0.1):
        story.passes(seconds)
        heard.append(silence(story))
    assert heard == ["none", "medium", "medium", "high"]


def test_silence_counts_from_the_last_vitals() -> None:
    """By the time of their sensor."""
    story = watching()
    story.passes(9.9)
    assert silence(story) == "none"
    story.passes(0.1)
    assert silence(story) == "medium"
    story.vitals()
    assert silence(story) == "none"


def test_a_board_that_repeats_an_old_value_is_silent() -> None:
    """Its link is well, its sensor has stopped: the age grows."""
    story = watching()
    for second in range(1, 13):
        story.passes(1)
        story.vitals(age_ms=second * 1000)
    assert silence(story) == "medium"
    assert story.state().vitals.freshness == "stale"  # type: ignore[union-attr]
    assert story.state().online


def test_other_records_do_not_end_the_silence_of_vitals() -> None:
    """A cuff reading or a button is not a saturation."""
    story = watching()
    story.passes(9)
    story.cuff()
    story.event("button", "acknowledge")
    story.passes(1)
    assert silence(story) == "medium"


def test_nothing_is_owed_without_a_session() -> None:
    """An empty chair may be silent, and its board may say what it likes."""
    story = Story()
    story.watched(3, spo2_pct=70.0)
    story.cuff(220, 130)
    assert transitions(story.passes(120)) == []


# ---- history --------------------------------------------------------------------------------------------------


def test_vitals_over_three_seconds_old_never_raise() -> None:
    """Three seconds are judged, a millisecond more is history: listed, not sounded."""
    story = watching()
    story.vitals(spo2_pct=80.0, age_ms=3_001)
    assert not story.state().alarms
    assert story.state().during_outage == ["Saturation is low: 80 %, 3 s ago".replace("Sat", "Oxygen sat")]
    story = watching()
    story.passes(4)
    story.vitals(spo2_pct=80.0, age_ms=3_000)
    assert story.alarm("spo2_low").level == "high"


def test_history_neither_clears_nor_looks_live() -> None:
    """A late good value does not end an alarm of now, nor replace the newer value on the display."""
    story = watching()
    story.vitals(spo2_pct=84.0)
    for late_s in (10, 5, 4):
        story.vitals(spo2_pct=97.0, late=True, up_ms=story.now_ms - story.board.on_since_ms - late_s * 1000)
    assert story.alarm("spo2_low").condition == "active"
    assert story.state().vitals.spo2_pct == 84.0  # type: ignore[union-attr]


def test_history_does_not_end_a_silence() -> None:
    """Only vitals of now do."""
    story = watching()
    story.passes(12)
    story.vitals(late=True, up_ms=story.now_ms - story.board.on_since_ms - 5_000)
    assert silence(story) == "medium"


def test_an_outage_is_listed_by_its_worst_value() -> None:
    """One line for a rule, with the age of that value; an acknowledgement of everything takes it away."""
    story = watching()
    story.passes(20)
    now_up_ms = story.now_ms - story.board.on_since_ms
    for late_s, spo2_pct in ((15, 86.0), (10, 79.0), (5, 82.0)):
        story.vitals(spo2_pct=spo2_pct, late=True, up_ms=now_up_ms - late_s * 1000)
    assert story.state().during_outage == ["Oxygen saturation is low: 79 %, 10 s ago"]
    assert story.does(wire.Acknowledge()).ok
    assert not story.state().during_outage


def test_a_record_that_comes_out_of_order_is_not_lost() -> None:
    """Two seconds late and after a newer one: it is listed."""
    story = watching()
    story.passes(1)
    story.vitals(spo2_pct=80.0, up_ms=story.now_ms - story.board.on_since_ms - 2_000, late=True)
    assert story.state().during_outage
    assert not story.alarm("spo2_low").shown


# ---- the patient before ---------------------------------------------------------------------------------------


def second_patient() -> Story:
    """A chair whose session has just begun, five seconds after another one ended."""
    story = watching()
    story.watched(3, spo2_pct=84.0)
    story.cuff(200, 120)
    story.does(wire.Observe(moaas=5, escort=True))
    story.cuff_failed()
    assert story.does(wire.Abort(reason="left")).ok
    story.passes(5)
    story.starts(id="second-patient")
    return story


def test_nothing_of_the_patient_before_is_carried_over() -> None:
    """Neither cuff, pressures, observations, holds, outage, alarms nor the last vitals."""
    story = second_patient()
    chair, session = story.chair(), story.session()
    assert (chair.cuff, chair.cuff_failures, chair.vitals, chair.last_value_mono_ms, chair.outage) == (
        None, 0, None, None, (),
    )  # fmt: skip
    assert (session.pressures, session.seen, session.held, session.loud_mono_ms) == ((), {}, {}, {})
    assert not any(alarm.shown or alarm.condition == "pending" for alarm in chair.alarms.values())
    state = story.state()
    assert (state.vitals, state.pressure, state.alarms, state.during_outage) == (wire.UNSET, wire.UNSET, [], [])


def up_before(story: Story, seconds: float) -> dict[str, object]:
    """What makes a record one from so long ago."""
    return {"up_ms": story.now_ms - story.board.on_since_ms - round(seconds * 1000), "late": True}


@pytest.mark.parametrize("quality", ["good", "failed"])
def test_a_cuff_result_of_the_patient_before_is_not_this_ones(quality: str) -> None:
    """Measured before the session began, arrived after: it is a row of the session before and nothing else."""
    story = second_patient()
    story.watched(1)
    before, ended = story.chair(), story.chair().ended
    assert ended is not None
    outputs = (
        story.cuff(210, 125, **up_before(story, 8)) if quality == "good" else story.cuff_failed(**up_before(story, 8))
    )
    assert replace(story.chair(), settled_mono_ms=before.settled_mono_ms) == before
    assert story.state().pressure is wire.UNSET
    assert [row.fields["session"] for row in rows(outputs, "cuff")] == [ended.id]


def test_a_local_alarm_of_the_patient_before_is_not_this_ones() -> None:
    """The board alarmed alone, for somebody else."""
    story = second_patient()
    story.watched(1)
    story.event("local_alarm", "spo2_low", **up_before(story, 8))
    assert not story.alarm("local_alarm").shown


def test_a_call_from_just_before_the_start_is_heard() -> None:
    """Whoever pressed it sits in the chair."""
    story = second_patient()
    story.watched(1)
    story.event("button", "call", **up_before(story, 2))
    assert story.alarm("nurse_call").sounding


def test_vitals_from_before_the_start_are_not_judged_for_this_patient() -> None:
    """Not even those that would be fresh enough."""
    story = second_patient()
    story.passes(0.5)
    story.vitals(spo2_pct=80.0, age_ms=1_000)
    assert not story.state().alarms
    assert not story.session().held
    assert story.state().vitals is wire.UNSET
    assert not story.state().during_outage


# ---- cuff -----------------------------------------------------------------------------------------------------


def test_a_pressure_over_a_limit_is_repeated_sooner_and_confirmed() -> None:
    """Low at first, medium when the repeat says the same."""
    story = watching()
    story.cuff(165, 90)
    assert story.alarm("sys_high").level == "low"
    assert story.state().cuff_next_s == DEMO.cuff.repeat_s
    story.watched(35)
    story.cuff(166, 90)
    assert story.alarm("sys_high").level == "medium"


def test_an_alarm_of_a_phase_ends_with_it() -> None:
    """A pressure that asks to delay the first dose is no alarm after it, and the record says why it ended."""
    early = rule(
        Tier(level="low", above=140.0),
        id="early",
        measure="sys_mmhg",
        reason="High before the dose",
        phases=("before",),
    )
    story = watching(protocol=protocol(*DEMO.rules, early))
    story.cuff(150, 80)
    assert story.alarm("early").present
    told = len(story.outputs)
    story.doses("first")
    story.tick()
    outputs = story.outputs[told:]
    assert transitions(outputs, "early") == ["cleared"]
    [row] = [row for row in rows(outputs, "alarm") if row.tags["rule"] == "early"]
    assert row.fields["reason"] == "not judged in phase dosing"
    story.watched(35)
    story.cuff(150, 80)
    assert not story.alarm("early").shown


def test_a_failed_measurement_says_nothing_of_the_pressure() -> None:
    """No alarm ends by it; twice in a row is an alarm of its own."""
    story = watching()
    story.cuff(190, 90)
    story.watched(35)
    story.cuff_failed()
    story.watched(35)
    story.cuff_failed()
    assert story.alarm("sys_high").condition == "active"
    assert story.alarm("cuff_failed").level == "medium"


def test_a_good_measurement_without_numbers_says_nothing_either() -> None:
    """A board must not send one; if it does, nothing clears by it."""
    story = watching()
    story.cuff_failed("above_range")
    story.cuff_failed("above_range")
    story.record(wire.Cuff, quality="good", trigger="schedule")
    assert story.alarm("above_range").condition == "active"
    assert story.alarm("cuff_failed").condition == "active"
    story.cuff()
    assert story.alarm("above_range").condition == "latched"
    assert not story.alarm("cuff_failed").shown


def test_a_cuff_result_is_judged_without_a_schedule() -> None:
    """A measurement by hand, in a phase without automatic ones, is as good as any."""
    schedule = replace(DEMO.cuff, before_s=0)
    story = Story(protocol=protocol(cuff=schedule))
    story.starts()
    story.watched(2)
    story.passes(0.5)
    story.cuff(200, 120, age_ms=200)
    assert story.alarm("sys_high").level == "high"
    assert story.state().pressure.current  # type: ignore[union-attr]


def test_a_cuff_result_is_current_for_twice_its_interval() -> None:
    """Late is no matter; older than that it is history: listed, not sounded, and shown as old."""
    story = watching()
    story.watched(118)
    story.cuff(200, 120, **up_before(story, 117))
    assert story.alarm("sys_high").level == "high"
    story = watching()
    story.watched(125)
    story.cuff(200, 120, **up_before(story, 121))
    assert not story.alarm("sys_high").shown
    assert not story.state().pressure.current  # type: ignore[union-attr]
    assert any("Systolic pressure is high: 200 mmHg" in line for line in story.state().during_outage)


def test_an_older_cuff_result_that_comes_after_a_newer_one_is_history() -> None:
    """It is listed, takes its place among the readings by its time, and leaves the newer one on the display."""
    story = watching()
    story.watched(70)
    story.cuff(122, 80)
    story.passes(1)
    story.cuff(200, 120, **up_before(story, 40))
    assert not story.alarm("sys_high").shown
    assert any("200 mmHg" in line for line in story.state().during_outage)
    assert [reading.sys_mmhg for reading in story.session().pressures] == [120, 200, 122]
    assert story.state().pressure.sys_mmhg == 122  # type: ignore[union-attr]


def test_a_rise_needs_a_baseline() -> None:
    """Without one there is no rise, with one it counts from it."""
    story = watching()
    story.cuff(160, 80)
    assert story.alarm("sys_rise").level == "medium"
    story = Story()
    story.starts(baseline=False)
    story.watched(1)
    story.cuff(159, 99)
    assert not story.state().alarms


def test_a_cuff_that_never_answers_is_overdue() -> None:
    """Counted from the time it was due."""
    story = Story()
    story.starts()
    story.watched(99)
    assert not story.alarm("cuff_overdue").shown
    story.watched(2)
    assert story.alarm("cuff_overdue").level == "low"


# ---- events and status ----------------------------------------------------------------------------------------


def test_a_call_is_heard_without_a_session_until_somebody_comes() -> None:
    """Nothing else ends it: neither time, nor records, nor a session that begins or ends."""
    story = Story()
    story.vitals()
    story.event("button", "call")
    story.watched(600)
    story.starts()
    story.watched(2)
    story.does(wire.Abort(reason="left"))
    call = story.alarm("nurse_call")
    assert (call.sounding, call.level) == (True, "medium")
    assert story.state().level == "high"  # for ten minutes nobody came
    assert story.does(wire.Acknowledge()).ok
    assert not story.alarm("nurse_call").shown


@pytest.mark.parametrize(("age_s", "heard"), [(599, True), (601, False)])
def test_a_call_is_heard_until_ten_minutes_old(age_s: float, heard: bool) -> None:
    """Whatever its delivery."""
    story = Story()
    story.board.on_since_ms -= 3_600_000
    story.vitals()
    story.event("button", "call", **up_before(story, age_s))
    assert story.alarm("nurse_call").sounding == heard


def test_each_call_is_another_alarm() -> None:
    """Acknowledged and pressed again: a new name."""
    story = Story()
    story.event("button", "call")
    first = story.alarm("nurse_call").id
    story.does(wire.Acknowledge())
    story.event("button", "call")
    assert story.alarm("nurse_call").id != first


def test_a_fault_that_comes_back_is_another_alarm() -> None:
    """In the same boot too: an acknowledgement of the first must not meet the second."""
    story = Story()
    names = []
    for faults in (["adc"], [], ["adc"]):
        story.status(faults=faults)
        story.passes(6)
        names.append(story.alarm("board_fault").id)
    assert names[0]
    assert names[2]
    assert names[0] != names[2]


def test_a_low_battery_is_one_alarm() -> None:
    """Not a fault of the board beside it."""
    story = watching()
    story.status(faults=["battery_low"], battery_pct=15.0)
    story.watched(8)
    assert story.alarm("battery_low").present
    assert not story.alarm("board_fault").shown


def test_what_a_status_does_not_say_ends_nothing() -> None:
    """A status without faults, calibration or battery leaves those alarms; an expired one is not a missing one."""
    story = Story()
    story.status(faults=["adc"], calibration=wire.Calibration(state="expired"), battery_pct=10.0)
    story.passes(6)
    story.status()
    assert {view.rule for view in story.state().alarms} == {"board_fault", "calibration_expired", "battery_low"}
    story.status(faults=[], calibration=wire.Calibration(state="calibrated"), battery_pct=80.0)
    assert not story.state().alarms


def test_an_uncalibrated_board_is_known_though_it_was_there_first() -> None:
    """Its retained birth is no life, but what it says of the board is the last word."""
    story = Story()
    outputs = story.status(retained=True, calibration=wire.Calibration(state="uncalibrated"))
    assert transitions(outputs, "uncalibrated") == ["raised"]
    assert not story.state().online


@pytest.mark.parametrize("name", sorted(protocols.load_all()))
def test_without_a_session_only_calls_and_low_alarms_of_the_equipment_sound(name: str) -> None:
    """Every protocol keeps to this."""
    always = [rule for rule in protocols.load_all()[name].rules if rule.always]
    assert {rule.id for rule in always if rule.tiers[-1].level != "low"} == {"nurse_call"}
    assert all(rule.kind == "technical" for rule in always)


# ---- seat, board and clock ------------------------------------------------------------------------------------


def test_a_patient_who_leaves_before_discharge_is_missed() -> None:
    """Where a seat sensor says so; one that does not know neither raises nor ends it."""
    story = watching()
    story.watched(14, seat="empty")
    assert not story.alarm("seat_left").present
    story.watched(2, seat="empty")
    assert story.alarm("seat_left").level == "medium"
    story.watched(5, seat="unknown")
    assert story.alarm("seat_left").present
    story.watched(1, seat="occupied")
    assert not story.alarm("seat_left").present


def test_somebody_who_sits_down_without_a_session_is_a_low_alarm() -> None:
    """After two minutes; a session ends it, and in a session it is none."""
    story = Story()
    story.watched(119, seat="occupied")
    assert not story.state().alarms
    story.watched(2, seat="occupied")
    assert [(view.rule, view.level) for view in story.state().alarms] == [("seat_without_session", "low")]
    story.starts()
    story.watched(1, seat="occupied")
    assert not story.alarm("seat_without_session").present


@pytest.mark.parametrize("given", [{"safe_mode": True, "faults": ["safe_mode"]}, {"faults": ["updating"]}])
def test_a_board_that_measures_nothing_says_why(given: dict[str, object]) -> None:
    """In safe mode and while it is updated: low, without a session too, and no fault beside it."""
    story = Story()
    story.status(**given)
    story.passes(6)
    assert [(view.rule, view.level) for view in story.state().alarms] == [("board_stopped", "low")]
    story.status(faults=[])
    assert not story.state().alarms


def test_a_board_that_is_not_there_is_named_beside_its_silence() -> None:
    """Silence sounds; that no record at all comes is shown as suppressed by it. One that sends records, but no vitals,
    is there."""
    story = watching()
    story.passes(11)
    assert {view.rule: view.suppressed_by for view in story.state().alarms} == {
        "silence": wire.UNSET,
        "board_lost": "silence",
    }
    story.event("button", "acknowledge")
    story.passes(0.1)
    assert {view.rule for view in story.state().alarms} == {"silence"}


def test_a_breathing_rate_is_a_measure_that_no_protocol_asks_for() -> None:
    """A clinic may: it comes with a good reading only, and only if the board is sure."""
    breath = rule(Tier(level="medium", below=8.0), id="breath", measure="resp_bpm", reason="Breathing is slow")
    story = watching(protocol=protocol(*DEMO.rules, breath))
    story.vitals(resp_bpm=7.0)
    assert story.alarm("breath").present
    story.watched(3)
    story.watched(3, quality="motion", resp_bpm=14.0)
    assert story.alarm("breath").present
    story.vitals(resp_bpm=14.0)
    assert not story.alarm("breath").present
    assert not any(one.measure == "resp_bpm" for plan in protocols.load_all().values() for one in plan.rules)


def test_every_transition_is_a_row_of_the_audit_trail() -> None:
    """One for one, at once."""
    story = watching()
    outputs = [*story.vitals(spo2_pct=84.0), *story.watched(6)]
    written = rows(outputs, "alarm")
    assert [row.fields["what"] for row in written] == [c.what for c in published(wire.AlarmTransition, outputs)]
    assert all(row.urgent and row.audit for row in written)
