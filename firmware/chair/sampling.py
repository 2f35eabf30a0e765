"""Whether an optical chip's samples are what it was set to give: they come, they differ, at the set rate."""

import time

from micropython import const

_FROZEN_SAMPLES = const(100)
_SILENT_MS = const(1500)
_FED_MASK = const(0xFFFF)
_RATE_MS = const(20_000)
_RATE_ERROR_MAX = const(0.02)
_RATES_WRONG_MAX = const(2)  # one may be a chip that was started again in between


class Sampling:
    """`count` each sample, ask `fault` once a second. `red` and `ir` are the newest sample."""

    def __init__(self, rate_hz, ticks_ms):
        self.red = self.ir = 0
        self._rate_hz = rate_hz
        self._ticks_ms = ticks_ms
        self._fed = self._fed_seen = 0
        self._fed_ms = None  # when `fault` last saw new samples
        self._rate_ms = None  # since when, and from which sample on, the rate is measured
        self._rate_from = 0
        self._rates_wrong = 0  # measurements in a row
        self._same = 0

    def count(self, red, ir):
        self._fed = (self._fed + 1) & _FED_MASK
        if red == self.red and ir == self.ir:
            self._same += 1
        else:
            self._same = 0
            self.red = red
            self.ir = ir

    def interrupted(self):
        """An unknown number of samples is missing."""
        self._rate_ms = None

    def frozen(self):
        return self._same >= _FROZEN_SAMPLES

    def fault(self):
        """ "silent", "rate" or an empty text."""
        now_ms = self._ticks_ms()
        if self._fed_ms is None or self._fed != self._fed_seen:
            self._fed_ms = now_ms
            self._fed_seen = self._fed
        elif time.ticks_diff(now_ms, self._fed_ms) > _SILENT_MS:
            self._rate_ms = None
            return "silent"
        self._measure_rate(now_ms)
        return "rate" if self._rates_wrong >= _RATES_WRONG_MAX else ""

    def _measure_rate(self, now_ms):
        """A chip that samples at another rate than it was set to shows every pulse wrong by as much."""
        if self._rate_ms is not None:
            passed_ms = time.ticks_diff(now_ms, self._rate_ms)
            if passed_ms < _RATE_MS:
                return
            samples = (self._fed - self._rate_from) & _FED_MASK
            wrong = abs(samples * 1000 / passed_ms / self._rate_hz - 1) > _RATE_ERROR_MAX
            self._rates_wrong = self._rates_wrong + 1 if wrong else 0
        self._rate_ms = now_ms
        self._rate_from = self._fed
