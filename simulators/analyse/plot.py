"""An analysis as one picture (SVG): what was recorded, the beats in it, and what the firmware made of it."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from simulators.analyse import sheet as house
from simulators.analyse.cuff import RATE_HZ as CUFF_HZ
from simulators.analyse.cuff import Measurement, Pressure
from simulators.analyse.oximetry import RATE_HZ, Light
from simulators.analyse.recording import Samples, bridged, moving_mean
from simulators.analyse.sheet import Sheet

CLOSE_S = 12
REASONS = {
    None: "#a9d8a4",
    "ac_coupled": "#d5e8b0",
    "one_colour": "#d5e8b0",
    "settling": "#e3e8ec",
    "no_finger": "#cfd6dc",
    "motion": "#f3c98b",
    "ambient": "#f3c98b",
    "low_perfusion": "#f0dd9a",
    "saturation": "#eab0a6",
    "sensor_fault": "#eab0a6",
    "below_range": "#d6b8e0",
}


def oximetry(title: str, light: Light, readings: list[dict[str, Any]], *, calibrated: bool) -> str:
    """The light, a close look at its beats, and the readings over time."""
    sheet = Sheet(title, "read by the Chairside firmware")
    ends = (0.0, max(float(len(readings)), 1.0))
    t_s = np.arange(len(light.there)) / RATE_HZ
    red, ir = (np.where(light.there, counts, np.nan).astype(float) for counts in (light.red, light.ir))
    both = np.concatenate([red[light.there], ir[light.there]])
    low, high = np.percentile(both, [0.5, 99.5])
    margin = 0.06 * (high - low) + 1
    name = "light as the board would count it" if light.refused != "ac_coupled" else "the wave, on a level not its own"
    sheet.lane(f"{name}: red, infrared (violet)", ends, (low - margin, high + margin), 90)
    sheet.curve(t_s, ir, house.INFRARED, 1.0)
    sheet.curve(t_s, red, house.RED, 1.0)
    sheet.end_lane()
    _close(sheet, t_s, red, ir, readings)
    _values(
        sheet,
        "SpO2 %" if calibrated else "SpO2 %, by the published curve: uncalibrated",
        ends,
        (70.0, 100.0),
        readings,
        {"spo2_pct": house.SPO2},
    )
    _values(
        sheet,
        "pulse /min, breaths (grey)",
        ends,
        (0.0, 200.0),
        readings,
        {"pulse_bpm": house.PULSE, "resp_bpm": house.BREATH},
    )
    _values(sheet, "quality", ends, (0.0, 100.0), readings, {"quality": house.INK}, height=40.0, steps=2)
    _reasons(sheet, ends, readings)
    return sheet.svg()


def _close(sheet: Sheet, t_s: Samples, red: Samples, ir: Samples, readings: list[dict[str, Any]]) -> None:
    """The first of the best seconds, near enough to see beats; marked where the light is least, once a period."""
    worth = [reading["quality"] if reading["pulse_bpm"] else 0 for reading in readings]
    sums = np.convolve(worth, np.ones(CLOSE_S), "valid") if len(worth) >= CLOSE_S else np.array([0.0])
    begin = int(np.argmax(sums >= 0.97 * np.max(sums)))
    part = slice(begin * RATE_HZ, (begin + CLOSE_S) * RATE_HZ)
    t_s, red, ir = t_s[part], red[part], ir[part]
    waves = [100 * (x / np.maximum(moving_mean(bridged(x), RATE_HZ * 2), 1.0) - 1) for x in (red, ir)]
    if not np.isfinite(waves).any():
        return
    size = float(np.nanpercentile(np.abs(np.array(waves)), 99.5)) * 1.15
    ends = (float(t_s[0]), float(t_s[0]) + CLOSE_S)
    sheet.lane(f"beats, {begin} to {begin + CLOSE_S} s: the light in % of its level", ends, (-size, size), 100)
    for wave, colour in zip(waves, (house.RED, house.INFRARED), strict=True):
        sheet.curve(t_s, wave, colour)
    rates = [reading["pulse_bpm"] for reading in readings[begin : begin + CLOSE_S] if reading["pulse_bpm"]]
    if rates:
        wave = moving_mean(waves[1], 9)
        reach = round(0.45 * 60 / float(np.median(rates)) * RATE_HZ)
        lowest = [i for i in range(reach, len(wave) - reach) if wave[i] == np.min(wave[i - reach : i + reach + 1])]
        sheet.dots([(float(t_s[i]), float(waves[1][i])) for i in lowest], house.INK)
    sheet.end_lane()


def _values(
    sheet: Sheet,
    name: str,
    ends: tuple[float, float],
    scale: tuple[float, float],
    readings: list[dict[str, Any]],
    fields: dict[str, str],
    *,
    height: float = 80.0,
    steps: int = 3,
) -> None:
    """Readings over time, broken where there is none; the scale goes as far as they do."""
    t_s = np.array([float(reading["t_s"]) for reading in readings])
    curves = {field: np.array([_number(reading[field]) for reading in readings]) for field in fields}
    seen = np.concatenate([values[np.isfinite(values)] for values in curves.values()])
    low, high = scale
    if len(seen) and name.startswith("pulse"):
        low, high = 0.0, 50.0 * float(np.ceil(np.max(seen) * 1.1 / 50))
    if len(seen) and float(np.min(seen)) < low:
        low = 10.0 * float(np.floor(np.min(seen) / 10))
    sheet.lane(name, ends, (low, high), height, steps=steps)
    for field, values in curves.items():
        sheet.curve(t_s, values, fields[field], 1.8)
    if not len(seen):
        sheet.text(house.LEFT + 8, sheet.y + height / 2 + 4, "no value", fill=house.FAINT)
    sheet.end_lane()


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _reasons(sheet: Sheet, ends: tuple[float, float], readings: list[dict[str, Any]]) -> None:
    sheet.lane("reason", ends, (0, 1), 18, steps=0)
    second = 0
    for reason, run in groupby(reading["reason"] for reading in readings):
        begin, second = second, second + len(list(run))
        sheet.band(begin, second, REASONS.get(reason, "#eab0a6"), reason or "good")
    sheet.end_lane()


def cuff(title: str, pressure: Pressure, measurement: Measurement, *, calibrated: bool) -> str:
    """The pressure with the deflation that was measured, the pulses in it, and their envelope with the result."""
    result = measurement.result()
    sheet = Sheet(title, "read by the Chairside firmware")
    t_s = np.arange(len(pressure.mmhg)) / CUFF_HZ
    ends = (0.0, float(t_s[-1]))
    begin, end = measurement.begin, measurement.end
    highest = 20.0 * float(np.ceil(np.nanmax(pressure.mmhg) / 20 + 0.2))
    marks = [
        (name, result[key]) for name, key in (("systolic", "sys_mmhg"), ("MAP", "map_mmhg"), ("diastolic", "dia_mmhg"))
    ]
    sheet.lane("cuff pressure, mmHg; shaded: the deflation that was measured", ends, (0.0, highest), 170)
    sheet.band(begin / CUFF_HZ, (end - 1) / CUFF_HZ, "#f1ebf5")
    sheet.curve(t_s, pressure.mmhg, house.CUFF)
    for name, mmhg in marks:
        if mmhg is not None:
            sheet.level(mmhg, f"{name} {mmhg:g}", house.INK)
    sheet.end_lane()
    wave = _pulses(pressure.mmhg[begin:end])
    size = max(0.5, float(np.nanpercentile(np.abs(wave), 99.7)) * 1.1)
    sheet.lane("pulses in the deflation, mmHg", (begin / CUFF_HZ, end / CUFF_HZ), (-size, size), 110)
    sheet.curve(t_s[begin:end], wave, house.PULSE, 1.1)
    sheet.end_lane()
    envelope = [(float(mmhg), float(amplitude)) for mmhg, amplitude in measurement.said.get("envelope", [])]
    if envelope:
        pressures, amplitudes = (np.array(values) for values in zip(*envelope, strict=True))
        across = (float(np.max(pressures)) + 4, float(np.min(pressures)) - 4)
        sheet.lane(
            "envelope: amplitude of the pulses over cuff pressure",
            across,
            (0.0, float(np.max(amplitudes)) * 1.15),
            140,
            unit="mmHg",
        )
        sheet.curve(pressures, amplitudes, "#c9b6d6", 1.2)
        sheet.dots(envelope, house.CUFF, 3)
        for name, mmhg in marks:
            if mmhg is not None:
                sheet.upright(mmhg, f"{name} {mmhg:g}", house.INK)
        sheet.end_lane()
    if result["reason"] is None:
        words = f"{result['sys_mmhg']:.0f}/{result['dia_mmhg']:.0f} mmHg, MAP {result['map_mmhg']:.0f}, "
        words += f"pulse {result['pulse_bpm']:.0f} /min, quality {result['quality']}" + (
            "" if calibrated else "; uncalibrated"
        )
    else:
        words = f"no value: {result['reason']}"
    sheet.y += 16
    sheet.text(house.LEFT, sheet.y, words, size=16)
    sheet.y += 8
    return sheet.svg()


def _pulses(mmhg: Samples) -> Samples:
    """The pressure without its fall: less the mean of a second, the ends carried on along their slope."""
    beyond = np.pad(bridged(mmhg), CUFF_HZ, mode="reflect", reflect_type="odd")
    return mmhg - moving_mean(beyond, CUFF_HZ)[CUFF_HZ:-CUFF_HZ]
