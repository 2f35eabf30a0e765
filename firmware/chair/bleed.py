"""The deflation's control: how far the bleed valve opens. It decides nothing about safety; chair/cuff.py does."""

import time
from math import exp, sqrt

from chair.oscillometry import DEFLATE_MMHG_PER_S


class Bleed:
    """Opens the bleed valve so that pressure falls at a steady rate, whatever valve and cuff are.

    Air leaves an orifice with the root of the pressure, so the opening is `size` over that root. The size is corrected
    by a share of itself, which makes the loop as fast with a large cuff as with a small one, and is kept: the next
    deflation begins with it. The rate is the distance between a 0.5 s and a 1.5 s low pass; a sixth of a pulse is left.
    """

    def __init__(self):
        self._size = 1.0  # of the first deflation: less than valves need, for too fast loses the first beats

    def begin(self, now_ms, mmhg):
        self.rate = 0.0
        self.opening = 0.0
        self._fast = self._slow = mmhg
        self._now_ms = self._begun_ms = now_ms
        self.step(now_ms, mmhg)

    def step(self, now_ms, mmhg):
        dt = min(time.ticks_diff(now_ms, self._now_ms), 200) / 1000
        self._now_ms = now_ms
        self._fast += (mmhg - self._fast) * dt / 0.5
        self._slow += (mmhg - self._slow) * dt / 1.5
        self.rate = self._slow - self._fast
        # What the rate would show by now if the fall had been right from the beginning: the low passes need time.
        t = time.ticks_diff(now_ms, self._begun_ms) / 1000
        due = DEFLATE_MMHG_PER_S * (1.0 - 1.5 * exp(-t / 1.5) + 0.5 * exp(-t / 0.5))
        short = max(-1.0, min(1.0, (due - self.rate) / DEFLATE_MMHG_PER_S))
        root = sqrt(max(mmhg, 10.0))
        self._size = max(0.1, min(root, self._size * (1.0 + 0.8 * short * dt)))
        self.opening = self._size / root
