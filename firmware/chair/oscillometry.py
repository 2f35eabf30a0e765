"""Blood pressure out of the oscillations that the artery makes in the cuff while it deflates. Pure.

Terms. A *pulse* is one heart beat seen in the cuff: the mean cuff pressure while it lasted and its amplitude, peak
to trough, both mmHg. The *envelope* is amplitude over pressure. MAP is the pressure at its maximum; systolic lies
above, diastolic below, where it has fallen to a ratio of the maximum. The ratios belong to cuff and board: published
ones run 0.44-0.74 and 0.51-0.85, so they are calibrated at the bench, and 0.50 and 0.75 are only where one starts.

    pulses = Pulses()
    pulses.feed(ticks_ms, pressure_mmhg)    # every sample of a deflation, cheap
    pulses.estimate(ratios)                 # {"sys_mmhg": ...} or {"reason": ...}

Reasons: too_few_pulses (under 8), pulse_out_of_range (outside 40-240 /min), motion (amplitudes or spacings that no
heart makes), not_bracketed (the envelope is still high at the highest pressure: inflate further), low_not_reached
(still high at the lowest), implausible (values in an order or distance that no artery has).
"""

import time
from array import array
from math import exp

from micropython import const

PULSES_MAX = const(256)
ENVELOPE_MAX = const(24)
RATIOS = (0.50, 0.75)
DEFLATE_MMHG_PER_S = 3.5  # what the cuff aims at

_STEP_MS = const(20)
_GAP_MS_MAX = const(200)  # a longer hole in the samples ends a pulse without counting it
_SETTLE_MS = const(1000)  # the filters at the bend from rest to deflation
_PULSES_MIN = const(8)
_PULSE_BPM_MIN = const(40)
_PULSE_BPM_MAX = const(240)
_LOW_PASS = 0.63  # of a 20 ms step: 8 Hz
_HIGH_PASS = 0.05  # 0.4 s, thrice: the level, its slope and the bend of the slope leave nothing
_TRIGGER_MMHG = 0.04  # two steps of the converter
_TRIGGER_SHARE = 0.2  # of the last amplitude, which fades by
_FADE = 0.99  # a sample, so that one knock does not hide the beats after it
_SPACING = 0.35  # how far a beat may stand from the median spacing
_OUTLIER = 0.40  # how far an amplitude may stand outside those around it
_REJECTED_MAX = 0.40  # share of pulses left out before the rest is not believed either
_WIDTH_MMHG = 5.0  # of the smoothing, about two beats
_PLAUSIBLE_MMHG = (30, 280)
_PULSE_PRESSURE_MMHG_MIN = const(10)


