"""Counts in, a reading or a named reason out: on synthetic fingers whose ratio and rate are known."""

from pathlib import Path
from typing import Any

import heartpy
import numpy as np
import pytest
from numpy.typing import NDArray
from unix_port import run

Samples = NDArray[np.float64]
RATE_HZ = 100

# Feeds red.bin and ir.bin, and reads once a second; time passes with the samples.
FEED = """
from array import array
from chair.oximetry import Oximeter
clock = [0]
o = Oximeter(100, calibration, ticks_ms=lambda: clock[0])
red, ir = array("i"), array("i")
with open("red.bin", "rb") as f:
    red.extend(array("i", f.read()))
with open("ir.bin", "rb") as f:
    ir.extend(array("i", f.read()))
result = []
for i in range(len(red)):
    o.feed(red[i], ir[i])
    if i % 100 == 99:
        clock[0] += second_ms
        result.append(o.reading())
for _ in range(silent_s):
    clock[0] += 1000
    result.append(o.reading())
"""


def finger(  # the light that comes back, in counts
    seconds: float,
    *,
    ratio: float | Samples = 0.6,
    pulse_bpm: float = 72.0,
    pulse_pct: float | Samples = 2.0,
    breath_pct: float = 0.4,
    noise_raw: float = 10.0,
    level_raw: float = 110_000.0,
) -> tuple[Samples, Samples]:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    phase = (t * pulse_bpm / 60) % 1.0
    pulse = np.exp(-(((phase - 0.2) / 0.1) ** 2)) + 0.4 * np.exp(-(((phase - 0.5) / 0.12) ** 2))
    breath = breath_pct / 100 * np.sin(2 * np.pi * 0.25 * t)
    chance = np.random.default_rng(3)
    red = 0.8 * level_raw * np.exp(-ratio * np.asarray(pulse_pct) / 100 * pulse + breath)
    ir = level_raw * np.exp(-np.asarray(pulse_pct) / 100 * pulse + breath)
    return red + chance.normal(0, noise_raw, len(t)), ir + chance.normal(0, noise_raw, len(t))


def air(seconds: float) -> tuple[Samples, Samples]:
    chance = np.random.default_rng(4)
    n = int(seconds * RATE_HZ)
    return chance.normal(250, 8, n), chance.normal(240, 8, n)


def read(
    folder: Path,
    *pieces: tuple[Samples, Samples],
    calibration: dict[str, Any] | None = None,
    silent_s: int = 0,
    second_ms: int = 1000,
) -> list[dict[str, Any]]:
    """One reading for each second. In every one: values only when good or below range, quality and sqi_pct always."""
    for name, channel in (("red.bin", 0), ("ir.bin", 1)):
        samples = np.concatenate([piece[channel] for piece in pieces])
        (folder / name).write_bytes(np.clip(samples, 0, 262143).astype("<i4").tobytes())
    readings: list[dict[str, Any]] = run(FEED, folder, calibration=calibration, silent_s=silent_s, second_ms=second_ms)
    for reading in readings:
        fields = set(reading)
        assert {"quality", "sqi_pct"} <= fields
        if reading["quality"] in ("good", "below_range"):
            assert {"spo2_pct", "pulse_bpm", "pi_pct", "ratio"} <= fields
        else:
            assert fields <= {"quality", "sqi_pct", "pi_pct", "ratio"}
        assert 0 <= reading["sqi_pct"] <= 100
    return readings


@pytest.mark.parametrize("pulse_bpm", [30, 40, 55, 72, 100, 150, 200, 240])
@pytest.mark.parametrize("ratio", [0.4, 0.9, 1.3])
def test_ratio_and_rate_are_found(tmp_path: Path, ratio: float, pulse_bpm: float) -> None:
    """From 30 to 240 /min and over the whole range of ratios: rate within 2 /min, ratio within 1.5 %, from 8 s on."""
    readings = read(tmp_path, finger(20, ratio=ratio, pulse_bpm=pulse_bpm))
    for reading in readings[8:]:
        assert reading["quality"] == "good"
        assert reading["pulse_bpm"] == pytest.approx(pulse_bpm, abs=2)
        assert reading["ratio"] == pytest.approx(ratio, rel=0.015)


