"""The pulse wave at 25 samples/s: filtered, kept, how it repeats, where it beats. Pure; chair/oximetry.py judges."""

from array import array
from math import cos, pi

from micropython import const

HZ = const(25)
_LAG_MIN = const(5)  # 300 /min
_LAG_MAX = const(64)  # 23 /min
_SLOW = const(16)  # from this lag on a pulse wave is known from half of its samples
_NEAR = const(0.8)
_LAGS_MAX = const(64)
_DIP = const(0.2)  # before a wave repeats it is unlike itself; a drift is not
_SCALE = const(1000)
_SINE = const(0.15)  # the fastest hearts come closer, because the low pass takes their harmonics
_FAST = const(8)
_BLOCK = const(65)  # 2.6 s: longer than a beat at 25 /min


_repeats = array("f", bytes(4 * _LAGS_MAX))  # by lag; kept, for a heap in pieces has no room for a list of floats


class BandPass:
    """Second order Butterworth high pass at 0.5 Hz, then low pass at 6 Hz, for 25 samples/s; starts at rest."""

    def __init__(self):
        self.clear()

    def clear(self):
        self._x1 = self._x2 = self._h1 = self._h2 = self._y1 = self._y2 = 0.0

    def step(self, x):
        h = 0.914969 * (x - 2.0 * self._x1 + self._x2) + 1.822695 * self._h1 - 0.837182 * self._h2
        y = 0.274728 * (h + 2.0 * self._h1 + self._h2) + 0.073624 * self._y1 - 0.172530 * self._y2
        self._x2 = self._x1
        self._x1 = x
        self._h2 = self._h1
        self._h1 = h
        self._y2 = self._y1
        self._y1 = y
        return y


class Recent:
    """The last `size` samples of infrared and red, in order, before index `end`."""

    def __init__(self, size):
        self._size = size
        self.ir = array("f", bytes(4 * (size + HZ)))
        self.red = array("f", bytes(4 * (size + HZ)))
        self.clear()

    def clear(self):
        self.end = self.held = 0

    def add(self, ir, red):
        if self.end == self._size + HZ:
            for channel in (self.ir, self.red):
                view = memoryview(channel)
                view[: self._size] = view[HZ:]
            self.end = self._size
        self.ir[self.end] = ir
        self.red[self.end] = red
        self.end += 1
        self.held = min(self.held + 1, self._size)


def steps(x, end, count, stride, into):
    """The last `count` differences over `stride` samples of x before `end`, as integers of at most _SCALE."""
    highest = 1e-9
    for i in range(end - count, end):
        highest = max(highest, abs(x[i] - x[i - stride]))
    factor = _SCALE / highest
    at = end - count
    for i in range(count):
        into[i] = int((x[at + i] - x[at + i - stride]) * factor)


def repetition(x, n, lag_min=_LAG_MIN, lag_max=_LAG_MAX, near=_NEAR, slow=_SLOW):
    """(period in samples, autocorrelation there) of the integers x[:n]; (0.0, 0.0) when nothing repeats.

    It is the shortest lag nearly as good as the best: the shortest, because two periods repeat as well as one; nearly,
    because a dicrotic wave repeats less well. Where several periods fit, the peak of the last of them divided by their
    number is that much finer. 200 values of at most 1000 keep the sums small ints on the board.
    """
    energy = 1
    for i in range(n):
        energy += x[i] * x[i]
    r = _repeats
    lags = min(lag_max, n // 2) + 3 - lag_min
    for i in range(lags):
        lag = lag_min - 1 + i
        r[i] = _likeness(x, n, lag, 1 if lag < slow else 2) / energy
    dip = 1.0
    peaks = []
    for i in range(1, lags - 1):
        dip = min(dip, r[i - 1])
        if r[i - 1] < r[i] >= r[i + 1] and dip < _DIP:
            peaks.append(i)
    best = near * max([r[i] for i in peaks] + [0.0])
    period = found = 0.0
    periods = 1
    for i in peaks:
        if r[i] < best or r[i] <= 0:
            continue
        # The vertex of the parabola through the peak and its neighbours.
        peak = lag_min - 1 + i + 0.5 * (r[i - 1] - r[i + 1]) / (r[i - 1] - 2 * r[i] + r[i + 1])
        if not period:
            period = peak
            found = r[i]
        elif round(peak / period) == periods + 1 and abs(peak / (periods + 1) / period - 1) < 0.1:
            periods += 1
            period = peak / periods
    return period, min(found, 1.0)


def _likeness(x, n, lag, every=1):
    total = 0
    for i in range(0, n - lag, every):
        total += x[i] * x[i + lag]
    return total * every * n / (n - lag)


def repeats(x, n, lag):
    """The autocorrelation of the integers x[:n] at one lag."""
    return _likeness(x, n, lag) / (_likeness(x, n, 0) + 1)


def beats(x, n, apart):
    """(how many, mean interval in samples, weakest as a share of the strongest) of the beats in the steps x[:n].

    A beat is the steepest fall of light within `apart` samples on either side, at least half as steep as is usual.
    """
    depths = sorted([-min(x[at : at + _BLOCK]) for at in range(0, n - _BLOCK + 1, _BLOCK)])
    least = max(1, depths[len(depths) // 2] // 2)
    found = []
    first = last = 0
    i = apart
    while i < n - apart:
        if -x[i] >= least and x[i] == min(x[i - apart : i + apart + 1]):
            first = first if found else i
            last = i
            found.append(-x[i])
            i += apart
        i += 1
    if len(found) < 2:
        return len(found), 0, 0.0
    found.sort()
    return len(found), (last - first) / (len(found) - 1), found[0] / found[-1]


def pure_sine(x, end, held, period):
    """Whether any 2 s in the `held` samples of the wave x before `end` are a sine of this period: no heart makes one.

    Half a period later a sine is its own negative; a beat, steeper on one side, is not.
    """
    half = round(period / 2)
    least = cos(2 * pi * half / period) + (_SINE if period > _FAST else _SINE / 6)
    for last in range(end, end - held + half + 2 * HZ + 1, -2 * HZ):
        energy = total = 1e-12
        for i in range(last - 2 * HZ, last):
            now = x[i] - x[i - 2]
            energy += now * now
            total += now * (x[i - half] - x[i - half - 2])
        if total < least * energy:
            return True
    return False
