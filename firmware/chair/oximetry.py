"""Oxygen saturation, pulse rate and perfusion index out of red and infrared counts.

    oximeter = Oximeter(100, calibration)
    oximeter.feed(red, ir)              # every sample
    oximeter.reading()                  # once a second -> {"quality": "good", "sqi_pct": 97, "spo2_pct": ..., ...}

Method. By Beer-Lambert the logarithm of the light carries the pulse without its DC level, so ln(counts), averaged
by four to 25 Hz and band-passed 0.5-6 Hz, is the relative pulsation of each colour. The ratio of ratios R is the
regression of red on infrared over the last 9 s, built from 2 s windows so that a shaken one can be left out. Pulse
rate is the period of the autocorrelation. Both use differences in time, not the samples: breathing moves the light as
far as a weak pulse does, but slowly. R becomes saturation by the board's own quadratic (`spo2` = [a, b, c]:
a R^2 + b R + c); without one, by the curve of Maxim's application note AN6845.

A value is there only when it was measured in this window: otherwise `quality` says why not, and the number is left
out. A lifted finger ends all history at once.

    no_finger     infrared below the level of a finger for 200 ms
    settling      less than 6 s of finger
    saturation    the converter is clipped
    sensor_fault  no samples, samples that do not change or come 2 % too fast or slow, one colour dead, or an R that
                  no blood has
    low_perfusion perfusion index under 0.3 %, or the pulse has just vanished
    motion        red and infrared disagree, amplitudes jump, or nothing repeats
    below_range   R over what this board's curve was made for: a saturation too low to put a number on
"""

import time
from array import array
from math import log, sqrt

from chair.pleth import BandPass, repetition
from micropython import const

_DECIMATION = const(4)
_WINDOWS = const(8)  # 2 s windows, one begun every second: 9 s of signal, the newest weighing most
_RING = const(200)  # 8 s of infrared pulsation at 25 Hz
_SETTLE_SECONDS = const(6)  # before it the filters still ring from the finger's arrival

_FINGER_IR_MIN = const(20000)  # counts at 7.2 mA: air and a table stay below, tissue does not
_FINGER_SAMPLES = const(20)
_CLIPPED_RAW = const(262143)
_CLIPPED_SECONDS = const(3)  # how long one clipped sample disturbs the filters
_RED_DEAD_RAW = const(500)
_FROZEN_SAMPLES = const(100)
_GAP_MAX = const(31)  # where the chip's counter of lost samples ends: more may be missing
_SILENT_MS = const(1500)
_FED_MASK = const(0xFFFF)
_RATE_MS = const(20_000)
_RATE_ERROR_MAX = 0.02
_RATES_WRONG_MAX = const(2)  # one may be a chip that was started again in between

_PI_MIN_PCT = 0.3
_CORRELATION_MIN = 0.90
_PERIODICITY_MIN = 0.50
_PULSE_BPM_MAX = const(250)  # no heart that sits in a chair; a tremor does that
_ENERGY_KNOCK = 4.0  # a window this many times the median was moved, whatever its correlation;
_ENERGY_LARGE = 1.6  # this many, when its R is also far from the others': blood that desaturates does not pulse more
_RATIO_FAR = 0.15
_LATELY = const(4)  # of the newest windows one must be good: 5 s without a pulse is no reading
_ENERGY_QUIET = 0.2  # a window this far below the median weighs too little to accuse it of motion
_VANISHED = 0.25  # of the usual amplitude, in the last 2.4 s: the pulse stopped (a cuff on this arm, or worse)

_CURVE = (1.5958, -34.66, 112.69)  # AN6845, MAX30101 without cover glass
_RATIO_RANGE = (0.35, 1.31)  # 100 to 70 % on that curve
_RATIO_MARGIN = 0.15  # the end points of a calibration scatter; a curve is trusted no further beyond them
_RATIO_MIN = 0.1  # hardly any red pulse beside a good infrared one: no blood has that

_STRIDE = const(5)  # samples between which the rate looks at differences
_SCALE = const(1000)


