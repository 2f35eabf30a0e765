"""`chairside analyse`: recordings through the firmware's own files on MicroPython, from the command line."""

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import heartpy
import numpy as np
import pytest
from analyse_recordings import Arm, Finger, Samples, cuff, finger, write
from typer.testing import CliRunner

from gateway.cli import app
from simulators.analyse.plot import REASONS
from simulators.bench import Bench
from simulators.world.finger import Finger as WorldFinger
from simulators.world.patient import Patient

ROOT = Path(__file__).resolve().parents[2]
HEARTPY = Path(heartpy.__file__).parent / "data"
DEVICE, SEED = "cb-000003", 3
CALIBRATION = {
    "v": 1,
    "device": DEVICE,
    "spo2": [0, -25, 110],
    "spo2_ratio_range": [0.3, 1.6],
    "led_order": "red_ir",
    "made_on": "2026-03-01",
}
OXIMETRY_KEYS = ["t_s", "spo2_pct", "pulse_bpm", "pi_pct", "resp_bpm", "ratio", "quality", "reason"]
CUFF_KEYS = ["sys_mmhg", "dia_mmhg", "map_mmhg", "pulse_bpm", "quality", "reason"]


def analyse(*words: object) -> tuple[list[dict[str, Any]], str]:
    """The JSON objects on standard output, and what was said beside them."""
    answer = CliRunner().invoke(app, ["analyse", *map(str, words), "--json"])
    assert answer.exit_code == 0, answer.output
    return [json.loads(line) for line in answer.stdout.splitlines()], answer.stderr


def oximetry(path: Path, *words: object) -> list[dict[str, Any]]:
    """Readings of a file as `finger` writes it; in every one all keys, numbers only where there is no contradiction."""
    readings, _ = analyse("oximetry", path, "--red", "red", "--ir", "ir", "--time", "t_s", *words)
    for second, reading in enumerate(readings, start=1):
        assert list(reading) == OXIMETRY_KEYS
        assert reading["t_s"] == second
        assert 0 <= reading["quality"] <= 100
        if reading["reason"] is None:
            assert None not in (reading["spo2_pct"], reading["pulse_bpm"], reading["pi_pct"], reading["ratio"])
    return readings


def good(readings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [reading for reading in readings if reading["reason"] is None]


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(CALIBRATION))
    return path


# ---- the same answer as the board ---------------------------------------------------------------------------


STATES = ((97.0, 70.0), (86.0, 118.0))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[float, float], tuple[float, float]]:
    """Saturation and pulse that a simulated board publishes in two states of its patient: medians of 15 s."""
    with Bench(DEVICE, SEED, tmp_path_factory.mktemp("analyse") / DEVICE, calibration=CALIBRATION) as bench:
        found = {}
        for spo2_pct, pulse_bpm in STATES:
            bench.patient.set(spo2_pct=spo2_pct, pulse_bpm=pulse_bpm)
            bench.run(15)
            readings = bench.read_vitals(15)
            found[spo2_pct, pulse_bpm] = (
                float(np.median([reading.spo2_pct for reading in readings])),
                float(np.median([reading.pulse_bpm for reading in readings])),
            )
    return found


SENSORS = {
    "25 Hz, 16 bit": (25, 40_000 / 1600, 1.0),
    "100 Hz, the board's 18 bit": (100, 64.0, 1.0),
    "250 Hz, 22 bit": (250, 2_000.0, 1.0),
    "1000 Hz, volts": (1000, 0.8 / 1600, 1e-6),
}


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("state", STATES)
def test_a_recording_reads_as_the_board_does_live(
    tmp_path: Path,
    calibration: Path,
    live: dict[tuple[float, float], tuple[float, float]],
    state: tuple[float, float],
    sensor: str,
) -> None:
    """The light of the same finger, taken at another rate and scale: saturation within 1 point, pulse within 1 /min."""
    rate_hz, gain, step = SENSORS[sensor]
    spo2_pct, pulse_bpm = state
    light = WorldFinger(Patient(spo2_pct=spo2_pct, pulse_bpm=pulse_bpm), SEED)
    t_s = np.arange(25 * rate_hz) / rate_hz
    nanoamperes = np.array([light.light(float(t), 7.2, 7.2) for t in t_s])
    red, ir = (np.round(nanoamperes[:, i] * gain / step) * step for i in (0, 1))
    path = write(tmp_path / "finger.csv", t_s=t_s, red=red, ir=ir)
    readings = good(oximetry(path, "--calibration", calibration))[-10:]
    assert len(readings) == 10
    live_spo2_pct, live_pulse_bpm = live[state]
    assert np.median([reading["spo2_pct"] for reading in readings]) == pytest.approx(live_spo2_pct, abs=1)
    assert np.median([reading["pulse_bpm"] for reading in readings]) == pytest.approx(live_pulse_bpm, abs=1)


