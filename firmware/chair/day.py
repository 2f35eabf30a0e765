"""What day it is: for the records' labels, and for TLS, which judges certificates by the processor's calendar.

After a power cut that calendar stands in the year 2000, when no certificate is valid yet. So before TLS the time is
asked for. SNTP cannot prove what it says: no day is believed that is before the last one on which the broker's
certificate was good, which is kept in flash; and where nobody answers, certificates are judged by that day.
"""

import asyncio

from chair import store
from chair.utc import Utc
from micropython import const

_KEPT_S = const(86400)  # no oftener, for the sake of the flash


class Day:
    """`names.time_server()` is whom to ask; `may_block()` whether its name may be looked up now."""

    def __init__(self, board, config, clock, names, may_block):
        self._board = board
        self._clock = clock
        self._names = names
        self._may_block = may_block
        self._tls = config.tls
        self._proved_s = store.load("day").get("utc_s", 0) if config.tls else 0
        self._utc = Utc(clock, self._proved_s * 1000)

    @property
    def utc_ms(self):
        """The UTC of this boot's millisecond 0, None until it is known."""
        return self._utc.utc_ms

    async def ask(self):
        """Whether the time server answered."""
        while not self._may_block():
            await asyncio.sleep_ms(100)
        try:
            address = self._names.time_server()
        except OSError:
            return False
        known = await self._utc.ask(address)
        if known:
            self._board.set_calendar(self._now_s())
        return known

    async def begin(self):
        """Set the calendar as well as may be."""
        if not await self.ask():
            self._board.set_calendar(self._utc.earliest_ms // 1000)

    def proved(self):
        """The broker's certificate was good now: no start is to believe in an earlier day."""
        if self._tls and self.utc_ms is not None and self._now_s() - self._proved_s >= _KEPT_S:
            self._proved_s = self._now_s()
            try:
                store.save("day", {"utc_s": self._proved_s})
            except OSError:
                pass  # a full flash: the older day serves

    def _now_s(self):
        return (self.utc_ms + self._clock.up_ms()) // 1000