class Oximeter:
    """One finger. `calibration` is the board's, or None for the published curve."""

    def __init__(self, rate_hz=100, calibration=None, ticks_ms=time.ticks_ms):
        calibration = calibration or {}
        self._curve = calibration.get("spo2", _CURVE)
        self._ratio_max = calibration.get("spo2_ratio_range", _RATIO_RANGE)[1] + _RATIO_MARGIN
        self._swapped = calibration.get("led_order", "red_ir") == "ir_red"
        self._slow_hz = rate_hz // _DECIMATION
        self._ticks_ms = ticks_ms
        self._red_filter = BandPass()
        self._ir_filter = BandPass()
        self._ring = array("f", bytes(4 * _RING))
        self._scaled = array("h", bytes(2 * _RING))
        self._windows = [[0.0, 0.0, 0.0] for _ in range(_WINDOWS)]  # sums of red^2, ir^2, red x ir, of steps
        self._fed = self._fed_seen = 0
        self._fed_ms = None  # when `reading` last saw new samples
        self._rate_hz = rate_hz
        self._rate_ms = None  # since when, and from which sample on, the rate is measured
        self._rate_from = 0
        self._rates_wrong = 0  # measurements in a row
        self._finger = False
        self._contrary = 0  # samples in a row that say otherwise
        self._same = 0
        self._red = self._ir = 0
        self._clear()

    def _clear(self):
        """Forget the finger: nothing measured before may be read after."""
        self._seconds = 0
        self._windows_held = self._window_next = 0
        self._ring_held = self._ring_next = 0
        self._clipped_seconds = 0
        self._red_sum = self._ir_sum = self._sums = 0
        self._red_zero = self._ir_zero = 0.0
        self._red_pulsation = self._ir_pulsation = 0.0
        self._slow_samples = 0
        self._rr = self._ii = self._ri = 0.0
        self._rr_before = self._ii_before = self._ri_before = 0.0
        self._red_filter.clear()
        self._ir_filter.clear()

    # ---- every sample -------------------------------------------------------------------------------------

    def feed(self, red, ir):
        """One sample, raw counts."""
        if self._swapped:
            red, ir = ir, red
        self._fed = (self._fed + 1) & _FED_MASK
        if red == self._red and ir == self._ir:
            self._same += 1
        else:
            self._same = 0
            self._red = red
            self._ir = ir
        if (ir >= _FINGER_IR_MIN) != self._finger:
            self._contrary += 1
            if self._contrary >= _FINGER_SAMPLES:
                self._finger = not self._finger
                self._contrary = 0
                self._clear()
            return
        self._contrary = 0
        if not self._finger:
            return
        if red >= _CLIPPED_RAW or ir >= _CLIPPED_RAW:
            self._clipped_seconds = _CLIPPED_SECONDS
        self._red_sum += red
        self._ir_sum += ir
        self._sums += 1
        if self._sums == _DECIMATION:
            self._pulsation(log(self._red_sum + 1), log(self._ir_sum))
            self._red_sum = self._ir_sum = self._sums = 0

    def gap(self, lost):
        """Samples that the chip counted as lost: a few are held over, an uncertain number ends the history."""
        if lost >= _GAP_MAX:
            self._rate_ms = None
            self._clear()
            return
        red, ir = (self._ir, self._red) if self._swapped else (self._red, self._ir)
        for _ in range(lost):
            self.feed(red, ir)

    def _pulsation(self, red_log, ir_log):
        """One sample at 25 Hz: filter it, keep the infrared for the rate, add both to this second's sums."""
        if self._red_zero == 0.0:
            self._red_zero = red_log
            self._ir_zero = ir_log
        red = self._red_filter.step(red_log - self._red_zero)
        ir = self._ir_filter.step(ir_log - self._ir_zero)
        self._ring[self._ring_next] = ir
        self._ring_next = (self._ring_next + 1) % _RING
        red_step = red - self._red_pulsation
        ir_step = ir - self._ir_pulsation
        self._red_pulsation = red
        self._ir_pulsation = ir
        self._rr += red_step * red_step
        self._ii += ir_step * ir_step
        self._ri += red_step * ir_step
        self._slow_samples += 1
        if self._slow_samples == self._slow_hz:
            self._slow_samples = 0
            self._second()

    def _second(self):
        """Close a second: with the one before it makes a window, long enough to hold a whole beat at 30 /min."""
        self._seconds += 1
        if self._clipped_seconds:
            self._clipped_seconds -= 1
        if self._seconds > 2:
            window = self._windows[self._window_next]
            window[0] = self._rr + self._rr_before
            window[1] = self._ii + self._ii_before
            window[2] = self._ri + self._ri_before
            self._window_next = (self._window_next + 1) % _WINDOWS
            self._windows_held = min(self._windows_held + 1, _WINDOWS)
        if self._seconds > 1:
            self._ring_held = min(self._ring_held + self._slow_hz, _RING)
        self._rr_before = self._rr
        self._ii_before = self._ii
        self._ri_before = self._ri
        self._rr = self._ii = self._ri = 0.0

    # ---- once a second ------------------------------------------------------------------------------------

    def reading(self):
        """The present reading as wire fields; `quality` and `sqi_pct` always, the values only when it is good."""
        quality = self._hindrance()
        if quality:
            return {"quality": quality, "sqi_pct": 0}
        pi_pct, vanished = self._perfusion()
        if pi_pct < _PI_MIN_PCT or vanished:
            return {"quality": "low_perfusion", "sqi_pct": 0}
        ratio, agreement = self._ratio()
        pulse_bpm, periodicity = self._pulse()
        sqi_pct = round(100 * max(0.0, min(agreement, periodicity, 1.0)))
        if ratio is None or pulse_bpm is None:
            return {"quality": "motion", "sqi_pct": sqi_pct}
        if ratio < _RATIO_MIN:
            return {"quality": "sensor_fault", "sqi_pct": sqi_pct}
        if ratio > self._ratio_max:
            return {"quality": "below_range", "sqi_pct": sqi_pct}
        a, b, c = self._curve
        return {
            "quality": "good",
            "sqi_pct": sqi_pct,
            "spo2_pct": round(max(0.0, min(100.0, a * ratio * ratio + b * ratio + c)), 1),
            "pulse_bpm": round(pulse_bpm, 1),
            "pi_pct": round(min(pi_pct, 100.0), 2),
            "ratio": round(ratio, 4),
        }

    def _hindrance(self):
        """Why there can be no value, or an empty text."""
        now_ms = self._ticks_ms()
        if self._fed_ms is None or self._fed != self._fed_seen:
            self._fed_ms = now_ms
            self._fed_seen = self._fed
        elif time.ticks_diff(now_ms, self._fed_ms) > _SILENT_MS:
            # Also the history: after a silence the samples are not what followed the earlier ones.
            self._finger = False
            self._rate_ms = None
            self._clear()
            return "sensor_fault"
        self._measure_rate(now_ms)
        if self._rates_wrong >= _RATES_WRONG_MAX:
            return "sensor_fault"
        if not self._finger:
            # Red without infrared is a dead diode, not an empty probe.
            return "sensor_fault" if self._red >= 2 * _FINGER_IR_MIN and self._ir < _FINGER_IR_MIN else "no_finger"
        if self._clipped_seconds:
            return "saturation"
        if self._same >= _FROZEN_SAMPLES or self._red < _RED_DEAD_RAW:
            return "sensor_fault"
        if self._contrary:
            return "no_finger"
        if self._seconds < _SETTLE_SECONDS:
            return "settling"
        return ""

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

    def _perfusion(self):
        """(perfusion index in %, whether the pulse has just stopped): peak to trough, median of 2 s pieces."""
        ring = self._ring
        size = 2 * self._slow_hz
        pieces = sorted(self._swing(back, size) for back in range(0, self._ring_held - size + 1, size))
        usual = pieces[len(pieces) // 2]
        return 100 * usual, self._swing(0, min(size + 10, len(ring))) < _VANISHED * usual

    def _swing(self, back, size):
        ring = self._ring
        at = self._ring_next - back - size
        lowest = highest = ring[at % _RING]
        for i in range(at + 1, at + size):
            x = ring[i % _RING]
            if x > highest:
                highest = x
            elif x < lowest:
                lowest = x
        return highest - lowest

    def _ratio(self):
        """(R or None when shaken, agreement 0..1 of the colours): regression over the windows that can be trusted."""
        held = self._windows_held
        order = [(self._window_next - 1 - age) % _WINDOWS for age in range(held)]
        windows = [self._windows[i] for i in order]  # newest first
        energy = sorted([w[1] for w in windows])[held // 2]
        usual = sorted([w[2] / w[1] if w[1] else 0.0 for w in windows])[held // 2]
        knocked = [_knocked(w, energy, usual) for w in windows]
        good = good_lately = 0
        rr = ii = ri = 0.0
        for age in range(held):
            w = windows[age]
            # After a knock the filters swing back, and in the next window that looks like a pulse.
            if knocked[age] or (age + 1 < held and knocked[age + 1]):
                continue
            if w[2] < _CORRELATION_MIN * sqrt(w[0] * w[1]) and w[1] > _ENERGY_QUIET * energy:
                continue
            good += 1
            good_lately += age < _LATELY
            weight = _WINDOWS + 2 - age  # the newest counts most: a fall of saturation must not wait for the mean
            rr += weight * w[0]
            ii += weight * w[1]
            ri += weight * w[2]
        if not good:
            return None, 0.0
        agreement = ri / sqrt(rr * ii) if rr > 0 else 0.0
        if agreement < _CORRELATION_MIN or not good_lately or good < min(_WINDOWS // 2, held):
            return None, agreement * good / held
        return ri / ii, agreement * good / held

    def _pulse(self):
        """(pulse rate or None when nothing repeats, periodicity 0..1)."""
        n = self._ring_held - _STRIDE
        self._scale_ring(n)
        lag, periodicity = repetition(self._scaled, n)
        if periodicity < _PERIODICITY_MIN:
            return None, periodicity
        pulse_bpm = 60.0 * self._slow_hz / lag
        return (pulse_bpm if pulse_bpm <= _PULSE_BPM_MAX else None), periodicity

    def _scale_ring(self, n):
        """The last `n` differences over 200 ms, in order, as integers of at most _SCALE."""
        ring = self._ring
        scaled = self._scaled
        at = self._ring_next - n
        highest = 1e-9
        for i in range(at, at + n):
            highest = max(highest, abs(ring[i % _RING] - ring[(i - _STRIDE) % _RING]))
        factor = _SCALE / highest
        for i in range(at, at + n):
            scaled[i - at] = int((ring[i % _RING] - ring[(i - _STRIDE) % _RING]) * factor)


def _knocked(window, energy, ratio):
    """Whether a window of sums moved more than the heart moves it, beside the usual energy and ratio."""
    if window[1] <= _ENERGY_LARGE * energy:
        return False
    return window[1] > _ENERGY_KNOCK * energy or abs(window[2] / window[1] - ratio) > _RATIO_FAR * ratio
