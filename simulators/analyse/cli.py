"""`chairside analyse oximetry | cuff`: a recording, of whatever instrument, through the firmware's own files."""

from __future__ import annotations

import json
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from simulators.analyse import cuff, oximetry, plot
from simulators.analyse.cuff import Measurement
from simulators.analyse.recording import Recording, RecordingError, read
from simulators.process import BoardError

app = typer.Typer(
    no_args_is_help=True, help="Recordings of any sensor through the firmware's own oximetry and oscillometry."
)

File = Annotated[Path, typer.Argument(metavar="FILE.csv", help="A table: comma, semicolon or tab; any ADC scale.")]
Time = Annotated[str | None, typer.Option(metavar="COLUMN", help="When: s, ms, us, ns, a clock or a date.")]
RateHz = Annotated[float | None, typer.Option(help="Samples a second, 20 to 1000, where no column tells the time.")]
Calibration = Annotated[
    Path | None, typer.Option(metavar="FILE", help="calibration.json of the board or sensor; without it: uncalibrated.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, every key in every object.")]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="FILE.svg", help="Draw it as well.")]
ROWS_MAX = 24
COUNTS = {"spo2": 3, "spo2_ratio_range": 2, "cuff_ratios": 2}
COLUMNS = ("t_s", "spo2_pct", "pulse_bpm", "pi_pct", "resp_bpm", "ratio", "quality", "reason")


@app.command("oximetry")
def oximetry_command(
    file: File,
    red: Annotated[str, typer.Option(metavar="COLUMN", help="Red light: its name, or number without a header.")],
    ir: Annotated[str, typer.Option(metavar="COLUMN", help="Infrared light. The same as --red: pulse rate only.")],
    time: Time = None,
    rate_hz: RateHz = None,
    calibration: Calibration = None,
    as_json: Json = False,
    plot_file: Plot = None,
) -> None:
    """Saturation, pulse, perfusion and breathing, second by second, of a red and infrared recording.

    Example: chairside analyse oximetry finger.csv --red red --ir ir --time t_s --plot finger.svg
    """
    known = _calibration(calibration)
    recording = _read(file, [red, ir], time, rate_hz)
    try:
        light = oximetry.condition(recording, red, ir)
    except RecordingError as error:
        _refuse(f"{file}: {error}")
    notes = list(light.notes)
    if "spo2" not in known and not light.refused:
        notes.append("saturation by the published MAX30101 curve: uncalibrated")
    said: list[dict[str, Any]] = []
    stream = oximetry.readings(light, known)
    shown = sys.stderr.isatty() and not (as_json and sys.stdout.isatty())
    try:
        for reading in track(
            stream,
            "The firmware reads",
            total=len(light.there) // oximetry.RATE_HZ,
            console=Console(stderr=True),
            transient=True,
            disable=not shown,
        ):
            said.append(reading)
            if as_json:
                typer.echo(json.dumps(reading))
    except BoardError as error:
        _fail(str(error))
    if not as_json:
        _print_readings(file, said)
    _finish(file, notes, plot_file, lambda: plot.oximetry(file.name, light, said, calibrated="spo2" in known))


@app.command("cuff")
def cuff_command(
    file: File,
    pressure_mmhg: Annotated[str, typer.Option(metavar="COLUMN", help="Cuff pressure in mmHg.")],
    time: Time = None,
    rate_hz: RateHz = None,
    calibration: Calibration = None,
    as_json: Json = False,
    plot_file: Plot = None,
) -> None:
    """Blood pressure out of a recorded deflation: inflation, top-ups and dump may be in the file.

    Example: chairside analyse cuff arm.csv --pressure-mmhg mmhg --rate-hz 100 --json
    """
    ratios = _calibration(calibration).get("cuff_ratios")
    recording = _read(file, [pressure_mmhg], time, rate_hz)
    try:
        pressure = cuff.condition(recording, pressure_mmhg)
        measured = cuff.measure(pressure, ratios)
    except RecordingError as error:
        _refuse(f"{file}: {error}")
    except BoardError as error:
        _fail(str(error))
    if as_json:
        typer.echo(json.dumps(measured.result()))
    else:
        _print_measurement(file, measured)
    notes = list(pressure.notes)
    if ratios is None:
        notes.append("systolic and diastolic by the ratios one starts from: uncalibrated")
    _finish(file, notes, plot_file, lambda: plot.cuff(file.name, pressure, measured, calibrated=ratios is not None))