def test_a_recorded_cuff_measures_as_the_board_did(tmp_path: Path) -> None:
    """The pressure that a simulated board's sensor saw, through the command: the board's own result within 3 mmHg."""
    with Bench(DEVICE, SEED, tmp_path / DEVICE) as bench:
        seen: list[tuple[float, float]] = []
        truth = bench.world.cuff.pressure_mmhg

        def watched(t: float) -> float:
            mmhg = truth(t)
            seen.append((t, mmhg))
            return mmhg

        bench.world.cuff.pressure_mmhg = watched  # type: ignore[method-assign]
        bench.patient.set(sys_mmhg=131, dia_mmhg=84, pulse_bpm=66)
        bench.run(12)
        measured = bench.measure()
    assert measured.quality == "good", measured.reason
    t_s, mmhg = np.array(sorted(set(seen))).T
    grid_s = np.arange(t_s[0], t_s[-1], 0.01)
    path = write(tmp_path / "arm.csv", t_s=grid_s, mmhg=np.interp(grid_s, t_s, mmhg))
    (result,), _ = analyse("cuff", path, "--pressure-mmhg", "mmhg", "--time", "t_s")
    assert list(result) == CUFF_KEYS
    for name in ("sys_mmhg", "dia_mmhg", "map_mmhg", "pulse_bpm"):
        assert result[name] == pytest.approx(getattr(measured, name), abs=3), name


# ---- light that our simulator did not make ------------------------------------------------------------------


@pytest.mark.parametrize("pulse_bpm", [35, 60, 100, 150, 200])
@pytest.mark.parametrize("ratio", [0.5, 1.2])
def test_a_foreign_finger(tmp_path: Path, calibration: Path, ratio: float, pulse_bpm: float) -> None:
    """Another wave, 16 bit at 62.5 Hz with uneven steps, drift: saturation within 1 point, pulse within 3 /min."""
    body = Finger(ratio=ratio, pulse_bpm=pulse_bpm, wander_pct=3.0, variability=0.01)
    t_s, red, ir = finger(body, 40, rate_hz=62.5, ir_level=40_000, red_level=26_000, jitter=0.1)
    path = write(tmp_path / "finger.csv", t_s=t_s, red=red, ir=ir)
    readings = good(oximetry(path, "--calibration", calibration)[12:])
    assert len(readings) >= 25
    assert all(reading["spo2_pct"] == pytest.approx(110 - 25 * ratio, abs=1) for reading in readings)
    assert np.median([reading["pulse_bpm"] for reading in readings]) == pytest.approx(pulse_bpm, abs=1)
    assert all(reading["pulse_bpm"] == pytest.approx(pulse_bpm, abs=6) for reading in readings)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("data.csv", ("--red", "1", "--ir", "1", "--rate-hz", "100")),
        ("data2.csv", ("--red", "hr", "--ir", "hr", "--time", "timer")),
        ("data3.csv", ("--red", "hr", "--ir", "hr", "--time", "datetime")),
    ],
)
def test_real_recordings_have_their_pulse_and_nothing_else(name: str, columns: tuple[str, ...]) -> None:
    """heartpy's recordings of people, by other sensors: the rate that heartpy finds within 3 /min, no saturation."""
    readings, said = analyse("oximetry", HEARTPY / name, *columns)
    assert {reading[key] for reading in readings for key in ("spo2_pct", "ratio", "pi_pct")} == {None}
    assert None not in {reading["reason"] for reading in readings}
    assert "AC-coupled" in said
    rates = [reading["pulse_bpm"] for reading in readings if reading["pulse_bpm"] is not None]
    assert len(rates) >= 0.4 * len(readings)
    samples = np.array(
        [float(line.split(",")[-1]) for line in (HEARTPY / name).read_text().splitlines() if line[-1:].isdigit()]
    )
    times = {"data.csv": 100.0, "data2.csv": 116.99, "data3.csv": 100.42}
    _, whole = heartpy.process(samples, times[name])
    assert np.median(rates) == pytest.approx(whole["bpm"], abs=3)


