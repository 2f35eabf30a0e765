"""What cuts the cuff off: samples its pressure and names the reason to open. It moves nothing; chair/cuff.py does.

    always       overpressure       over 290 mmHg: 300 less one late tick of the pump and the sensor's error
    measuring    sensor_silent, sensor_range, sensor_frozen
                 too_long           above 15 mmHg for 150 s: 180 less what the bleed valve alone needs to empty it
    inflating    supervisor_late    the pump adds up to 30 mmHg/s while nobody looks
                 no_rise            no cuff on the tube, no pump, or a way out that stays open
                 leak               it rose, and stops rising below the target
                 kinked             it fills as no cuff can: the pump works on the tube alone
    deflating    leak
                 pressure_lost      fallen as through a wide opening: tube or cuff off, or kinked
                 bleed_blocked
                 pressure_rises     the pump runs on, or somebody leans on the cuff
    dumping      dump_valve_stuck   only the bleed valve has emptied it
                 kinked             the tube alone was emptied: the arm may still be squeezed

Judged by the larger of the sensor's own pressure and that over today's zero: an offset taken from a cuff that was not
empty must not hide any.
"""

import time
from math import sqrt

from micropython import const

_CUT_OFF_MMHG = const(290)
HELD_MMHG = const(15)
_HELD_MS_MAX = const(150_000)
_SENSOR_MMHG = const((-13, 370))  # what an MPX5050 can say; below it the line is broken
_SILENT_MS_MAX = const(150)
_RETRY_MS = const(250)  # a stuck bus holds each try for 50 ms: at every tick nothing else would run
_FROZEN_MS = {"inflating": 500, "deflating": 1500}  # moving air never reads the same for so long
_FROZEN_MS_MAX = const(1500)
_LATE_MS_MAX = const(500)

_RISE_MMHG = const(5)
_RISE_MS_MAX = const(5000)
_STROKE_MS_MAX = const(40_000)
_CUFF_OFF_MMHG = const(20)  # below it there is no cuff on the tube, above it the cuff leaks
_KINKED_MMHG_PER_S = const(150)
_KINKED_MS_MIN = const(100)

FLOOR_MMHG = const(25)
_LEAK = const(10_000)  # 1/1000 mmHg/s, as the bleed's rate
_STUCK = const(1000)
_WRONG_RATE_MS_MAX = const(2000)
_MARK_MS = const(500)
_LOST_MMHG = const(20)  # fallen within the last one or two marks; while wrong for so long, in all
_LOST_IN_ALL_MMHG = const(50)

# Air leaves an orifice with the root of the pressure, so the time to a quarter of it, over the root, is the cuff's
# size over the valves': 75 to 200 ms with both valves, 430 and more with the bleed valve alone, under 10 for a tube.
_EXHAUST_MMHG_MIN = const(20)
_EXHAUST_MS_MIN = const(15)
_EXHAUST_MS_MAX = const(300)
_PROBE_MMHG = const(1.0)


