"""Blood pressure out of the oscillations that the artery makes in the cuff while it deflates. Pure.

Terms. A *pulse* is one heart beat seen in the cuff (chair/pulses.py). The *envelope* is the amplitude of the pulses
over their pressure. MAP is the pressure at its maximum; systolic lies above, diastolic below, where it has fallen to
a *ratio* of the maximum. The ratios belong to cuff and board and are calibrated at the bench; published ones run
0.44-0.74 and 0.51-0.85.

No two ratios fit everybody: they fall with the pulse pressure and with the stiffness of the artery (C. F. Babbs,
BioMedical Engineering OnLine 11:56, 2012; Chandrasekhar et al., Frontiers in Physiology 10:1415, 2019). So the ratios
are those at a pulse pressure of 40 mmHg, and what is fitted to the envelope is Babbs's curve: the artery's volume at
systolic less that at diastolic pressure, where the volume's slope falls off exponentially to both sides of zero
transmural pressure. The two ratios fix how fast; the fit finds size, systolic and diastolic, and moves the
stiffness a little where the envelope asks for it. At its systolic and diastolic pressure that curve has, at
any pulse pressure, the ratios that belong to it.

    pulses = Pulses()
    pulses.feed(ticks_ms, pressure_mmhg)    # every sample of a deflation, cheap
    pulses.estimate(ratios)                 # {"sys_mmhg": ...} or {"reason": ...}

Reasons: too_few_pulses (under 8), pulse_out_of_range (outside 40-240 /min), motion (amplitudes that no one envelope
fits), not_bracketed (the systolic pressure lies above the highest pulse: inflate further), low_not_reached
(the diastolic lies below the lowest), implausible (values in an order or distance that no artery has).
"""

from math import exp, log, sqrt

from chair import pulses
from micropython import const

_ENVELOPE_MAX = const(24)
RATIOS = (0.50, 0.75)

_RATIOS_AT_MMHG = const(40.0)
_PULSES_MIN = const(8)
_HALF_PULSES_MIN = const(5)  # to see that the envelope's maximum lies outside
_PULSE_BPM_MIN = const(40)
_PULSE_BPM_MAX = const(240)
_STRONG = const(0.25)  # of the maximum: pulses that count and tell the rate
_PEAK_MMHG_MIN = const(0.15)  # of the largest: less is the converter and the valve
_SPACING = const(0.35)  # how far a beat may stand from the median spacing
_OPEN_HIGH = const(0.8)  # of the maximum at the highest pressure: no systolic ratio is so high
_OPEN_LOW = const(0.95)
_JUMP = const(0.3)  # of the maximum, from one point of the envelope to the next
_IRREGULAR_MAX = const(0.25)  # share of jumps and of beats out of time
_NOISE_MMHG_MAX = const(0.3)  # as large noise can be, which is as large at both ends of the fall, give or take
_NOISE_EVEN = const(0.3)  # of its maximum; it must not pass for half a bell and inflate the cuff again
_ROUNDS_MAX = const(8)
_STEP_MMHG_MAX = const(20.0)
_SETTLED_MMHG = const(0.2)
_SCATTER_MIN = const(0.02)  # of the maximum: closer than that no envelope follows the curve
_STIFFNESS_SD = const(0.3)  # of its logarithm, from person to person
_STIFFNESS_MAX = const(0.8)
_REJECTED = const(0.2)  # of the maximum away from the curve: no pulse
_REJECTED_MAX = const(0.40)  # share of those, and of beats out of time, before the rest is not believed either
_SCATTER_MAX = const(0.16)
_ERROR_MMHG_MAX = const(3.0)  # standard error of systolic or diastolic
_WORTHLESS_MMHG = const(4.0)  # the error at which the quality is 0
_LOWEST_MMHG = const(40)
_PLAUSIBLE_MMHG = const((30, 280))
_PULSE_PRESSURE_MMHG_MIN = const(10)


class Pulses(pulses.Pulses):
    """The pulses of one deflation, and what they say."""

    def estimate(self, ratios=RATIOS):
        """The values, or the reason why there are none; see `estimate` below."""
        return estimate(self, ratios)