@pytest.mark.parametrize("pulse_pct", [0.5, 1.0, 5.0, 10.0])
def test_a_weak_or_strong_pulse_is_found_beside_breathing(tmp_path: Path, pulse_pct: float) -> None:
    """Breathing that moves the light by 0.8 % leaves ratio and rate of a 0.5 % pulse alone."""
    last = read(tmp_path, finger(15, pulse_pct=pulse_pct))[-1]
    assert last["pulse_bpm"] == pytest.approx(72, abs=2)
    assert last["ratio"] == pytest.approx(0.6, rel=0.03)


def test_the_published_curve_is_used_without_a_calibration(tmp_path: Path) -> None:
    """AN6845 at R = 0.6: 92.5 %. Nothing reads over 100 %."""
    assert read(tmp_path, finger(12))[-1]["spo2_pct"] == pytest.approx(92.5, abs=0.5)
    assert read(tmp_path, finger(12, ratio=0.3))[-1]["spo2_pct"] == 100


def test_a_calibration_replaces_curve_and_order(tmp_path: Path) -> None:
    """110 - 25 R, on a board whose diodes are swapped."""
    red, ir = finger(12, ratio=0.8)
    swapped = {"spo2": [0, -25, 110], "spo2_ratio_range": [0.3, 1.2], "led_order": "ir_red"}
    last = read(tmp_path, (ir, red), calibration=swapped)[-1]
    assert last["ratio"] == pytest.approx(0.8, rel=0.015)
    assert last["spo2_pct"] == pytest.approx(90, abs=0.5)


def test_a_fall_of_saturation_shows_within_twelve_seconds(tmp_path: Path) -> None:
    """98 to 84 % over 5 s: half of it is seen 7 s after it began, all but 1 % after 12 s."""
    calibration = {"spo2": [0, -25, 110], "spo2_ratio_range": [0.3, 1.4], "led_order": "red_ir"}
    t = np.arange(40 * RATE_HZ) / RATE_HZ
    saturation = np.interp(t, [15, 20], [98, 84])
    readings = read(tmp_path, finger(40, ratio=(110 - saturation) / 25), calibration=calibration)
    assert readings[14]["spo2_pct"] == pytest.approx(98, abs=1)
    assert readings[21]["spo2_pct"] < 91.5
    assert readings[26]["spo2_pct"] == pytest.approx(84, abs=1)


def test_a_lifted_finger_leaves_nothing(tmp_path: Path) -> None:
    """Off within 2 s; put back, it settles 5 s before the first value, which is the new finger's."""
    readings = read(tmp_path, finger(15, ratio=0.5), air(5), finger(15, ratio=1.0))
    qualities = [reading["quality"] for reading in readings]
    assert qualities[14] == "good"
    assert "good" not in qualities[16:25]
    assert set(qualities[16:20]) == {"no_finger"}
    first = readings[qualities.index("good", 16)]
    assert first["ratio"] == pytest.approx(1.0, rel=0.03)


def test_an_empty_probe_reads_nothing(tmp_path: Path) -> None:
    """No phantom reading in air, from the first second on."""
    assert {reading["quality"] for reading in read(tmp_path, air(20))} == {"no_finger"}


def test_breathing_alone_is_no_pulse(tmp_path: Path) -> None:
    """A finger without a pulse, moved by breath and noise, never gives a value."""
    assert "good" not in [r["quality"] for r in read(tmp_path, finger(40, pulse_pct=0.0, breath_pct=0.5))]


@pytest.mark.parametrize("pulse_pct", [0.04, 0.08])
def test_low_perfusion_is_named(tmp_path: Path, pulse_pct: float) -> None:
    """A perfusion index under 0.1 % gives no value."""
    readings = read(tmp_path, finger(15, pulse_pct=pulse_pct, breath_pct=0.0))
    assert {reading["quality"] for reading in readings[8:]} == {"low_perfusion"}