def _read(file: Path, columns: list[str], time: str | None, rate_hz: float | None) -> Recording:
    if (time is None) == (rate_hz is None):
        _refuse("give --time COLUMN or --rate-hz N, one of them: when were the samples taken?")
    try:
        return read(file, columns, time, rate_hz)
    except RecordingError as error:
        _refuse(str(error))


def _calibration(file: Path | None) -> dict[str, Any]:
    """What of a board's calibration these commands use, as strictly as the board reads it."""
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        _refuse(f"--calibration {file}: {error.strerror}")
    except ValueError:
        _refuse(f"--calibration {file} is not JSON; `chairside bench calibrate` writes one")
    if not isinstance(found, dict) or found.get("v") != 1:
        _refuse(f"--calibration {file} is no calibration of version 1; `chairside bench calibrate` writes one")
    for key, count in COUNTS.items():
        numbers = found.get(key, [0.0] * count)
        if not isinstance(numbers, list) or [type(n) in (int, float) for n in numbers] != [True] * count:
            _refuse(f"--calibration {file}: {key} is {numbers!r}; it must be {count} numbers")
    if found.get("led_order", "red_ir") not in ("red_ir", "ir_red"):
        _refuse(f"--calibration {file}: led_order is {found['led_order']!r}; it must be red_ir or ir_red")
    return {key: found[key] for key in (*COUNTS, "led_order") if key in found}


def _print_readings(file: Path, readings: list[dict[str, Any]]) -> None:
    table = Table(title=str(file), title_justify="left", box=None)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "reason" else "right")
    for reading in readings[:: -(-len(readings) // ROWS_MAX)]:
        table.add_row(*("" if reading[column] is None else f"{reading[column]}" for column in COLUMNS))
    console = Console()
    console.print(table)
    for column, name in (("spo2_pct", "SpO2 %"), ("pulse_bpm", "pulse /min"), ("resp_bpm", "breaths /min")):
        values = [reading[column] for reading in readings if reading[column] is not None]
        words = f"{min(values):g} to {max(values):g}, median {statistics.median(values):g}" if values else "never"
        console.print(f"{name}: {words}, in {len(values)} of {len(readings)} s", highlight=False)
    for reason, count in Counter(reading["reason"] for reading in readings if reading["reason"]).most_common():
        console.print(f"{reason}: {count} s", highlight=False)


def _print_measurement(file: Path, measurement: Measurement) -> None:
    result = measurement.result()
    table = Table("measurement", str(file), title_justify="left", box=None)
    for key, value in result.items():
        table.add_row(key, "" if value is None else f"{value}")
    Console().print(table)


def _finish(file: Path, notes: list[str], plot_file: Path | None, draw: Callable[[], str]) -> None:
    """What was done to the recording, and the picture, beside the result."""
    for note in notes:
        typer.echo(f"{file}: {note}", err=True)
    if plot_file is None:
        return
    try:
        plot_file.write_text(draw(), encoding="utf-8")
    except OSError as error:
        _refuse(f"--plot {plot_file}: {error.strerror}")
    typer.echo(f"{plot_file} is written.", err=True)


def _refuse(why: str) -> NoReturn:
    typer.echo(f"chairside: {why}", err=True)
    raise typer.Exit(2)


def _fail(why: str) -> NoReturn:
    typer.echo(f"chairside: {why}", err=True)
    raise typer.Exit(1)
