"""The one command, `chairside`. Bad input ends with 2 and one sentence, a failure with 1."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gateway.config import Config, ConfigError, load
from gateway.log import start_log

ConfigFile = Annotated[Path, typer.Option("--config", help="The configuration, see gateway/gateway.example.toml.")]
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

    loaded = _loaded(config)
    start_log()
    try:
        service.run(loaded)
    except service.CannotStart as error:
        _refuse(str(error))


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

    loaded = _loaded(config)
    start_log()
    try:
        run(
            loaded.mqtt.url,
            loaded.site.name,
            loaded.web.host,
            port or loaded.web.port,
            chairs=loaded.chairs,
            protocols=service.protocols_of(loaded),
        )
    except service.CannotStart as error:
        _refuse(str(error))
    except CannotServe as error:
        _fail(str(error))


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
        _fail(_without(error))
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
        _fail(_without(error))
    url = broker or "mqtt://127.0.0.1:1883"
    try:
        site.address(url)
    except ValueError as error:
        _refuse(f"--broker: {error}")
    if write_config is None:
        raise typer.Exit(load.fleet(load.Load(chairs, rate, seconds, alarms), broker, json_file))
    try:
        site.write_config(write_config, chairs, url)
    except OSError as error:
        _refuse(f"--write-config: {error}")
    typer.echo(f"{write_config} is written; run: chairside gateway --config {write_config}")


@app.command()
def replay(
    source: Annotated[Path, typer.Argument(help="A CSV with time_s and values, or the .jsonl of `sim record`.")],
    protocol: Annotated[str, typer.Option(help="Which protocol judges.")] = "iv-ketamine",
    compare: Annotated[str | None, typer.Option(help="Another protocol, to set beside it.")] = None,
    limits: Annotated[Path | None, typer.Option(help="A clinic's own values (TOML), put over --protocol's.")] = None,
    cadence_s: Annotated[float | None, typer.Option(help="How far rows are apart, 1 to 300 s.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
) -> None:
    """Ask what alarms a recording would have raised, how many an hour, and for how long.

    Example: chairside replay night.csv --protocol iv-ketamine --limits clinic.toml
    """
    from gateway import protocols as files  # noqa: PLC0415
    from gateway.replay import play, recording, report  # noqa: PLC0415

    known = sorted(path.stem for path in files.FOLDER.glob("*.toml"))
    try:
        wanted = [(protocol, limits)] + ([(compare, None)] if compare else [])
        for name, _ in wanted:
            if name not in known:
                _refuse(f"no protocol {name!r}; there are {', '.join(known)}")
        rules = [files.load(files.FOLDER / f"{name}.toml", changed) for name, changed in wanted]
        recorded = recording.read(source, cadence_s)
    except (files.ProtocolError, recording.RecordingError) as error:
        _refuse(str(error))
    results = [play.play(recorded, each) for each in rules]
    (report.write_json if as_json else report.text)(Console(), results)


@app.command()
def check_config(config: ConfigFile = Path("gateway.toml")) -> None:
    """Read the configuration and the protocols, and show what they say.

    Example: chairside check-config --config gateway.toml
    """
    from gateway import service  # noqa: PLC0415

    loaded = _loaded(config)
    try:
        protocols = service.protocols_of(loaded)
    except service.CannotStart as error:
        _refuse(str(error))
    influx = loaded.influx
    table = Table("Setting", "Value", title=f"{config} is good", title_justify="left")
    table.add_row("site", loaded.site.name)
    table.add_row("broker", f"{loaded.mqtt.host}:{loaded.mqtt.port}")
    table.add_row("chairs", "\n".join(f"{chair}  {device}" for chair, device in loaded.chairs.items()))
    table.add_row("journal", f"{loaded.journal.path}, at most {loaded.journal.bytes_max / 1e6:.0f} MB")
    table.add_row(
        "InfluxDB", "none" if influx is None else f"version {influx.version}, {influx.url.rsplit('@', 1)[-1]}"
    )
    table.add_row("wall page", f"http://{loaded.web.host}:{loaded.web.port}/")
    table.add_row("protocols", "\n".join(f"{name}  {protocol.title}" for name, protocol in protocols.items()))
    Console().print(table)


def _loaded(config: Path) -> Config:
    try:
        return load(config)
    except ConfigError as error:
        _refuse(str(error))


def _refuse(words: str) -> NoReturn:
    typer.echo(f"chairside: {words}", err=True)
    raise typer.Exit(2)


def _fail(words: str) -> NoReturn:
    typer.echo(f"chairside: {words}", err=True)
    raise typer.Exit(1)


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
            _fail(words)


# The gateway must be back within two seconds: it does not wait for the simulator and its numpy to load.
if sys.argv[1:2] not in (["gateway"], ["web"]):
    for part in PARTS:
        _join(part)

if __name__ == "__main__":
    app()
