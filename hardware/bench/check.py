"""`chairside bench identify`, `self-test`, `stream`, `config`, `provision`: a board over its console.

A board that cannot be reached or fails a test ends with 1; what the engineer gave wrongly, also in the board's eyes,
with 2.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console as Screen
from rich.table import Table

from hardware.bench.console import Console, ConsoleError, Line, NoPort, Refused

TLS_FILES = ("ca.der", "client.der", "client.key.der")
FIRST = ("device", "fault", "faults", "firmware", "calibration", "session", "board", "unique_id")

app = typer.Typer()
Port = Annotated[str, typer.Argument(help="The board's serial port, e.g. /dev/ttyUSB0.")]


def refuse(words: str) -> NoReturn:
    """Bad input."""
    typer.echo(words, err=True)
    raise typer.Exit(2)


def fail(words: str) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(1)


@contextmanager
def opened(port: str) -> Iterator[Console]:
    """The board on this port; its errors end the command."""
    try:
        with Console(port) as console:
            yield console
    except (NoPort, Refused) as error:
        refuse(str(error))
    except ConsoleError as error:
        fail(str(error))


@app.command()
def identify(
    port: Port,
    show: Annotated[bool, typer.Option("--show", help="Let its lamps flash and its sounder beep.")] = False,
) -> None:
    """Say which board is on a port, and how it is.

    Example: chairside bench identify /dev/ttyUSB0
    """
    with opened(port) as console:
        if show:
            console.ask("identify")
        table = Table("", "", title=f"Board on {port}", title_justify="left", show_header=False)
        identity = console.identity
        first = [name for name in FIRST if name in identity]
        for name in first + sorted(identity.keys() - {*first, "id", "ok"}):
            table.add_row(name, _plain(identity[name]))
        Screen().print(table)


@app.command("self-test")
def self_test(
    port: Port,
    cuff: Annotated[
        bool, typer.Option("--cuff", help="Also pump the cuff, which is round something, to 50 mmHg and empty it.")
    ] = False,
    signals: Annotated[bool, typer.Option("--signals", help="Also show lamps and sounder, and ask.")] = False,
    buttons: Annotated[bool, typer.Option("--buttons", help="Also wait until each button is pressed.")] = False,
) -> None:
    """Look at each chip of a board, and on request at what moves, shines, sounds and is pressed.

    Example: chairside bench self-test /dev/ttyUSB0 --cuff --signals --buttons
    """
    checks: list[Line] = []
    with opened(port) as console:
        console.ask("self_test", checks.append, cuff=cuff)
        if signals:
            console.ask("identify")
            seen = typer.confirm("Do red, yellow and cyan flash together, and does it beep?")
            checks.append(_check("lamps_sounder", "seen" if seen else "not seen", "seen and heard", seen))
        if buttons:
            typer.echo("Press acknowledge and call, within 30 s.")
            pressed = console.ask("buttons", lambda line: typer.echo(f"  {line['button']}"), seconds=30)["pressed"]
            for name in ("acknowledge", "call"):
                found = "pressed" if name in pressed else "not pressed"
                checks.append(_check(f"press_{name}", found, "pressed", name in pressed))
        device = console.identity.get("device", "a board without configuration")
    table = Table("Check", "Found", "Needed", "", title=f"Self-test of {device}", title_justify="left")
    for line in checks:
        table.add_row(
            line["check"].replace("_", " "),
            line["found"],
            line["needed"],
            "[green]passed[/]" if line["passed"] else "[bold red]FAILED[/]",
        )
    Screen().print(table)
    failed = [line["check"].replace("_", " ") for line in checks if not line["passed"]]
    if failed:
        fail(f"Failed: {', '.join(failed)}.")


@app.command()
def stream(
    port: Port,
    out: Annotated[Path, typer.Option(help="CSV to write: t_s, red, ir.")] = Path("raw.csv"),
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="How long.")] = 10.0,
    led_ma: Annotated[float, typer.Option(min=0, max=51, help="Current of both LEDs.")] = 7.2,
) -> None:
    """Write red and infrared counts as the chip gives them, with their times.

    Example: chairside bench stream /dev/ttyUSB0 --seconds 10 --out raw.csv
    """
    lines: list[Line] = []
    with opened(port) as console:
        answer = console.ask("stream", lines.append, seconds=seconds, led_ma=led_ma)
    # The chip counts by its own clock, which may be off: its rate is measured, not assumed.
    period_s = answer["ms"] / 1000 / max(1, answer["samples"])
    rows = [
        (round((line["at"] + i) * period_s, 4), red, ir)
        for line in lines
        for i, (red, ir) in enumerate(zip(line["red"], line["ir"], strict=True))
    ]
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("t_s", "red", "ir"), *rows])
    except OSError as error:
        refuse(f"--out {out}: {error}")
    lost = answer["samples"] - len(rows)
    typer.echo(f"{out}: {len(rows)} samples, {lost} lost, {1 / period_s:.1f} a second.")


@app.command()
def config(
    port: Port,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change one: KEY=VALUE, the value as JSON or plain text.")
    ] = None,
) -> None:
    """Show a board's configuration, without its secrets, or change keys of it.

    Example: chairside bench config /dev/ttyUSB0 --set console=false
    """
    changes = dict(_setting(text) for text in settings or ())
    with opened(port) as console:
        if changes:
            console.write("config", json.dumps(changes).encode(), merge=True)
            console.ask("reset")
            typer.echo(f"Changed {', '.join(changes)}; the board restarts.")
            return
        values: dict[str, Any] = console.ask("get", file="config")["values"]
    table = Table("Key", "Value", title=f"Configuration on {port}", title_justify="left")
    for key in sorted(values):
        table.add_row(key, _plain(values[key]))
    Screen().print(table)


@app.command()
def provision(
    port: Port,
    config: Annotated[Path, typer.Option(help="The board's config.json.")],
    calibration: Annotated[Path | None, typer.Option(help="Its calibration.json, if there is one.")] = None,
    tls: Annotated[Path | None, typer.Option(help="Folder with ca.der, client.der, client.key.der.")] = None,
) -> None:
    """Write configuration, keys and calibration to a board, and restart it. What it cannot use is refused.

    Example: chairside bench provision /dev/ttyUSB0 --config config.json --tls keys
    """
    files = [(name, _read(tls / name)) for name in TLS_FILES] if tls else []
    files.append(("config", _read_json(config)))
    if calibration:
        files.append(("calibration", _read_json(calibration)))
    with opened(port) as console:
        for name, content in files:
            console.write(name, content)
        console.ask("reset")
    typer.echo(f"Written: {', '.join(name for name, _ in files)}; the board restarts.")


def _check(check: str, found: str, needed: str, passed: bool) -> Line:
    return {"check": check, "found": found, "needed": needed, "passed": passed}


def _setting(text: str) -> tuple[str, Any]:
    key, found, value = text.partition("=")
    if not key or not found:
        refuse(f"--set {text!r}: must be KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        refuse(f"{path}: {error.strerror}")


def _read_json(path: Path) -> bytes:
    """Read and written again without its blanks: the line is slow."""
    try:
        return json.dumps(json.loads(_read(path)), separators=(",", ":")).encode()
    except ValueError as error:
        refuse(f"{path}: not JSON: {error}")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
