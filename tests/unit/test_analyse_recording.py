"""Tables of other instruments: what is read from them, how they come onto the firmware's grid, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from analyse_recordings import Arm, Finger, cuff, finger, write

from simulators.analyse import cuff as cuff_analysis
from simulators.analyse import oximetry
from simulators.analyse.recording import Recording, RecordingError, read
from simulators.analyse.resample import resample


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "recording.csv"
    path.write_bytes(text.encode(encoding))
    return path


ROWS = [(0.00, 100.5, 200), (0.02, 101.5, 201), (0.04, 102.5, 202), (0.06, 103.5, 203)]


def rows(separator: str = ",", decimal: str = ".", unit: float = 1.0) -> str:
    lines = [separator.join([f"{t * unit:g}", f"{a:g}", f"{b:g}"]).replace(".", decimal) for t, a, b in ROWS]
    return "\n".join(lines) + "\n"


TABLES = {
    "comma": "t,a,b\n" + rows(),
    "semicolon and decimal comma": "t;a;b\n" + rows(";", ","),
    "tab": "t\ta\tb\n" + rows("\t"),
    "decimal comma between tabs": "t\ta\tb\n" + rows("\t", ","),
    "byte order mark": "\ufefft,a,b\n" + rows(),
    "Windows line ends": "t,a,b\r\n" + rows().replace("\n", "\r\n"),
    "lines above the header": "# probe 7\nrecorded: 2026-03-01\n\nt,a,b\n" + rows(),
    "a line of units": "t,a,b\ns,raw,raw\n" + rows(),
    "quotes and spaces": '"t", \'a\' ,"b"\n' + rows(", "),
    "milliseconds": "t,a,b\n" + rows(unit=1e3),
    "microseconds": "t,a,b\n" + rows(unit=1e6),
    "other columns": "n,t,note,a,b\n" + "".join(f"{i},{t},fine,{a},{b}\n" for i, (t, a, b) in enumerate(ROWS)),
    "a clock": "t,a,b\n" + "".join(f"1:02:{3 + t:06.3f},{a},{b}\n" for t, a, b in ROWS),
    "dates": "t,a,b\n" + "".join(f"2026-03-01 10:00:{t:09.6f},{a},{b}\n" for t, a, b in ROWS),
    "a time of day": "t,a,b\n" + "".join(f"{1772359200 + t:.2f},{a},{b}\n" for t, a, b in ROWS),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_read_whatever_its_dress(tmp_path: Path, kind: str) -> None:
    """Separator, decimal sign, marks, preambles and units of time do not change what was recorded."""
    recording = read(table(tmp_path, TABLES[kind]), ["a", "b"], "t", None)
    assert recording.t_s == pytest.approx([0.0, 0.02, 0.04, 0.06], abs=1e-6)
    assert list(recording.columns["a"]) == [100.5, 101.5, 102.5, 103.5]
    assert list(recording.columns["b"]) == [200, 201, 202, 203]
    assert recording.rate_hz == pytest.approx(50, rel=1e-3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_names_of_other_alphabets_are_found(tmp_path: Path, encoding: str) -> None:
    """A header with a micro sign, in any of the usual encodings."""
    path = table(tmp_path, "t,Strom µA,b\n" + rows(), encoding)
    assert list(read(path, ["Strom µA"], "t", None).columns) == ["Strom µA"]


def test_a_table_without_header_has_numbered_columns(tmp_path: Path) -> None:
    """Columns are counted from 1."""
    recording = read(table(tmp_path, rows()), ["2", "3"], "1", None)
    assert recording.columns["3"][0] == 200


@pytest.mark.parametrize("empty", ["", "NaN", "-", "null"])
def test_a_missing_sample_is_a_hole_and_not_a_number(tmp_path: Path, empty: str) -> None:
    """What was not measured is left out, said, and parts the recording in two."""
    text = "a,b\n" + "".join(f"{empty if i in (40, 41, 42) else i},{i}\n" for i in range(100))
    recording = read(table(tmp_path, text), ["a", "b"], None, 50.0)
    assert len(recording.t_s) == 97
    assert [part.stop - part.start for part in recording.segments()] == [40, 57]
    assert any("3 lines" in note for note in recording.notes)


def test_a_clock_coarser_than_the_samples_is_evened_out(tmp_path: Path) -> None:
    """Stamps of 1/64 s over samples of 1/100 s give even steps, not pairs and holes."""
    text = "t,a\n" + "".join(f"{int(i / 100 * 64) / 64:.6f},{i}\n" for i in range(1000))
    recording = read(table(tmp_path, text), ["a"], "t", None)
    assert recording.rate_hz == pytest.approx(100, rel=0.01)
    assert len(recording.segments()) == 1
    assert np.diff(recording.t_s) == pytest.approx(0.01, rel=0.25)


REFUSED = {
    "no column": ("t,a,b\n" + rows(), ["x"], "t", None, "has no column 'x'; it has 't', 'a', 'b'"),
    "no header": (rows(), ["red"], None, 50.0, "name its columns by number, 1 to 3"),
    "two of a name": ("t,a,a\n" + rows(), ["a"], "t", None, "2 columns 'a'"),
    "a word": ("t,a,b\n" + rows() + "0.08,bad,204\n", ["a"], "t", None, "line 6: 'bad' in column 'a' is no number"),
    "nothing": ("", ["a"], "t", None, "is empty"),
    "header only": ("t,a,b\n", ["a"], "t", None, "no samples"),
    "no number": ("t,a\n0.00,\n0.02,\n0.04,\n", ["a"], "t", None, "column 'a' holds no number"),
    "time goes back": ("t,a,b\n" + rows() + rows(), ["a"], "t", None, "goes back, from 0.06 to 0 at sample 5"),
    "time stands": ("t,a\n1,5\n1,6\n1,7\n", ["a"], "t", None, "never moves; give --rate-hz"),
    "too slow": ("t,a\n" + "".join(f"{i / 5},{i}\n" for i in range(9)), ["a"], "t", None, "allowed are 20 to 1000"),
    "rate": ("a\n1\n2\n", ["a"], None, 5.0, "--rate-hz is 5; allowed are 20 to 1000"),
    "no text": ("t,a\n\0\0\0", ["a"], "t", None, "not a text table"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path, kind: str) -> None:
    """With the file, the column, what was found and what is allowed."""
    text, columns, time, rate_hz, words = REFUSED[kind]
    with pytest.raises(RecordingError, match=r"^\S.*[^.]$") as refusal:
        read(table(tmp_path, text), columns, time, rate_hz)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def recording_of(t_s: np.ndarray, **columns: np.ndarray) -> Recording:
    rate_hz = 1 / float(np.median(np.diff(t_s)))
    return Recording(t_s, columns, rate_hz, 2.5 / rate_hz)


@pytest.mark.parametrize("rate_hz", [20, 25, 50, 117, 250, 1000])
@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_the_grid_keeps_the_pulse_of_any_rate(rate_hz: float, jitter: float) -> None:
    """The wave at 100 samples/s differs from the true one by under 1 % of the pulse, 6 % with uneven steps."""
    body = Finger(variability=0.0)
    t_s, _, ir = finger(body, 20, rate_hz=rate_hz, jitter=jitter, noise_pct=0.0, step=1e-6)
    _, _, true = finger(body, 20, noise_pct=0.0, step=1e-6)
    columns, there = resample(recording_of(t_s, ir=ir), 100)
    assert there.all()
    assert len(there) == pytest.approx(2000, abs=2)
    away = (columns["ir"][: len(true)] - true[: len(columns["ir"])])[100:-100]
    if not jitter:
        assert np.std(away) < 0.01 * np.ptp(true)
    assert np.std(away) < 0.06 * np.ptp(true)


def test_what_is_too_fast_for_the_grid_is_not_folded_into_it() -> None:
    """Mains flicker of 97 Hz in a recording of 1000 samples/s does not come back as a pulse of 3 Hz."""
    t_s = np.arange(20_000) / 1000
    columns, _ = resample(recording_of(t_s, ir=1000 + 100 * np.sin(2 * np.pi * 97 * t_s)), 100)
    assert np.ptp(columns["ir"][50:-50]) < 1


def test_a_hole_stays_open() -> None:
    """No value is invented between the samples on either side of a hole, at whatever rate."""
    for rate_hz in (25, 100, 1000):
        t_s, _, ir = finger(Finger(), 10, rate_hz=rate_hz)
        kept = (t_s < 4) | (t_s >= 5)
        columns, there = resample(recording_of(t_s[kept], ir=ir[kept]), 100)
        assert not there[405:500].any()
        assert there[:400].all()
        assert there[500:].all()
        assert np.isnan(columns["ir"][450])


@pytest.mark.parametrize(("level", "step"), [(500.0, 1.0), (40_000.0, 1.0), (8e6, 1.0), (1.1, 1e-5)])
def test_one_factor_serves_both_colours(level: float, step: float) -> None:
    """10 bit, 16 bit, 24 bit or volts: the quotient of the colours and the pulse in the level stay."""
    t_s, red, ir = finger(Finger(), 20, ir_level=level, red_level=0.7 * level, step=step, noise_pct=0.0)
    light = oximetry.condition(recording_of(t_s, red=red, ir=ir), "red", "ir")
    assert light.refused == ""
    assert np.median(light.ir) == pytest.approx(100_000, rel=0.7)
    assert np.median(light.red / light.ir) == pytest.approx(np.median(red / ir), rel=1e-3)
    assert np.ptp(light.ir[200:400]) / np.median(light.ir) == pytest.approx(
        np.ptp(ir[200:400]) / np.median(ir), rel=0.2
    )


def test_counts_like_the_boards_are_left_as_they_are() -> None:
    """A recording of the board itself goes through unchanged."""
    t_s, red, ir = finger(Finger(), 20)
    light = oximetry.condition(recording_of(t_s, red=red, ir=ir), "red", "ir")
    assert np.max(np.abs(light.ir - ir)) < 60  # what the band limit takes of the noise


def test_a_recording_without_its_level_is_known() -> None:
    """AC-coupled, centred, or offset so that the pulse would be half of the light: no ratio can be had."""
    t_s, red, ir = finger(Finger(), 20)
    for shift in (np.mean(ir), np.mean(ir) - 4000):
        light = oximetry.condition(recording_of(t_s, red=red - np.mean(red), ir=ir - shift), "red", "ir")
        assert light.refused == "ac_coupled"
    assert oximetry.condition(recording_of(t_s, ir=ir), "ir", "ir").refused == "one_colour"
    assert oximetry.condition(recording_of(t_s, red=-red, ir=-ir), "red", "ir").refused == ""


@pytest.mark.parametrize("top", [65535, 4_194_303, 1.234])
def test_clipped_samples_are_handed_on_as_clipped(top: float) -> None:
    """Full-scale codes, and flat summits of any scale, become the board's own full scale; an unclipped one has none."""
    t_s, red, ir = finger(Finger(pi_pct=4.0), 30, ir_level=top * 1.01, red_level=top * 0.5, step=top / 1e6)
    light = oximetry.condition(recording_of(t_s, red=red, ir=np.minimum(ir, top)), "red", "ir")
    assert np.count_nonzero(light.ir == oximetry.COUNTS_MAX) > 100
    assert not np.any(light.red == oximetry.COUNTS_MAX)
    whole = oximetry.condition(recording_of(t_s, red=red, ir=ir), "red", "ir")
    assert not np.any(whole.ir == oximetry.COUNTS_MAX)