def estimate(found, ratios=RATIOS):
    """Blood pressure from pulses (mmhg, amplitude_mmhg, spacing_ms) in the order of deflation.

    Returns sys_mmhg, dia_mmhg, map_mmhg, pulse_bpm, sqi_pct (0-100, of the errors that the fit expects), envelope (at
    most 24 [mmhg, amplitude_mmhg]) and `beyond`, the fitted envelope at the lowest pressure as a share of its maximum;
    or {"reason": ...}. The envelope comes with a reason too, as soon as there is one.
    """
    if len(found) < _PULSES_MIN:
        return {"reason": "too_few_pulses"}
    points = thin(found)
    top, peak = _top(points)
    spacings = [p[2] for p in found if p[1] >= _STRONG * peak]
    if len(spacings) < _HALF_PULSES_MIN or peak < _PEAK_MMHG_MIN:
        return {"reason": "too_few_pulses"}
    high = _median([p[1] for p in points[:3]]) / peak
    low = _median([p[1] for p in points[-3:]]) / peak
    result = {"envelope": [[round(p[0], 1), round(p[1], 3)] for p in points], "beyond": low}
    irregular = 1 - len(_regular(spacings)) / len(spacings)
    if max(high, low) > _OPEN_HIGH and peak < _NOISE_MMHG_MAX and min(high, low) > _NOISE_EVEN:
        return {"reason": "too_few_pulses"}
    if irregular > _REJECTED_MAX:
        result["reason"] = "motion"
    elif high > _OPEN_HIGH and high > low:
        # Of half a bell no curve could tell where its other side stands.
        result["reason"] = _not_bracketed(points, peak, irregular)
    elif low > _OPEN_LOW:
        result["reason"] = _low_not_reached(points)
    elif len(spacings) < _PULSES_MIN:
        return {"reason": "too_few_pulses"}
    else:
        curve = _Curve(ratios)
        curve.fit(points, top, peak)
        result["beyond"] = curve.beyond
        beats = _regular([p[2] for p in found if _STRONG <= p[1] / curve.peak <= 1 + _REJECTED])
        pulse_bpm = 60000 * len(beats) / max(1, sum(beats))
        reason = _doubt(curve, points, irregular, pulse_bpm)
        if reason:
            result["reason"] = reason
            return result
        result["sys_mmhg"] = round(curve.sys_mmhg, 1)
        result["dia_mmhg"] = round(curve.dia_mmhg, 1)
        result["map_mmhg"] = round(curve.map_mmhg, 1)
        result["pulse_bpm"] = round(pulse_bpm, 1)
        result["sqi_pct"] = round(100 * (1 - curve.error_mmhg / _WORTHLESS_MMHG))
    return result


def _doubt(curve, points, irregular, pulse_bpm):
    """Why a curve is no measurement, or ""."""
    far = sum([abs(amplitude - curve.at(mmhg, amplitude)) > _REJECTED * curve.peak for mmhg, amplitude in points])
    if irregular + far / len(points) > _REJECTED_MAX or curve.scatter > _SCATTER_MAX:
        return "motion"
    if not _PULSE_BPM_MIN <= round(pulse_bpm) <= _PULSE_BPM_MAX:
        return "pulse_out_of_range"
    if curve.sys_mmhg > points[0][0]:
        return _not_bracketed(points, curve.peak, irregular)
    if curve.dia_mmhg < points[-1][0]:
        return _low_not_reached(points)
    low, high = _PLAUSIBLE_MMHG
    if curve.dia_mmhg < low or curve.sys_mmhg > high or curve.sys_mmhg - curve.dia_mmhg < _PULSE_PRESSURE_MMHG_MIN:
        return "implausible"
    return "motion" if curve.error_mmhg > _ERROR_MMHG_MAX else ""


