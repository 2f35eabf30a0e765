"""Calibration of a board from what it measured beside a reference, and the commands `chairside bench ...`.

Nothing here knows what a finger or a sensor ought to be like: each number is fitted to pairs of the board's own
observation and a reference instrument's.

    saturation  ratio of ratios (vitals records)        reference oximeter, %         a R^2 + b R + c
    cuff        pulse envelopes (cuff records)          reference sphygmomanometer    systolic and diastolic ratio
    pressure    cuff pressure by nominal constants       manometer, mmHg               zero_v, mmhg_per_v

The result is the `calibration.json` that a board reads at start. Fits that cannot be right are refused with
`CalibrationError`, in one sentence that says what was found and what is needed.
"""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hardware.bench import pins

SPO2_PAIRS_MIN = 4
SPO2_SPAN_MIN_PCT = 15.0
SPO2_ARMS_MAX_PCT = 2.0
CUFF_RECORDS_MIN = 3
PRESSURE_PAIRS_MIN = 3
PRESSURE_SPAN_MIN_MMHG = 150.0
PRESSURE_ERROR_MAX_MMHG = 3.0

MMHG_PER_KPA = 7.50062

Envelope = Sequence[Sequence[float]]


class CalibrationError(ValueError):
    """The observations do not make a calibration; the text says why."""


def fit_spo2(ratios: Sequence[float], spo2_pct: Sequence[float]) -> dict[str, Any]:
    """The board's curve from pairs of its ratio and a reference saturation.

    A board whose diodes are swapped shows a ratio that rises with saturation, the inverse of the true one; only the
    bench can see that, so it is decided here and stored as `led_order`.
    """
    ratio, reference = np.asarray(ratios, dtype=float), np.asarray(spo2_pct, dtype=float)
    if len(ratio) < SPO2_PAIRS_MIN or np.ptp(reference) < SPO2_SPAN_MIN_PCT:
        raise CalibrationError(
            f"saturation: {len(ratio)} pairs over {np.ptp(reference) if len(ratio) else 0:.0f} %, "
            f"needed are {SPO2_PAIRS_MIN} over {SPO2_SPAN_MIN_PCT:.0f} %"
        )
    swapped = bool(np.corrcoef(ratio, reference)[0, 1] > 0)
    if swapped:
        ratio = 1.0 / ratio
    powers = np.column_stack([ratio**2, ratio, np.ones_like(ratio)])
    curve = np.linalg.lstsq(powers, reference, rcond=None)[0]
    arms_pct = float(np.sqrt(np.mean((powers @ curve - reference) ** 2)))
    if arms_pct > SPO2_ARMS_MAX_PCT:
        raise CalibrationError(
            f"saturation: the curve misses the reference by {arms_pct:.1f} %, allowed are {SPO2_ARMS_MAX_PCT} %"
        )
    low, high = float(ratio.min()), float(ratio.max())
    if max(2 * curve[0] * r + curve[1] for r in (low, high)) >= 0:
        raise CalibrationError("saturation: the fitted curve does not fall over its whole range; add points between")
    return {
        "spo2": [round(float(value), 4) for value in curve],
        "spo2_ratio_range": [round(low, 4), round(high, 4)],
        "led_order": "ir_red" if swapped else "red_ir",
    }


def fit_cuff_ratios(records: Sequence[tuple[Envelope, float, float]]) -> list[float]:
    """[systolic, diastolic] ratio that best finds the reference pressures in (envelope, sys_mmhg, dia_mmhg)."""
    if len(records) < CUFF_RECORDS_MIN:
        raise CalibrationError(f"cuff: {len(records)} records, needed are {CUFF_RECORDS_MIN}")
    return [
        _fit_ratio([(envelope, sys_mmhg) for envelope, sys_mmhg, _ in records], above=True, name="systolic"),
        _fit_ratio([(envelope, dia_mmhg) for envelope, _, dia_mmhg in records], above=False, name="diastolic"),
    ]


def _fit_ratio(pairs: Sequence[tuple[Envelope, float]], *, above: bool, name: str) -> float:
    """The ratio with the least squared error; records that do not reach a ratio rule it out."""
    best: tuple[float, float] | None = None
    for ratio in np.arange(0.30, 0.90, 0.005):
        found = [crossing_mmhg(envelope, float(ratio), above=above) for envelope, _ in pairs]
        errors = [at - reference for at, (_, reference) in zip(found, pairs, strict=True) if at is not None]
        if len(errors) < len(pairs):
            continue
        squared = float(np.mean(np.square(errors)))
        if best is None or squared < best[0]:
            best = (squared, float(ratio))
    if best is None:
        raise CalibrationError(f"cuff: no {name} ratio is crossed by every envelope; inflate further or deflate lower")
    return round(best[1], 3)


def crossing_mmhg(envelope: Envelope, ratio: float, *, above: bool) -> float | None:
    """Pressure above or below the envelope's maximum where it first falls to `ratio` of it; None if never."""
    points = np.asarray(envelope, dtype=float)
    points = points[np.argsort(points[:, 0])]
    top = int(np.argmax(points[:, 1]))
    side = points[top:] if above else points[top::-1]
    level = ratio * side[0, 1]
    for (near, amplitude), (far, next_amplitude) in pairwise(side):
        if next_amplitude <= level:
            return float(near + (far - near) * (amplitude - level) / (amplitude - next_amplitude))
    return None