def test_a_pulse_that_stops_is_not_remembered(tmp_path: Path) -> None:
    """From 5 s after the last beat there is no value, although the window still holds old beats."""
    t = np.arange(30 * RATE_HZ) / RATE_HZ
    readings = read(tmp_path, finger(30, pulse_pct=np.where(t < 15, 2.0, 0.0)))
    assert "good" not in [reading["quality"] for reading in readings[20:]]


def test_shaking_gives_no_value(tmp_path: Path) -> None:
    """Light that moves by 10 % and differently in both colours is motion."""
    red, ir = finger(30)
    chance = np.random.default_rng(5)
    for channel in (red, ir):
        walk = np.repeat(chance.normal(0, 0.05, 300), 10)
        channel[1000:] *= np.exp(walk[1000:])
    assert {reading["quality"] for reading in read(tmp_path, (red, ir))[15:]} == {"motion"}


def test_one_knock_is_left_out(tmp_path: Path) -> None:
    """A second of shaking in a quiet record does not bend the ratio by more than 3 %."""
    red, ir = finger(20)
    red[1000:1060] *= np.linspace(1.0, 1.05, 60)
    ir[1000:1060] *= np.linspace(1.0, 1.04, 60)
    for reading in read(tmp_path, (red, ir))[8:]:
        assert reading["quality"] == "motion" or reading["ratio"] == pytest.approx(0.6, rel=0.03)


def test_clipping_is_saturation(tmp_path: Path) -> None:
    """Too much light for the converter has its own name, for the remedy is another current."""
    assert read(tmp_path, finger(12, level_raw=300_000))[-1]["quality"] == "saturation"


def test_dead_parts_are_sensor_faults(tmp_path: Path) -> None:
    """A dark red, a dark infrared, a frozen converter, hardly any red pulse: no value, and not the patient's fault."""
    red, ir = finger(15)
    dark = np.full_like(red, 200.0)
    assert read(tmp_path, (dark, ir))[-1]["quality"] == "sensor_fault"
    assert read(tmp_path, (red, dark))[-1]["quality"] == "sensor_fault"
    frozen = np.full_like(red, 90_000.0), np.full_like(ir, 110_000.0)
    assert read(tmp_path, (red, ir), frozen)[-1]["quality"] == "sensor_fault"
    assert read(tmp_path, finger(15, ratio=0.05, noise_raw=1.0, breath_pct=0.0))[-1]["quality"] == "sensor_fault"


def test_samples_that_stop_are_a_sensor_fault(tmp_path: Path) -> None:
    """Readings go on but no sample comes: 2 s later there is no value, and it does not come back by itself."""
    readings = read(tmp_path, finger(15), silent_s=10)
    assert readings[14]["quality"] == "good"
    assert {reading["quality"] for reading in readings[16:]} == {"sensor_fault"}


def test_a_chip_with_another_rate_is_a_sensor_fault(tmp_path: Path) -> None:
    """103 samples a second are found within 45 s, because every pulse would read 3 % slow; 101 are let pass."""
    qualities = {ms: [r["quality"] for r in read(tmp_path, finger(60), second_ms=ms)] for ms in (970, 990)}
    assert set(qualities[970][45:]) == {"sensor_fault"}
    assert set(qualities[990][45:]) == {"good"}


def test_a_ratio_over_the_calibration_is_below_range(tmp_path: Path) -> None:
    """A saturation too low for the curve is named, not extrapolated."""
    assert read(tmp_path, finger(15, ratio=1.6))[-1]["quality"] == "below_range"


def test_lost_samples_end_the_history_when_their_number_is_unknown() -> None:
    """A few lost samples are bridged; the chip's counter at its end starts the settling again."""
    few, many = run("""
from math import exp, sin
from chair.oximetry import Oximeter
result = []
for lost in (3, 31):
    o = Oximeter(100)
    for i in range(1200):
        s = 0.01 * sin(i * 0.075) + 0.004 * sin(i * 0.15) + 0.0001 * (i % 7)
        o.feed(int(90000 * exp(0.6 * s)), int(110000 * exp(s)))
    o.gap(lost)
    result.append(o.reading()["quality"])
""")
    assert (few, many) == ("good", "settling")