def _not_bracketed(points, peak, irregular):
    """The reason, unless it may be movement: on it the cuff inflates further, and in the end calls it above range."""
    jumps = sum([abs(points[i][1] - points[i - 1][1]) > _JUMP * peak for i in range(1, len(points))])
    return "not_bracketed" if irregular + jumps / len(points) <= _IRREGULAR_MAX else "motion"


def _low_not_reached(points):
    """The reason, unless the cuff was so low that no artery makes it swing."""
    return "low_not_reached" if points[-1][0] > _LOWEST_MMHG else "motion"


class _Curve:
    """Babbs's envelope, size * (volume(systolic - mmhg - amplitude) - volume(diastolic - mmhg)), fitted to points.

    At its foot a pulse meets the cuff's pressure, at its peak that and itself.
    """

    def __init__(self, ratios):
        self._slopes = _slopes(ratios)

    def fit(self, points, top, peak):
        """Gauss-Newton with weights that forget what lies far off."""
        self.size = peak / 1.5
        self.sys_mmhg = _half(points, range(top, -1, -1), 0.55 * peak)
        self.dia_mmhg = _half(points, range(top, len(points)), 0.75 * peak)
        self._stiffen(0.0)
        self.scatter = 0.1
        for _ in range(_ROUNDS_MAX):
            if self._improve(points, peak) < _SETTLED_MMHG:
                break
        share = self._stretch / (self._collapse + self._stretch)  # of the pulse pressure, diastolic to maximum
        self.map_mmhg = self.dia_mmhg + share * (self.sys_mmhg - peak - self.dia_mmhg)
        self.peak = max(0.01, self.at(self.map_mmhg, peak))
        self.beyond = self.at(*points[-1]) / self.peak

    def at(self, mmhg, amplitude):
        """The curve's amplitude for a pulse of about this one."""
        return self.size * (self._volume(self.sys_mmhg - mmhg - amplitude)[0] - self._volume(self.dia_mmhg - mmhg)[0])

    def _stiffen(self, stiffness):
        self.stiffness = stiffness
        self._collapse = self._slopes[0] * exp(stiffness)
        self._stretch = self._slopes[1] * exp(stiffness)

    def _volume(self, mmhg):
        """(volume, its slope) at a transmural pressure, in units of the volume at none."""
        if mmhg < 0:
            volume = exp(max(-50.0, self._collapse * mmhg))
            return volume, self._collapse * volume
        fallen = exp(max(-50.0, -self._stretch * mmhg))
        return 1 + self._collapse / self._stretch * (1 - fallen), self._collapse * fallen

    def _improve(self, points, peak):
        """One round; returns how far systolic and diastolic moved."""
        # Normal equations for the logarithms of size and stiffness and the two pressures, all in units of the size.
        # Written out: a loop over the columns would cost the board twice the time and the garbage.
        s00 = s01 = s02 = s03 = s11 = s12 = s13 = s22 = s23 = s33 = r0 = r1 = r2 = r3 = 0.0
        size = self.size
        noise = self.scatter * peak / size
        far = 2.5 * noise
        aways = []
        for mmhg, amplitude in points:
            over = self.sys_mmhg - mmhg - amplitude
            under = self.dia_mmhg - mmhg
            high, by_sys = self._volume(over)
            low, by_dia = self._volume(under)
            swing = high - low
            by_stiffness = over * by_sys - under * by_dia
            away = amplitude / size - swing
            aways.append(abs(away))
            weight = away / far
            weight = 1 / (1 + weight * weight)
            weight *= weight
            part = weight * swing
            s00 += part * swing
            s01 += part * by_sys
            s02 -= part * by_dia
            s03 += part * by_stiffness
            r0 += part * away
            part = weight * by_sys
            s11 += part * by_sys
            s12 -= part * by_dia
            s13 += part * by_stiffness
            r1 += part * away
            part = weight * by_dia
            s22 += part * by_dia
            s23 -= part * by_stiffness
            r2 -= part * away
            part = weight * by_stiffness
            s33 += part * by_stiffness
            r3 += part * away
        self.scatter = max(_SCATTER_MIN, 1.5 * _median(aways) * size / peak)
        prior = 3 * (noise / _STIFFNESS_SD) ** 2  # thrice, for breathing makes neighbours err together
        # The last two columns become the variances of systolic and diastolic.
        rows = [
            [s00, s01, s02, s03, r0, 0.0, 0.0],
            [s01, s11, s12, s13, r1, 1.0, 0.0],
            [s02, s12, s22, s23, r2, 0.0, 1.0],
            [s03, s13, s23, s33 + prior, r3 - prior * self.stiffness, 0.0, 0.0],
        ]
        _solve(rows)
        self.error_mmhg = self.scatter * peak / size * sqrt(max(rows[1][5], rows[2][6], 0.0))
        up = _within(rows[1][4], _STEP_MMHG_MAX)
        down = _within(rows[2][4], _STEP_MMHG_MAX)
        self.size = size * (1 + _within(rows[0][4], 0.7))
        self.sys_mmhg += up
        self.dia_mmhg += down
        self._stiffen(_within(self.stiffness + _within(rows[3][4], 0.3), _STIFFNESS_MAX))
        if self.sys_mmhg - self.dia_mmhg < 8:
            middle = (self.sys_mmhg + self.dia_mmhg) / 2
            self.sys_mmhg, self.dia_mmhg = middle + 4, middle - 4
        return max(abs(up), abs(down))


