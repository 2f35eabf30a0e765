"""A journal through the alarm core: the same rows give the same alarms, at the same times, of the same names."""

import json
from pathlib import Path

import pytest
from core_helpers import BOARD, CHAIR, Story, rule
from msgspec.structs import replace
from replay_journals import demo, journal_of, of_session, replayed, said_again, spans, told
from typer.testing import CliRunner

from gateway import wire
from gateway.cli import app
from gateway.core.protocol import Tier
from gateway.replay import play, source
from gateway.replay.recording import RecordingError
from gateway.replay.source import Part


def connected() -> Story:
    """A gateway whose first words are in the journal, as after every start."""
    story = Story(protocol=demo())
    story.comes_up()
    return story


def eventful() -> Story:
    """A stay with everything that a chair can be told: readings, pressures, a button, a status, people."""
    story = connected()
    story.status(faults=["cuff_leak"], calibration=wire.Calibration(state="uncalibrated"), battery_pct=15.0)
    story.passes(7)
    story.starts()
    story.watched(5)
    story.cuff()
    story.doses("first")
    story.watched(6, spo2_pct=88.0)
    story.watched(4, spo2_pct=84.0)
    assert story.does(wire.Acknowledge()).ok
    story.watched(3, quality="no_finger", spo2_pct=wire.UNSET, pulse_bpm=wire.UNSET)
    story.watched(6, pulse_bpm=150.0)
    assert story.does(wire.PauseAudio()).ok
    story.cuff(185, 95)
    story.cuff_failed()
    story.cuff_failed("above_range")
    story.event("button", "call")
    story.passes(33)
    story.watched(12)
    assert story.does(wire.Acknowledge()).ok
    story.doses("end")
    story.status(faults=[], battery_pct=80.0, conn=2)
    story.watched(8)
    return story


def test_a_stay_replayed_says_what_was_said(tmp_path: Path) -> None:
    """Every transition of every rule, to the millisecond, with the alarm's name and who acknowledged."""
    story = eventful()
    path = journal_of(tmp_path / "j.sqlite", story)
    recorded = told(story.outputs)
    assert len(recorded) > 20
    assert said_again(source.read(path, part=Part(chair=CHAIR)), demo()) == recorded


def test_a_session_takes_over_what_stood_when_it_began(tmp_path: Path) -> None:
    """An uncalibrated board was an alarm long before: the session's replay knows it and does not raise it anew."""
    story = connected()
    story.status(calibration=wire.Calibration(state="uncalibrated"))
    assert story.does(wire.Acknowledge()).ok
    story.passes(120)
    began = len(story.outputs)
    story.starts()
    story.watched(20, spo2_pct=84.0)
    story.status(calibration=wire.Calibration(state="calibrated"), conn=2)
    path = journal_of(tmp_path / "j.sqlite", story)
    assert said_again(of_session(path, story.session().id), demo()) == told(story.outputs[began:])


def test_readings_that_came_late_do_not_sound_in_a_replay_either(tmp_path: Path) -> None:
    """What was resent is history there as it was then: it is listed, and the silence is the alarm."""
    story = connected()
    story.starts()
    story.watched(5)
    held = [
        story.board.record(wire.Vitals, story.now_ms + 1000 * n, quality="good", sqi_pct=95.0, spo2_pct=80.0)
        for n in range(20)
    ]
    story.passes(20)
    story.watched(3)
    for record in held:
        story.send(replace(record, late=True))
        story.passes(0.2)
    story.watched(10)
    path = journal_of(tmp_path / "j.sqlite", story)
    recording = of_session(path, story.session().id)
    assert said_again(recording, demo()) == told(story.outputs)
    assert {one.rule for one in replayed(recording, demo()).alarms} >= {"silence"}
    assert "spo2_low" not in {one.rule for one in replayed(recording, demo()).alarms}
    *_, last = play.moments(recording, demo())
    assert [crossed.value for crossed in last.state.outage if crossed.rule == "spo2_low"] == [80.0]


