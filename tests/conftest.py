"""How `make test` spreads the tests over workers, what is shown at the end, and fixtures for every kind of test: the
real servers. The fixtures with `make_` in their name give a server of one's own, to stop, kill and restart; the others
are shared by all that one worker runs.
"""

import os
from collections.abc import Callable, Iterator
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from pathlib import Path

import properties  # noqa: F401  (how Hypothesis tries them)
import pytest
import row_schema  # noqa: F401  (what an engine writes down, in every test)
from servers import Influxd, Mosquitto, Server, VictoriaMetrics
from xdist.scheduler import LoadScopeScheduling

# Time passes as it does: one worker runs them all, one after the other. They mostly wait, so they go first.
LIVE = ("tests/e2e/", "tests/integration/", "tests/scenarios/test_live.py", "tests/firmware/test_update_live.py")
# The tests of a file stay together, for what they share. Those of these files share little, and are long.
APART = ("tests/bench/test_day.py", "tests/docs/test_scenarios_doc.py", "tests/scenarios/")
# They compare times or fill the machine: nothing runs beside them. They come last.
ALONE = (
    "tests/bench/test_outage.py",
    "tests/bench/test_ratios.py",
    "tests/bench/test_step_cost.py",
    "tests/integration/test_fleet.py",
    "tests/integration/test_kill_100.py",
)
FIGURES = ("tests/bench/", "tests/contract/", "tests/firmware/", "tests/unit/test_protocol_mutations.py")


def _scope(test: str) -> str:
    """Which tests one worker runs one after the other."""
    if test.startswith(ALONE):
        return "alone"
    if test.startswith(LIVE):
        return "live"
    return test if test.startswith(APART) else test.partition("::")[0]


def _turn(item: pytest.Item) -> int:
    """Short ones after the long ones, for the workers to end together."""
    scope = _scope(item.nodeid)
    return 3 if scope == "alone" else 0 if scope == "live" else 1 if scope == item.nodeid else 2


class Spread(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Spread:
    config.option.loadscopereorder = False
    return Spread(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Whoever waits to be alone goes before those who come later."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    shared = item.config._tmp_path_factory.getbasetemp().parent
    with (shared / "door").open("w") as door, (shared / "room").open("w") as room:
        flock(door, LOCK_EX)
        flock(room, LOCK_EX if _scope(item.nodeid) == "alone" else LOCK_SH)
        flock(door, LOCK_UN)
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures that these print are shown although they pass."""
    for report in terminalreporter.getreports("passed"):
        if report.capstdout and ("long" in report.keywords or report.nodeid.startswith(FIGURES)):
            terminalreporter.write_sep("-", report.nodeid)
            terminalreporter.write_line(report.capstdout.strip("\n"))


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
