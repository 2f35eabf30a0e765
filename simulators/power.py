"""The power and the processor of one simulated board: its process, its watchdog, and why it last started."""

from __future__ import annotations

import signal
from collections.abc import Callable

from simulators.process import BoardProcess

PWRON_RESET, HARD_RESET, WDT_RESET, SOFT_RESET = 1, 2, 3, 5


class Power:
    """Off until `on`. `launch` starts the processor's process; `resets` holds the cause of every start."""

    def __init__(self, launch: Callable[[], BoardProcess]) -> None:
        self._launch = launch
        self._paused_at_us: int | None = None
        self.process: BoardProcess | None = None
        self.resets: list[int] = []
        self.cause = PWRON_RESET
        self.boot_us = 0
        self.watchdog_us: tuple[int, int] | None = None  # (due, timeout)

    def on(self, cause: int, now_us: int) -> None:
        self.cause = cause
        self.boot_us = now_us
        self.watchdog_us = None
        self.resets.append(cause)
        self.process = self._launch()

    def off(self) -> None:
        if self.process:
            self.process.end()
        self.process = None
        self._paused_at_us = None

    def bitten(self, now_us: int) -> bool:
        """Whether the watchdog has not been fed in time."""
        return self.watchdog_us is not None and self._paused_at_us is None and now_us >= self.watchdog_us[0]

    def pause(self, now_us: int) -> None:
        """Freeze the processor, and its watchdog with it."""
        if self.process:
            self.process.signal(signal.SIGSTOP)
            self._paused_at_us = now_us

    def resume(self, now_us: int) -> None:
        if self.process and self._paused_at_us is not None:
            if self.watchdog_us:
                due_us, timeout_us = self.watchdog_us
                self.watchdog_us = (due_us + now_us - self._paused_at_us, timeout_us)
            self._paused_at_us = None
            self.process.signal(signal.SIGCONT)
