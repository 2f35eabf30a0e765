"""Starts the whole product on this machine and ends what it started: broker, gateway, web, simulated boards.

Every part is the real one and a process of its own; only chips and patients are simulated.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from simulators.conductor import SimBoard
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

SITE = "demo"
BOARDS = Path(__file__).parent / "boards"
CHAIRS = {f"bay-{n}": f"cb-{n:06d}" for n in range(1, 7)}
START_S_MAX = 60.0
END_S_MAX = 10.0


class StackError(RuntimeError):
    """A part did not start or ended by itself; the text says which, and what it printed last."""


@dataclass
class Stack:
    """Use as a context manager; `power_on` then starts the boards. Without `broker_url` the embedded broker is started
    on a free port."""

    folder: Path
    broker_url: str | None = None
    influx_url: str | None = None
    web_port: int = 0
    boards: dict[str, SimBoard] = field(default_factory=dict)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

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

    @property
    def broker(self) -> tuple[str, int]:
        assert self.broker_url is not None
        parts = urlsplit(self.broker_url)
        return parts.hostname or "127.0.0.1", parts.port or 1883

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"

    def patient(self, chair: str) -> Patient:
        return self.boards[chair].world.patient

    def power_on(self) -> None:
        for board in self.boards.values():
            board.start()

    def check(self) -> None:
        """Raise StackError if a part ended by itself, or the error of a board."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise StackError(f"{name} ended with code {process.returncode}:\n{self._tail(name)}")
        for board in self.boards.values():
            board.check()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.web_port:
            _check_free(self.web_port)
        self.web_port = self.web_port or free_port()
        if self.broker_url is not None:
            _check_broker(*self.broker)
        else:
            port = free_port()
            self.broker_url = f"mqtt://127.0.0.1:{port}"
            self._launch("broker", "simulators.demo.broker", str(port))
        config = self._write_config()
        self._launch("gateway", "gateway.cli", "gateway", "--config", str(config))
        self._launch("web", "gateway.cli", "web", "--config", str(config))
        for chair, device in CHAIRS.items():
            self.boards[chair] = self._board(device)
        self._wait_for_port("the MQTT broker", *self.broker)
        self._wait_for_port("the wall page", "127.0.0.1", self.web_port)

    def _board(self, device: str) -> SimBoard:
        # Of today, or one day the gateway would rightly call it expired.
        today = {"made_on": datetime.now(UTC).date().isoformat()}
        calibration = json.loads((BOARDS / f"{device}.json").read_text()) | today
        world = ChairWorld(Patient(), seed=int(device.removeprefix("cb-")))
        flash = self.folder / device
        return SimBoard(device, world, flash, mode="live", broker=self.broker, calibration=calibration)

    def _write_config(self) -> Path:
        sections: dict[str, dict[str, object]] = {
            "site": {"name": SITE},
            "mqtt": {"url": self.broker_url},
            "chairs": dict(CHAIRS),
            "protocols": {"default": "demo"},
            "journal": {"path": str(self.journal)},
            "web": {"host": "127.0.0.1", "port": self.web_port},
        }
        if self.influx_url:
            sections["influx"] = {"version": 1, "url": self.influx_url, "database": "chairside"}
        path = self.folder / "gateway.toml"
        # A JSON string, number or boolean is a TOML one too.
        lines = [
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())
            for name, section in sections.items()
        ]
        path.write_text("\n".join(lines))
        return path

    def _launch(self, name: str, *module: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *module], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ
            )

    def _wait_for_port(self, what: str, host: str, port: int) -> None:
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
                return
            self.check()
            time.sleep(0.05)
        raise StackError(f"{what} did not answer on {host}:{port} within {START_S_MAX:.0f} s")

    def _tail(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

    def _end(self) -> None:
        for board in self.boards.values():
            board.kill()
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(END_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(f"port {port} cannot be used ({error.strerror}): choose another with --port") from None


def _check_broker(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        raise StackError(
            f"no MQTT broker answers on {host}:{port} ({error}): start it, or leave out --broker-url and "
            "CHAIRSIDE_MQTT_URL to use the embedded one"
        ) from None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
