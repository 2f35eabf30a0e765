"""The other end of a board's console: requests and answers as JSON lines over a serial port.

    with Console("/dev/ttyUSB0") as console:
        console.ask("identity")["device"]

What the board offers is in firmware/chair/console.py, bench.py and selftest.py. Text that is no answer, such as a
trace, is passed over. Every error is one sentence that says what to do.
"""

from __future__ import annotations

import base64
import errno
import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import serial  # type: ignore[import-untyped]
from serial.tools import list_ports  # type: ignore[import-untyped]

BAUD = 115_200
LINE_BYTES_MAX = 256  # what an ESP32 keeps of a line while it looks away
PIECE_BYTES = 120
FIND_S = 15.0  # a board may restart when its port is opened, and compiles its program then
ANSWER_S = 40.0  # longer than the longest silence of a request: 30 s for two buttons
_AGAIN_S = 0.5
_LOOK_S = 0.1

Line = dict[str, Any]


class ConsoleError(Exception):
    """The console cannot be used; the text says what to do."""


class NoPort(ConsoleError):
    """There is no such port, or it may not be opened."""


class Refused(ConsoleError):
    """The board did not do what it was asked; the text is the board's."""


class Console:
    """A board on `port`. Raises NoPort, or ConsoleError when nobody answers within `find_s`, FIND_S without one."""

    def __init__(self, port: str, find_s: float | None = None) -> None:
        self.port = port
        self._serial = _open(port)
        self._buffer = b""
        self._id = 0
        try:
            self.identity = self._find(FIND_S if find_s is None else find_s)
        except ConsoleError:
            self._serial.close()
            raise

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serial.close()

    def ask(
        self, do: str, told: Callable[[Line], None] | None = None, within_s: float | None = None, **fields: object
    ) -> Line:
        """The answer's fields; `told` gets each line before it. `within_s` is the longest silence, or else ANSWER_S.

        Raises Refused with the board's reason, or ConsoleError when the board falls silent.
        """
        within_s = ANSWER_S if within_s is None else within_s
        self._send(do, fields)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            line = self._line()
            if line is None:
                continue
            deadline = time.monotonic() + within_s
            if "ok" in line:
                if not line["ok"]:
                    raise Refused(str(line.get("error")))
                return line
            if told:
                told(line)
        raise ConsoleError(f"{self.port}: the board fell silent; look at its power and cable, then try again")

    def write(self, file: str, content: bytes, *, merge: bool = False) -> None:
        """Put a file on the board: `config`, `calibration`, or one of TLS. With `merge`, a config's other keys stay.

        Raises Refused with the board's reason; then nothing has changed.
        """
        for at in range(0, len(content) or 1, PIECE_BYTES):
            self.ask("put", at=at, data=base64.b64encode(content[at : at + PIECE_BYTES]).decode())
        self.ask("write", file=file, merge=merge)

    def restart(self) -> Line:
        """Restart the board, so that it uses what was written; returns its new identity."""
        boot = self.identity.get("boot")
        self.ask("reset")
        deadline = time.monotonic() + FIND_S
        while time.monotonic() < deadline:
            self.identity = self._find(FIND_S)
            if boot is None or self.identity.get("boot") != boot:
                return self.identity
        raise ConsoleError(f"{self.port}: the board did not restart; switch it off and on")

    def _find(self, within_s: float) -> Line:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                return self.ask("identity", within_s=_AGAIN_S)
            except Refused:
                raise
            except ConsoleError:
                continue
        raise ConsoleError(
            f"{self.port}: nobody answers; hold both buttons of the board while you switch it on, "
            "which opens its console also where its configuration keeps it shut"
        )

    def _send(self, do: str, fields: Mapping[str, object]) -> None:
        self._id += 1
        line = json.dumps({"id": self._id, "do": do, **fields}).encode()
        if len(line) > LINE_BYTES_MAX:
            raise ConsoleError(f"{do}: {len(line)} bytes are too much for one line of {LINE_BYTES_MAX}")
        try:
            self._serial.write(line + b"\n")
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _line(self) -> Line | None:
        """The next line that belongs to the last request; None when none comes for a moment."""
        head, found, rest = self._buffer.partition(b"\n")
        if not found:
            try:
                self._buffer += self._serial.read(max(1, self._serial.in_waiting))
            except (serial.SerialException, OSError) as error:
                raise self._gone(error) from error
            return None
        self._buffer = rest
        try:
            line = json.loads(head)
        except ValueError:
            return None
        return line if isinstance(line, dict) and line.get("id") == self._id else None

    def _gone(self, error: Exception) -> ConsoleError:
        return ConsoleError(f"{self.port}: the line broke ({error}); look at the cable")


def _open(port: str) -> Any:
    try:
        return serial.Serial(port, BAUD, timeout=_LOOK_S, write_timeout=ANSWER_S, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EACCES:
            raise NoPort(
                f"{port}: not allowed; join its group with `sudo usermod -aG dialout $USER` and log in again"
            ) from error
        if code in (errno.EBUSY, errno.EWOULDBLOCK):
            raise NoPort(f"{port}: another program has it open; close that one") from error
        there = ", ".join(found.device for found in list_ports.comports()) or "none"
        raise NoPort(f"{port}: no such serial port; there are: {there}") from error
