"""How a command reads its configuration and says no: 2 for bad input, 1 for a failure, each with one clear sentence."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.config import Config, ConfigError, load

ConfigFile = Annotated[Path, typer.Option("--config", help="The configuration, see gateway/gateway.example.toml.")]


def loaded_from(config: Path) -> Config:
    try:
        return load(config)
    except ConfigError as error:
        refuse(str(error))


def refuse(words: str) -> NoReturn:
    typer.echo(f"chairside: {words}", err=True)
    raise typer.Exit(2)


def fail(words: str) -> NoReturn:
    typer.echo(f"chairside: {words}", err=True)
    raise typer.Exit(1)
