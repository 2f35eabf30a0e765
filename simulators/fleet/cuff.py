"""A board's cuff as the gateway hears of it: when it begins, what it shows meanwhile, how long it takes.

The gateway says each second how long until the next measurement, and "now" until it has the result. A measurement
answers every "now" that is said while it runs and for a minute after. The board's own clock carries on from the last
word when the gateway falls silent.
"""

import random

from gateway.wire import CuffPhase

GAP_MS = 31_000
"""Between automatic cycles, for the arm."""
ANSWERED_MS = 60_000
INFLATING_MS = 7_000
TARGET_MMHG = 165.0


class Cuff:
    """Times are the board's own milliseconds."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._due_ms: int | None = None
        self._interval_ms = 0
        self._began_ms: int | None = None
        self._ends_ms = 0
        self._measured_ms: int | None = None
        self.trigger = "schedule"

    @property
    def busy(self) -> bool:
        return self._began_ms is not None

    def told(self, interval_s: int, next_s: int | None, now_ms: int) -> None:
        """What a live `annunciate` says."""
        self._interval_ms = interval_s * 1000
        answered = self.busy or (self._measured_ms is not None and now_ms - self._measured_ms < ANSWERED_MS)
        if next_s is None:
            self._due_ms = None
        elif next_s > 0 or not answered:
            self._due_ms = now_ms + next_s * 1000

    def start(self, trigger: str, now_ms: int) -> bool:
        """False if it is busy."""
        if self.busy:
            return False
        self.trigger, self._began_ms = trigger, now_ms
        self._ends_ms = now_ms + self._chance.randrange(20_000, 40_000)
        return True

    def passed(self, now_ms: int) -> int | None:
        """Begins what is due. Returns how long a measurement took, once, when it has ended."""
        rested = self._measured_ms is None or now_ms - self._measured_ms >= GAP_MS
        if not self.busy and self._due_ms is not None and now_ms >= self._due_ms and rested:
            self._due_ms = now_ms + self._interval_ms if self._interval_ms else None
            self.start("schedule", now_ms)
        return self._over(now_ms) if self.busy and now_ms >= self._ends_ms else None

    def abort(self, now_ms: int) -> int | None:
        """Lets the air out. Returns how long the measurement had taken, or None if there was none."""
        return self._over(now_ms) if self.busy else None

    def shown(self, now_ms: int) -> tuple[CuffPhase, float]:
        """Phase and pressure."""
        if self._began_ms is None:
            return "idle", 0.0
        passed_ms = now_ms - self._began_ms
        if passed_ms < INFLATING_MS:
            return "inflating", TARGET_MMHG * passed_ms / INFLATING_MS
        left = max(0.0, (self._ends_ms - now_ms) / (self._ends_ms - self._began_ms - INFLATING_MS))
        return "deflating", 40.0 + (TARGET_MMHG - 40.0) * left

    def _over(self, now_ms: int) -> int:
        assert self._began_ms is not None
        took_ms = now_ms - self._began_ms
        self._began_ms, self._measured_ms = None, now_ms
        return took_ms