def nominal_v(mmhg: float) -> float:
    """Volts at the converter at which a board that is not calibrated shows this pressure."""
    sensor = pins.load()["pressure_sensor"]
    full = sensor["gain_per_kpa"] * mmhg / MMHG_PER_KPA + sensor["offset"]
    return float(sensor["divider"] * sensor["supply_v"] * full)


def fit_pressure(adc_v: Sequence[float], mmhg: Sequence[float]) -> dict[str, float]:
    """Zero and gain of the pressure channel from volts at the converter beside a manometer."""
    volts, reference = np.asarray(adc_v, dtype=float), np.asarray(mmhg, dtype=float)
    if len(volts) < PRESSURE_PAIRS_MIN or np.ptp(reference) < PRESSURE_SPAN_MIN_MMHG:
        raise CalibrationError(
            f"pressure: {len(volts)} pairs over {np.ptp(reference) if len(volts) else 0:.0f} mmHg, "
            f"needed are {PRESSURE_PAIRS_MIN} over {PRESSURE_SPAN_MIN_MMHG:.0f} mmHg"
        )
    lines = np.column_stack([volts, np.ones_like(volts)])
    gain, offset = np.linalg.lstsq(lines, reference, rcond=None)[0]
    worst = float(np.max(np.abs(lines @ np.array([gain, offset]) - reference)))
    if worst > PRESSURE_ERROR_MAX_MMHG or gain <= 0:
        raise CalibrationError(
            f"pressure: the line misses the manometer by {worst:.1f} mmHg, allowed are {PRESSURE_ERROR_MAX_MMHG} mmHg"
        )
    return {"zero_v": round(float(-offset / gain), 5), "mmhg_per_v": round(float(gain), 3)}


def fit(
    device: str,
    spo2: Sequence[tuple[float, float]] = (),
    cuff: Sequence[tuple[Envelope, float, float]] = (),
    pressure_mmhg: Sequence[tuple[float, float]] = (),
    made_on: str | None = None,
) -> dict[str, Any]:
    """The file for one board. What has no observations is left out, and the board then uses its default for it.

    Pairs are (board, reference): ratio and saturation; cuff pressure shown by the uncalibrated board and manometer.
    """
    made_on = made_on or datetime.now(UTC).date().isoformat()
    result: dict[str, Any] = {"v": 1, "device": device}
    if spo2:
        result |= fit_spo2([ratio for ratio, _ in spo2], [reference for _, reference in spo2])
    if cuff:
        result["cuff_ratios"] = fit_cuff_ratios(cuff)
    if pressure_mmhg:
        volts = [nominal_v(shown) for shown, _ in pressure_mmhg]
        result["pressure"] = fit_pressure(volts, [manometer for _, manometer in pressure_mmhg])
    return result | {"made_on": made_on}


# ---- commands ---------------------------------------------------------------------------------------------

app = typer.Typer(no_args_is_help=True, help="Make a board ready: pins and calibration.")


@app.command("pins")
def pins_command(
    check: Annotated[bool, typer.Option("--check", help="Only say whether the file is up to date.")] = False,
) -> None:
    """Write firmware/chair/pins.py from hardware/board.toml.

    Example: chairside bench pins --check
    """
    fresh = pins.write(check=check)
    if check and not fresh:
        typer.echo("firmware/chair/pins.py is older than hardware/board.toml: run `chairside bench pins`.", err=True)
        raise typer.Exit(1)
    typer.echo("firmware/chair/pins.py is up to date." if fresh else "firmware/chair/pins.py is written.")


@app.command("calibrate")
def calibrate_command(
    device: Annotated[str, typer.Argument(help="The board, e.g. cb-7f3a21.")],
    out: Annotated[Path, typer.Option(help="Where to write the calibration.")] = Path("calibration.json"),
    spo2: Annotated[Path | None, typer.Option(help="CSV with columns ratio, spo2_pct (reference).")] = None,
    cuff: Annotated[Path | None, typer.Option(help="JSON lines: envelope, sys_mmhg, dia_mmhg (reference).")] = None,
    pressure: Annotated[
        Path | None, typer.Option(help="CSV with columns shown_mmhg (uncalibrated board), mmhg (manometer).")
    ] = None,
) -> None:
    """Fit a board's calibration to observations made beside reference instruments.

    Example: chairside bench calibrate cb-7f3a21 --spo2 oximeter.csv --cuff cuff.jsonl --pressure manometer.csv
    """
    if not (spo2 or cuff or pressure):
        typer.echo("Nothing to fit: give at least one of --spo2, --cuff, --pressure.", err=True)
        raise typer.Exit(2)
    try:
        result = fit(
            device,
            _read_pairs(spo2, "ratio", "spo2_pct") if spo2 else (),
            _read_envelopes(cuff) if cuff else (),
            _read_pairs(pressure, "shown_mmhg", "mmhg") if pressure else (),
        )
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    except (CalibrationError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{out}: {json.dumps(result)}")


def _read_pairs(path: Path, first: str, second: str) -> list[tuple[float, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = []
    for number, row in enumerate(rows, start=2):
        try:
            pairs.append((float(row[first]), float(row[second])))
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"{path} line {number}: needs a number in each of {first}, {second}") from error
    return pairs


def _read_envelopes(path: Path) -> list[tuple[Envelope, float, float]]:
    records: list[tuple[Envelope, float, float]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            envelope = [(float(mmhg), float(amplitude)) for mmhg, amplitude in row["envelope"]]
            records.append((envelope, float(row["sys_mmhg"]), float(row["dia_mmhg"])))
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"{path} line {number}: needs envelope, sys_mmhg and dia_mmhg") from error
    return records
