"""The gateway as one process: engine and broker in this thread, journal and InfluxDB each in one behind it.

broker  ◀──▶  mqtt.Loop (engine)  ──▶  Journal (thread, SQLite)  ──▶  Sink (thread, InfluxDB)
"""

import gc
import random
import secrets
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from gateway.clock import host_boot, monotonic_ms, utc_ms, utc_trusted
from gateway.config import Config, GrafanaConfig
from gateway.core.outputs import Health
from gateway.core.protocol import Protocol
from gateway.core.refit import without_protocol
from gateway.engine import Engine
from gateway.influx import Sink
from gateway.influx_writers import writer_for
from gateway.journal import Journal
from gateway.journal_recovery import JournalInUse, NewerJournal
from gateway.mqtt import IN_FLIGHT_MAX, Loop, Wake
from gateway.protocols import FOLDER, ProtocolError, load_all
from gateway.systemd_notify import Systemd

if TYPE_CHECKING:
    from gateway.grafana import Annotator

IN_FLIGHT_PER_CHAIR = 4

log = structlog.get_logger(part="gateway")


class CannotStart(Exception):
    """The gateway cannot run like this; the text says why and what to do."""


def protocols_of(config: Config) -> dict[str, Protocol]:
    """The site's protocols, the one offered first in front. Raises CannotStart."""
    folder = Path(config.protocols.dir) if config.protocols.dir else FOLDER
    try:
        protocols = load_all(folder, Path(config.protocols.limits) if config.protocols.limits else None)
    except ProtocolError as error:
        raise CannotStart(str(error)) from None
    first = config.protocols.default
    if not first:
        return protocols
    if first not in protocols:
        raise CannotStart(f"protocols.default: found {first!r}; allowed from {folder}: {', '.join(protocols)}")
    return {first: protocols[first]} | protocols


def _roles_of(config: Config, protocols: dict[str, Protocol]) -> dict[str, str] | None:
    """Who is what. Raises CannotStart: a role that no protocol has may do nothing, and that shows only when it must."""
    known = {role for protocol in protocols.values() for role in protocol.roles}
    for name, role in (config.staff or {}).items():
        if role not in known:
            raise CannotStart(f"staff.{name}: found {role!r}; the protocols have {', '.join(sorted(known))}")
    return config.staff


def run(config: Config) -> None:
    """Run until SIGTERM or SIGINT. Raises CannotStart."""
    protocols = protocols_of(config)
    wake = Wake()
    journal = Journal(Path(config.journal.path), config.journal.bytes_max, wake.set)
    try:
        recovered = journal.open()
    except NewerJournal as error:
        raise CannotStart(f"{error}; install the newer version, or name another journal.path") from None
    except JournalInUse as error:
        raise CannotStart(f"{error}; stop that one, or name another journal.path") from None
    lost = without_protocol(recovered.snapshots, protocols)
    if stays := ", ".join(f"{chair} ({name})" for chair, name in lost.items() if chair in config.chairs):
        known = ", ".join(protocols)
        raise CannotStart(f"sessions go on under protocols that are not there: {stays}; put them back beside {known}")
    engine = Engine(
        config.site.name,
        config.chairs,
        protocols,
        secrets.token_hex(4),
        recovered.snapshots,
        recovered.have,
        now_ms=monotonic_ms(),
        utc_ms=utc_ms(),
        host_boot=host_boot(),
        utc_trusted=utc_trusted(),
        site_limits=config.site_alarms,
        spares=config.site.spares,
        roles=_roles_of(config, protocols),
    )
    sink = Sink(journal, config.site.name, writer_for(config.influx), random.Random()) if config.influx else None
    behind: list[Sink | Annotator] = [sink] if sink is not None else []
    if config.grafana is not None:
        behind.append(_annotator(journal, config.site.name, config.grafana))
    loop = Loop(
        config.mqtt,
        engine,
        journal,
        wake,
        lambda: _health(sink),
        own_topics=engine.own_topics(),
        alive=Systemd().alive,
        # After a connect everything retained is said at once, for every chair.
        in_flight_max=max(IN_FLIGHT_MAX, IN_FLIGHT_PER_CHAIR * len(config.chairs)),
    )
    _stop_on_signals(loop)
    journal.start()
    for thread in behind:
        thread.start()
    log.info(
        f"gateway of {config.site.name}: {len(config.chairs)} chairs, broker {config.mqtt.host}:{config.mqtt.port}, "
        f"journal {config.journal.path}, {_sink_named(config)}",
        run=engine.run,
        protocols=sorted(protocols),
        restored=sorted(recovered.snapshots),
    )
    # The threads behind the loop may hold the interpreter for a millisecond, not for the usual five.
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.freeze()  # A full collection over all that was imported would stop the loop for long.
    try:
        loop.run()
    finally:
        for thread in behind:
            thread.stop()
        journal.stop()
        wake.close()
        log.info("gateway stopped", run=engine.run)


def _annotator(journal: Journal, site: str, config: GrafanaConfig) -> "Annotator":
    # Imported here: a site without Grafana does without its client.
    from gateway.grafana import Annotator  # noqa: PLC0415

    return Annotator(journal, site, config, random.Random())


def _sink_named(config: Config) -> str:
    if config.influx is None:
        return "no InfluxDB"
    return f"InfluxDB {config.influx.version} at {config.influx.url.rsplit('@', 1)[-1]}"


def _health(sink: Sink | None) -> Health:
    if sink is None:
        return Health()
    state = sink.health()
    return Health(
        queued={"influx": state.unsent},
        sink=state.state,
        sink_lag_s=state.lag_s,
        sink_quarantined=state.quarantined,
    )


def _stop_on_signals(loop: Loop) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        loop.stop()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