def test_a_short_or_dark_recording_is_refused() -> None:
    """A second of light, and a column that never moves, are named."""
    t_s, red, ir = finger(Finger(), 10)
    with pytest.raises(RecordingError, match=r"samples for 1\.0 s"):
        oximetry.condition(recording_of(t_s[:100], red=red[:100], ir=ir[:100]), "red", "ir")
    with pytest.raises(RecordingError, match="'red' is 0 throughout"):
        oximetry.condition(recording_of(t_s, red=0 * red, ir=ir), "red", "ir")


@pytest.mark.parametrize("mmhg_per_s", [1.0, 3.0, 6.0, 9.0])
@pytest.mark.parametrize("dress", ["whole", "bare", "top-up", "shifted", "bumped"])
def test_the_deflation_is_found(mmhg_per_s: float, dress: str) -> None:
    """From near the highest pressure to near the dump, with and without pumping and dump, at any speed of the valve."""
    options = {
        "whole": {},
        "bare": {"inflation": False, "dump": False},
        "top-up": {"top_up": (115.0, 155.0)},
        "shifted": {"zero_mmhg": -6.0},
        "bumped": {"bumps": 2},
    }[dress]
    t_s, mmhg = cuff(Arm(), mmhg_per_s=mmhg_per_s, **options)
    pressure = cuff_analysis.condition(recording_of(t_s, mmhg=mmhg), "mmhg")
    begin, end = pressure.deflations[0]
    found = pressure.mmhg[begin:end]
    assert found[0] == pytest.approx(155 if dress == "top-up" else 150, abs=7)
    assert found[-1] == pytest.approx(60, abs=6)
    assert np.max(found) < found[0] + 8