def test_other_numbers_make_other_alarms(tmp_path: Path) -> None:
    """The same rows under a narrower limit: an alarm that was not, with that limit."""
    story = connected()
    story.starts()
    story.watched(5)
    story.watched(30, spo2_pct=92.0)
    path = journal_of(tmp_path / "j.sqlite", story)
    recording = of_session(path, story.session().id)
    assert not [one for one in replayed(recording, demo()).alarms if one.rule == "spo2_low"]
    low = rule(Tier(level="medium", below=93, delay_s=10), unit="%")
    narrow = replace(demo(), rules=(low, *(one for one in demo().rules if one.id != "spo2_low")))
    (alarm,) = [one for one in replayed(recording, narrow).alarms if one.rule == "spo2_low"]
    assert (alarm.value, alarm.limit, alarm.level) == (92.0, 93.0, "medium")


@pytest.mark.parametrize("step_s", [7200, -7200, 3])
def test_a_clock_that_was_set_is_no_silence(tmp_path: Path, step_s: int) -> None:
    """UTC goes on by two hours, or back, or by seconds, in the middle of a stay: the replay has what was judged."""
    story = connected()
    story.starts()
    story.watched(24)
    story.utc_ms += step_s * 1000
    story.watched(15, spo2_pct=84.0)
    path = journal_of(tmp_path / "j.sqlite", story)
    recording = of_session(path, story.session().id)
    assert spans(replayed(recording, demo()).alarms) == spans(play.recorded(recording))
    assert {one.rule for one in replayed(recording, demo()).alarms} == {"spo2_low", "spo2_falling"}


@pytest.mark.parametrize("computer_off", [False, True])
def test_a_gateway_that_was_away_judged_nothing_meanwhile(tmp_path: Path, computer_off: bool) -> None:
    """The silence of a restart is told when the gateway is back, not while it was away; alarms go on."""
    before = connected()
    before.starts()
    before.watched(5)
    before.watched(12, spo2_pct=84.0)
    before.passes(2.1)
    # The computer that was off knows neither for how long nor what its clock shows.
    after = before.crashed(away_s=40, mono_ms=20_000 if computer_off else None, away_utc_s=40)
    after.comes_up()
    after.passes(1)
    if computer_off:
        after.board.rebooted(after.now_ms, "00000000000000b2")
    after.watched(15)
    path = journal_of(tmp_path / "j.sqlite", before, after)
    said = said_again(of_session(path, after.session().id), demo())
    assert said == told([*before.outputs, *after.outputs])
    assert any(
        "silence" in id_ and what == "raised" and at_ms >= after.utc_ms - 17_000 for at_ms, id_, what, *_ in said
    )


def test_a_patient_who_goes_to_another_chair_is_followed(tmp_path: Path) -> None:
    """The session's replay goes along: no silence of the chair that was left, and what stood goes on."""
    story = Story(chairs={CHAIR: BOARD, "bay-2": "cb-000002"}, protocol=demo())
    story.comes_up()
    story.starts()
    story.watched(5)
    story.watched(3, spo2_pct=84.0)
    assert story.does(wire.Move(to="bay-2")).ok
    story.watched(15, "cb-000002", spo2_pct=84.0)
    assert story.does(wire.Acknowledge(), chair="bay-2").ok
    story.watched(15, "cb-000002")
    path = journal_of(tmp_path / "j.sqlite", story)
    recording = of_session(path, story.session("bay-2").id)
    said = said_again(recording, demo())
    assert said == told(story.outputs)
    assert "acknowledged" in {what for _, _, what, *_ in said}
    assert not any("silence" in id_ for _, id_, *_ in said)
    there = source.read(path, part=Part(chair="bay-2", from_="2026-03-01T08:00:20Z"))
    assert {one.rule for one in replayed(there, demo()).alarms} == {"spo2_low"}
    left = source.read(path, part=Part(chair=CHAIR))
    assert not any("silence" in id_ for _, id_, *_ in said_again(left, demo()))


def test_another_board_for_a_chair_is_replayed(tmp_path: Path) -> None:
    """What only the board before could say ends with it."""
    story = Story(spares=("cb-000009",), protocol=demo())
    story.comes_up()
    story.status(calibration=wire.Calibration(state="uncalibrated"))
    story.starts()
    story.watched(5, spo2_pct=84.0)
    assert story.does(wire.Swap(device="cb-000009")).ok
    story.watched(5, "cb-000009", spo2_pct=84.0)
    story.passes(14)
    path = journal_of(tmp_path / "j.sqlite", story)
    assert said_again(source.read(path, part=Part(chair=CHAIR)), demo()) == told(story.outputs)


