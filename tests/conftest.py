"""Fixtures for every kind of test: the real servers. The ones with `make_` in their name give a server of
one's own, to stop, kill and restart; the others are shared by the whole run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import Influxd, Mosquitto, Server, VictoriaMetrics


def _run(server: Server) -> Iterator[Server]:
    server.folder.mkdir(parents=True, exist_ok=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A broker, shared: use topics of a site or device of your own, and clear what you retain."""
    yield from _run(Mosquitto(tmp_path_factory.mktemp("mosquitto")))


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """InfluxDB 1.6, shared: use a database of your own."""
    yield from _run(Influxd(tmp_path_factory.mktemp("influxd")))


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _run(VictoriaMetrics(tmp_path_factory.mktemp("victoria")))


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[[type[Server]], Server]]:
    """`make_server(Mosquitto)`: started, and one's own until the test ends."""
    servers: list[Server] = []

    def make(kind: type[Server], **options: bool) -> Server:
        folder = tmp_path / f"{kind.name}-{len(servers)}"
        folder.mkdir()
        servers.append(kind(folder, **options))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.stop()
