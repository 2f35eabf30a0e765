"""A broker and a gateway of one's own for a fleet, each a process, with a temporary journal."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from simulators.fleet.site import write_config

EMBEDDED_CHAIRS_MAX = 150
"""The embedded broker is made for a demonstration."""
START_S_MAX = 30.0
END_S_MAX = 10.0


class StackError(RuntimeError):
    """A part did not start or ended by itself; the text says which, and what it printed last."""


class Stack:
    """Use as a context manager. `broker` names the program that serves."""

    def __init__(self, folder: Path, chairs: int) -> None:
        self.folder = folder
        self.journal = folder / "journal.db"
        self.url = ""
        self.broker = "amqtt"
        self._chairs = chairs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Stack:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def check(self) -> None:
        """Raise StackError if a part ended by itself."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                tail = (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
                raise StackError(f"{name} ended with code {process.returncode}:\n{tail}")

    def cpu_s(self) -> dict[str, float]:
        """Processor time that each part has used; only where /proc tells it."""
        used: dict[str, float] = {}
        for name, process in self._processes.items():
            with contextlib.suppress(OSError):
                # After the name in brackets: state is field 3, so utime (14) and stime (15) are the 12th and 13th.
                fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
                used[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return used

    def stored(self) -> set[tuple[str, str, int]]:
        """Every record in the journal, by device, boot and seq."""
        with contextlib.closing(sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True, timeout=5)) as connection:
            return set(connection.execute("SELECT device, boot, seq FROM rows WHERE seq > 0"))

    def _start(self) -> None:
        port = _free_port()
        self.url = f"mqtt://127.0.0.1:{port}"
        mosquitto = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if mosquitto is not None:
            self.broker = "mosquitto"
            config = self.folder / "mosquitto.conf"
            config.write_text(
                f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n"
            )
            self._launch("broker", mosquitto, "-c", str(config))
        elif self._chairs <= EMBEDDED_CHAIRS_MAX:
            self._launch("broker", sys.executable, "-m", "simulators.demo.broker", str(port))
        else:
            raise StackError(
                f"{self._chairs} chairs need mosquitto, and it is not installed (sudo apt-get install mosquitto); "
                f"the embedded broker is good for {EMBEDDED_CHAIRS_MAX}"
            )
        self._wait_for_port(port)
        gateway = self.folder / "gateway.toml"
        write_config(gateway, self._chairs, self.url, str(self.journal))
        # Its own configuration, whatever broker the environment names for others.
        environment = os.environ | {"CHAIRSIDE_MQTT_URL": self.url}
        self._launch(
            "gateway", sys.executable, "-m", "gateway.cli", "gateway", "--config", str(gateway), env=environment
        )

    def _launch(self, name: str, *command: str, env: dict[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def _wait_for_port(self, port: int) -> None:
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            self.check()
            time.sleep(0.05)
        raise StackError(f"{self.broker} did not answer on port {port} within {START_S_MAX:.0f} s")

    def _end(self) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
            try:
                process.wait(END_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
