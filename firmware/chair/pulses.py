"""The pulses of one deflation, found in the cuff's pressure as the samples come. Pure, and in integers.

A *pulse* is one heart beat seen in the cuff, from the *foot* of its upstroke to the next foot. Its amplitude is the
largest distance of the pressure from the line between the two feet, so the fall of the pressure, however fast, leaves
nothing in it and need not be known; its pressure is that of the line under the peak. An upstroke is where the
pressure rises against its own trend more steeply than by less than half of what it lately did.

Samples are put on a grid of 20 ms; one that comes late, and a hole of up to 0.6 s, is bridged by a straight line. Left
out are pulses whose upstroke lies in such a bridge, and those under which the pressure rises or falls as by a pump,
a dump, or a step.
"""

import time
from array import array

from micropython import const

_PULSES_MAX = const(256)

_STEP_MS = const(20)
_RING = const(256)  # samples, a power of two: 5 s
_HOLE_MS_MAX = const(600)
_BRIDGE_MS_MIN = const(110)  # shorter ones bend no upstroke
_RISE = const(5)  # samples over which an upstroke is measured
_TREND = const(50)  # samples over which the trend is, ten times as long
_STEEP_MMMHG = const(50)  # in _RISE samples, 1/1000 mmHg: more than the converter's noise
_STEEP_PCT = const(40)  # of the steepest of late, which fades by 1 % a sample
_FOOT = const(25)  # samples before the steepest one in which its foot lies
_REFRACTORY = const(11)  # samples: 270 /min
_LONGEST = const(110)  # samples: 27 /min; in a longer one a beat was missed
_RISING_MAX = const(3)  # mmHg/s under a pulse
_FALLING_MAX = const(15)
_BEND_MAX = const(300)  # 1/1000 mmHg in _RISE samples, 3 mmHg/s, from the two pulses before: a step, or a knock
_NO_SLOPE = const(-1 << 29)
_LOWEST_MMMHG = const(20_000)  # what an emptying cuff shows is nobody's pulse


