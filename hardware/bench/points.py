"""Points of a calibration, taken from a board over its console beside reference instruments.

All are as an uncalibrated board sees them, whatever calibration the board has: the fit begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from hardware.bench import calibrate
from hardware.bench.calibrate import Envelope, nominal_v
from hardware.bench.console import Console, ConsoleError, Line

SETTLE_S = 12
READ_S = 8
STILL_S = 6  # the air that was pumped cools down
FILL_S_MAX = 60
HOLD_S = 110
MEASURE_S_MAX = 200
READINGS_MIN = 4


class NoPoint(Exception):
    """The board had nothing to take; the text says why. The point can be taken again."""


class Taker:
    """Takes points from one board."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._calibration = console.ask("get", file="calibration")["values"]

    def ratios(self) -> list[float]:
        """The ratio of each usable reading, after the finger has settled. Raises NoPoint."""
        lines: list[Line] = []
        self._console.ask("records", lines.append, seconds=SETTLE_S + READ_S)
        vitals = [line for line in lines if line["record"] == "vitals"][-READ_S:]
        # Below the range of the curve that the board has now a ratio is as good as elsewhere.
        usable = [line for line in vitals if line["quality"] in ("good", "below_range") and "ratio" in line]
        ratios = [float(line["ratio"]) for line in usable]
        if len(ratios) < READINGS_MIN:
            why = ", ".join(sorted({str(line["quality"]) for line in vitals})) or "no reading"
            raise NoPoint(f"saturation: {len(ratios)} usable readings, needed are {READINGS_MIN} ({why})")
        swapped = self._calibration.get("led_order") == "ir_red"
        return [1.0 / ratio for ratio in ratios] if swapped else ratios

    def hold(self, mmhg: float) -> None:
        """Fill the cuff to about this pressure and wait until the air is still. Raises NoPoint."""
        self._console.ask("hold", mmhg=mmhg, seconds=HOLD_S)
        held_s = 0
        for _ in range(FILL_S_MAX):
            state = self._pressure(1)[-1]["cuff"]
            held_s += state == "deflating"
            if held_s > STILL_S:
                return
            if state in ("dumping", "idle", "fault"):
                break
        raise NoPoint(f"pressure: the cuff does not hold {mmhg:g} mmHg; is it round something, and tight?")

    def shown_mmhg(self, *, held: bool) -> float:
        """What an uncalibrated board would show now, a mean of 2 s. Raises NoPoint when the cuff has let go."""
        lines = self._pressure(2)
        if held and any(line["cuff"] != "deflating" for line in lines):
            raise NoPoint(f"pressure: the cuff has been emptied, as it is after {HOLD_S} s; take this point again")
        return (fmean(float(line["adc_v"]) for line in lines) - nominal_v(0)) * nominal_mmhg_per_v()

    def release(self) -> None:
        """Let the air out and wait until it is."""
        self._console.ask("release")
        while (state := self._pressure(1)[-1]["cuff"]) != "idle":
            if state == "fault":
                raise ConsoleError("the cuff does not empty: take it off, and look at its valves")

    def envelope(self) -> Envelope:
        """Pulse amplitudes of one measurement, by pressures of an uncalibrated board. Raises NoPoint."""
        lines: list[Line] = []
        self._console.ask("measure")
        self._console.ask("records", lines.append, seconds=MEASURE_S_MAX, until="cuff")
        results = [line for line in lines if line["record"] == "cuff"]
        if not results or "envelope" not in results[-1]:
            raise NoPoint(f"cuff: no envelope ({results[-1].get('reason') if results else 'no result'})")
        used = self._calibration.get("pressure", {}).get("mmhg_per_v", nominal_mmhg_per_v())
        return scaled(results[-1]["envelope"], nominal_mmhg_per_v() / used)

    def _pressure(self, seconds: int) -> list[Line]:
        lines: list[Line] = []
        self._console.ask("pressure", lines.append, seconds=seconds)
        return lines


@dataclass
class Points:
    """Pairs of the board's own observation and the reference's, as `calibrate.fit` takes them."""

    spo2: list[tuple[float, float]] = field(default_factory=list)
    cuff: list[tuple[Envelope, float, float]] = field(default_factory=list)
    pressure_mmhg: list[tuple[float, float]] = field(default_factory=list)

    def fit(self, device: str) -> dict[str, Any]:
        """The calibration; the envelopes by the new pressures. Raises CalibrationError."""
        cuff = self.cuff
        if cuff and self.pressure_mmhg:
            pressure = calibrate.fit(device, pressure_mmhg=self.pressure_mmhg)["pressure"]
            factor = pressure["mmhg_per_v"] / nominal_mmhg_per_v()
            cuff = [(scaled(envelope, factor), sys_mmhg, dia_mmhg) for envelope, sys_mmhg, dia_mmhg in cuff]
        return calibrate.fit(device, self.spo2, cuff, self.pressure_mmhg)

    def save(self, path: Path) -> None:
        """Keep the evidence beside the calibration."""
        text = {"spo2": self.spo2, "cuff": self.cuff, "pressure_mmhg": self.pressure_mmhg}
        path.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def take(ask: Callable[[], Any], again: Callable[[str], bool]) -> Any:
    """Take a point, and again as long as there is none and `again(why)` wants to. None when it does not."""
    while True:
        try:
            return ask()
        except NoPoint as why:
            if not again(str(why)):
                return None


def nominal_mmhg_per_v() -> float:
    """The gain of a board that is not calibrated."""
    return 1.0 / (nominal_v(1.0) - nominal_v(0.0))


def scaled(envelope: Envelope, factor: float) -> Envelope:
    """The same envelope by a sensor of another gain."""
    return [(mmhg * factor, amplitude) for mmhg, amplitude in envelope]
