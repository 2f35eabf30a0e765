"""A CSV as monitors and spreadsheets really write it: read rightly, or refused with the place and the reason."""

from pathlib import Path

import pytest

from gateway import protocols
from gateway.core.chair_state import CuffRead, VitalsRead
from gateway.replay import play, source
from gateway.replay.recording import Recording, RecordingError

PROTOCOL = protocols.load_all()["iv-ketamine"]
HEADER = "time_s,spo2_pct,pulse_bpm,sys_mmhg,dia_mmhg,map_mmhg"


def read(tmp_path: Path, content: str | bytes, cadence_s: float | None = None) -> Recording:
    path = tmp_path / "monitor.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return source.read(path, cadence_s)


def vitals(recording: Recording) -> list[tuple[float, float | None]]:
    """Each reading's time in the recording and its saturation."""
    return [
        ((at_ms - recording.zero_ms) / 1000, event.record.spo2_pct if event.record.quality == "good" else None)
        for at_ms, event in recording.events
        if isinstance(event, VitalsRead)
    ]


def cuffs(recording: Recording) -> list[tuple[float, float]]:
    return [
        ((at_ms - recording.zero_ms) / 1000, float(event.record.sys_mmhg))
        for at_ms, event in recording.events
        if isinstance(event, CuffRead)
    ]


def raised(recording: Recording, rule: str) -> list[tuple[float, float | None]]:
    return [(one.raised_s, one.cleared_s) for one in play.play(recording, PROTOCOL).alarms if one.rule == rule]


PLAIN = [(0.0, 97.0), (1.0, 96.5), (2.0, 88.0), (3.0, 97.0)]


@pytest.mark.parametrize(
    "content",
    [
        "time_s,spo2_pct\n0,97\n1,96.5\n2,88\n3,97\n",
        "\ufefftime_s,spo2_pct\r\n0,97\r\n1,96.5\r\n2,88\r\n3,97\r\n",
        "time_s;spo2_pct\n0;97\n1;96,5\n2;88\n3;97\n",
        "sep=;\ntime_s;spo2_pct\n0,0;97\n1,0;96,5\n2,0;88\n3,0;97\n",
        "time_s\tspo2_pct\n0\t97\n1\t96,5\n2\t88\n3\t97\n",
        " Time_s , SpO2_pct \n 0 , 97 \n\n1,96.5\n,\n2,88\n3,97,\n",
        '"time_s","spo2_pct","note"\n"0","97","a, b"\n"1","96.5",""\n"2","88"\n"3","97",""\n',
        "time_s,spo2_pct,sys_mmhg\n0,97,\n0,,120\n1,96.5,\n1,96.5,\n2,88,\n3,97,\n",
    ],
    ids=["plain", "BOM and CRLF", "semicolons", "Excel", "tabs", "spaces and empty lines", "quotes", "one time twice"],
)
def test_one_content_in_many_forms(tmp_path: Path, content: str) -> None:
    """Separators, decimal commas, byte order marks, line ends, quotes, cells of one time in two rows."""
    assert vitals(read(tmp_path, content))[:4] == PLAIN


def test_utf_16_as_spreadsheets_export_unicode(tmp_path: Path) -> None:
    """Known by its byte order mark."""
    text = "time_s\tspo2_pct\r\n0\t97\r\n1\t96,5\r\n2\t88\r\n3\t97\r\n"
    assert vitals(read(tmp_path, text.encode("utf-16")))[:4] == PLAIN


@pytest.mark.parametrize(
    "cell", ["", " ", "NaN", "nan", "n/a", "NA", "null", "None", "-", "--", "---", "-?-", "0", "0.0"]
)
def test_no_value_in_every_spelling(tmp_path: Path, cell: str) -> None:
    """A cell that says nothing is a reading without a value: never a saturation of zero, and never the one before."""
    rest = "".join(f"{t},97,70\n" for t in range(3, 9))
    recording = read(tmp_path, f"time_s,spo2_pct,pulse_bpm\n0,97,70\n1,{cell},{cell}\n2,{cell},71\n{rest}")
    assert [value for _, value in vitals(recording)][1] is None
    assert all(value != 0 for _, value in vitals(recording))
    assert raised(recording, "spo2_low") == []
    assert ("zeros" in " ".join(recording.notes)) == cell.startswith("0")


def test_times_of_day_pass_midnight(tmp_path: Path) -> None:
    """As a clock shows them, or as its seconds: the next day goes on, without a gap and without a step back."""
    for times in (["23:59:58", "23:59:59", "00:00:00", "0:00:01"], ["86398", "86399", "0", "1"]):
        rows = "\n".join(f"{at},{value:g}" for at, (_, value) in zip(times, PLAIN, strict=True))
        recording = read(tmp_path, f"time_s,spo2_pct\n{rows}\n")
        assert vitals(recording)[:4] == [(86_398 + at_s, value) for at_s, value in PLAIN]
        assert "midnight" in " ".join(recording.notes)


def test_dates_are_seconds_of_their_epoch(tmp_path: Path) -> None:
    """ISO 8601, with an offset or without."""
    rows = "\n".join(f"2026-03-01T12:00:0{at_s:.0f}+01:00,{value:g}" for at_s, value in PLAIN)
    assert vitals(read(tmp_path, f"time_s,spo2_pct\n{rows}\n"))[:2] == [
        (1_772_362_800.0, 97.0),
        (1_772_362_801.0, 96.5),
    ]


def test_a_value_every_few_rows_stands_until_its_next(tmp_path: Path) -> None:
    """Rows each second with a saturation each minute: it has its own cadence; only a missed one is missing."""
    rows = [f"{t},{97 if t % 60 == 0 and t != 240 else ''},70" for t in range(400)]
    readings = dict(vitals(read(tmp_path, "time_s,spo2_pct,pulse_bpm\n" + "\n".join(rows) + "\n")))
    assert [t for t in range(400) if not isinstance(readings[t], float)] == list(range(271, 300))


