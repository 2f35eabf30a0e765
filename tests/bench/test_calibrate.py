"""The bench's fits: found again from pairs made with known numbers, and refused when they cannot be right."""

import json
from math import exp
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.bench import pins
from hardware.bench.calibrate import (
    CalibrationError,
    fit,
    fit_cuff_ratios,
    fit_pressure,
    fit_spo2,
    nominal_v,
)
from hardware.bench.cli import app

CURVE = (1.9, -29.0, 111.0)
RATIOS = (0.42, 0.6, 0.75, 0.9, 1.1, 1.3)


def saturation(ratio: float) -> float:
    return CURVE[0] * ratio**2 + CURVE[1] * ratio + CURVE[2]


def envelope(sys_mmhg: float, dia_mmhg: float, collapse: float = 0.07, stretch: float = 0.045) -> list[list[float]]:
    """What a small artery whose compliance falls off exponentially to both sides draws around these pressures."""

    def volume(transmural_mmhg: float) -> float:
        if transmural_mmhg < 0:
            return exp(collapse * transmural_mmhg)
        return 1 + collapse / stretch * (1 - exp(-stretch * transmural_mmhg))

    return [
        [float(mmhg), 0.1 * (volume(sys_mmhg - mmhg) - volume(dia_mmhg - mmhg))]
        for mmhg in range(int(sys_mmhg) + 30, int(dia_mmhg) - 30, -1)
    ]


def test_the_curve_is_found_again() -> None:
    """Six pairs give the quadratic they were made with, its range, and diodes in order."""
    found = fit_spo2(RATIOS, [saturation(ratio) for ratio in RATIOS])
    assert found["spo2"] == pytest.approx(CURVE, abs=0.01)
    assert found["spo2_ratio_range"] == [0.42, 1.3]
    assert found["led_order"] == "red_ir"


def test_swapped_diodes_are_found() -> None:
    """A ratio that rises with saturation is the inverse one: the curve is that of the true ratio."""
    found = fit_spo2([1 / ratio for ratio in RATIOS], [saturation(ratio) for ratio in RATIOS])
    assert found["led_order"] == "ir_red"
    assert found["spo2"] == pytest.approx(CURVE, abs=0.01)


@pytest.mark.parametrize(
    ("ratios", "spo2_pct", "why"),
    [
        ([0.5, 0.6], [97, 94], "2 pairs"),
        ([0.5, 0.55, 0.6, 0.65], [97, 95, 94, 92], "over 5 %"),
        ([0.4, 0.6, 0.8, 1.0, 1.2], [98, 85, 93, 72, 80], "misses the reference"),
        ([0.4, 0.8, 1.0, 1.2, 1.3], [98, 78, 76, 75.5, 76.2], "does not fall"),
    ],
    ids=["few", "narrow", "scattered", "turning"],
)
def test_a_curve_that_cannot_be_right_is_refused(ratios: list[float], spo2_pct: list[float], why: str) -> None:
    """Too few, too narrow, too scattered, or a curve with two ratios for one saturation."""
    with pytest.raises(CalibrationError, match=why):
        fit_spo2(ratios, spo2_pct)


def test_the_cuff_ratios_are_found_again() -> None:
    """Whatever the pulse pressures, the ratios are those that the same artery has at 40 mmHg."""
    points = dict(envelope(120.0, 80.0))
    expected = [points[120.0] / max(points.values()), points[80.0] / max(points.values())]
    records = [(envelope(s, d), s, d) for s, d in ((110.0, 80.0), (150.0, 85.0), (200.0, 100.0))]
    assert fit_cuff_ratios(records) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([[150.0 - i, 2.0 - 0.001 * i] for i in range(40)], "inflate further or deflate lower"),
        ([[180.0 - i, 1.0 if i % 30 < 15 else 0.1] for i in range(120)], "miss every artery"),
        ([], "does not span"),
    ],
    ids=["short", "no artery", "empty"],
)
def test_envelopes_that_calibrate_nothing_are_refused(points: list[list[float]], why: str) -> None:
    """One that ends before its reference pressures, one that no artery draws, and none at all."""
    with pytest.raises(CalibrationError, match=why):
        fit_cuff_ratios([(points, 120.0, 80.0)] * 3)


