"""The finger: samples the oximeter chip and says what it sees, or why it sees nothing."""

import asyncio
from array import array

from chair import pins
from chair.oximetry import Oximeter
from drivers.max30102 import DEPTH, Max30102

RATE_HZ = 100
_SAMPLE_MS = 80  # the chip's FIFO is full after 320
_RETRY_MS = 3000


class Finger:
    """`faults` names what is broken now. A chip that does not answer is tried again for ever."""

    def __init__(self, board, calibration, clock):
        self._board = board
        self._clock = clock
        self._oximeter = Oximeter(RATE_HZ, calibration)
        self._chip = None
        self._sampled_ms = None  # of the newest sample; None until the first
        self._red = array("i", bytes(4 * DEPTH))
        self._ir = array("i", bytes(4 * DEPTH))
        self.faults = set()

    async def run(self, moved):
        """For ever; `moved()` after each look, whatever was found."""
        tried_ms = None
        since_ms = 0
        while True:
            now_ms = self._clock.up_ms()
            try:
                if self._chip is None and (tried_ms is None or now_ms - tried_ms >= _RETRY_MS):
                    tried_ms = since_ms = now_ms
                    self._chip = Max30102(self._board.i2c, pins.OXIMETER_ADDRESS)
                    self._oximeter.gap(DEPTH - 1)  # what it held is gone: no value may span the break
                if self._chip:
                    self._take(now_ms)
                    if now_ms - since_ms >= _RETRY_MS:
                        self.faults.discard("oximeter")
            except OSError:
                self._chip = None
                self.faults.add("oximeter")
            moved()
            await asyncio.sleep_ms(_SAMPLE_MS)

    def _take(self, now_ms):
        count, lost = self._chip.read(self._red, self._ir)
        for i in range(count):
            self._oximeter.feed(self._red[i], self._ir[i])
        if lost:
            self._oximeter.gap(lost)
        if count:
            self._sampled_ms = now_ms

    def reading(self):
        """The present reading as wire fields."""
        if self._chip is None or self._sampled_ms is None:
            return {"quality": "sensor_fault", "sqi_pct": 0}
        return self._oximeter.reading()

    def age_ms(self, now_ms):
        """How old the newest sample is; 0 before the first."""
        return 0 if self._sampled_ms is None else now_ms - self._sampled_ms