def test_a_hole_is_never_bridged(tmp_path: Path) -> None:
    """Seven seconds are missing, while the saturation fell: no value until the new samples alone have made one."""
    t_s, red, ir = finger(Finger(ratio=0.5), 60)
    _, later, _ = finger(Finger(ratio=1.1), 60)
    red = np.where(t_s < 30, red, later)
    kept = (t_s < 27) | (t_s >= 34)
    path = write(tmp_path / "finger.csv", t_s=t_s[kept], red=red[kept], ir=ir[kept])
    readings = oximetry(path)
    assert len(readings) == 60
    assert readings[26]["reason"] is None
    assert not good(readings[27:38])
    assert all(reading["ratio"] == pytest.approx(1.1, abs=0.03) for reading in good(readings[38:]))
    assert good(readings[45:])


def test_lost_samples_are_counted_and_do_not_stop_the_reading(tmp_path: Path) -> None:
    """One sample in fifty lost, at 100 Hz: a value goes on, within 1 point, and the holes are told."""
    t_s, red, ir = finger(Finger(), 40)
    kept = np.random.default_rng(4).random(len(t_s)) > 0.02
    path = write(tmp_path / "finger.csv", t_s=t_s[kept], red=red[kept], ir=ir[kept])
    assert len(good(oximetry(path)[10:])) >= 25
    assert all(reading["ratio"] == pytest.approx(0.6, abs=0.04) for reading in good(oximetry(path)))
    assert "holes" in analyse("oximetry", path, "--red", "red", "--ir", "ir", "--time", "t_s")[1]


def test_clipped_light_is_saturation(tmp_path: Path) -> None:
    """A converter of 16 bit at its end: no value, by its name, although the scale is another."""
    t_s, red, ir = finger(Finger(pi_pct=4), 30, ir_level=66_000, red_level=30_000)
    path = write(tmp_path / "finger.csv", t_s=t_s, red=red, ir=np.minimum(ir, 65_535))
    readings = oximetry(path)
    assert not good(readings)
    assert {reading["reason"] for reading in readings[8:]} == {"saturation"}


def test_light_without_its_level_has_no_saturation(tmp_path: Path) -> None:
    """An AC-coupled recording in two colours: the pulse is told, nothing that needs the level is."""
    t_s, red, ir = finger(Finger(), 30)
    path = write(tmp_path / "finger.csv", t_s=t_s, red=red - np.mean(red), ir=ir - np.mean(ir))
    readings = oximetry(path)
    assert {reading["reason"] for reading in readings[10:]} == {"ac_coupled"}
    for reading in readings:
        assert (reading["spo2_pct"], reading["pi_pct"], reading["ratio"]) == (None, None, None)
    assert readings[-1]["pulse_bpm"] == pytest.approx(72, abs=3)


# ---- cuffs that our simulator did not make ------------------------------------------------------------------


def measure(folder: Path, t_s: Samples, mmhg: Samples, *words: object) -> dict[str, Any]:
    path = write(folder / "arm.csv", t_s=t_s, mmhg=mmhg)
    (result,), _ = analyse("cuff", path, "--pressure-mmhg", "mmhg", "--time", "t_s", *words)
    assert list(result) == CUFF_KEYS
    values = [result[name] for name in CUFF_KEYS[:4]]
    assert (None in values) == (result["reason"] is not None)
    if result["reason"] is None:
        assert result["dia_mmhg"] < result["map_mmhg"] < result["sys_mmhg"]
    return result


# mmhg/s of the valve: (share that must have a value, SD that is allowed)
VALVES = {1.0: (0.8, 5.0), 2.5: (0.8, 5.0), 4.0: (0.8, 5.0), 6.0: (0.7, 6.0), 9.0: (0.4, 8.0)}


