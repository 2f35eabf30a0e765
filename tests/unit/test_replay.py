"""A recording through the alarm core: what it would have said."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from gateway import protocols
from gateway.cli import app
from gateway.replay import play, source
from gateway.replay.recording import RecordingError

PROTOCOL = protocols.load(protocols.FOLDER / "iv-ketamine.toml")


def csv(tmp_path: Path, rows: list[str], columns: str = "time_s,spo2_pct,pulse_bpm,sys_mmhg,dia_mmhg,map_mmhg") -> Path:
    path = tmp_path / "monitor.csv"
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def alarms(path: Path, cadence_s: float | None = None) -> list[tuple[str, str, float, float | None]]:
    """All but the falls, which a test of a low saturation has as well."""
    result = play.play(source.read(path, cadence_s), PROTOCOL)
    found = [alarm for alarm in result.alarms if alarm.rule != "spo2_falling"]
    return [(alarm.rule, alarm.level, alarm.raised_s, alarm.cleared_s) for alarm in found]


def falling(low: range, to_pct: float, seconds: int = 120, step_s: int = 1, from_s: int = 0) -> list[str]:
    return [f"{from_s + t},{to_pct if t in low else 97},70,,," for t in range(0, seconds, step_s)]


def test_a_desaturation_is_raised_after_its_delay_and_cleared_after_its_end(tmp_path: Path) -> None:
    """Below 90 % for its 10 s, at the recording's own times; the short one before is none."""
    rows = falling(range(60, 90), 88, from_s=1000)
    rows[20:25] = [f"{1000 + t},88,70,,," for t in range(20, 25)]
    assert alarms(csv(tmp_path, rows)) == [("spo2_low", "medium", 1070.0, 1093.0)]


def test_the_gravest_level_counts_once(tmp_path: Path) -> None:
    """An alarm that rises is one alarm, of its highest level, with the value and the limit of that."""
    rows = [f"{t},{97 if t < 20 else 88 if t < 40 else 80 if t < 50 else 97},70,,," for t in range(90)]
    result = play.play(source.read(csv(tmp_path, rows)), PROTOCOL)
    (alarm,) = [alarm for alarm in result.alarms if alarm.rule == "spo2_low"]
    assert (alarm.level, alarm.raised_s, alarm.value, alarm.limit) == ("high", 30.0, 80.0, 85.0)
    assert set(result.minutes_in_alarm()["spo2_low"]) == {"medium", "high"}


@pytest.mark.parametrize("step_s", [1, 5, 60, 300])
def test_any_cadence_shows_the_same_fall(tmp_path: Path, step_s: int) -> None:
    """From a second to five minutes: a row stands until the next, and nothing is called silent."""
    rows = falling(range(1200, 2400), 88, seconds=3600, step_s=step_s)
    assert alarms(csv(tmp_path, rows)) == [("spo2_low", "medium", 1210.0, 2403.0)]


def test_a_gap_is_silence_and_an_empty_cell_is_not(tmp_path: Path) -> None:
    """Rows that are missing: no data. Rows without a value: a poor signal, and a saturation not watched."""
    gap = [row for t, row in enumerate(falling(range(0), 0, seconds=200)) if not 50 <= t < 120]
    assert [(rule, level) for rule, level, *_ in alarms(csv(tmp_path, gap))] == [("silence", "high")]
    empty = [row if not 50 <= t < 200 else f"{t},,,,," for t, row in enumerate(falling(range(0), 0, seconds=300))]
    assert {rule for rule, *_ in alarms(csv(tmp_path, empty))} == {"poor_signal", "unwatched"}


def test_a_pressure_that_is_repeated_in_each_row_is_one_measurement(tmp_path: Path) -> None:
    """Filled forward it is as old as its first row; a new one ends the alarm."""
    rows = [f"{t},97,70,{185 if t < 100 else 120},{80},{100}" for t in range(200)]
    read = source.read(csv(tmp_path, rows))
    assert sum(type(event).__name__ == "CuffRead" for _, event in read.events) == 2
    assert ("sys_high", "high", 0.0, 100.0) in alarms(csv(tmp_path, rows))


def test_only_what_is_in_the_file_is_judged(tmp_path: Path) -> None:
    """Pressures alone: no silence of an oximeter that was never there."""
    path = csv(tmp_path, [f"{t},{150},{80}" for t in range(0, 3600, 300)], "time_s,sys_mmhg,dia_mmhg")
    result = play.play(source.read(path), PROTOCOL)
    assert result.alarms == []
    assert {"silence", "spo2_low", "cuff_overdue", "sys_rise"} <= set(result.not_judged)


@pytest.mark.parametrize(
    ("columns", "row", "says"),
    [
        ("t,spo2_pct", "0,97", "no column time_s; found t, spo2_pct"),
        ("time_s,spo2_pct", "0,ninety", "line 2: spo2_pct is 'ninety', must be a number or empty"),
        ("time_s,spo2_pct", "0,127", "line 2: spo2_pct is 127, allowed are 0 to 100"),
        ("time_s,spo2_pct", ",97", "line 2: time_s is empty"),
        ("time_s,spo2_pct", "5,97\n4,97", "line 3: time_s is 4, must be over 5"),
        ("time_s,spo2_pct", "0,97\n900,97", "the cadence is 900 s, allowed are 1 to 300 s"),
        ("time_s,rr", "0,12", "no value in any of spo2_pct"),
    ],
)
def test_a_recording_that_cannot_be_read_is_refused(tmp_path: Path, columns: str, row: str, says: str) -> None:
    """With file, line, what was found and what is allowed; exit code 2."""
    answer = CliRunner().invoke(app, ["replay", str(csv(tmp_path, [row], columns))])
    assert answer.exit_code == 2
    assert says in answer.output.replace("\n", "")


