"""Oxygen saturation, pulse rate and perfusion index out of red and infrared counts.

    oximeter = Oximeter(100, calibration)
    oximeter.feed(red, ir)              # every sample
    oximeter.reading()                  # once a second -> {"quality": "good", "sqi_pct": 97, "spo2_pct": ..., ...}

Method. By Beer-Lambert the logarithm of the light carries the pulse without its DC level, so ln(counts), averaged
by four to 25 Hz and band-passed 0.5-6 Hz, is the relative pulsation of each colour. The ratio of ratios R is the
regression of red on infrared over the last seconds (chair/ratio.py). Pulse rate is the period of the autocorrelation,
checked against the beats that are counted. R becomes saturation by the board's own quadratic (`spo2` = [a, b, c]:
a R^2 + b R + c); without one, by the curve of Maxim's application note AN6845, and then the reading is `uncalibrated`.

A value is there only when it was measured in this window: otherwise `quality` says why not, and the number is left
out. A lifted finger ends all history at once.

    no_finger     infrared below the level of a finger for 200 ms
    settling      less than 6 s of finger
    saturation    the converter is clipped
    sensor_fault  no samples, samples that do not change or come 2 % too fast or slow, one colour dead, or an R that
                  no blood has
    low_perfusion perfusion index under 0.1 %, or under 0.3 % and not clear, or the pulse has just vanished
    motion        red and infrared disagree, amplitudes jump, two sources of light mix, or nothing repeats
    ambient       the same, and both colours move by as much light: a lamp does that
    below_range   under 70 %, or beyond what the board was calibrated for: a value that falls with the saturation, but
                  no more than that
"""

import time
from array import array
from math import log

from chair.pleth import HZ, BandPass, Recent
from chair.ratio import Ratio
from chair.respiration import Respiration
from chair.rhythm import pulse
from chair.sampling import Sampling
from micropython import const

_DECIMATION = const(4)
_RATE_SECONDS = const(8)  # of pulse wave for the rate, whatever the saturation is averaged over
_SETTLE_SECONDS = const(6)  # before it the filters still ring from the finger's arrival

_FINGER_IR_MIN = const(12000)  # counts at the current of START: air and a table stay below, tissue does not
_FINGER_SAMPLES = const(20)
_CLIPPED_RAW = const(262143)
_CLIPPED_SECONDS = const(3)  # how long one clipped sample disturbs the filters
_RED_DEAD_RAW = const(500)
_GAP_MAX = const(31)  # where the chip's counter of lost samples ends: more may be missing
_HELD_OVER = const(2)  # samples at a change of current that may be of either

_PI_MIN_PCT = const(0.1)
_PI_LOW_PCT = const(0.3)
_PI_MAX_PCT = const(25.0)
_PI_GROWS = const(2.0)
_PI_GROWS_READINGS = const(60)
_AMBIENT_EQUAL = const(0.1)
_AMBIENT_AGREES = const(0.9)
_VANISHED = const(0.25)  # of the usual amplitude, in the last 2.6 s: the pulse stopped (a cuff on this arm, or worse)
_BEAT = const(65)  # 2.6 s: longer than any

_CURVE = (1.5958, -34.66, 112.69)  # AN6845, MAX30101 without cover glass
_RATIO_RANGE = (0.35, 1.31)  # 100 to 70 % on that curve
_RATIO_MARGIN = const(0.15)  # the end points of a calibration scatter; a curve is trusted no further beyond them
_RATIO_MIN = const(0.1)  # hardly any red pulse beside a good infrared one: no blood has that
_RATIO_SUSPECT = const(1.3)
_SUSPECT_READINGS = const(60)
_SPO2_RANGE_PCT = const(70)

_NOISE_FIRST = const(2e-5)
_NOISE_UP = const(1.04)
_NOISE_DOWN = const(0.96)
_NOISE_STEP = const(2.09)  # from the middle of |s1 - s2 - s3 + s4| / sum to the mean square of a filtered step