def test_a_real_recording_gives_its_rate(tmp_path: Path) -> None:
    """The pulse wave that heartpy ships, 100 samples/s, as the light of both colours: its own rate, the set ratio."""
    recording, _ = heartpy.load_exampledata(0)
    wave = (recording - recording.min()) / np.ptp(recording)
    chance = np.random.default_rng(6)
    light = [level * np.exp(-0.02 * share * wave) for level, share in ((90_000, 0.7), (110_000, 1.0))]
    red, ir = (channel + chance.normal(0, 10, len(wave)) for channel in light)
    good = [reading for reading in read(tmp_path, (red, ir)) if reading["quality"] == "good"]
    assert len(good) >= 12
    _, whole = heartpy.process(np.asarray(recording, dtype=float), 100.0)
    assert np.mean([reading["pulse_bpm"] for reading in good]) == pytest.approx(whole["bpm"], abs=3)
    assert all(reading["ratio"] == pytest.approx(0.7, rel=0.02) for reading in good)


def test_values_by_the_published_curve_say_so(tmp_path: Path) -> None:
    """Without a curve of the board's own, or without a known order of its diodes, every value is `uncalibrated`."""
    calibration = {"spo2": [0, -25, 110], "spo2_ratio_range": [0.3, 1.2]}
    assert read(tmp_path, finger(12))[-1]["uncalibrated"] is True
    assert read(tmp_path, finger(12), calibration=calibration)[-1]["uncalibrated"] is True
    assert "uncalibrated" not in read(tmp_path, finger(12), calibration={**calibration, "led_order": "red_ir"})[-1]


def test_below_the_range_the_value_falls_with_the_ratio(tmp_path: Path) -> None:
    """A curve that turns at R = 1.2 goes straight on from its end: 60 % and less, marked, never good."""
    calibration = {"spo2": [20.0, -48.0, 100.0], "spo2_ratio_range": [0.3, 1.0], "led_order": "red_ir"}
    found = [read(tmp_path, finger(12, ratio=ratio), calibration=calibration)[-1] for ratio in (1.1, 1.3, 1.5, 1.8)]
    assert {reading["quality"] for reading in found[1:]} == {"below_range"}
    values = [reading["spo2_pct"] for reading in found]
    assert values == pytest.approx([71.2, 69.6, 68.0, 65.6], abs=0.5)


def test_an_inverse_ratio_at_the_start_makes_the_diodes_suspect() -> None:
    """R over 1.3 in the first good minute is swapped diodes, unless the bench has looked at their order."""
    suspects = run("""
from math import exp, sin
from chair.oximetry import Oximeter
result = []
for calibration, ratio in ((None, 1.8), (None, 0.6), ({"led_order": "red_ir"}, 1.8)):
    o = Oximeter(100, calibration)
    for i in range(1000):
        s = 0.01 * sin(i * 0.075) + 0.004 * sin(i * 0.15 + 1) + 0.00002 * (i * 7919 % 11)
        o.feed(int(90000 * exp(ratio * s)), int(110000 * exp(s)))
    o.reading()
    result.append(o.led_order_suspect)
""")
    assert suspects == [True, False, False]


def test_the_waveform_is_the_last_second(tmp_path: Path) -> None:
    """25 samples of a 2 % pulse in 1e-5 of the light, blood upward; none without a finger."""
    waves = run("""
from math import exp, sin
from chair.oximetry import Oximeter
o = Oximeter(100)
result = [o.waveform()]
for i in range(1000):
    s = 0.01 * sin(i * 0.075)
    o.feed(int(90000 * exp(0.6 * s)), int(110000 * exp(s)))
result.append(o.waveform())
""")
    assert waves[0] == []
    assert len(waves[1]) == 25
    assert 1500 < max(waves[1]) - min(waves[1]) < 2300


def test_a_pulse_that_swells_is_not_believed(tmp_path: Path) -> None:
    """Six times the pulse within a second, with another ratio in both colours alike, is something else moving."""
    readings = read(tmp_path, finger(20, ratio=0.6, pulse_pct=1.0), finger(25, ratio=1.1, pulse_pct=6.0))
    assert readings[19]["quality"] == "good"
    assert "good" not in [reading["quality"] for reading in readings[24:]]
