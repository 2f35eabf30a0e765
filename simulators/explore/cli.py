"""`chairside sim explore`: stays by chance, and a short scenario of each that came out wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from simulators.explore import draw
from simulators.explore.search import Played, played
from simulators.explore.shrink import shrunk
from simulators.explore.tell import toml

app = typer.Typer()


@app.command()
def explore(
    seeds: Annotated[int, typer.Option(min=1, help="How many stays.")] = 200,
    first: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for a scenario of each failure.")] = Path("var/explore"),
    jobs: Annotated[int, typer.Option(min=1, help="How many at a time.")] = min(4, os.cpu_count() or 1),
) -> None:
    """Draw patients, staff and faults by chance, and watch what must always be true.

    Example: chairside sim explore --seeds 200
    """
    console = Console()
    began = time.monotonic()
    stays: list[Played] = []
    for one in played(range(first, first + seeds), jobs):
        stays.append(one)
        if one.broken:
            _tell(console, one, out)
    bad = [one.seed for one in stays if one.broken]
    hours, messages = sum(one.lasts_s for one in stays) / 3600, sum(one.messages for one in stays)
    console.print(
        f"{len(stays)} stays, {sum(one.firmware for one in stays)} of them with the firmware: {hours:.1f} h,"
        f" {messages} messages and {sum(one.alarms for one in stays)} alarms in {time.monotonic() - began:.0f} s."
    )
    console.print(f"[red]Seeds that failed: {', '.join(map(str, bad))}[/]" if bad else "[green]Nothing was found.[/]")
    raise typer.Exit(1 if bad else 0)


def _tell(console: Console, one: Played, out: Path) -> None:
    """The seed, what was not true, and the file that shows it."""
    console.print(f"[red]Seed {one.seed}[/]: {one.broken[0]['invariant']}: {one.broken[0]['why']}", highlight=False)
    story, why = shrunk(draw.stay(one.seed), one)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"seed-{one.seed}.toml"
    path.write_text(toml(story), encoding="utf-8")
    console.print(f"  shrunk to {len(story.at)} happenings in {story.duration}: {why}", highlight=False)
    console.print(f"  chairside sim run {path}", highlight=False)