@pytest.mark.parametrize("mmhg_per_s", VALVES)
def test_hand_valved_deflations(tmp_path: Path, mmhg_per_s: float) -> None:
    """Twelve arms, any rate and resolution of the recorder, one knock in every second: errors by the valve's speed."""
    chance = np.random.default_rng(round(mmhg_per_s * 10))
    errors, reasons = [], []
    for seed in range(12):
        dia_mmhg = chance.uniform(50, 105)
        arm = Arm(
            dia_mmhg + chance.uniform(30, 75), dia_mmhg, chance.uniform(50, 120), peak_mmhg=chance.uniform(1.5, 4)
        )
        t_s, mmhg = cuff(
            arm,
            mmhg_per_s=mmhg_per_s,
            rate_hz=float(chance.choice([20, 50, 117, 1000])),
            resolution_mmhg=float(chance.choice([0.01, 0.05])),
            zero_mmhg=chance.uniform(-5, 5),
            top_up=(arm.sys_mmhg + 5, arm.sys_mmhg + 35) if seed % 4 == 3 else None,
            bumps=seed % 2,
            seed=seed,
        )
        result = measure(tmp_path, t_s, mmhg)
        if result["reason"]:
            reasons.append(result["reason"])
        else:
            errors.append((result["sys_mmhg"] - arm.sys_mmhg, result["dia_mmhg"] - arm.dia_mmhg))
    share, sd_max = VALVES[mmhg_per_s]
    mean, sd = np.mean(errors, axis=0), np.std(errors, axis=0)
    print(
        f"{mmhg_per_s:g} mmHg/s: {len(errors)} of 12, systolic {mean[0]:+.1f} SD {sd[0]:.1f}, "
        f"diastolic {mean[1]:+.1f} SD {sd[1]:.1f} mmHg, refused: {', '.join(sorted(reasons)) or 'none'}"
    )
    assert len(errors) >= share * 12
    assert np.max(np.abs(mean)) <= 5
    assert np.max(sd) <= sd_max


def test_a_hole_in_the_deflation_gives_no_pressure(tmp_path: Path) -> None:
    """Three seconds are missing near systolic: refused as the board refuses a silent sensor, not fitted over."""
    t_s, mmhg = cuff(Arm())
    kept = (t_s < 15) | (t_s > 18)
    assert measure(tmp_path, t_s[kept], mmhg[kept])["reason"] == "sensor_silent"


def test_the_ratios_of_a_board_are_used(tmp_path: Path) -> None:
    """With a calibration of its own ratios, systolic moves the way that they say."""
    (tmp_path / "calibration.json").write_text(json.dumps(CALIBRATION | {"cuff_ratios": [0.65, 0.75]}))
    t_s, mmhg = cuff(Arm())
    before = measure(tmp_path, t_s, mmhg)
    after = measure(tmp_path, t_s, mmhg, "--calibration", tmp_path / "calibration.json")
    assert after["sys_mmhg"] < before["sys_mmhg"] - 2


def test_half_a_deflation_has_a_reason_and_no_value(tmp_path: Path) -> None:
    """A recording that begins at MAP, and one that ends there."""
    late = cuff(Arm(), top_mmhg=97, inflation=False)
    early = cuff(Arm(), end_mmhg=95, dump=False)
    assert measure(tmp_path, *late)["reason"] in ("not_bracketed", "too_few_pulses", "motion")
    assert measure(tmp_path, *early)["reason"] in ("low_not_reached", "too_few_pulses", "motion")


def test_air_alone_has_no_pressure(tmp_path: Path) -> None:
    """A cuff round a bottle: a deflation without pulses is not a measurement."""
    assert measure(tmp_path, *cuff(Arm(peak_mmhg=0.0)))["reason"] is not None


# ---- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, calibration: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the examples of `--help` name, in the working directory."""
    t_s, red, ir = finger(Finger(), 20)
    write(tmp_path / "finger.csv", t_s=t_s, red=red, ir=ir)
    t_s, mmhg = cuff(Arm())
    write(tmp_path / "arm.csv", mmhg=mmhg)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["oximetry", "cuff"])
def test_the_example_of_the_help_runs(files: Path, command: str) -> None:
    """Copied from `--help`, with the files it names."""
    help_ = CliRunner().invoke(app, ["analyse", command, "--help"], terminal_width=200).stdout
    example = re.search(r"Example: chairside (.+?)\s*$", help_, re.MULTILINE)
    assert example
    answer = CliRunner().invoke(app, shlex.split(example[1]))
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.strip()


@pytest.mark.parametrize("command", ["oximetry", "cuff"])
def test_without_json_people_can_read_it(files: Path, command: str) -> None:
    """A table with the values and their names."""
    words = {
        "oximetry": "oximetry finger.csv --red red --ir ir --time t_s",
        "cuff": "cuff arm.csv --pressure-mmhg mmhg --rate-hz 100",
    }[command]
    answer = CliRunner().invoke(app, ["analyse", *words.split()])
    assert answer.exit_code == 0, answer.output
    for word in {"oximetry": ("SpO2 %", "pulse /min", "settling"), "cuff": ("sys_mmhg", "dia_mmhg", "quality")}[
        command
    ]:
        assert word in answer.stdout
    assert "uncalibrated" in answer.stderr


