"""A value that holds or ramps, as a function of world time."""

from __future__ import annotations

from bisect import bisect_right


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
