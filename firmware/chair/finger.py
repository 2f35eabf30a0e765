"""The finger: samples the oximeter chip, sets its LEDs, and says what it sees, or why it sees nothing."""

import asyncio
from array import array

from chair import pins
from chair.gain import START, LedGain
from chair.oximetry import Oximeter
from drivers.max30102 import DEPTH, Max30102
from micropython import const

RATE_HZ = 100
_SAMPLE_MS = const(80)  # the chip's FIFO is full after 320
_RETRY_MS = const(3000)


class Finger:
    """`faults` names what is broken now. A chip that does not answer is tried again for ever."""

    def __init__(self, board, calibration, clock, average_s=8):
        self._board = board
        self._clock = clock
        self._oximeter = Oximeter(RATE_HZ, calibration, average_s=average_s)
        self._gain = LedGain()
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
                    self._gain = LedGain()
                    self._oximeter.lights(1, 1)
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
        gain = self._gain
        gain.take(self._red, self._ir, count)
        # The FIFO has just been emptied: what comes from here on is of the new currents.
        if gain.step(self._oximeter.finger, now_ms):
            self._chip.set_leds(gain.red, gain.ir)
            self._oximeter.lights(gain.red / START, gain.ir / START)

    def reading(self):
        """The present reading as wire fields."""
        if self._chip is None or self._sampled_ms is None:
            return {"quality": "sensor_fault", "sqi_pct": 0}
        reading = self._oximeter.reading()
        if self._oximeter.led_order_suspect:
            self.faults.add("led_order_suspect")
        if self._gain.ambient and reading["quality"] not in ("sensor_fault", "no_finger"):
            return {"quality": "ambient", "sqi_pct": 0}
        return reading

    def waveform(self):
        """The last second of pulsation, see `Oximeter.waveform`."""
        return self._oximeter.waveform()

    def age_ms(self, now_ms):
        """How old the newest sample is; 0 before the first."""
        return 0 if self._sampled_ms is None else now_ms - self._sampled_ms