BAD = {
    "oximetry finger.csv --red red --ir ir": "--time COLUMN or --rate-hz N, one of them",
    "oximetry finger.csv --red red --ir ir --time t_s --rate-hz 100": "--time COLUMN or --rate-hz N, one of them",
    "oximetry none.csv --red red --ir ir --time t_s": "none.csv: No such file",
    "oximetry finger.csv --red rot --ir ir --time t_s": "has no column 'rot'; it has 't_s', 'red', 'ir'",
    "oximetry finger.csv --red red --ir ir --rate-hz 2000": "allowed are 20 to 1000",
    "oximetry finger.csv --red red --ir ir --time t_s --calibration finger.csv": "finger.csv is not JSON",
    "oximetry finger.csv --red red --ir ir --time t_s --calibration none.json": "none.json: No such file",
    "oximetry finger.csv --red red --ir ir --time t_s --plot none/x.svg": "--plot none/x.svg: No such file",
    "cuff finger.csv --pressure-mmhg red --time t_s": "a cuff in mmHg reaches 40 to 400",
    "cuff arm.csv --pressure-mmhg kPa --rate-hz 100": "has no column 'kPa'; it has 'mmhg'",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_ends_with_two_and_a_sentence(files: Path, words: str) -> None:
    """File, column, what was found, what is allowed: on one line of standard error, with no half result."""
    answer = CliRunner().invoke(app, ["analyse", *words.split()])
    assert answer.exit_code == 2, answer.output
    assert BAD[words] in answer.stderr
    assert answer.stderr.splitlines()[-1].startswith("chairside: ")


def test_without_micropython_it_fails_and_says_so(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter is named, and 1 tells that it is not the recording's fault."""
    monkeypatch.setenv("MICROPYTHON", "/nowhere/micropython")
    answer = CliRunner().invoke(app, ["analyse", "cuff", "arm.csv", "--pressure-mmhg", "mmhg", "--rate-hz", "100"])
    assert answer.exit_code == 1
    assert "/nowhere/micropython does not run" in answer.stderr


# ---- pictures -------------------------------------------------------------------------------------------------


def words_of(svg: str) -> list[str]:
    """Every text of a picture without its numbers: what it is made of, not what came out."""
    found = [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]
    return [word for word in (re.sub(r"[\d.,:k-]+", "", text).strip() for text in found) if word]


def test_the_pictures_of_the_documentation_are_drawn_by_this_code(tmp_path: Path, calibration: Path) -> None:
    """The same lanes and words as the committed ones; `CHAIRSIDE_PICTURES=docs/pictures` draws those anew."""
    t_s, before, ir = finger(
        Finger(ratio=0.55, pulse_bpm=68, breath_pct=0.8), 90, rate_hz=50, ir_level=30_000, red_level=21_000
    )
    _, after, _ = finger(
        Finger(ratio=0.95, pulse_bpm=68, breath_pct=0.8), 90, rate_hz=50, ir_level=30_000, red_level=21_000
    )
    fallen = np.clip((t_s - 35) / 12, 0, 1)
    red = before ** (1 - fallen) * after**fallen
    shaken, off = (t_s > 62) & (t_s < 66), (t_s > 74) & (t_s < 79)
    red[shaken] *= np.exp(0.03 * np.sin(9 * t_s[shaken]))
    ir[shaken] *= np.exp(0.05 * np.sin(7 * t_s[shaken] + 1))
    red[off], ir[off] = 300 + 5 * np.sin(40 * t_s[off]), 280 + 5 * np.sin(55 * t_s[off])
    light = write(tmp_path / "finger.csv", t_s=t_s, red=np.round(red), ir=np.round(ir))
    t_s, mmhg = cuff(Arm(128, 78, 66), mmhg_per_s=3.5, bumps=1, seed=4)
    arm = write(tmp_path / "arm.csv", t_s=t_s, mmhg=mmhg)
    folder = Path(os.environ.get("CHAIRSIDE_PICTURES", tmp_path))
    oximetry(light, "--calibration", calibration, "--plot", folder / "analyse-oximetry.svg")
    analyse("cuff", arm, "--pressure-mmhg", "mmhg", "--time", "t_s", "--plot", folder / "analyse-cuff.svg")
    for name in ("analyse-oximetry.svg", "analyse-cuff.svg"):
        committed = (ROOT / "docs" / "pictures" / name).read_text(encoding="utf-8")
        drawn = (folder / name).read_text(encoding="utf-8")
        assert set(words_of(drawn)) >= set(words_of(committed)) - {"good", *REASONS}
