"""`chairside sim`: scenarios in virtual time, one simulated board against a real broker, and a simulated bench."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console

from hardware.bench.calibrate import CalibrationError
from simulators import bench
from simulators.clinic.cli import app as scenarios
from simulators.conductor import SimBoard
from simulators.explore.cli import app as exploring
from simulators.mqtt_packets import Published
from simulators.process import BoardError
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

app = typer.Typer(no_args_is_help=True, help="Simulated boards: the real firmware in a simulated world.")
app.registered_commands.extend([*scenarios.registered_commands, *exploring.registered_commands])

Device = Annotated[str, typer.Option(help="The board's name, e.g. cb-000001.")]
Seed = Annotated[int, typer.Option(help="Which board: fixes the spread of its parts and its noise.")]
URL = "mqtt://127.0.0.1:1883"
TLS_FILES = ("ca.der", "client.der", "client.key.der")


@app.command()
def board(
    device: Device = "cb-000001",
    broker: Annotated[str, typer.Option(help="Where it connects: mqtt://, or with --tls mqtts://.")] = URL,
    tls: Annotated[Path | None, typer.Option(help="The folder of its three files from `chairside broker`.")] = None,
    seconds: Annotated[float, typer.Option(help="How long; 0 runs until Ctrl-C.")] = 0.0,
    seed: Seed = 1,
    spo2: Annotated[float, typer.Option(min=50, max=100, help="True saturation, %.")] = 98.0,
    pulse: Annotated[float, typer.Option(min=20, max=250, help="True pulse rate, per minute.")] = 70.0,
    sys: Annotated[float, typer.Option(min=40, max=300, help="True systolic pressure, mmHg.")] = 120.0,
    dia: Annotated[float, typer.Option(min=20, max=200, help="True diastolic pressure, mmHg.")] = 80.0,
    calibration: Annotated[Path | None, typer.Option(help="Its calibration.json.")] = None,
    usb: Annotated[bool, typer.Option("--console", help="Open its console; prints the port of its USB line.")] = False,
) -> None:
    """Run one board live and print what it publishes.

    Example: chairside sim board --device cb-000001 --broker mqtt://127.0.0.1:1883 --spo2 91
    """
    if dia >= sys:
        _refuse(f"--dia is {dia:g}; it must be below --sys, which is {sys:g}")
    host, port = _address(broker, tls)
    console = Console()
    world = ChairWorld(Patient(spo2_pct=spo2, pulse_bpm=pulse, sys_mmhg=sys, dia_mmhg=dia), seed)

    def show(message: Published) -> None:
        leaf = message.topic.rsplit("/", 1)[-1]
        console.print(
            f"[bold]{leaf:>8}[/]  {message.payload.decode(errors='replace')}", highlight=False, soft_wrap=True
        )

    with tempfile.TemporaryDirectory() as folder:
        flash = Path(folder) / device
        try:
            if tls:
                _copy_keys(tls, flash)
            sim = SimBoard(
                device,
                world,
                flash,
                mode="live",
                broker=(host, port),
                calibration=_read_calibration(calibration),
                settings={"console": usb, "tls": tls is not None},
                console=usb,
                on_publish=show,
            )
            if sim.console:
                console.print(f"[bold]    port[/]  {sim.console.path}", highlight=False)
            sim.start()
            try:
                _watch(sim, seconds)
            finally:
                sim.stop()
        except BoardError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
    if seconds and not sim.published:
        typer.echo(f"The board published nothing: is a broker at {broker}?", err=True)
        raise typer.Exit(1)


@app.command()
def calibrate(
    device: Device = "cb-000001",
    seed: Seed = 1,
    out: Annotated[Path | None, typer.Option(help="File to write; without it the result is printed.")] = None,
) -> None:
    """Calibrate a simulated board on the simulated bench, in virtual time.

    Example: chairside sim calibrate --device cb-000001 --seed 1 --out calibration.json
    """
    try:
        text = json.dumps(bench.calibrated(device, seed), indent=2)
    except (BoardError, CalibrationError, TimeoutError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if out:
        out.write_text(text + "\n", encoding="utf-8")
        typer.echo(f"{out} is written.")
    else:
        typer.echo(text)


def _watch(sim: SimBoard, seconds: float) -> None:
    end = time.monotonic() + seconds
    try:
        while (not seconds or time.monotonic() < end) and sim.error is None:
            time.sleep(0.1)
    except KeyboardInterrupt:
        return


def _address(url: str, tls: Path | None) -> tuple[str, int]:
    parts, scheme, usual = urlsplit(url), "mqtts" if tls else "mqtt", 8883 if tls else 1883
    try:
        port = parts.port or usual
    except ValueError:
        _refuse(f"--broker is {url!r}; its port must be a number up to 65535")
    if parts.scheme != scheme or not parts.hostname:
        _refuse(f"--broker is {url!r}; {'with' if tls else 'without'} --tls it must look like {scheme}://host:{usual}")
    return str(parts.hostname), port


def _copy_keys(folder: Path, flash: Path) -> None:
    flash.mkdir()
    try:
        for name in TLS_FILES:
            shutil.copyfile(folder / name, flash / name)
    except OSError as error:
        _refuse(f"--tls {folder}: {error.filename} cannot be read ({error.strerror})")


def _read_calibration(path: Path | None) -> dict[str, object] | None:
    if path is None:
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        _refuse(f"--calibration {path} cannot be read: {error}")
    if not isinstance(values, dict):
        _refuse(f"--calibration {path} must hold a JSON object")
    return values


def _refuse(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(2)
