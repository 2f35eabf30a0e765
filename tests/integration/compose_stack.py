"""Reads compose.yaml and runs its services as processes: the same commands, environment, files and health checks, with
the containers' paths below one folder, and their names and ports on loopback."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from servers import free_port, program, wait_until

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
BROKER, WALL = "8883", "8080"


def services(**settings: str) -> dict[str, Any]:
    """compose.yaml's services as Compose sees them with these lines in .env."""

    def settled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: settled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [settled(one) for one in value]
        if not isinstance(value, str):
            return value
        return VARIABLE.sub(lambda found: settings.get(found[1], found[2]), value).replace("$$", "$")

    found: dict[str, Any] = settled(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])
    return found


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Where in the container: what is mounted there, a volume or a path."""
    parts = (one.split(":") for one in service.get("volumes", []))
    return {part[1]: part[0] for part in parts}


class Stack:
    """Use as a context manager. `wheel` is where the package is installed; nothing is taken from the checkout."""

    def __init__(self, folder: Path, wheel: Path, influx_port: int) -> None:
        self.services = services()
        self.folder = folder
        self.broker_port, self.wall_port = free_port(), free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._texts = {
            f"mosquitto:{BROKER}": f"localhost:{self.broker_port}",
            "influxdb:8086": f"127.0.0.1:{influx_port}",
            f"127.0.0.1:{WALL}": f"127.0.0.1:{self.wall_port}",
            f"port = {WALL}": f"port = {self.wall_port}",
            ":22B3 ": f":{self.broker_port:04X} ",
            '"0.0.0.0"': '"127.0.0.1"',
            "/secrets": str(folder / "secrets"),
            "/etc/chairside": str(folder / "etc"),
            "/var/lib/chairside": str(folder / "var"),
        }
        self._environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}:/usr/sbin", "PYTHONPATH": str(wheel)}
        if "MICROPYTHON" in os.environ:
            self._environment["MICROPYTHON"] = os.environ["MICROPYTHON"]
        self._lay_out()

    def _lay_out(self) -> None:
        shutil.copytree(ROOT / "gateway" / "container" / "site", self.folder / "etc")
        for path in (self.folder / "etc").glob("*.toml"):
            path.write_text(self._here(path.read_text()))
        shutil.copytree(ROOT / "simulators" / "demo" / "boards", self.folder / "etc" / "boards")
        (self.folder / "var").mkdir()
        (self.folder / "bin").mkdir()
        for name, words in {"python": "", "chairside": " -m gateway.cli", "mosquitto": ""}.items():
            path = self.folder / "bin" / name
            path.write_text(f'#!/bin/sh\nexec {program(name) if name == "mosquitto" else sys.executable}{words} "$@"\n')
            path.chmod(0o755)

    def _here(self, text: str) -> str:
        if text == BROKER:
            return str(self.broker_port)
        for container, host in self._texts.items():
            text = text.replace(container, host)
        return text

    def _arguments(self, name: str, command: list[str]) -> dict[str, Any]:
        given = self.services[name].get("environment", {})
        environment = self._environment | {key: self._here(value) for key, value in given.items()}
        return {"args": [self._here(word) for word in command], "env": environment, "cwd": self.folder}

    def once(self, name: str) -> str:
        """Run a one-shot service to its end; its output."""
        return self.run(name, self.services[name]["command"])

    def run(self, name: str, command: list[str]) -> str:
        """Run a command as in a service's container; its output."""
        given = self._arguments(name, command)
        done = subprocess.run(**given, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name: str) -> None:
        """Start a service; the caller waits until it is healthy where another depends on that."""
        if name == "mosquitto":
            self._confine_broker()
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                **self._arguments(name, self.services[name]["command"]), stdout=log, stderr=log, start_new_session=True
            )

    def _confine_broker(self) -> None:
        """To loopback; and as root mosquitto gives its rights away, where a container begins without any."""
        path = self.folder / "secrets" / "broker" / "chairside.conf"
        text = self._here(path.read_text()).replace(f"listener {BROKER}", f"listener {self.broker_port} 127.0.0.1")
        path.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))

    def ill(self, name: str) -> str:
        """What its health check says, once; empty when it is well. Raises AssertionError when the service has ended."""
        code = self._processes[name].poll()
        assert code is None, f"{name} ended with {code}:\n{self.log(name).read_text(errors='replace')[-2000:]}"
        word, *test = self.services[name]["healthcheck"]["test"]
        assert word == "CMD"
        given = self._arguments(name, test)
        done = subprocess.run(**given, capture_output=True, text=True, timeout=60, check=False)
        return f"{done.returncode}: {done.stdout} {done.stderr}" if done.returncode else ""

    def wait_healthy(self, name: str) -> None:
        said: list[str] = []

        def well() -> bool:
            said[:] = [self.ill(name)]
            return not said[0]

        try:
            wait_until(well, f"{name} to be healthy", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {said}") from None

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
