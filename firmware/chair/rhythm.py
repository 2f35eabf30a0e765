"""Pulse rate: the period at which the wave repeats, checked against the beats that are counted."""

from chair.pleth import HZ, beats, pure_sine, repeats, repetition, steps
from micropython import const

_SECONDS = const(8)  # of the wave, whatever the saturation is averaged over
_STRIDE = const(5)  # samples: breathing moves the light as far as a weak pulse does, but slowly
_PERIODIC = const(0.90)  # under it the beats are counted
_PERIODICITY_MIN = const(0.50)
_BPM_MAX = const(250)  # no heart that sits in a chair; a tremor does that
_BEATS_APART = const(6)  # 240 ms
_BEATS_MIN = const(5)
_BEATS_EVEN = const(0.7)  # the weakest beside the strongest
_BEATS_LIKE = const(0.3)
_BEATS_OFF = const(0.15)


def pulse(recent, scratch):
    """(period in samples or None when there is no pulse, periodicity 0..1); `scratch` is an array of 200 integers."""
    n = min(recent.held, _SECONDS * HZ) - _STRIDE
    steps(recent.ir, recent.end, n, _STRIDE, scratch)
    period, periodicity = repetition(scratch, n)
    if periodicity < _PERIODIC:
        # An irregular heart repeats badly, or every other beat. Its beats are even all the same, while what a
        # dicrotic wave adds between two beats is weaker, or unlike them.
        count, interval, even = beats(scratch, n, _BEATS_APART)
        likeness = repeats(scratch, n, round(interval)) if count >= _BEATS_MIN else 0.0
        if likeness >= _BEATS_LIKE and (even >= _BEATS_EVEN or periodicity >= _PERIODICITY_MIN):
            period = interval
            periodicity = max(periodicity, likeness)
        elif periodicity < _PERIODICITY_MIN or _unrelated(interval, period):
            period = None
    if period and (60.0 * HZ / period > _BPM_MAX or pure_sine(recent.ir, recent.end, n, period)):
        period = None
    return period, periodicity


def _unrelated(interval, period):
    """Whether beats come neither once nor twice in a period."""
    times = period / interval if interval else 0.0
    return min(abs(times - 1), abs(times - 2)) > _BEATS_OFF * times