def test_a_value_that_stops_does_not_stand_for_the_rows_after_it(tmp_path: Path) -> None:
    """In rows of one second an empty cell is empty at once."""
    rows = [f"{t},{97 if t < 20 else ''},70" for t in range(40)]
    readings = dict(vitals(read(tmp_path, "time_s,spo2_pct,pulse_bpm\n" + "\n".join(rows) + "\n")))
    assert isinstance(readings[19.0], float)
    assert not isinstance(readings[20.0], float)


def test_a_declared_cadence_is_how_long_a_value_stands(tmp_path: Path) -> None:
    """Irregular rows that their owner calls five minutes: nothing is silent before one and a half of them."""
    rows = "".join(f"{t},97\n" for t in (0, 300, 610, 890, 1190))
    assert raised(read(tmp_path, f"time_s,spo2_pct\n{rows}2400,97\n", 300), "silence") != []
    assert raised(read(tmp_path, f"time_s,spo2_pct\n{rows}", 300), "silence") == []


def test_five_minute_rows_have_delays_of_ten_seconds(tmp_path: Path) -> None:
    """A row stands for its five minutes, so a limit that is crossed in it is crossed for longer than its delay."""
    rows = "".join(f"{300 * n},{88 if n == 2 else 97},70,120,80,\n" for n in range(6))
    assert raised(read(tmp_path, f"{HEADER}\n{rows}"), "spo2_low") == [(610.0, 903.0)]


def test_pressures_between_the_rows_of_the_vitals_take_nothing_away(tmp_path: Path) -> None:
    """A measurement in a row of its own is a measurement, not a second without saturation."""
    rows = [f"{60 * n},97,70,,," for n in range(20)]
    rows[5:5] = ["275.5,,,185,95,"]
    recording = read(tmp_path, "\n".join([HEADER, *rows]) + "\n")
    assert cuffs(recording) == [(275.5, 185.0)]
    assert all(isinstance(value, float) for _, value in vitals(recording))
    assert raised(recording, "poor_signal") == []


@pytest.mark.parametrize("column", HEADER.split(",")[1:])
def test_one_column_is_enough(tmp_path: Path, column: str) -> None:
    """Whatever there is is judged; nothing is alarmed for what there never was."""
    value = {"spo2_pct": 80, "pulse_bpm": 30, "sys_mmhg": 70, "dia_mmhg": 120, "map_mmhg": 50}[column]
    recording = read(tmp_path, f"time_s,{column}\n" + "".join(f"{10 * n},{value}\n" for n in range(30)))
    (alarm,) = play.play(recording, PROTOCOL).alarms
    assert (alarm.level, alarm.value) == ("high", value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no rows: the file is empty"),
        ("\n \n", "no rows: the file is empty"),
        ("time_s,spo2_pct\n", "no rows; the columns are time_s, spo2_pct"),
        ("time_s,SPO2\n0,97\n", "no value in any of spo2_pct"),
        ("time_s,spo2_pct,spo2_pct\n0,97,97\n", "the column spo2_pct stands twice"),
        ("time_s,spo2_pct\n0,97\n0,96\n", "line 3: spo2_pct is 96, and 97 in another row of the same time_s 0"),
        ("time_s,spo2_pct\n5,97\n4,97\n", "line 3: time_s is 4, must be over 5 of the row before"),
        ("time_s,spo2_pct\n100,97\n200,97\n0,97\n", "line 4: time_s is 0, must be over 200"),
        ("time_s,spo2_pct\n0,97,5\n1,97,5\n", "line 2: 3 cells, must be 2 as in the first line"),
        ('time_s,spo2_pct\n0,"97,5"\n', "line 2: spo2_pct is '97,5', must be a number or empty"),
        ("time_s;spo2_pct\n0;1.097,5\n", "line 2: spo2_pct is '1.097,5', must be a number or empty"),
        ("time_s,spo2_pct\n0,0.97\n", "spo2_pct is 0.97, which looks like a fraction; percent is needed"),
        ("time_s,spo2_pct\n0,127\n", "allowed are 0 to 100; leave the cell empty if there is none"),
        ("time_s,spo2_pct\n0,-1\n", "spo2_pct is -1, allowed are 0 to 100"),
        ("time_s,spo2_pct\n0,1e400\n", "spo2_pct is '1e400', must be a number or empty"),
        ("time_s,spo2_pct\nnoon,97\n", "time_s is 'noon', must be seconds, a time of day or an ISO date"),
        ("time_s,spo2_pct\n25:00:00,97\n", "time_s is '25:00:00', must be seconds, a time of day"),
        ("time_s,spo2_pct\nnan,97\n", "time_s is 'nan', must be seconds"),
        (b"time_s,spo2_pct\n0,97\xff\n", "not text in UTF-8 (byte 20)"),
        (b"time_s,spo2_pct\n0,\x0097\n", "not text: it holds zero bytes"),
        ('time_s,spo2_pct\n0,"97\n1,97\n', "line 3: unexpected end of data"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: str | bytes, says: str) -> None:
    """Never half read: the line, what was found, what is needed."""
    with pytest.raises(RecordingError) as refused:
        read(tmp_path, content)
    assert says in str(refused.value)


def test_a_part_of_a_csv_cannot_be_chosen(tmp_path: Path) -> None:
    """--session is for journals; to take no notice of it would answer another question."""
    path = tmp_path / "monitor.csv"
    path.write_text("time_s,spo2_pct\n0,97\n")
    with pytest.raises(RecordingError, match="is no journal"):
        source.read(path, part=source.Part(session="s-1"))
