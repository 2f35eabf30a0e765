"""One simulated patient: the true values, how they change, and the clock of the heart.

Every quantity is a piecewise-linear function of world time in seconds, kept for the whole run, because chips
look at slightly different moments (a FIFO fills in arrears). `set` may be called from any thread.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable


class Course:
    """A value that holds or ramps: a list of (start_s, value, slope per second, integral up to start)."""

    def __init__(self, value: float) -> None:
        self._starts: list[float] = [0.0]
        self._pieces: list[tuple[float, float, float]] = [(value, 0.0, 0.0)]

    def at(self, t: float) -> float:
        i = max(0, bisect_right(self._starts, t) - 1)
        value, slope, _ = self._pieces[i]
        return value + slope * (t - self._starts[i])

    def integral(self, t: float) -> float:
        """Value times seconds from 0 to t: for a rate, the number of cycles."""
        i = max(0, bisect_right(self._starts, t) - 1)
        value, slope, area = self._pieces[i]
        dt = t - self._starts[i]
        return area + (value + 0.5 * slope * dt) * dt

    def ramp(self, t: float, target: float, over_s: float) -> None:
        """From time t go to `target` within `over_s`, then hold. Drops a ramp that has not ended yet."""
        here, area = self.at(t), self.integral(t)
        while self._starts and self._starts[-1] >= t:
            self._starts.pop()
            self._pieces.pop()
        if over_s > 0:
            self._append(t, here, (target - here) / over_s, area)
            self._append(t + over_s, target, 0.0, area + 0.5 * (here + target) * over_s)
        else:
            self._append(t, target, 0.0, area)

    def _append(self, start: float, value: float, slope: float, area: float) -> None:
        self._starts.append(start)
        self._pieces.append((value, slope, area))


class Patient:
    """True values of one patient, with units in the names. `clock` gives the world's time in seconds."""

    def __init__(
        self,
        *,
        spo2_pct: float = 98.0,
        pulse_bpm: float = 70.0,
        sys_mmhg: float = 120.0,
        dia_mmhg: float = 80.0,
        resp_bpm: float = 14.0,
        perfusion_pct: float = 2.0,
        finger_on: bool = True,
    ) -> None:
        self.clock: Callable[[], float] = lambda: 0.0
        self._lock = threading.Lock()
        self._courses = {
            "spo2_pct": Course(spo2_pct),
            "pulse_bpm": Course(pulse_bpm),
            "sys_mmhg": Course(sys_mmhg),
            "dia_mmhg": Course(dia_mmhg),
            "resp_bpm": Course(resp_bpm),
            "perfusion_pct": Course(perfusion_pct),
            "finger_on": Course(float(finger_on)),
        }

    def set(self, *, over_s: float = 0.0, **values: float) -> None:
        """Change true values from now on, at once or as a ramp; raises KeyError for an unknown name."""
        with self._lock:
            now = self.clock()
            for name, value in values.items():
                self._courses[name].ramp(now, float(value), 0.0 if name == "finger_on" else over_s)

    def at(self, name: str, t: float) -> float:
        """The true value of a quantity at world time t."""
        with self._lock:
            return self._courses[name].at(t)

    def finger_on(self, t: float) -> bool:
        return self.at("finger_on", t) > 0.5

    def beats(self, t: float) -> float:
        """Heart cycles since the start; the fraction is the phase, 0 at the onset of a beat."""
        with self._lock:
            return self._courses["pulse_bpm"].integral(t) / 60.0

    def breaths(self, t: float) -> float:
        """Breathing cycles since the start."""
        with self._lock:
            return self._courses["resp_bpm"].integral(t) / 60.0
