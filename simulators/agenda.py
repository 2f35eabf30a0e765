"""What is to happen in virtual time, apart from the board: a list by time, and in one moment by order of entry."""

from __future__ import annotations

import heapq
from collections.abc import Callable

NEVER_US = 1 << 62


class Agenda:
    """`acting_us` is the time of the entry that is being carried out, else None."""

    def __init__(self) -> None:
        self.acting_us: int | None = None
        self.next_us = NEVER_US
        self._entries: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0

    def at(self, at_us: int, action: Callable[[], object]) -> None:
        """Do `action` at a time; one that has passed already is now."""
        self._count += 1
        heapq.heappush(self._entries, (at_us, self._count, action))
        self.next_us = self._entries[0][0]

    def every(self, period_us: int, action: Callable[[], object], first_us: int) -> None:
        """Again and again, on a grid, until it answers False."""

        def again(at_us: int) -> None:
            if action() is not False:
                self.at(at_us + period_us, lambda: again(at_us + period_us))

        self.at(first_us, lambda: again(first_us))

    def run_until(self, us: int) -> None:
        """Carry out everything up to this time, each at its own."""
        while self.next_us <= us:
            at_us, _, action = heapq.heappop(self._entries)
            self.next_us = self._entries[0][0] if self._entries else NEVER_US
            self.acting_us = at_us
            try:
                action()
            finally:
                self.acting_us = None
