"""The unmodified firmware, calibrated by the bench's procedure, against the simulated patient's true values.

A simulator shows that the chain from light and air to the wire is right and stable; it says nothing of clinical
accuracy.
"""

from collections.abc import Iterator
from pathlib import Path

import heartpy
import pytest

from simulators.bench import CUFF_POINTS_MMHG, SPO2_POINTS_PCT, Bench, calibrated
from simulators.world.pulse import recorded

DEVICE = "cb-000007"
SEED = 7
SPO2_TESTED_PCT = (98.0, 92.0, 85.0, 75.0)
CUFF_TESTED_MMHG = ((120.0, 80.0), (160.0, 100.0), (95.0, 60.0), (200.0, 115.0))


@pytest.fixture(scope="module")
def calibration() -> dict[str, object]:
    return calibrated(DEVICE, SEED)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, calibration: dict[str, object]) -> Iterator[Bench]:
    """A board that was calibrated on the bench and started again with its calibration."""
    flash = tmp_path_factory.mktemp("accuracy") / DEVICE
    with Bench(DEVICE, SEED, flash, calibration=calibration) as bench:
        yield bench


def test_the_board_was_not_calibrated_where_it_is_tested() -> None:
    """No tested value is a reference point of the calibration."""
    assert not set(SPO2_POINTS_PCT) & set(SPO2_TESTED_PCT)
    assert not set(CUFF_POINTS_MMHG) & set(CUFF_TESTED_MMHG)


@pytest.mark.parametrize("spo2_pct", SPO2_TESTED_PCT)
@pytest.mark.parametrize("pulse_bpm", [48.0, 70.0, 118.0])
def test_saturation_and_pulse(bench: Bench, spo2_pct: float, pulse_bpm: float) -> None:
    """Saturation within 2 points and pulse within 3 /min of the truth, in every reading after settling."""
    bench.patient.set(spo2_pct=spo2_pct, pulse_bpm=pulse_bpm)
    bench.run(15)
    readings = bench.read_vitals(8)
    assert len(readings) >= 7
    assert all(abs(reading.spo2_pct - spo2_pct) <= 2 for reading in readings)
    assert all(abs(reading.pulse_bpm - pulse_bpm) <= 3 for reading in readings)


@pytest.mark.parametrize(("sys_mmhg", "dia_mmhg"), CUFF_TESTED_MMHG)
def test_cuff(bench: Bench, sys_mmhg: float, dia_mmhg: float) -> None:
    """Systolic and diastolic within 5 mmHg of the truth, MAP between them, and the arm treated within its limits."""
    bench.patient.set(spo2_pct=98.0, pulse_bpm=70.0, sys_mmhg=sys_mmhg, dia_mmhg=dia_mmhg)
    bench.run(35)
    cuff = bench.measure()
    assert cuff.quality == "good", cuff.reason
    assert abs(cuff.sys_mmhg - sys_mmhg) <= 5
    assert abs(cuff.dia_mmhg - dia_mmhg) <= 5
    assert cuff.dia_mmhg < cuff.map_mmhg < cuff.sys_mmhg
    assert abs(cuff.pulse_bpm - 70) <= 3
    facts = bench.world.cuff.facts
    assert facts.pressure_mmhg_max <= 300
    assert facts.held_s_max <= 180


def test_nothing_failed_on_the_way(bench: Bench) -> None:
    """No timer callback raised, and the board never restarted."""
    bench.run(1)
    assert bench.board.callback_errors == []
    assert len(bench.board.resets) == 1


@pytest.mark.parametrize(("spo2_pct", "pulse_bpm"), [(97.0, 70.0), (86.0, 100.0)])
def test_a_recorded_pulse(tmp_path: Path, calibration: dict[str, object], spo2_pct: float, pulse_bpm: float) -> None:
    """With the beats of heartpy's example recording, all of them, a board calibrated on another pulse is as good."""
    samples, _ = heartpy.load_exampledata(0)
    beats, _ = heartpy.process(samples, 100.0)
    shape = recorded(samples, beats["peaklist"])
    with Bench(DEVICE, SEED, tmp_path / "flash", calibration=calibration, shape=shape) as bench:
        bench.patient.set(spo2_pct=spo2_pct, pulse_bpm=pulse_bpm)
        bench.run(12)
        readings = bench.read_vitals(30)
    assert len(readings) >= 28
    assert all(abs(reading.spo2_pct - spo2_pct) <= 2 for reading in readings)
    assert all(abs(reading.pulse_bpm - pulse_bpm) <= 3 for reading in readings)