def test_the_command_chooses_a_session_and_says_whether_it_agrees(tmp_path: Path) -> None:
    """Without a choice the sessions are listed; with one the alarms are told, as one JSON document too."""
    story = eventful()
    path = journal_of(tmp_path / "j.sqlite", story)
    undecided = CliRunner().invoke(app, ["replay", str(path)])
    assert undecided.exit_code == 2
    assert story.session().id in undecided.output
    assert "--session" in undecided.output
    chosen = CliRunner().invoke(app, ["replay", str(path), "--session", story.session().id])
    assert chosen.exit_code == 0, chosen.output
    assert "agrees with what the gateway recorded" in chosen.output
    answer = CliRunner().invoke(app, ["replay", str(path), "--session", story.session().id, "--json"])
    document = json.loads(answer.stdout)
    assert set(document) == {"alarms", "load_per_hour", "minutes_in_alarm"}
    assert [alarm["level"] for alarm in document["alarms"] if alarm["rule"] == "spo2_low"] == ["high"]


def test_a_part_of_a_chairs_time_counts_only_its_own_alarms(tmp_path: Path) -> None:
    """--from and --to: what was over before is not counted, what goes on is counted from there."""
    story = connected()
    story.starts()
    story.watched(5)
    story.watched(10, spo2_pct=84.0)
    story.watched(30)
    from_ms = story.utc_ms
    story.watched(20, pulse_bpm=150.0)
    story.watched(30)
    path = journal_of(tmp_path / "j.sqlite", story)
    iso = [
        f"2026-03-01T08:{(ms - 1_772_352_000_000) // 60_000:02d}:{ms // 1000 % 60:02d}Z"
        for ms in (from_ms, from_ms + 25_000)
    ]
    recording = source.read(path, part=Part(chair=CHAIR, from_=iso[0], to=iso[1]))
    result = replayed(recording, demo())
    assert [one.rule for one in result.alarms if one.rule.startswith("pulse_h")] == ["pulse_high"]
    assert "spo2_low" not in {one.rule for one in result.alarms}
    assert result.hours == pytest.approx(25 / 3600, abs=0.001)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (Part(session="s-none"), "no session 's-none'; there are s-"),
        (Part(chair="bay-9"), "no chair 'bay-9'; there are bay-1"),
        (Part(chair=CHAIR, from_="tomorrow"), "'tomorrow' is no time; allowed are 14:05"),
        (Part(chair=CHAIR, from_="2026-03-01T09:00Z", to="2026-03-01T08:00Z"), "is not before --to"),
        (Part(chair=CHAIR, from_="2030-01-01T00:00Z"), "bay-1 has no rows in that time"),
    ],
)
def test_a_part_that_is_not_there_is_refused(tmp_path: Path, part: Part, says: str) -> None:
    """With what there is."""
    story = connected()
    story.starts()
    story.watched(3)
    path = journal_of(tmp_path / "j.sqlite", story)
    with pytest.raises(RecordingError, match=r"j\.sqlite") as refused:
        source.read(path, part=part)
    assert says in str(refused.value)


def test_a_damaged_or_empty_journal_is_refused(tmp_path: Path) -> None:
    """Not a traceback: a sentence with the file."""
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"?" * 5000)
    with pytest.raises(RecordingError, match=r"j\.sqlite: no journal that can be read"):
        source.read(path, part=Part(chair=CHAIR))
    empty = journal_of(tmp_path / "empty.sqlite", Story())
    with pytest.raises(RecordingError, match="no chair 'bay-1'; there are none"):
        source.read(empty, part=Part(chair=CHAIR))


def test_an_hour_takes_seconds(tmp_path: Path) -> None:
    """Many times faster than life, as a ratio to the time that it covers."""
    story = connected()
    story.starts()
    story.doses("first")
    for second in range(900):
        story.skips(1)
        story.tick()
        story.vitals(BOARD, spo2_pct=97.0 - 10 * (second % 300 > 270))
    path = journal_of(tmp_path / "j.sqlite", story)
    result = replayed(of_session(path, story.session().id), demo())
    assert result.hours == pytest.approx(0.25, abs=0.01)
    assert len([one for one in result.alarms if one.rule == "spo2_low"]) == 3
