"""The pulse wave at 25 samples/s: filtered, and how it repeats. Pure arithmetic; chair/oximetry.py judges."""

from micropython import const

_LAG_MIN = const(5)  # 300 /min at 25 Hz
_LAG_MAX = const(56)  # 27 /min


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


def repetition(x, n):
    """(period in samples, autocorrelation there) of the integers x[:n]; (0, 0.0) when nothing repeats.

    It is the shortest lag nearly as good as the best: the shortest, because two periods repeat as well as one; nearly,
    because a dicrotic wave repeats less well. Where several periods fit, the peak of the last of them divided by their
    number is that much finer. 200 values of at most 1000 keep the sums small ints on the board.
    """
    energy = 0
    for i in range(n):
        energy += x[i] * x[i]
    r = []
    for lag in range(_LAG_MIN - 1, min(_LAG_MAX, n // 2) + 2):
        total = 0
        for i in range(n - lag):
            total += x[i] * x[i + lag]
        r.append(total / (energy + 1) * (n / (n - lag)))
    peaks = [i for i in range(1, len(r) - 1) if r[i - 1] < r[i] >= r[i + 1]]
    best = max((r[i] for i in peaks), default=0.0)
    for first in peaks:
        if r[first] >= 0.8 * best and best > 0:
            break
    else:
        return 0, 0.0
    period = _vertex(r, first)
    periods = 1
    for i in peaks:
        nearest = round((_LAG_MIN - 1 + i) / period)
        if nearest == periods + 1 and r[i] >= 0.8 * best and abs(_vertex(r, i) / nearest / period - 1) < 0.1:
            periods = nearest
            period = _vertex(r, i) / nearest
    return period, min(r[first], 1.0)


def _vertex(r, i):
    """The lag of the parabola through r[i] and its neighbours."""
    return _LAG_MIN - 1 + i + 0.5 * (r[i - 1] - r[i + 1]) / (r[i - 1] - 2 * r[i] + r[i + 1])