def test_zero_and_gain_are_found_again() -> None:
    """Volts made with 0.13 V and 141 mmHg/V give these back; a bent sensor is refused."""
    mmhg = [0.0, 50.0, 100.0, 200.0, 280.0]
    volts = [0.13 + pressure / 141 for pressure in mmhg]
    assert fit_pressure(volts, mmhg) == {"zero_v": 0.13, "mmhg_per_v": 141.0}
    with pytest.raises(CalibrationError, match="misses the manometer"):
        fit_pressure([volt + 0.1 * (volt > 1) for volt in volts], mmhg)
    with pytest.raises(CalibrationError, match="needed are"):
        fit_pressure(volts[:2], mmhg[:2])


def test_the_nominal_sensor_is_the_boards() -> None:
    """0 mmHg is 0.12 V and 375.03 mmHg (50 kPa) is 2.82 V, by the numbers of board.toml."""
    assert nominal_v(0) == pytest.approx(0.12)
    assert nominal_v(375.031) == pytest.approx(2.82)


def test_what_was_not_observed_is_left_out() -> None:
    """A board calibrated for pressure only gets no made-up saturation curve."""
    found = fit("cb-1", pressure_mmhg=[(0, 0), (100, 102), (200, 204)], made_on="2026-03-01")
    assert set(found) == {"v", "device", "pressure", "made_on"}
    assert found["pressure"]["mmhg_per_v"] == pytest.approx(138.9 * 1.02, rel=0.001)


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    """CSV and JSON lines in, calibration.json out."""
    csv = tmp_path / "spo2.csv"
    csv.write_text("ratio,spo2_pct\n" + "".join(f"{ratio},{saturation(ratio)}\n" for ratio in RATIOS))
    lines = tmp_path / "cuff.jsonl"
    rows = [(envelope(s, d), s, d) for s, d in ((110.0, 70.0), (135.0, 85.0), (180.0, 110.0))]
    lines.write_text("\n".join(json.dumps({"envelope": e, "sys_mmhg": s, "dia_mmhg": d}) for e, s, d in rows))
    out = tmp_path / "calibration.json"
    done = CliRunner().invoke(app, ["calibrate", "cb-1", "--spo2", str(csv), "--cuff", str(lines), "--out", str(out)])
    assert done.exit_code == 0, done.output
    written = json.loads(out.read_text())
    assert (written["v"], written["device"], written["led_order"]) == (1, "cb-1", "red_ir")
    assert len(written["cuff_ratios"]) == 2


@pytest.mark.parametrize("text", ["ratio,spo2_pct\n0.5,x\n", "ratio\n0.5\n", "ratio,spo2_pct\n0.5,97\n"])
def test_bad_input_is_one_sentence_and_exit_2(tmp_path: Path, text: str) -> None:
    """A wrong number, a missing column or too little data: named, and nothing written."""
    csv = tmp_path / "spo2.csv"
    csv.write_text(text)
    out = tmp_path / "calibration.json"
    done = CliRunner().invoke(app, ["calibrate", "cb-1", "--spo2", str(csv), "--out", str(out)])
    assert done.exit_code == 2
    assert not out.exists()
    assert len(done.output.strip().splitlines()) == 1


def test_the_committed_pins_are_those_of_the_board() -> None:
    """firmware/chair/pins.py is what board.toml makes, and a changed board would be noticed."""
    assert pins.write(check=True)
    changed = pins.load()
    changed["pins"]["pump"]["gpio"] = 14
    assert "PUMP = const(14)" in pins.render(changed)
    assert pins.render(changed) != pins.PINS_PY.read_text(encoding="utf-8")
