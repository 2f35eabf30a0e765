"""The one command, `chairside`. Bad input ends with 2 and one sentence, a failure with 1."""

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.console import Console

from gateway import upkeep_cli
from gateway.log import start_log
from gateway.refusals import ConfigFile, fail, loaded_from, refuse

PARTS = {
    # name: module that has a Typer `app`, what it is for
    "sim": ("simulators.cli", "Simulated boards and a simulated bench."),
    "analyse": ("simulators.analyse.cli", "Recordings of any sensor through the firmware's own files."),
    "bench": ("hardware.bench.cli", "A board on the bench: provision, test, calibrate."),
}

app = typer.Typer(
    name="chairside",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Watches patients in recovery chairs. Not a certified medical device.",
    epilog="Example: chairside demo",
)


@app.command()
def gateway(config: ConfigFile = Path("gateway.toml")) -> None:
    """Judge every reading, raise alarms, keep the record. Runs until it is stopped.

    Example: chairside gateway --config gateway.toml
    """
    from gateway import service  # noqa: PLC0415 - each command loads only what it needs

    loaded = loaded_from(config)
    start_log()
    try:
        service.run(loaded)
    except service.CannotStart as error:
        refuse(str(error))


@app.command()
def web(
    config: ConfigFile = Path("gateway.toml"),
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Instead of [web] port.")] = None,
) -> None:
    """Serve the wall page. A process of its own: if it dies, alarms do not notice.

    Example: chairside web --config gateway.toml --port 8080
    """
    from gateway import service  # noqa: PLC0415
    from gateway.web.app import CannotServe, run  # noqa: PLC0415

    loaded = loaded_from(config)
    start_log()
    try:
        run(
            replace(loaded.mqtt, certificate=loaded.web.mqtt_certificate, key=loaded.web.mqtt_key),
            loaded.site.name,
            loaded.web.host,
            port or loaded.web.port,
            chairs=loaded.chairs,
            protocols=service.protocols_of(loaded),
        )
    except service.CannotStart as error:
        refuse(str(error))
    except CannotServe as error:
        fail(str(error))


@app.command()
def demo(
    seconds: Annotated[int | None, typer.Option(min=30, help="End after so long; without it, on Ctrl-C.")] = None,
    broker_url: Annotated[
        str | None, typer.Option(envvar="CHAIRSIDE_MQTT_URL", help="A broker; without it one is started.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the wall page.")] = 8080,
    influx_url: Annotated[str | None, typer.Option(help="An InfluxDB 1.x to write to as well.")] = None,
) -> None:
    """Show the whole product on this machine: six simulated chairs, the gateway and the wall page.

    Example: chairside demo --seconds 90
    """
    try:
        from simulators.demo.run import demo as tell  # noqa: PLC0415
    except ImportError as error:
        fail(_without(error))
    raise typer.Exit(tell(seconds=seconds, broker_url=broker_url, port=port, influx_url=influx_url))


@app.command()
def fleet(
    chairs: Annotated[int, typer.Option(min=1, max=10_000, help="Virtual boards, each with its own connection.")] = 100,
    rate: Annotated[float, typer.Option(min=0.1, max=10, help="Vitals per second of each board.")] = 1.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure.")] = 60.0,
    alarms: Annotated[float, typer.Option(min=0, max=1, help="The share of chairs whose patient desaturates.")] = 0.1,
    broker: Annotated[str | None, typer.Option(help="Without it a broker and a gateway are started.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there as well.")] = None,
    write_config: Annotated[
        Path | None, typer.Option(help="Only write the gateway's configuration for these chairs and --broker.")
    ] = None,
) -> None:
    """Load a gateway with virtual boards and say what was lost, how late, and whether the rate was held.

    Example: chairside fleet --chairs 100 --rate 1 --seconds 30
    """
    try:
        from simulators.fleet import run as load  # noqa: PLC0415
        from simulators.fleet import site  # noqa: PLC0415
    except ImportError as error:
        fail(_without(error))
    url = broker or "mqtt://127.0.0.1:1883"
    try:
        site.address(url)
    except ValueError as error:
        refuse(f"--broker: {error}")
    if write_config is None:
        raise typer.Exit(load.fleet(load.Load(chairs, rate, seconds, alarms), broker, json_file))
    try:
        site.write_config(write_config, chairs, url)
    except OSError as error:
        refuse(f"--write-config: {error}")
    typer.echo(f"{write_config} is written; run: chairside gateway --config {write_config}")