def test_the_zero_of_the_sensor_is_taken_off_and_nothing_else() -> None:
    """An empty cuff that reads 4 mmHg is zero; one that was never emptied is taken as it is."""
    t_s, mmhg = cuff(Arm(), zero_mmhg=4.0)
    assert any("zero is 4.0" in note for note in cuff_analysis.condition(recording_of(t_s, mmhg=mmhg), "mmhg").notes)
    t_s, mmhg = cuff(Arm(), zero_mmhg=4.0, inflation=False, dump=False)
    assert cuff_analysis.condition(recording_of(t_s, mmhg=mmhg), "mmhg").notes == []


def test_a_cuff_recording_that_is_none_is_refused() -> None:
    """Other units, a pressure that stays, a dump alone."""
    t_s = np.arange(2000) / 50
    falling = np.interp(t_s, [0, 35], [150, 40])
    for mmhg, words in (
        (falling / 7.5, "reaches 14.67; a cuff in mmHg reaches 40 to 400"),
        (falling * 30, "reaches 4499.94"),
        (np.full(2000, 90.0) + 0.1 * np.sin(t_s), "no deflation"),
        (np.where(t_s < 20, 150.0, 150 * np.exp(-(t_s - 20) / 0.5)), "no deflation"),
    ):
        with pytest.raises(RecordingError, match=words):
            cuff_analysis.condition(recording_of(t_s, mmhg=mmhg), "mmhg")


def test_written_and_read_again(tmp_path: Path) -> None:
    """What these tests write is what they read."""
    t_s, red, ir = finger(Finger(), 5)
    path = write(tmp_path / "f.csv", ";", t_s=t_s, red=red, ir=ir)
    recording = read(path, ["red", "ir"], "t_s", None)
    assert list(recording.columns["ir"]) == list(ir)
