"""The USB serial line of a simulated board: a pty whose other end a bench opens like a real port.

What the board prints goes to its log and to the line. As on a real line nobody has to listen: what no reader takes
within a second is lost, and so is the rest until there is one.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from pathlib import Path

ANSWER = b'"ok":'  # in the last line to each request
READER_S_MAX = 1.0  # a board in virtual time may say in a moment what takes a real one a minute


class Console:
    """One line, over all boots of a board; `path` is what a bench opens, `waiting` whether it waits for an answer."""

    def __init__(self, log: Path) -> None:
        self._log = log
        # The board's end of the line is kept open, or a bench that leaves would hang it up.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._heard = True
        self._asked = self._answered = 0
        self._tail = b""
        self._pump: threading.Thread | None = None

    @property
    def waiting(self) -> bool:
        return self._asked > self._answered

    def attach(self) -> tuple[int, int]:
        """Standard input and output for a processor that starts; the caller closes both once it has."""
        stdin, to_board = os.pipe()
        from_board, stdout = os.pipe()
        os.set_blocking(to_board, False)
        self._asked = self._answered = 0  # a board that starts again has forgotten what it was asked
        self._pump = threading.Thread(target=self._run, args=(from_board, to_board), daemon=True)
        self._pump.start()
        return stdin, stdout

    def detach(self) -> None:
        """The processor has ended: what it said last is in the log when this returns."""
        if self._pump:
            self._pump.join()
            self._pump = None

    def close(self) -> None:
        self.detach()
        os.close(self._master)
        os.close(self._slave)

    def _run(self, from_board: int, to_board: int) -> None:
        with self._log.open("ab") as log:
            while True:
                ready = select.select([from_board, self._master], [], [])[0]
                if from_board in ready:
                    said = os.read(from_board, 4096)
                    if not said:
                        break
                    log.write(said)
                    log.flush()
                    self._say(said)
                elif self._master in ready:
                    asked = os.read(self._master, 4096)
                    self._asked += asked.count(b"\n")
                    with contextlib.suppress(BlockingIOError, BrokenPipeError):
                        os.write(to_board, asked)
        os.close(from_board)
        os.close(to_board)

    def _say(self, said: bytes) -> None:
        self._answered += (self._tail + said).count(ANSWER)
        self._tail = said[1 - len(ANSWER) :]
        while said:
            writable = select.select([], [self._master], [], READER_S_MAX if self._heard else 0)[1]
            self._heard = bool(writable)
            if not writable:
                return
            with contextlib.suppress(BlockingIOError):
                said = said[os.write(self._master, said) :]