@app.command()
def replay(
    source: Annotated[Path, typer.Argument(help="A CSV with time_s and values, a journal, or `sim record`'s .jsonl.")],
    protocol: Annotated[
        str | None, typer.Option(help="Which protocol judges; without it the session's own, or iv-ketamine.")
    ] = None,
    compare: Annotated[str | None, typer.Option(help="Another protocol, to set beside it.")] = None,
    limits: Annotated[Path | None, typer.Option(help="A clinic's own values (TOML), put over --protocol's.")] = None,
    cadence_s: Annotated[float | None, typer.Option(help="How far values of a CSV are apart, 1 to 300 s.")] = None,
    session: Annotated[str, typer.Option(help="Which session of a journal.")] = "",
    chair: Annotated[str, typer.Option(help="Which chair of a journal.")] = "",
    from_: Annotated[str, typer.Option("--from", help="From when: 14:05, or an ISO time; local, or UTC with Z.")] = "",
    to: Annotated[str, typer.Option(help="Until when.")] = "",
    svg: Annotated[Path | None, typer.Option(help="Draw values, limits and alarms into this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
) -> None:
    """Ask what alarms a recording would have raised, how many an hour, and for how long.

    Example: chairside replay night.csv --protocol iv-ketamine --limits clinic.toml
    """
    from gateway.protocols import ProtocolError  # noqa: PLC0415
    from gateway.replay import command  # noqa: PLC0415
    from gateway.replay.recording import RecordingError  # noqa: PLC0415
    from gateway.replay.source import Part, Undecided  # noqa: PLC0415

    part = Part(chair=chair, session=session, from_=from_, to=to)
    try:
        command.replay(
            source, protocol=protocol, compare=compare, limits=limits, cadence_s=cadence_s, part=part, svg=svg,
            as_json=as_json,
        )  # fmt: skip
    except Undecided as error:
        command.stays(Console(stderr=True), error.stays)
        refuse(str(error))
    except (ProtocolError, RecordingError) as error:
        refuse(str(error))


@app.command()
def explain(
    alarm: Annotated[str | None, typer.Argument(metavar="[ALARM_ID]", help="An alarm's id.")] = None,
    chair: Annotated[str, typer.Option(help="Without an id: which chair.")] = "",
    at: Annotated[str, typer.Option(help="Without an id: when; 14:05 or an ISO time; local, or UTC with Z.")] = "",
    rule: Annotated[str, typer.Option(help="Without an id: only this rule.")] = "",
    journal: Annotated[Path | None, typer.Option(help="A journal; without it that of the configuration.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="The gateway's configuration: its journal, protocols and limits.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Tell what made an alarm, step by step; or with --chair and --at why there was none.

    Example: chairside explain --chair bay-1 --at 14:05 --rule spo2_low
    """
    from gateway.explain import command  # noqa: PLC0415
    from gateway.explain.numbers import Source  # noqa: PLC0415
    from gateway.protocols import ProtocolError  # noqa: PLC0415
    from gateway.replay.recording import RecordingError  # noqa: PLC0415

    if (alarm is None) == (not at):
        refuse("give an alarm's id, or --chair and --at")
    source = Source()
    if config is not None or journal is None:
        loaded = loaded_from(config or Path("gateway.toml"))
        journal = journal or Path(loaded.journal.path)
        source = Source.of(loaded.protocols)
    try:
        if alarm is not None:
            command.alarm(journal, source, alarm, as_json=as_json)
        else:
            command.absence(journal, source, chair, at, rule, as_json=as_json)
    except (ProtocolError, RecordingError) as error:
        refuse(str(error))


def _without(error: ImportError) -> str:
    return f"this part is not installed ({error}); install it with: pip install 'chairside[sim]'"


def _join(name: str) -> None:
    """Add a group of commands that another package has; a gateway alone runs without it."""
    module, purpose = PARTS[name]
    try:
        app.add_typer(importlib.import_module(module).app, name=name)
    except ImportError as error:
        words = _without(error)

        @app.command(name, help=purpose, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
        def absent() -> None:
            fail(words)


def _needed(first: str) -> list[str]:
    """The parts that a command line begins with. The gateway must be back within two seconds: it does not wait for the
    simulator and its numpy to load."""
    named = (command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands)
    own = {name.replace("_", "-") for name in named}
    if first in own:
        return []
    return [first] if first in PARTS else list(PARTS)


app.registered_commands += upkeep_cli.app.registered_commands
for part in _needed("".join(sys.argv[1:2])):
    _join(part)

if __name__ == "__main__":
    app()
