"""The deflation's control: how far the bleed valve opens. It decides nothing about safety; chair/supervisor.py does."""

import time
from math import sqrt

from micropython import const

_DEFLATE = const(3500)  # 1/1000 mmHg/s: between 2 and 4
_FAST_MS = const(500)
_SLOW_MS = const(1500)


class Bleed:
    """Opens the bleed valve so that pressure falls at a steady rate, whatever valve and cuff are.

    Air leaves an orifice with the root of the pressure, so the opening is `size` over that root. The size is corrected
    by a share of itself, which makes the loop as fast with a large cuff as with a small one, and is kept: the next
    deflation begins with it. The rate, 1/1000 mmHg/s, is the distance between a 0.5 s and a 1.5 s low pass; a sixth of
    a pulse is left. The low passes need time, so it is compared with what they show of a fall that has been right from
    the beginning. In integers, for each float that the timer makes is memory.
    """

    def __init__(self):
        self._size = 1.0  # of the first deflation: less than valves need, for too fast loses the first beats

    def begin(self, now_ms, mmhg):
        self.rate = 0
        self.opening = 0.0
        self._fast = self._slow = int(mmhg * 1000)
        self._right = self._right_fast = self._right_slow = 0
        self._now_ms = now_ms
        self.step(now_ms, mmhg)

    def step(self, now_ms, mmhg):
        dt_ms = min(time.ticks_diff(now_ms, self._now_ms), 200)
        self._now_ms = now_ms
        pressure = int(mmhg * 1000)
        self._fast += (pressure - self._fast) * dt_ms // _FAST_MS
        self._slow += (pressure - self._slow) * dt_ms // _SLOW_MS
        self.rate = self._slow - self._fast
        self._right -= _DEFLATE * dt_ms // 1000
        self._right_fast += (self._right - self._right_fast) * dt_ms // _FAST_MS
        self._right_slow += (self._right - self._right_slow) * dt_ms // _SLOW_MS
        short = self._right_slow - self._right_fast - self.rate
        short = max(-_DEFLATE, min(_DEFLATE, short))
        root = sqrt(max(mmhg, 10))
        self._size = max(0.1, min(root, self._size * (1.0 + short * dt_ms * (0.0008 / _DEFLATE))))
        self.opening = self._size / root
