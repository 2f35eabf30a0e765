"""The commands that keep a site well: its configuration, its broker, its backups, and a look at all of it."""

import sqlite3
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.config import ConfigError
from gateway.refusals import ConfigFile, fail, loaded_from, refuse

app = typer.Typer()


@app.command()
def broker(
    folder: Annotated[Path, typer.Argument(help="Where the files go: /etc/mosquitto/chairside, for example.")],
    config: ConfigFile = Path("gateway.toml"),
    name: Annotated[list[str] | None, typer.Option(help="A name or address by which boards call the broker.")] = None,
) -> None:
    """Make what mosquitto needs to let in only this site's boards: certificates, access list, configuration.

    What is there and good stays, so run it again for a new board, or to renew.

    Example: chairside broker /etc/mosquitto/chairside --name gateway.local --name 192.168.20.2
    """
    from gateway.broker.command import make  # noqa: PLC0415

    loaded = loaded_from(config)
    try:
        done = make(loaded, folder, name or [])
    except (OSError, ValueError) as error:
        fail(f"{folder}: {error}")
    table = Table("File", "What became of it", title=str(folder), title_justify="left")
    for files, what in done:
        table.add_row(files, what)
    Console().print(table)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The archive to write; it holds keys.")],
    config: ConfigFile = Path("gateway.toml"),
) -> None:
    """Save journal, configuration, protocols and keys into one file, while the gateway works.

    Example: chairside backup /media/usb/clinic-2026-03-01.tar.gz
    """
    from gateway.backup import backup as save  # noqa: PLC0415

    loaded = loaded_from(config)
    try:
        made = save(config, loaded, target)
    except (OSError, sqlite3.Error) as error:
        fail(f"{target}: {error}")
    Console().print(f"{target}: {len(made.files)} files of site {made.site}. It holds keys: keep it like them.")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="What `chairside backup` wrote.")],
    folder: Annotated[Path, typer.Argument(help="An empty folder to restore into.")],
) -> None:
    """Check a backup and put everything back; nothing is written over.

    Example: chairside restore clinic-2026-03-01.tar.gz /etc/chairside
    """
    from gateway.backup import Unfit  # noqa: PLC0415
    from gateway.backup import restore as put_back  # noqa: PLC0415

    try:
        held = put_back(source, folder)
    except (OSError, sqlite3.Error, Unfit) as error:
        fail(str(error))
    Console().print(f"{folder}: site {held.site} as of {held.made_utc}, {len(held.files)} files, each checked")


@app.command()
def doctor(config: ConfigFile = Path("gateway.toml")) -> None:
    """Look at broker, gateway, boards, journal, disk, clock, InfluxDB and Grafana, and say what to do.

    Ends with 1 if anything is bad. Example: chairside doctor --config /etc/chairside/gateway.toml
    """
    from gateway.doctor import examine  # noqa: PLC0415

    loaded, console = loaded_from(config), Console()
    colours = {"good": "green", "look": "yellow", "bad": "red"}
    bad = False
    for finding in examine(loaded):
        bad |= finding.state == "bad"
        word = f"[{colours[finding.state]}]{finding.state:<5}[/]"
        console.print(word, f"[bold]{finding.part}[/]:", escape(finding.found), highlight=False)
        if finding.todo:
            console.print("      ->", escape(finding.todo), highlight=False)
    raise typer.Exit(1 if bad else 0)


@app.command()
def check_config(
    config: ConfigFile = Path("gateway.toml"),
    protocol: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
    svg: Annotated[Path | None, typer.Option(help="Draw the protocol into this file.")] = None,
) -> None:
    """Read the configuration and the protocols, and show what they say, or everything that is wrong.

    Example: chairside check-config --config gateway.toml --protocol esketamine --svg esketamine.svg
    """
    from gateway import check_config as checking  # noqa: PLC0415

    try:
        checked = checking.check(config, protocol)
        if svg is not None:
            checking.draw(checked, svg)
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(f"chairside: {fault}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        refuse(f"--svg: {svg} cannot be written ({error.strerror}); name a file in a folder that is there")
    if as_json:
        typer.echo(checking.as_json(checked))
    else:
        checking.show(Console(), checked, settings=protocol is None)
