"""`chairside sim list | run | check | record | plot`: scenarios from the command line."""

from __future__ import annotations

import concurrent.futures
import os
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from simulators.clinic import faults, plot, record, scenario
from simulators.clinic.run import Run, run, run_live
from simulators.process import BoardError

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="SCENARIO", help="A name of `sim list`, or a .toml file.")]
Seed = Annotated[int, typer.Option(min=0, help="Chance: the same seed gives the same run, byte for byte.")]


@app.command(name="list")
def list_() -> None:
    """Show every scenario with its story in a line, and the faults that one may use.

    Example: chairside sim list
    """
    console = Console()
    table = Table(title="Scenarios", title_justify="left", box=None)
    for column in ("name", "protocol", "lasts", "what happens"):
        table.add_column(column)
    try:
        for name, told in scenario.load_all().items():
            table.add_row(name, told.protocol, told.duration, told.title)
    except scenario.ScenarioError as error:
        _refuse(str(error))
    console.print(table)
    menu = Table(title="\nFaults", title_justify="left", box=None)
    for column in ("name", "strength", "what it does"):
        menu.add_column(column)
    for name, fault in faults.MENU.items():
        menu.add_row(name, f"{fault.usual:g} {fault.unit}" if fault.unit else "", fault.does)
    console.print(menu)


@app.command(name="run")
def run_(
    name: Name,
    seed: Seed = 1,
    live: Annotated[bool, typer.Option("--live", help="In real time, with a real broker and gateway process.")] = False,
    broker: Annotated[str, typer.Option(help="Which broker, with --live.")] = "mqtt://127.0.0.1:1883",
) -> None:
    """Run one scenario in virtual time and say what came of each expectation.

    Example: chairside sim run desaturation --seed 1
    """
    done = _run_live(name, seed, broker) if live else _run(name, seed)
    _print(Console(), [done])
    raise typer.Exit(0 if done.good else 1)


@app.command()
def check(
    seed: Seed = 1,
    jobs: Annotated[int, typer.Option(min=1, help="How many at a time.")] = min(4, os.cpu_count() or 1),
) -> None:
    """Run every scenario and show how much time was left to each deadline.

    Example: chairside sim check
    """
    try:
        names = sorted(scenario.load_all())
    except scenario.ScenarioError as error:
        _refuse(str(error))
    console = Console()
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        try:
            runs = list(pool.map(_told, names, [seed] * len(names)))
        except BoardError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
    _print(console, runs)
    bad = [done.name for done in runs if not done.good]
    console.print(f"[red]{len(bad)} failed: {', '.join(bad)}[/]" if bad else f"[green]{len(runs)} scenarios passed.[/]")
    raise typer.Exit(1 if bad else 0)


@app.command(name="record")
def record_(
    name: Name, seed: Seed = 1, out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("var/sim")
) -> None:
    """Run one scenario and write its readings (CSV) and its event log (JSON lines).

    Example: chairside sim record desaturation --out var/sim
    """
    done = _run(name, seed)
    for path in record.write(done.log, out, done.name):
        typer.echo(f"{path} is written.")


@app.command(name="plot")
def plot_(
    name: Name, seed: Seed = 1, out: Annotated[Path | None, typer.Option(help="File; without it SCENARIO.svg.")] = None
) -> None:
    """Run one scenario and draw it: vitals, pressures, phases, alarms, readiness (SVG).

    Example: chairside sim plot desaturation --out desaturation.svg
    """
    done = _run(name, seed)
    path = out or Path(f"{done.name}.svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plot.svg(done), encoding="utf-8")
    typer.echo(f"{path} is written.")


def _told(name: str, seed: int) -> Run:
    path = scenario.find(name)
    return run(path.stem, scenario.load(path), seed)


def _run(name: str, seed: int) -> Run:
    try:
        return _told(name, seed)
    except scenario.ScenarioError as error:
        _refuse(str(error))
    except BoardError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _run_live(name: str, seed: int, broker: str) -> Run:
    parts = urlsplit(broker)
    if parts.scheme != "mqtt" or not parts.hostname:
        _refuse(f"--broker is {broker!r}; it must look like mqtt://host:1883")
    try:
        path = scenario.find(name)
        return run_live(path.stem, scenario.load(path), seed, (parts.hostname, parts.port or 1883))
    except scenario.ScenarioError as error:
        _refuse(str(error))
    except (BoardError, RuntimeError, OSError) as error:
        typer.echo(f"The live run at {broker} stopped: {error}", err=True)
        raise typer.Exit(1) from error


def _print(console: Console, runs: list[Run]) -> None:
    table = Table(title="What had to happen", title_justify="left")
    for column in ("scenario", "", "expected", "seen", "left"):
        table.add_column(column, justify="right" if column == "left" else "left")
    for done in runs:
        for verdict in done.verdicts:
            left = "" if verdict.margin_s is None else f"{verdict.margin_s:.1f} s"
            mark = "[green]ok[/]" if verdict.good else "[red]FAILED[/]"
            table.add_row(done.name, mark, verdict.expected, verdict.seen, left)
    console.print(table)
    for done in runs:
        console.print(
            f"{done.name}: {done.scenario.duration_s:.0f} s in {done.wall_s:.1f} s, {done.factor:.0f} times life"
            f" (seed {done.seed})"
        )
        for verdict in done.verdicts:
            if not verdict.good:
                console.print(f"  [red]FAILED[/] {verdict.sentence}")


def _refuse(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(2)
