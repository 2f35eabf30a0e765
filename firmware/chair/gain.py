"""LED current: enough light for the converter, not too much, and the same of both colours.

    gain = LedGain()
    gain.take(reds, irs, count)            # raw samples
    if gain.step(finger, now_ms):          # True when the currents are to change
        chip.set_leds(gain.red, gain.ir)   # register steps of 0.2 mA

Each colour is held between 40 and 80 % of the converter's range: more light means less noise, and what pulse and
movement add still fits above. Both are held equal, so that the ambient light that both contain cancels out of their
ratio. Light that does not follow the current is not the LEDs': `ambient` is True when it is over a third.

Changes are looked for once a second and come ever more seldom, 32 s apart at last, until the finger changes; a clipped
converter does not wait.
"""

import time

from micropython import const

START = const(36)  # 7.2 mA: tissue is told from air by what comes back at this current
_MAX = const(200)  # 40 mA
_MIN = const(3)
_LOW_RAW = const(100_000)
_HIGH_RAW = const(210_000)
_AIM_RAW = const(150_000)
_OTHER_AIM_RAW = const(115_000)  # to see whether the light follows
_CLIPPED_RAW = const(262_143)
_LOOK_MS = const(1000)
_WAIT_MAX = const(32)  # looks
_AMBIENT_WAIT = const(4)
_AMBIENT_SHARE = const(0.35)
_UNEQUAL = const(8)  # one part of so many


class LedGain:
    def __init__(self):
        self.red = self.ir = START
        self.ambient = False
        self._finger = False
        self._looked_ms = None
        self._patience = 1
        self._wait = 0
        self._before = None  # levels and currents before the last change
        self._doubt = False  # it was clipped: what light that was is not known
        self._forget()

    def _forget(self):
        self._red_sum = self._ir_sum = self._count = 0
        self._clipped = False

    def take(self, reds, irs, count):
        for i in range(count):
            self._red_sum += reds[i]
            self._ir_sum += irs[i]
            if reds[i] >= _CLIPPED_RAW or irs[i] >= _CLIPPED_RAW:
                self._clipped = True
        self._count += count

    def step(self, finger, now_ms):
        """Whether `red` and `ir` have changed."""
        if finger != self._finger or self._looked_ms is None:
            self._finger = finger
            self._looked_ms = now_ms
            self._patience = 1
            self._wait = 0
            self._before = None
            self.ambient = False
            self._forget()
        if self._count == 0 or time.ticks_diff(now_ms, self._looked_ms) < _LOOK_MS:
            return False
        self._looked_ms = now_ms
        levels = self._red_sum // self._count, self._ir_sum // self._count
        clipped = self._clipped
        self._forget()
        currents = self.red, self.ir
        if not finger:
            self.red = self.ir = START
            return currents != (START, START)
        if self._before:
            was, current = self._before
            shares = [_foreign_share(was[i], current[i], levels[i], currents[i]) for i in range(2)]
            told = [share for share in shares if share is not None]
            if told:  # a small change tells nothing: what was found before stands
                self.ambient = max(told) > _AMBIENT_SHARE
            self._before = None
        self._wait -= 1
        if not clipped and not self._doubt and self._wait > (0 if not self.ambient else self._patience - _AMBIENT_WAIT):
            return False
        self._fit(levels, clipped)
        if (self.red, self.ir) == currents:
            # As dark as the LEDs can be, and still too bright.
            self.ambient = self.ambient or (max(levels) > _HIGH_RAW and min(currents) == _MIN)
            self._doubt = False
            return False
        self._before = None if clipped else (levels, currents)
        self._doubt = clipped
        if not clipped:
            self._patience = min(2 * self._patience, _WAIT_MAX)
        self._wait = self._patience
        return True

    def _fit(self, levels, clipped):
        red, ir = levels
        if clipped:
            self.red = max(_MIN, self.red // 2)
            self.ir = max(_MIN, self.ir // 2)
            return
        unsure = self.ambient or self._doubt
        if unsure or min(levels) < _LOW_RAW or max(levels) > _HIGH_RAW or abs(red - ir) > max(levels) // _UNEQUAL:
            aim = _OTHER_AIM_RAW if unsure and max(levels) > _OTHER_AIM_RAW + 10_000 else _AIM_RAW
            self.red = max(_MIN, min(_MAX, 4 * self.red, self.red * aim // max(red, 1)))
            self.ir = max(_MIN, min(_MAX, 4 * self.ir, self.ir * aim // max(ir, 1)))


def _foreign_share(level_before, current_before, level, current):
    """How much of the light is not the LEDs', from level = current x tissue + ambient, twice; None if unknown."""
    factor = current / current_before
    if 0.8 < factor < 1.25:
        return None
    return (level - factor * level_before) / (1 - factor) / max(level, 1)