class Oximeter:
    """One finger. `calibration` is the board's, or None for the published curve; `average_s` is 4, 8 or 16."""

    def __init__(self, rate_hz=100, calibration=None, ticks_ms=time.ticks_ms, average_s=8):
        calibration = calibration or {}
        self._curve = calibration.get("spo2", _CURVE)
        self._ratio_end = calibration.get("spo2_ratio_range", _RATIO_RANGE)[1]
        self._swapped = calibration.get("led_order", "red_ir") == "ir_red"
        self._verified = "led_order" in calibration
        self._uncalibrated = "spo2" not in calibration or not self._verified
        self._judged = 0  # readings with a ratio, so far
        self.led_order_suspect = False
        self.finger = False
        self._finger_min = _FINGER_IR_MIN
        self._sampling = Sampling(rate_hz, ticks_ms)
        self._red_filter = BandPass()
        self._ir_filter = BandPass()
        self._average = (average_s + 1) * HZ
        self._recent = Recent(max(self._average, _RATE_SECONDS * HZ))
        self._steps = array("h", bytes(2 * _RATE_SECONDS * HZ))
        self._ratio = Ratio(average_s + 1)
        self._breath = Respiration(self._steps)
        self._contrary = 0  # samples in a row that say otherwise of the finger
        self._clear()

    def _clear(self):
        """Forget the finger: nothing measured before may be read after."""
        self._slow_samples = 0
        self._clipped = 0
        self._held_over = 0
        self._usual_pi_pct = 0.0
        self._swollen_readings = 0
        self._red_sum = self._ir_sum = self._sums = 0
        self._red_zero = self._ir_zero = None
        self._red_x = self._ir_x = 0.0
        self._red_noise = self._ir_noise = _NOISE_FIRST
        self._recent.clear()
        self._red_filter.clear()
        self._ir_filter.clear()
        self._breath.clear()

    # ---- every sample -------------------------------------------------------------------------------------

    def feed(self, red, ir):
        """One sample, raw counts."""
        self._sampling.count(red, ir)
        if self._swapped:
            red, ir = ir, red
        if (ir >= self._finger_min) != self.finger:
            self._contrary += 1
            if self._contrary >= _FINGER_SAMPLES:
                self.finger = not self.finger
                self._contrary = 0
                self._clear()
            return
        self._contrary = 0
        if not self.finger:
            return
        if self._held_over:
            self._held_over -= 1
            return
        if red >= _CLIPPED_RAW or ir >= _CLIPPED_RAW:
            self._clipped = _CLIPPED_SECONDS * HZ
        self._red_sum += red
        self._ir_sum += ir
        self._sums += 1
        # Steady and rising light cancel in + - - +, and what is left of four samples is their noise.
        if self._sums == 1:
            self._red_jitter = red
            self._ir_jitter = ir
        elif self._sums < _DECIMATION:
            self._red_jitter -= red
            self._ir_jitter -= ir
        else:
            self._noise(abs(self._red_jitter + red) / self._red_sum, abs(self._ir_jitter + ir) / self._ir_sum)
            self._pulsation(log(self._red_sum), log(self._ir_sum))
            self._red_sum = self._ir_sum = self._sums = 0

    def _noise(self, red, ir):
        """Follow the middle of what is seen: a knock is no noise."""
        self._red_noise *= _NOISE_UP if red > self._red_noise else _NOISE_DOWN
        self._ir_noise *= _NOISE_UP if ir > self._ir_noise else _NOISE_DOWN

    def gap(self, lost):
        """Samples that the chip counted as lost: a few are held over, an uncertain number ends the history."""
        if lost >= _GAP_MAX:
            self._sampling.interrupted()
            self._clear()
            return
        for _ in range(lost):
            self.feed(self._sampling.red, self._sampling.ir)

    def lights(self, red_share, ir_share):
        """The LED currents are now these shares of the usual ones. The next samples only find the new level: the
        pulsation goes on from where it was."""
        self._finger_min = int(_FINGER_IR_MIN * (red_share if self._swapped else ir_share))
        self._held_over = _HELD_OVER
        self._red_sum = self._ir_sum = self._sums = 0
        self._red_zero = self._ir_zero = None

    def _pulsation(self, red_log, ir_log):
        """One sample at 25 Hz: filter it, keep it."""
        if self._red_zero is None:
            self._red_zero = red_log - self._red_x
            self._ir_zero = ir_log - self._ir_x
        self._red_x = red_log - self._red_zero
        self._ir_x = ir_log - self._ir_zero
        red = self._red_filter.step(self._red_x)
        ir = self._ir_filter.step(self._ir_x)
        self._breath.feed(self._ir_x)
        if self._clipped:
            self._clipped -= 1
        self._slow_samples += 1
        if self._slow_samples > HZ:  # in the first second the filters find their level
            self._recent.add(ir, red)

    # ---- once a second ------------------------------------------------------------------------------------

    def reading(self):
        """The present reading as wire fields; `quality` and `sqi_pct` always, `spo2_pct` and `pulse_bpm` only when
        good or below range."""
        quality = self._hindrance()
        if quality:
            return {"quality": quality, "sqi_pct": 0}
        pi_pct, vanished = self._perfusion()
        reading = {"quality": "low_perfusion", "sqi_pct": 0, "pi_pct": round(min(pi_pct, 100.0), 2)}
        if pi_pct < _PI_MIN_PCT or vanished:
            return reading
        period, periodicity = pulse(self._recent, self._steps)
        ratio, agreement = self._find_ratio(period)
        sqi = min(agreement, periodicity, pi_pct / _PI_LOW_PCT, 1.0)
        reading["sqi_pct"] = round(100 * max(0.0, sqi))
        if ratio is not None:
            reading["ratio"] = round(ratio, 4)
        if ratio is None or period is None or pi_pct > _PI_MAX_PCT or self._swollen(pi_pct):
            reading["quality"] = "low_perfusion" if pi_pct < _PI_LOW_PCT else self._disturbance(agreement)
            self._breath.find(None)
        elif ratio < _RATIO_MIN:
            reading["quality"] = "sensor_fault"
        else:
            self._suspect(ratio)
            self._value(reading, ratio, period)
        return reading

    def _swollen(self, pi_pct):
        """Whether the pulse has doubled in seconds: something else moves the light, until it stays a minute."""
        usual = self._usual_pi_pct
        if usual and pi_pct > _PI_GROWS * usual and self._swollen_readings < _PI_GROWS_READINGS:
            self._swollen_readings += 1
            return True
        self._swollen_readings = 0
        self._usual_pi_pct = pi_pct if not usual or pi_pct > _PI_GROWS * usual else usual + (pi_pct - usual) / 8
        return False

    def _disturbance(self, agreement):
        """Light from elsewhere moves both colours together, by as many counts; a movement hardly ever does."""
        sampling = self._sampling
        counts = self._ratio.mixed * sampling.red / sampling.ir
        if self._swapped:
            counts = self._ratio.mixed * sampling.ir / sampling.red
        return "ambient" if agreement > _AMBIENT_AGREES and abs(counts - 1) < _AMBIENT_EQUAL else "motion"

    def _value(self, reading, ratio, period):
        spo2_pct = round(self._saturation(ratio), 1)
        inside = ratio <= self._ratio_end + _RATIO_MARGIN and spo2_pct >= _SPO2_RANGE_PCT
        reading["quality"] = "good" if inside else "below_range"
        reading["spo2_pct"] = spo2_pct
        reading["pulse_bpm"] = round(60.0 * HZ / period, 1)
        if self._uncalibrated:
            reading["uncalibrated"] = True
        breath = self._breath
        breath.find(period)
        if breath.bpm:
            reading["resp_bpm"] = round(breath.bpm, 1)
            reading["resp_sqi_pct"] = breath.sqi_pct

    def _saturation(self, ratio):
        """Percent; beyond the calibrated end straight on, because a quadratic turns."""
        a, b, c = self._curve
        beyond = max(0.0, ratio - self._ratio_end)
        ratio -= beyond
        return max(0.0, min(100.0, a * ratio * ratio + b * ratio + c + beyond * min(2 * a * ratio + b, 0.0)))

    def _suspect(self, ratio):
        """Swapped diodes show the inverse ratio: no patient begins a stay with a saturation that low."""
        if not self._verified and self._judged < _SUSPECT_READINGS:
            self._judged += 1
            if ratio > _RATIO_SUSPECT:
                self.led_order_suspect = True

    def waveform(self):
        """The last second of infrared pulsation in 1e-5 of its steady part, blood upward; empty without a finger."""
        recent = self._recent
        count = min(HZ, recent.held)
        return [round(-1e5 * recent.ir[i]) for i in range(recent.end - count, recent.end)]

    def _hindrance(self):
        """Why there can be no value, or an empty text."""
        sampling = self._sampling
        fault = sampling.fault()
        if fault == "silent":
            # Also the history: after a silence the samples are not what followed the earlier ones.
            self.finger = False
            self._clear()
        if fault:
            return "sensor_fault"
        red, ir = (sampling.ir, sampling.red) if self._swapped else (sampling.red, sampling.ir)
        if not self.finger:
            # Red without infrared is a dead diode, not an empty probe.
            return "sensor_fault" if red >= 2 * self._finger_min and ir < self._finger_min else "no_finger"
        if self._clipped:
            return "saturation"
        if sampling.frozen() or red < _RED_DEAD_RAW:
            return "sensor_fault"
        if self._contrary:
            return "no_finger"
        if self._slow_samples < _SETTLE_SECONDS * HZ:
            return "settling"
        return ""

    def _perfusion(self):
        """(perfusion index in %, whether the pulse has just stopped): peak to trough, middle one of 2.6 s pieces."""
        recent = self._recent
        swings = []
        for end in range(recent.end, recent.end - recent.held + _BEAT - 1, -_BEAT):
            piece = recent.ir[end - _BEAT : end]
            swings.append(max(piece) - min(piece))
        usual = sorted(swings)[len(swings) // 2]
        return 100 * usual, swings[0] < _VANISHED * usual

    def _find_ratio(self, period):
        recent = self._recent
        stride = max(2, min(4, round(period / 5))) if period else 4
        noises = [_NOISE_STEP * noise * noise for noise in (self._red_noise, self._ir_noise)]
        return self._ratio.find(recent.ir, recent.red, recent.end, min(recent.held, self._average), stride, *noises)
