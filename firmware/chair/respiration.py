"""Breathing rate from the pleth: a breath moves the light a little, slowly, under a pulse that moves it much.

    breath = Respiration(scratch)          # array("h") of at least 150
    breath.feed(x)                         # 25 a second: logarithm of the light
    breath.find(period)                    # once a second, with the pulse's period in samples or None

What the light differs by from one beat (or several) to the next knows nothing of the pulse. A rate is given only when
half a minute of that repeats well, its last third as strongly as the rest, twice in a row: better absent than wrong.
"""

from array import array

from chair.pleth import repetition
from micropython import const

_POOL = const(5)  # 25 Hz samples to one
_HZ = const(5)
_SIZE = const(150)  # 30 s
_SPARE = const(25)
_EVERY = const(4)  # calls of `find`
_LAG_FROM = const(4)  # where looking begins
_LAG_MIN = const(10)  # 30 /min
_LAG_MAX = const(50)  # 6 /min
_NEAR = const(0.85)
_SURE = const(0.8)
_BEATS_MIN = const(1.5)  # that a breath lasts
_BEATS_NEAR = const(0.06)  # to two or three whole beats: what is left of the pulse repeats so
_APART_MIN = const(4)  # 0.8 s
_APART_MAX = const(12)
_SAME = const(0.12)  # relative, between two findings in a row
_SCALE = const(1000)


class Respiration:
    """`bpm` is the rate or None when not sure, `sqi_pct` how well it repeats."""

    def __init__(self, scratch):
        self._x = array("f", bytes(4 * (_SIZE + _SPARE)))
        self._steps = scratch
        self.clear()

    def clear(self):
        self._end = self._pooled = self._calls = self.sqi_pct = 0
        self._sum = 0.0
        self._before = self.bpm = None

    def feed(self, x):
        self._sum += x
        self._pooled += 1
        if self._pooled == _POOL:
            if self._end == _SIZE + _SPARE:
                view = memoryview(self._x)
                view[:_SIZE] = view[_SPARE:]
                self._end = _SIZE
            self._x[self._end] = self._sum
            self._end += 1
            self._sum = 0.0
            self._pooled = 0

    def find(self, period):
        """Look again; with None, or before there is half a minute, there is no rate."""
        self._calls += 1
        if self._end < _SIZE or period is None:
            self._before = self.bpm = None
        elif self._calls >= _EVERY:
            self._calls = 0
            self._look(period / _POOL)

    def _look(self, beat):
        n = self._differ(beat)
        x = self._steps
        lag, periodicity = repetition(x, n, _LAG_FROM, _LAG_MAX, _NEAR, _SIZE)
        self.sqi_pct = round(100 * periodicity)
        rate = None
        times = lag / beat
        whole = times < 3.5 and abs(times - round(times)) < _BEATS_NEAR
        if periodicity >= _SURE and lag >= _LAG_MIN and times >= _BEATS_MIN and not whole:
            late = sum(abs(x[i]) for i in range(n * 2 // 3, n))
            if 6 * late > sum(abs(x[i]) for i in range(n)):  # a breath that stopped is not remembered
                rate = 60.0 * _HZ / lag
        before = self._before
        self._before = rate
        self.bpm = rate if rate and before and abs(rate / before - 1) < _SAME else None

    def _differ(self, beat):
        """Differences over whole beats of the light's mean over 0.8 s, as integers; returns how many."""
        apart = later = beat
        # So many beats as are nearly whole samples: between two samples the pulse is known less well.
        while later <= _APART_MAX:
            if apart < _APART_MIN or abs(later - round(later)) < abs(apart - round(apart)) - 0.05:
                apart = later
            later += beat
        whole = int(apart)
        part = apart - whole
        x = self._x
        start = self._end - _SIZE
        n = _SIZE - whole - 4
        scale = 0.0
        highest = 1e-9
        for _ in range(2):  # first for the size
            for i in range(n):
                a = start + i
                b = a + whole
                d = x[b + 1] + x[b + 2] + x[b + 3] - x[a] - x[a + 1] - x[a + 2] - x[a + 3]
                d += (1.0 - part) * x[b] + part * x[b + 4]
                if scale:
                    self._steps[i] = int(d * scale)
                elif abs(d) > highest:
                    highest = abs(d)
            scale = _SCALE / highest
        return n