class Pulses:
    """What was found so far: `count` pulses, read with `at(i)` in the order of their coming."""

    def __init__(self):
        self._ring = array("i", bytes(4 * _RING))  # pressure, 1/1000 mmHg
        self._bridged = bytearray(_RING)
        self._mmhg = array("H", bytes(2 * _PULSES_MAX))  # 1/100 mmHg
        self._amplitude = array("H", bytes(2 * _PULSES_MAX))  # 1/1000 mmHg
        self._spacing_ms = array("H", bytes(2 * _PULSES_MAX))
        self.clear()

    def clear(self):
        self.count = 0
        self._last_ms = None

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        """(mmhg, amplitude_mmhg, spacing_ms) of pulse i; the spacing is the distance to the next upstroke."""
        if i >= self.count:
            raise IndexError
        return self._mmhg[i] / 100, self._amplitude[i] / 1000, self._spacing_ms[i]

    def feed(self, now_ms, mmhg):
        """One sample."""
        value = int(mmhg * 1000)
        if self._last_ms is None or time.ticks_diff(now_ms, self._last_ms) > _HOLE_MS_MAX:
            self._restart(now_ms, value)
            return
        gap_ms = time.ticks_diff(now_ms, self._last_ms)
        if gap_ms <= 0:
            return
        before = self._value
        ahead_ms = self._ahead_ms  # from the last sample to the next point of the grid
        while ahead_ms <= gap_ms:
            self._step(before + (value - before) * ahead_ms // gap_ms, gap_ms >= _BRIDGE_MS_MIN)
            ahead_ms += _STEP_MS
        self._ahead_ms = ahead_ms - gap_ms
        self._last_ms = now_ms
        self._value = value

    def _restart(self, now_ms, value):
        self._last_ms = now_ms
        self._value = value
        self._ahead_ms = _STEP_MS
        self._n = 0  # samples in the ring since here
        self._armed = True
        self._steepest = 0  # of late
        self._rise = 0  # the steepest of the present upstroke, and where
        self._rise_n = 0
        self._upstroke_n = -1  # of the pulse that runs; -1 without one
        self._foot_n = 0
        self._slope_before = _NO_SLOPE
        self._slope = _NO_SLOPE  # of the line between the last two feet, in _RISE samples

    def _step(self, value, bridged):
        """One point of the grid: keep it, look whether an upstroke has just ended."""
        ring = self._ring
        n = self._n
        self._n = n + 1
        ring[n & (_RING - 1)] = value
        self._bridged[n & (_RING - 1)] = bridged
        if n <= _RISE:
            return
        # Means of two against noise.
        value = (value + ring[(n - 1) & (_RING - 1)]) >> 1
        over = min(n, _TREND)
        trend = (value - ring[(n - over) & (_RING - 1)]) * _RISE // over
        if n - self._foot_n <= _LONGEST:
            # A peak that has just left the window would pull its trend down; the last two feet know better.
            trend = max(trend, self._slope)
        then = n - _RISE
        steep = value - (ring[then & (_RING - 1)] + ring[(then - 1) & (_RING - 1)] >> 1) - trend
        self._steepest -= self._steepest // 100
        least = max(_STEEP_MMMHG, self._steepest * _STEEP_PCT // 100)
        if not self._armed:
            self._armed = steep < least >> 1 and n - self._rise_n >= _REFRACTORY
        elif steep > max(least, self._rise):
            self._rise = steep
            self._rise_n = n
        if self._rise and steep < self._rise * 3 >> 2:
            self._upstroke(self._rise_n - _RISE // 2, trend)
            # At most twice: one knock must not hide the beats after it.
            self._steepest = max(self._steepest, min(self._rise, max(2 * self._steepest, 4 * _STEEP_MMMHG)))
            self._rise = 0
            self._armed = False

    def _upstroke(self, n, trend):
        """An upstroke at sample n ends the pulse that ran and begins one."""
        ring = self._ring
        # The lowest sample against the trend: a small pulse in a fast fall never turns the pressure round.
        foot_n = n
        lowest = 1 << 29
        for i in range(n, max(self._foot_n, n - _FOOT, 0), -1):
            value = ring[i & (_RING - 1)] + (n - i) * trend // _RISE
            if value < lowest:
                lowest = value
                foot_n = i
        length = foot_n - self._foot_n
        self._slope, before = _NO_SLOPE, self._slope
        if self._upstroke_n >= 0 and 0 < length <= _LONGEST:
            self._pulse(self._foot_n, length, (n - self._upstroke_n) * _STEP_MS, before)
        self._slope_before = before
        self._upstroke_n = n
        self._foot_n = foot_n

    def _calm(self, n):
        """Pressure at sample n with half the noise: the parabola through five, which keeps a peak two samples wide."""
        ring = self._ring
        near = ring[(n - 1) & (_RING - 1)] + ring[(n + 1) & (_RING - 1)]
        far = ring[(n - 2) & (_RING - 1)] + ring[(n + 2) & (_RING - 1)]
        return (17 * ring[n & (_RING - 1)] + 12 * near - 3 * far) // 35

    def _pulse(self, begin_n, length, spacing_ms, before):
        """Measure and keep the pulse between two feet."""
        ring = self._ring
        first = self._calm(begin_n)
        fall = first - self._calm(begin_n + length)
        fall_ms = length * _STEP_MS
        if not -_RISING_MAX * fall_ms <= fall <= _FALLING_MAX * fall_ms:
            return
        slope = self._slope = -fall * _RISE // length
        if before != _NO_SLOPE and min(abs(slope - before), abs(slope - self._slope_before)) > _BEND_MAX:
            return
        highest = peak_n = 0
        for i in range(1, length):
            above = ring[(begin_n + i) & (_RING - 1)] - first + fall * i // length
            if above > highest:
                highest = above
                peak_n = i
        amplitude = self._calm(begin_n + peak_n) - first + fall * peak_n // length
        for i in range(begin_n, begin_n + peak_n + 1):
            if self._bridged[i & (_RING - 1)]:
                return
        mmmhg = first - fall * peak_n // length
        if mmmhg < _LOWEST_MMMHG or not 0 < amplitude < 65000 or self.count == _PULSES_MAX:
            return
        i = self.count
        self._mmhg[i] = mmmhg // 10
        self._amplitude[i] = amplitude
        self._spacing_ms[i] = spacing_ms
        self.count = i + 1