def test_the_command_compares_and_changes_limits(tmp_path: Path) -> None:
    """A clinic's own file changes single values; the answer for programs is one JSON document."""
    path = csv(tmp_path, falling(range(60, 90), 91))
    limits = tmp_path / "clinic.toml"
    limits.write_text("[rules.spo2_low]\nmedium = { below = 92, delay_s = 2 }\n")
    answer = CliRunner().invoke(app, ["replay", str(path), "--limits", str(limits), "--compare", "demo", "--json"])
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    alarm = next(alarm for alarm in document["alarms"] if alarm["rule"] == "spo2_low")
    assert (alarm["rule"], alarm["level"], alarm["raised_s"], alarm["limit"]) == ("spo2_low", "medium", 62.0, 92.0)
    assert document["load_per_hour"] == pytest.approx(30 * len(document["alarms"]), rel=0.05)
    assert set(document) == {"alarms", "load_per_hour", "minutes_in_alarm", "compared"}
    assert set(alarm) == {"rule", "level", "raised_s", "cleared_s", "value", "limit", "reason"}
    assert document["minutes_in_alarm"]["spo2_low"]["medium"] == pytest.approx(0.5, abs=0.1)
    assert "spo2_low" not in {alarm["rule"] for alarm in document["compared"]["alarms"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[rules.spo2_lo]\nclear_s = 1\n", "rules.spo2_lo: found a name that is not there; allowed: spo2_low"),
        ("[rules.spo2_low]\nlow = { below = 95 }\n", "rules.spo2_low.low: found a level that the rule does not have"),
        ("[rules.spo2_low]\nmedium = { beneath = 95 }\n", "spo2_low.medium.beneath: found a key that is not known"),
        ("[rules.spo2_low]\nmedium = { below = 80 }\n", "rules.spo2_low.high.below: found 85; allowed: at most 80"),
        ("[limits]\nspo2 = 1\n", "limits: found a key that is not known; allowed: rules, criteria"),
        ("[cuff]\nrepeat_s = 5\n", "cuff.repeat_s: found 5; allowed: a number from 30"),
    ],
)
def test_limits_that_change_nothing_or_too_much_are_refused(tmp_path: Path, text: str, says: str) -> None:
    """A misspelt name is an error, not a limit that stays as it was."""
    limits = tmp_path / "clinic.toml"
    limits.write_text(text)
    with pytest.raises(protocols.ProtocolError) as refused:
        protocols.load(protocols.FOLDER / "iv-ketamine.toml", limits)
    assert says in str(refused.value)
    assert "clinic.toml" in str(refused.value)


def test_the_log_of_a_simulated_stay_is_judged_by_its_own_qualities(tmp_path: Path) -> None:
    """A finger that is off is finger_off, not a poor signal; late readings are left where they belong."""
    path = tmp_path / "stay.jsonl"
    lines = [
        {"at_ms": 5000 + 1000 * t, "kind": "vitals", "seq": t + 1}
        | ({"quality": "no_finger"} if 20 <= t < 60 else {"quality": "good", "spo2_pct": 97.0, "pulse_bpm": 70.0})
        for t in range(90)
    ]
    path.write_text("\n".join(json.dumps(line) for line in [*lines, {"at_ms": 0, "kind": "phase", "what": "x"}]))
    assert alarms(path) == [("finger_off", "medium", 40.0, 65.0)]
    path.write_text('{"at_ms": 1, "kind": "vitals"}\n')
    with pytest.raises(RecordingError, match=r"stay.jsonl line 1: not a line of a simulated stay"):
        source.read(path)


def test_the_picture_has_every_value_limit_and_alarm(tmp_path: Path) -> None:
    """Well-formed, a lane for each kind of value, a line broken where there was none, a band for each alarm's level."""
    rows = [
        f"{t},{'' if 300 <= t < 400 else 84 if 100 <= t < 130 else 97},70,{'185,90' if t == 200 else ','},"
        for t in range(600)
    ]
    picture = tmp_path / "stay.svg"
    answer = CliRunner().invoke(app, ["replay", str(csv(tmp_path, rows)), "--compare", "demo", "--svg", str(picture)])
    assert answer.exit_code == 0, answer.output
    drawn = ElementTree.parse(picture)
    words = [text.text or "" for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"SpO2, %", "pulse, /min", "pressure, mmHg", "90 **", "85 ***", "sys 180 ***"} <= set(words)
    assert "alarms under iv-ketamine" in words
    assert "alarms under demo" in words
    assert any(word.startswith("*** Oxygen saturation is low") for word in words)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))) == 3
    titles = [title.text or "" for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert "*** Oxygen saturation is low (spo2_low), 84 %, limit 85" in titles


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A folder that is not there."""
    path = csv(tmp_path, ["0,97,70,,,"])
    answer = CliRunner().invoke(app, ["replay", str(path), "--svg", str(tmp_path / "none" / "x.svg")])
    assert answer.exit_code == 2
    assert "--svg" in answer.output
