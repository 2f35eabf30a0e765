"""When the cuff measures by itself.

The gateway owns the schedule: each second it says how long until the next measurement, and the board starts when that
has passed by its own clock. The same clock carries on, interval by interval, when the gateway falls silent. What the
arm wants measured again (chair/arm.py) comes between, and any measurement that begins before then is that one.

The gateway learns of a measurement only from its result, so it says "now" until then. A measurement answers every
"now" that is said while it runs and for a minute after; only one that is still said then is a new order.
"""

from micropython import const

AUTOMATIC_GAP_MS = 31000  # between automatic cycles, for the arm; the cuff itself insists on 30 s
_REPEAT_MS = const(60000)


class Schedule:
    def __init__(self):
        self._due_ms = None
        self._interval_ms = 0
        self._measured_ms = None  # when the cuff was last busy
        self._answered = False  # a measurement has begun since the gateway last named a time to come
        self._again_ms = None

    def told(self, interval_s, next_s, now_ms):
        """What a live `annunciate` says; `next_s` is None without a measurement to come."""
        self._interval_ms = interval_s * 1000
        if next_s is None:
            self._due_ms = None
            self._answered = False
        elif next_s > 0:
            self._due_ms = now_ms + next_s * 1000
            self._answered = False
        elif not self._answered or now_ms - self._measured_ms >= _REPEAT_MS:
            self._due_ms = now_ms

    def again(self, at_ms):
        """Measure once more at that time, whatever the interval says; None takes it back."""
        self._again_ms = at_ms

    def busy(self, now_ms):
        """The cuff is working, whoever started it: a time that comes meanwhile is answered by this measurement."""
        self._measured_ms = now_ms
        self._answered = True
        self._again_ms = None
        if self._due_ms is not None and self._due_ms <= now_ms:
            self._due_ms = now_ms + self._interval_ms if self._interval_ms else None

    def due(self, now_ms):
        """The trigger of a measurement to start now, "schedule" or "repeat", or "". Once for each time that comes."""
        if self._measured_ms is not None and now_ms - self._measured_ms < AUTOMATIC_GAP_MS:
            return ""
        if self._due_ms is not None and now_ms >= self._due_ms:
            trigger = "schedule"
        elif self._again_ms is not None and now_ms >= self._again_ms:
            trigger = "repeat"
        else:
            return ""
        self.busy(now_ms)
        return trigger