class Pulses:
    """The pulses of one deflation, found as the samples come."""

    def __init__(self):
        self._mmhg = array("f", bytes(4 * PULSES_MAX))
        self._amplitude = array("f", bytes(4 * PULSES_MAX))
        self._spacing_ms = array("f", bytes(4 * PULSES_MAX))
        self.clear()

    def clear(self):
        self.count = 0
        self._last_ms = None
        self._begun_ms = 0
        self._last_mmhg = 0.0

    def feed(self, now_ms, mmhg):
        """One sample; what a late caller missed is filled in along a line, a real hole is left out."""
        if self._last_ms is None:
            self._begun_ms = now_ms
            self._restart(now_ms, mmhg)
            return
        gap_ms = time.ticks_diff(now_ms, self._last_ms)
        if gap_ms > _GAP_MS_MAX:
            self._restart(now_ms, mmhg)
            return
        steps = max(1, (gap_ms + _STEP_MS // 2) // _STEP_MS)
        for i in range(1, steps + 1):
            at_ms = time.ticks_add(self._last_ms, gap_ms * i // steps)
            self._step(at_ms, self._last_mmhg + (mmhg - self._last_mmhg) * i / steps)
        self._last_ms = now_ms
        self._last_mmhg = mmhg

    def _restart(self, now_ms, mmhg):
        self._last_ms = now_ms
        self._last_mmhg = mmhg
        self._smooth = mmhg
        # As if the deflation had been steady before: the filters need not learn its slope first.
        self._drift = -DEFLATE_MMHG_PER_S * _STEP_MS / 1000 / _HIGH_PASS
        self._slow = mmhg - self._drift
        self._bend = self._wave = 0.0
        self._fading = 0.0
        self._armed = False
        self._begin(None)

    def _begin(self, crossing_ms):
        """Start collecting a beat; None while its start was not seen."""
        self._crossing_ms = crossing_ms
        self._highest = self._lowest = self._wave
        self._sum = 0.0
        self._samples = 0

    def _step(self, at_ms, mmhg):
        self._smooth += _LOW_PASS * (mmhg - self._smooth)
        self._slow += _HIGH_PASS * (self._smooth - self._slow)
        first = self._smooth - self._slow
        self._drift += _HIGH_PASS * (first - self._drift)
        second = first - self._drift
        self._bend += _HIGH_PASS * (second - self._bend)
        before = self._wave
        wave = self._wave = second - self._bend
        self._fading *= _FADE
        trigger = max(_TRIGGER_MMHG, _TRIGGER_SHARE * self._fading)
        if wave < -trigger:
            self._armed = True
        elif self._armed and wave > trigger:
            self._armed = False
            # Between the two samples, for the rate: a quarter of a sample is 1 % at 150 /min.
            share = (wave - trigger) / (wave - before) if wave > before else 0.0
            self._beat(time.ticks_add(at_ms, -int(share * _STEP_MS)))
        if wave > self._highest:
            self._highest = wave
        elif wave < self._lowest:
            self._lowest = wave
        self._sum += mmhg
        self._samples += 1

    def _beat(self, crossing_ms):
        if self._crossing_ms is not None and time.ticks_diff(self._crossing_ms, self._begun_ms) >= _SETTLE_MS:
            amplitude = self._highest - self._lowest
            if self.count < PULSES_MAX:
                self._mmhg[self.count] = self._sum / self._samples
                self._amplitude[self.count] = amplitude
                self._spacing_ms[self.count] = time.ticks_diff(crossing_ms, self._crossing_ms)
                self.count += 1
            self._fading = amplitude
        self._begin(crossing_ms)

    def estimate(self, ratios=RATIOS):
        """The values, or the reason why there are none; see `estimate` below."""
        n = self.count
        return estimate(
            [(self._mmhg[i], self._amplitude[i], self._spacing_ms[i]) for i in range(n)],
            ratios,
        )


def estimate(pulses, ratios=RATIOS):
    """Blood pressure from `pulses` (mmhg, amplitude_mmhg, spacing_ms) in the order of deflation.

    Returns sys_mmhg, dia_mmhg, map_mmhg, pulse_bpm, envelope (at most 24 [mmhg, amplitude_mmhg]) and `beyond`, the
    envelope at the lowest pressure as a share of its maximum; or {"reason": ...}. The envelope comes with a reason
    too, as soon as there is one.
    """
    if len(pulses) < _PULSES_MIN:
        return {"reason": "too_few_pulses"}
    spacing_ms = _median([p[2] for p in pulses])
    regular = [p for p in pulses if abs(p[2] / spacing_ms - 1) <= _SPACING]
    pulse_bpm = 60000 / spacing_ms
    if not _PULSE_BPM_MIN <= round(pulse_bpm) <= _PULSE_BPM_MAX:
        return {"reason": "pulse_out_of_range"}
    clean = _without_outliers(regular)
    if len(clean) < (1 - _REJECTED_MAX) * len(pulses):
        return {"reason": "motion"}
    if len(clean) < _PULSES_MIN:
        return {"reason": "too_few_pulses"}
    mean_ms = sum(p[2] for p in clean) / len(clean)
    result = _judge(_smooth(clean), ratios)
    if "reason" not in result:
        result["pulse_bpm"] = round(60000 / mean_ms, 1)
    return result


def _judge(envelope, ratios):
    """Values from a smooth envelope of (mmhg, amplitude), highest pressure first."""
    top = max(range(len(envelope)), key=lambda i: envelope[i][1])
    peak = envelope[top][1]
    result = {"envelope": thin(envelope), "beyond": envelope[-1][1] / peak}
    sys_mmhg = _crossing(envelope, range(top, 0, -1), -1, ratios[0] * peak)
    if sys_mmhg is None:
        result["reason"] = "not_bracketed"
        return result
    dia_mmhg = _crossing(envelope, range(top, len(envelope) - 1), 1, ratios[1] * peak)
    if dia_mmhg is None:
        result["reason"] = "low_not_reached"
        return result
    map_mmhg = _summit(envelope, top)
    low, high = _PLAUSIBLE_MMHG
    if not (low <= dia_mmhg < map_mmhg < sys_mmhg <= high) or sys_mmhg - dia_mmhg < _PULSE_PRESSURE_MMHG_MIN:
        result["reason"] = "implausible"
        return result
    result["sys_mmhg"] = round(sys_mmhg, 1)
    result["dia_mmhg"] = round(dia_mmhg, 1)
    result["map_mmhg"] = round(map_mmhg, 1)
    return result


def _crossing(envelope, walk, step, level):
    """Pressure where the envelope, walked away from its maximum, first falls to `level`; None if it never does."""
    for i in walk:
        mmhg, amplitude = envelope[i]
        next_mmhg, next_amplitude = envelope[i + step]
        if next_amplitude <= level:
            return mmhg + (next_mmhg - mmhg) * (amplitude - level) / (amplitude - next_amplitude)
    return None


def _summit(envelope, top):
    """Pressure at the maximum: the vertex of the parabola through it and its neighbours, kept between them."""
    if not 0 < top < len(envelope) - 1:
        return envelope[top][0]
    (x0, y0), (x1, y1), (x2, y2) = envelope[top - 1 : top + 2]
    left = (x1 - x0) * (y1 - y2)
    right = (x1 - x2) * (y1 - y0)
    if left == right:
        return x1
    vertex = x1 - 0.5 * ((x1 - x0) * left - (x1 - x2) * right) / (left - right)
    return min(max(vertex, min(x0, x2)), max(x0, x2))


def _without_outliers(pulses):
    """Pulses whose amplitude lies between the inner two of the four around it, or not far outside."""
    kept = []
    for i in range(len(pulses)):
        near = sorted([pulses[j][1] for j in range(max(0, i - 2), min(len(pulses), i + 3)) if j != i])
        low = near[(len(near) - 1) // 2]
        high = near[len(near) // 2]
        if low * (1 - _OUTLIER) <= pulses[i][1] <= high * (1 + _OUTLIER):
            kept.append(pulses[i])
    return kept


def _smooth(pulses):
    """Envelope at each pulse's pressure: neighbours weighted by how near in pressure they are."""
    envelope = []
    for mmhg, _, _ in pulses:
        total = weights = 0.0
        for other, amplitude, _ in pulses:
            away = (other - mmhg) / _WIDTH_MMHG
            if -3 < away < 3:
                weight = exp(-0.5 * away * away)
                total += weight * amplitude
                weights += weight
        envelope.append((mmhg, total / weights))
    return envelope


def thin(envelope):
    """At most 24 points of it for the wire, evenly chosen, first and last included."""
    n = len(envelope)
    m = min(n, ENVELOPE_MAX)
    chosen = [envelope[i * (n - 1) // (m - 1)] for i in range(m)]
    return [[round(mmhg, 1), round(amplitude, 3)] for mmhg, amplitude in chosen]


def _median(values):
    return sorted(values)[len(values) // 2]
