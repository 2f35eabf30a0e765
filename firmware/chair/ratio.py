"""Ratio of ratios: how much red pulses for what infrared pulses, by robust regression.

The steps of red are regressed on those of infrared over a stride that fits the pulse: breathing moves the light as far
as a weak pulse does, but slowly. That is done for windows of 2 s, one begun every second, so that a shaken one can be
left out. What the bends (steps of steps, which hardly see breathing) of red show beyond noise and their share of
infrared is foreign: a second thing moves the light, a tapping finger or a lamp, and the ratio is a mixture that no
blood has.
"""

from array import array
from math import sqrt

from chair.pleth import HZ
from micropython import const

_CORRELATION_MIN = const(0.90)
_FOREIGN_MAX = const(0.045)
_BEND = const(4)
_BEND_NOISE = const(3)  # times a step's
_NOISE_ALLOWED = const(2.0)  # times what was measured of it
_ENERGY_KNOCK = const(4.0)  # a window this many times the median was moved, whatever its correlation;
_ENERGY_LARGE = const(
    1.6
)  # this many, when its R is also far from the others': blood that desaturates does not pulse more
_RATIO_FAR = const(0.15)
_LATELY = const(4)  # of the newest windows two must be good: 4 s without a pulse are no reading
_ENERGY_QUIET = const(0.2)  # a window this far below the median weighs too little to accuse it of motion


class Ratio:
    """Of at most `seconds` of signal."""

    def __init__(self, seconds):
        # For each second, newest first: red^2, ir^2, red x ir, and of the bends what is foreign and what is explained.
        self._sums = [array("f", bytes(4 * seconds)) for _ in range(5)]
        self.mixed = 0.0  # the last R, be it of blood or not

    def find(self, ir, red, end, held, stride, red_noise, ir_noise):
        """(R or None when shaken, agreement 0..1 of the colours) of the `held` samples before index `end`.

        The noises are the mean squares that one step of either colour has by chance.
        """
        held = self._add(ir, red, end, held, stride, red_noise * HZ, ir_noise * HZ) - 1
        windows = [[sums[k] + sums[k + 1] for sums in self._sums] for k in range(held)]
        energy = sorted([w[1] for w in windows])[held // 2]
        usual = sorted([w[2] / w[1] if w[1] else 0.0 for w in windows])[held // 2]
        knocked = [_knocked(w, energy, usual) for w in windows]
        good = good_lately = 0
        rr = ii = ri = foreign = share = 0.0
        for age in range(held):
            w = windows[age]
            # After a knock the filters swing back, and in the next window that looks like a pulse.
            if knocked[age] or (age + 1 < held and knocked[age + 1]):
                continue
            if w[2] < _CORRELATION_MIN * sqrt(w[0] * w[1]) and w[1] > _ENERGY_QUIET * energy:
                continue
            good += 1
            good_lately += age < _LATELY
            weight = held + 2 - age  # the newest counts most: a fall of saturation must not wait for the mean
            rr += weight * w[0]
            ii += weight * w[1]
            ri += weight * w[2]
            foreign += weight * w[3]
            share += weight * w[4]
        self.mixed = ri / ii if good else usual
        if not good or ri <= 0:
            return None, 0.0
        agreement = ri / sqrt(rr * ii)
        sure = agreement >= _CORRELATION_MIN and good_lately > 1 and good >= held // 2
        if foreign > _FOREIGN_MAX * _FOREIGN_MAX * share:
            sure = False
        return (ri / ii if sure else None), agreement * good / held

    def _add(self, ir, red, end, held, stride, red_noise, ir_noise):
        """Fill the sums; returns how many seconds."""
        rrs, iis, ris, foreigns, shares = self._sums
        count = min((held - 2 * _BEND) // HZ, len(rrs))
        for k in range(count):
            rr = ii = ri = 0.0
            bent_rr = bent_ii = bent_ri = 1e-15
            for i in range(end - HZ, end):
                r = red[i] - red[i - stride]
                x = ir[i] - ir[i - stride]
                rr += r * r
                ii += x * x
                ri += r * x
                r = red[i] - 2.0 * red[i - _BEND] + red[i - 2 * _BEND]
                x = ir[i] - 2.0 * ir[i - _BEND] + ir[i - 2 * _BEND]
                bent_rr += r * r
                bent_ii += x * x
                bent_ri += r * x
            end -= HZ
            # By its own ratio: a saturation that falls from second to second is not foreign.
            ratio = bent_ri / bent_ii
            shares[k] = ratio * bent_ri
            foreigns[k] = (
                bent_rr - ratio * bent_ri - _BEND_NOISE * _NOISE_ALLOWED * (red_noise + ratio * ratio * ir_noise)
            )
            rrs[k] = rr
            iis[k] = max(ii - ir_noise, 0.5 * ii)  # infrared's noise would make the ratio small
            ris[k] = ri
        return count


def _knocked(window, energy, ratio):
    """Whether a window of sums moved more than the heart moves it, beside the usual energy and ratio."""
    if window[1] <= _ENERGY_LARGE * energy:
        return False
    return window[1] > _ENERGY_KNOCK * energy or abs(window[2] / window[1] - ratio) > _RATIO_FAR * ratio
