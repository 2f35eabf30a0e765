"""Real servers for tests: mosquitto, InfluxDB 1.6, VictoriaMetrics, each on a free loopback port with its own
temporary directory. A server that is not installed fails the test with the command that installs it; it never
skips.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

PACKAGES = {"mosquitto": "mosquitto", "influxd": "influxdb", "victoria-metrics": "victoria-metrics"}
INSTALL = "sudo apt-get install mosquitto influxdb victoria-metrics chromium chromium-driver"
START_S_MAX = 60.0
T = TypeVar("T")
PORTS = range(12_000, 32_000)
# Runs and workers side by side begin apart from each other.
_ports = count(os.getpid() * 1009)


class MissingServer(Exception):
    """A server that these tests need is not installed."""


def program(name: str) -> str:
    """The path of a server's program. Debian keeps daemons in /usr/sbin, which a user's PATH may lack."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise MissingServer(f"{name} (package {PACKAGES[name]}) is not installed. Run: {INSTALL}")
    return path


def free_port() -> int:
    """A loopback port below those that the system hands out by itself, from 32768 on: nobody's connection takes it
    before its server does, or while that is down."""
    while True:
        port = PORTS[next(_ports) % len(PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], T], what: str, within_s: float = 30.0) -> T:
    """The first true value of `condition`. Fails after `within_s`, naming what was waited for."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:g} s for {what}; last seen: {value!r}")
        time.sleep(0.02)


def takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Server:
    """One server process. `start` returns once it answers; `stop` and `kill` keep its port and its data."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log_path = folder / f"{self.name}.log"

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        arguments = self.command()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=self.folder)
        wait_until(self._up, f"{self.name} on port {self.port}", START_S_MAX)

    def _up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            tail = self.log_path.read_text(errors="replace")[-2000:]
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{tail}")
        return self.answers()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()


class Mosquitto(Server):
    name = "mosquitto"

    def __init__(self, folder: Path, *, anonymous: bool = True, config: str = "") -> None:
        """`config` replaces all but the port, which it names by `{port}`."""
        super().__init__(folder)
        self.anonymous, self.config = anonymous, config

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        config = self.folder / "mosquitto.conf"
        config.write_text(
            self.config.replace("{port}", str(self.port))
            or f"listener {self.port} 127.0.0.1\nallow_anonymous {str(self.anonymous).lower()}\n"
            "set_tcp_nodelay true\npersistence false\n"
        )
        return [program("mosquitto"), "-c", str(config)]

    def answers(self) -> bool:
        return takes_connections(self.port)


class HttpServer(Server):
    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.request("GET", self.ready_path)[0] < 300
        except (OSError, HTTPException):
            return False

    ready_path = "/"


class Influxd(HttpServer):
    """InfluxDB 1.6. With `auth`, the first user is admin/secret and everything else needs a login. `http` is more of
    its settings."""

    name = "influxd"
    ready_path = "/ping"

    def __init__(self, folder: Path, *, auth: bool = False, http: str = "") -> None:
        super().__init__(folder)
        self.rpc_port = free_port()
        self.auth, self.http = auth, http

    def command(self) -> list[str]:
        config = self.folder / "influxdb.conf"
        config.write_text(
            f"""reporting-enabled = false
bind-address = "127.0.0.1:{self.rpc_port}"
[meta]
  dir = "{self.folder}/meta"
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  log-enabled = false
  auth-enabled = {str(self.auth).lower()}
{self.http}
"""
        )
        return [program("influxd"), "-config", str(config)]

    def query(self, text: str, database: str = "chairside", user: str = "", password: str = "") -> Any:
        """The answer to InfluxQL, decoded. Raises AssertionError with the server's words on an error."""
        given = {"db": database, "q": text, "epoch": "ns"} | ({"u": user, "p": password} if user else {})
        status, body = self.request("POST", "/query?" + urlencode(given))
        answer = msgspec.json.decode(body)
        assert status == 200, answer
        result = answer["results"][0]
        assert "error" not in result, result
        return result.get("series", [])

    def rows(self, text: str, database: str = "chairside") -> list[dict[str, Any]]:
        """The rows of every series of a query as dictionaries, with its tags."""
        return [
            dict(zip(series["columns"], values, strict=True)) | series.get("tags", {})
            for series in self.query(text, database)
            for values in series["values"]
        ]

    def count(self, measurement: str, where: str = "", field: str = "*", database: str = "chairside") -> int:
        """How many points a measurement has: the largest count of any field, or of `field`."""
        rows = self.rows(f'SELECT count({field}) FROM "{measurement}" {where}', database)
        return max((int(v) for row in rows for k, v in row.items() if k.startswith("count") and v), default=0)


class VictoriaMetrics(HttpServer):
    """Answers the client of InfluxDB 2 on /api/v2/write. Good for protocol and numbers only: it drops
    words."""

    name = "victoria-metrics"
    ready_path = "/health"

    def command(self) -> list[str]:
        return [
            program("victoria-metrics"), f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
            f"-storageDataPath={self.folder}/data", "-memory.allowedBytes=128MB", "-loggerLevel=ERROR",
        ]  # fmt: skip

    def export(self, match: str) -> list[dict[str, Any]]:
        """Every raw sample of the series that match, after a flush that makes fresh samples visible."""
        self.request("GET", "/internal/force_flush")
        status, body = self.request("GET", "/api/v1/export?" + urlencode({"match[]": match}))
        assert status == 200, body
        return [msgspec.json.decode(line) for line in body.splitlines()]