class Supervisor:
    """`look` once a tick; `sensor` offers read_mmhg(), `bleed` its rate and opening while deflating."""

    def __init__(self, sensor, bleed, now_ms):
        self._sensor = sensor
        self._bleed = bleed
        self._now_ms = now_ms
        self._tried_ms = now_ms
        self._read_ms = now_ms  # of the last good sample
        self._changed_ms = now_ms  # since when the sensor says the same
        self._problem = "sensor_silent"
        self._held_ms = now_ms
        self._watches = {"inflating": self._rise, "deflating": self._fall}
        self.raw_mmhg = None  # what the sensor says; None without a reading
        self.zero_mmhg = 0.0
        self.mmhg = 0.0  # over the zero; the last known without a reading
        self.held = False  # above 15 mmHg
        self.enter("idle", now_ms)

    def enter(self, state, now_ms):
        """The cuff begins a state."""
        self._state = state
        self._entered_ms = self._right_ms = self._changed_ms = self._mark_ms = now_ms
        self._from_mmhg = self._mark_mmhg = self._before_mmhg = self.mmhg

    def set_zero(self, mmhg):
        """What the sensor says of an empty cuff today."""
        self.zero_mmhg = mmhg
        self.mmhg = self.raw_mmhg - mmhg

    def held_ms(self):
        """For how long the cuff has been above 15 mmHg."""
        return time.ticks_diff(self._now_ms, self._held_ms) if self.held else 0

    def silent_ms(self, now_ms):
        """How old the last reading is."""
        return time.ticks_diff(now_ms, self._read_ms)

    def problem(self):
        """What is wrong with the sensor, or ""."""
        if self.raw_mmhg is None:
            return self._problem
        return "sensor_frozen" if self._since(self._changed_ms) > _FROZEN_MS_MAX else ""

    def look(self, now_ms, measuring):
        """Sample, judge: why to open the cuff, or ""."""
        late_ms = time.ticks_diff(now_ms, self._now_ms)
        self._now_ms = now_ms
        if measuring or self.raw_mmhg is not None or self._since(self._tried_ms) >= _RETRY_MS:
            self._sample(now_ms)
        if self.raw_mmhg is not None and (self.raw_mmhg > _CUT_OFF_MMHG or self.mmhg > _CUT_OFF_MMHG):
            return "overpressure"
        if not measuring:
            return ""
        if self._since(self._read_ms) > _SILENT_MS_MAX:
            return self._problem
        if late_ms > _LATE_MS_MAX and self._state == "inflating":
            return "supervisor_late"
        if self.held_ms() > _HELD_MS_MAX:
            return "too_long"
        if self._state not in self._watches or self.raw_mmhg is None:
            return ""
        if self._since(self._changed_ms) > _FROZEN_MS[self._state]:
            return "sensor_frozen"
        return self._watches[self._state]()

    def _since(self, ticks):
        return time.ticks_diff(self._now_ms, ticks)

    def _sample(self, now_ms):
        self._tried_ms = now_ms
        try:
            mmhg = self._sensor.read_mmhg()
        except OSError:
            self.raw_mmhg = None
            self._problem = "sensor_silent"
            return
        if not _SENSOR_MMHG[0] <= mmhg <= _SENSOR_MMHG[1]:
            self.raw_mmhg = None
            self._problem = "sensor_range"
            return
        if mmhg != self.raw_mmhg:
            self._changed_ms = now_ms
        self.raw_mmhg = mmhg
        self._read_ms = now_ms
        self.mmhg = mmhg - self.zero_mmhg
        if mmhg <= HELD_MMHG and self.mmhg <= HELD_MMHG:
            self.held = False
        elif not self.held:
            self.held = True
            self._held_ms = now_ms

    def _rise(self):
        if self.mmhg >= self._mark_mmhg + _RISE_MMHG:
            stroke_ms = max(_KINKED_MS_MIN, self._since(self._entered_ms))
            if (self.mmhg - self._from_mmhg) * 1000 > _KINKED_MMHG_PER_S * stroke_ms:
                return "kinked"
            self._mark_mmhg = self.mmhg
            self._mark_ms = self._now_ms
        elif self._since(self._mark_ms) > _RISE_MS_MAX or self._since(self._entered_ms) > _STROKE_MS_MAX:
            return "no_rise" if self._mark_mmhg < _CUFF_OFF_MMHG else "leak"
        return ""

    def _fall(self):
        if self._since(self._mark_ms) >= _MARK_MS:
            self._before_mmhg = self._mark_mmhg
            self._mark_mmhg = self.mmhg
            self._mark_ms = self._now_ms
        rate = self._bleed.rate
        too_fast = rate > _LEAK
        if self.mmhg < FLOOR_MMHG:
            if self._before_mmhg - self.mmhg > _LOST_MMHG:
                return "pressure_lost"
            return "leak" if too_fast else ""
        rising = rate < -_STUCK
        if not (too_fast or rising or (rate < _STUCK and self._bleed.opening > 0.99)):
            self._right_ms = self._now_ms
            self._from_mmhg = self.mmhg
        if self._since(self._right_ms) <= _WRONG_RATE_MS_MAX:
            return ""
        if too_fast:
            return "pressure_lost" if self._from_mmhg - self.mmhg > _LOST_IN_ALL_MMHG else "leak"
        return "pressure_rises" if rising else "bleed_blocked"

    def exhausted(self):
        """While dumping: "dump_valve_stuck", "kinked" or "right", told once, when the pressure has fallen to a quarter;
        "" before that, and when the time it took means nothing.
        """
        from_mmhg = self._from_mmhg
        if from_mmhg < _EXHAUST_MMHG_MIN or self.problem():
            self._from_mmhg = 0.0
            return ""
        if self.mmhg > from_mmhg / 4:
            return ""
        self._from_mmhg = 0.0
        taken_ms = self._since(self._entered_ms) / sqrt(from_mmhg)
        if taken_ms > _EXHAUST_MS_MAX:
            return "dump_valve_stuck"
        return "kinked" if taken_ms < _EXHAUST_MS_MIN else "right"

    def mark(self):
        """Before a change at the valves: remember the pressure, for `risen`."""
        self._mark_mmhg = self.mmhg

    def risen(self):
        """Whether the pressure has gone up since `mark`."""
        return self.mmhg > self._mark_mmhg + _PROBE_MMHG
