"""Calibration of a board from what it measured beside a reference.

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
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware.bench import pins

SPO2_PAIRS_MIN = 4
SPO2_SPAN_MIN_PCT = 15.0
SPO2_ARMS_MAX_PCT = 2.0
CUFF_RECORDS_MIN = 3
CUFF_MISFIT_MAX = 0.15  # of an envelope's height
CUFF_COLLAPSE_PER_MMHG = (0.02, 0.25)  # where the artery's slopes are looked for
CUFF_STRETCH_PER_MMHG = (0.01, 0.15)
RATIOS_AT_MMHG = 40.0
PRESSURE_PAIRS_MIN = 3
PRESSURE_SPAN_MIN_MMHG = 150.0
PRESSURE_ERROR_MAX_MMHG = 3.0

MMHG_PER_KPA = 7.50062

Envelope = Sequence[Sequence[float]]
Array = npt.NDArray[np.float64]


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
    """[systolic, diastolic] ratio at a pulse pressure of 40 mmHg, from (envelope, sys_mmhg, dia_mmhg).

    Ratios fall with the pulse pressure, so they are not read off: the one pair of slopes is looked for with which
    Babbs's artery (see chair/oscillometry.py) draws every envelope between its reference pressures.
    """
    if len(records) < CUFF_RECORDS_MIN:
        raise CalibrationError(f"cuff: {len(records)} records, needed are {CUFF_RECORDS_MIN}")
    drawn = []
    for envelope, sys_mmhg, dia_mmhg in records:
        points = np.asarray(envelope, dtype=float).reshape(-1, 2)
        if not len(points) or points[:, 0].max() < sys_mmhg or points[:, 0].min() > dia_mmhg:
            raise CalibrationError(
                f"cuff: an envelope does not span its {sys_mmhg:.0f}/{dia_mmhg:.0f}; inflate further or deflate lower"
            )
        drawn.append((points[:, 0], points[:, 1], sys_mmhg, dia_mmhg))
    slopes = [
        (float(collapse), float(stretch))
        for collapse in np.geomspace(*CUFF_COLLAPSE_PER_MMHG, 50)
        for stretch in np.geomspace(*CUFF_STRETCH_PER_MMHG, 50)
    ]
    misfits = [float(np.mean([_misfit(slope, *record) for record in drawn])) for slope in slopes]
    best = int(np.argmin(misfits))
    if misfits[best] > CUFF_MISFIT_MAX:
        raise CalibrationError(
            f"cuff: the envelopes miss every artery by {100 * misfits[best]:.0f} % of their height, "
            f"allowed are {100 * CUFF_MISFIT_MAX:.0f} %"
        )
    return [round(ratio, 3) for ratio in cuff_ratios(*slopes[best], RATIOS_AT_MMHG)]


def cuff_ratios(collapse: float, stretch: float, pulse_pressure_mmhg: float) -> tuple[float, float]:
    """Amplitude at systolic and at diastolic pressure over the largest, of an artery with these slopes per mmHg."""
    share = stretch / (collapse + stretch)
    ends = np.array([pulse_pressure_mmhg, 0.0, share * pulse_pressure_mmhg])
    above, below, peak = _amplitudes(ends, np.zeros(3), collapse, stretch, pulse_pressure_mmhg, 0.0)
    return float(above / peak), float(below / peak)


def _amplitudes(
    mmhg: Array, amplitude: Array, collapse: float, stretch: float, sys_mmhg: float, dia_mmhg: float
) -> Array:
    """What the artery's volume changes by in a beat at each cuff pressure, in units of its volume at rest.

    The cuff presses with `mmhg` when the beat begins, and with the beat's own `amplitude` more at its height.
    """

    def volume(transmural_mmhg: Array) -> Array:
        squeezed = np.exp(collapse * np.minimum(transmural_mmhg, 0.0))
        stretched = 1.0 - np.exp(-stretch * np.maximum(transmural_mmhg, 0.0))
        return np.asarray(squeezed + collapse / stretch * stretched)

    return volume(sys_mmhg - mmhg - amplitude) - volume(dia_mmhg - mmhg)


def _misfit(slopes: tuple[float, float], mmhg: Array, amplitude: Array, sys_mmhg: float, dia_mmhg: float) -> float:
    """Root mean square distance of an envelope from the best one with these slopes and pressures, as a share."""
    shape = _amplitudes(mmhg, amplitude, *slopes, sys_mmhg, dia_mmhg)
    size = float(shape @ amplitude / (shape @ shape))
    return float(np.sqrt(np.mean((amplitude - size * shape) ** 2)) / amplitude.max())


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


# ---- files of points ----------------------------------------------------------------------------------------


def read_pairs(path: Path, first: str, second: str) -> list[tuple[float, float]]:
    """(first, second) of each row of a CSV file. Raises CalibrationError."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = []
    for number, row in enumerate(rows, start=2):
        try:
            pairs.append((float(row[first]), float(row[second])))
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"{path} line {number}: needs a number in each of {first}, {second}") from error
    return pairs


def read_envelopes(path: Path) -> list[tuple[Envelope, float, float]]:
    """(envelope, sys_mmhg, dia_mmhg) of each line of a file. Raises CalibrationError."""
    records: list[tuple[Envelope, float, float]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            envelope = [(float(mmhg), float(amplitude)) for mmhg, amplitude in row["envelope"]]
            records.append((envelope, float(row["sys_mmhg"]), float(row["dia_mmhg"])))
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"{path} line {number}: needs envelope, sys_mmhg and dia_mmhg") from error
    return records