def _slopes(ratios):
    """(collapse, stretch) per mmHg of the curve that has these ratios at a pulse pressure of 40 mmHg.

    With `share` the distance of the maximum from diastolic and `rest` what the pulse pressure leaves of the exponential
    there, the curve has share * (1 - rest ** (1 / share)) / (1 - rest) at systolic, and the same with 1 - share at
    diastolic pressure. Ratios whose sum is 1 or less have no such curve; they get the nearest.
    """
    systolic, diastolic = ratios
    share, rest = 0.4, 0.4
    for _ in range(40):
        above, below = rest ** (1 / share), rest ** (1 / (1 - share))
        rest = 1 - (1 - share * above - (1 - share) * below) / (systolic + diastolic)
        rest = min(0.9, max(0.02, rest))
        share = min(0.8, max(0.2, systolic * (1 - rest) / (1 - above)))
    both = -log(rest) / _RATIOS_AT_MMHG
    return both / share, both / (1 - share)


def _half(points, walk, level):
    """Pressure where the points, walked away from their maximum, fall to a level; the last one if they never do."""
    for i in walk:
        if points[i][1] <= level:
            break
    return points[i][0]


def _solve(rows):
    """Gauss-Jordan, in place: the columns beyond the square become the solutions."""
    n = len(rows)
    for i in range(n):
        best = max(range(i, n), key=lambda j: abs(rows[j][i]))
        rows[i], rows[best] = rows[best], rows[i]
        pivot = rows[i][i] or 1e-9
        rows[i] = [value / pivot for value in rows[i]]
        for j in range(n):
            if j != i and rows[j][i]:
                share = rows[j][i]
                rows[j] = [value - share * pivoted for value, pivoted in zip(rows[j], rows[i])]


def _top(points):
    """Index and amplitude of the largest median of three neighbours."""
    largest = 0.0
    for i in range(1, len(points) - 1):
        amplitude = _median([points[i - 1][1], points[i][1], points[i + 1][1]])
        if amplitude >= largest:
            largest, top = amplitude, i
    return top, largest


def thin(found):
    """At most 24 points (mmhg, amplitude): the median amplitude of as many neighbours as it takes, highest first."""
    n = len(found)
    m = min(n, _ENVELOPE_MAX)
    points = []
    for k in range(m):
        group = [found[i] for i in range(k * n // m, (k + 1) * n // m)]
        mmhg = sum([p[0] for p in group]) / len(group)
        points.append((mmhg, _median([p[1] for p in group])))
    return points


def _median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _regular(spacings):
    """Those that come in time."""
    usual = _median(spacings) if spacings else 0
    return [spacing for spacing in spacings if abs(spacing - usual) <= _SPACING * usual]


def _within(value, most):
    return min(most, max(-most, value))
