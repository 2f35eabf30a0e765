"""Tells systemd that the gateway is ready, and once a second that its loop still turns; without systemd it is silent.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import os
import socket
from collections.abc import Mapping

from gateway.clock import monotonic_ms

EACH_MS = 1_000


class Systemd:
    """For one thread: the loop that is watched."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # "@" names a socket that is in no folder.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if name else None
        self._due_ms = 0
        self._is_ready = False

    def alive(self) -> None:
        """After each turn of the loop."""
        now_ms = monotonic_ms()
        if self._socket is None or now_ms < self._due_ms:
            return
        self._due_ms = now_ms + EACH_MS
        self._say("WATCHDOG=1" if self._is_ready else "READY=1\nWATCHDOG=1")
        self._is_ready = True

    def _say(self, words: str) -> None:
        assert self._socket is not None
        try:
            self._socket.sendto(words.encode(), self._address)
        except OSError:
            # It listens again or it restarts us: nothing else is to be done about it here.
            return
