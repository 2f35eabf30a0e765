"""`chairside bench`: what the biomedical engineer does with a board on the bench."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Screen

from hardware import bytecode
from hardware.bench import calibrate, check, pins, update
from hardware.bench.calibrate import CalibrationError
from hardware.bench.check import Port, fail, opened, refuse
from hardware.bench.points import Points, Taker, take
from hardware.bytecode import BytecodeError

SPO2_POINTS = "at four or more saturations that span 15 % or more"
PRESSURES_MMHG = (0, 60, 150, 250)

app = typer.Typer(no_args_is_help=True, help="Make a board ready: pins, provisioning, self-test, calibration, updates.")
app.add_typer(update.app, name="update")
app.registered_commands.extend(check.app.registered_commands)


@app.command("pins")
def pins_command(
    check: Annotated[bool, typer.Option("--check", help="Only say whether the file is up to date.")] = False,
) -> None:
    """Write firmware/chair/pins.py from hardware/board.toml.

    Example: chairside bench pins --check
    """
    fresh = pins.write(check=check)
    if check and not fresh:
        fail("firmware/chair/pins.py is older than hardware/board.toml: run `chairside bench pins`.")
    typer.echo("firmware/chair/pins.py is up to date." if fresh else "firmware/chair/pins.py is written.")


@app.command("files")
def files_command(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    firmware: Annotated[Path, typer.Option(help="Folder of the firmware.")] = Path("firmware"),
) -> None:
    """Write what a board's flash holds of the firmware: main.py, and the bytecode of all else.

    Example: chairside bench files build/flash
    """
    try:
        files = bytecode.flash(firmware)
        out.mkdir(parents=True)
        for name, data in files.items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(data)
    except (BytecodeError, OSError) as error:
        refuse(str(error))
    typer.echo(
        f"{out}: {len(files)} files, {sum(map(len, files.values()))} bytes, to be copied into the board's flash."
    )


@app.command("calibrate")
def calibrate_command(
    device: Annotated[str, typer.Argument(help="The board, e.g. cb-7f3a21.")],
    out: Annotated[Path, typer.Option(help="Where to write the calibration.")] = Path("calibration.json"),
    spo2: Annotated[Path | None, typer.Option(help="CSV with columns ratio, spo2_pct (reference).")] = None,
    cuff: Annotated[Path | None, typer.Option(help="JSON lines: envelope, sys_mmhg, dia_mmhg (reference).")] = None,
    pressure: Annotated[
        Path | None, typer.Option(help="CSV with columns shown_mmhg (uncalibrated board), mmhg (manometer).")
    ] = None,
    port: Annotated[
        str | None, typer.Option(help="Take the points from the board on this serial port, and write it there.")
    ] = None,
) -> None:
    """Fit a board's calibration to observations made beside reference instruments.

    Example: chairside bench calibrate cb-7f3a21 --spo2 oximeter.csv --cuff cuff.jsonl --pressure manometer.csv
    """
    if not (spo2 or cuff or pressure or port):
        refuse("Nothing to fit: give a --port, or at least one of --spo2, --cuff, --pressure.")
    if port and (spo2 or cuff or pressure):
        refuse("With --port the points come from the board: leave --spo2, --cuff and --pressure out.")
    try:
        if port:
            _calibrate_over(port, device, out)
            return
        result = calibrate.fit(
            device,
            calibrate.read_pairs(spo2, "ratio", "spo2_pct") if spo2 else (),
            calibrate.read_envelopes(cuff) if cuff else (),
            calibrate.read_pairs(pressure, "shown_mmhg", "mmhg") if pressure else (),
        )
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    except (CalibrationError, OSError) as error:
        refuse(str(error))
    typer.echo(f"{out}: {json.dumps(result)}")


def _calibrate_over(port: Port, device: str, out: Path) -> None:
    """Take the points with the engineer, fit, keep the evidence, and write the calibration to the board."""
    screen = Screen()
    with opened(port) as console:
        if console.identity.get("device") != device:
            refuse(f"{port}: this is {console.identity.get('device')}, not {device}.")
        points = _points(screen, Taker(console))
        points.save(out.with_suffix(".points.json"))
        result = points.fit(device)
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        console.write("calibration", json.dumps(result).encode())
        status = console.restart()["calibration"]
    screen.print(f"{out} is written, and on the board, which says: {status['state']}.")


def _points(screen: Screen, taker: Taker) -> Points:
    points = Points()

    def again(why: str) -> bool:
        screen.print(f"[yellow]{why}[/]")
        return typer.confirm("Take this point again?", default=True)

    screen.rule("Pressure: cuff round something hard, manometer on its hose")
    for mmhg in PRESSURES_MMHG:
        pair = take(partial(_pressure_point, taker, mmhg), again)
        points.pressure_mmhg += [pair] if pair else []
    screen.rule("Saturation: probe on the reference, " + SPO2_POINTS)
    while (spo2_pct := typer.prompt("Reference saturation in % (0 ends)", type=float)) > 0:
        screen.print("  reading for 20 s ...")
        ratios = take(taker.ratios, again) or []
        points.spo2 += [(ratio, spo2_pct) for ratio in ratios]
        screen.print(f"  {len(ratios)} readings")
    screen.rule("Cuff: on the reference, at three or more pressures")
    while (sys_mmhg := typer.prompt("Reference systolic in mmHg (0 ends)", type=float)) > 0:
        dia_mmhg = typer.prompt("Reference diastolic in mmHg", type=float)
        screen.print("  measuring ...")
        envelope = take(taker.envelope, again)
        points.cuff += [(envelope, sys_mmhg, dia_mmhg)] if envelope else []
    return points


def _pressure_point(taker: Taker, mmhg: int) -> tuple[float, float]:
    if mmhg:
        taker.hold(mmhg)
    manometer_mmhg = typer.prompt(f"  about {mmhg} mmHg: what does the manometer show?", type=float)
    shown_mmhg = taker.shown_mmhg(held=mmhg > 0)
    taker.release()
    return shown_mmhg, manometer_mmhg
