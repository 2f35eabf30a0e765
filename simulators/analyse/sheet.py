"""A sheet of lanes over one another, written by hand as SVG: axes, curves, bands, words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from simulators.analyse.recording import Samples

WIDTH, LEFT, RIGHT = 1000.0, 64.0, 20.0
INK, FAINT, GRID = "#22303c", "#8b98a5", "#eef1f4"
RED, INFRARED, SPO2, PULSE, BREATH, CUFF = "#c8402f", "#6a4c93", "#1f5fae", "#1b7f4d", "#9aa5b1", "#7a3e9d"
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)


class Sheet:
    """The growing picture. `lane` opens the next one; points of a curve are in its units."""

    def __init__(self, title: str, beside: str) -> None:
        self.y = 40.0
        self._parts: list[str] = []
        self._title = title
        self.text(LEFT, 24, title, size=16)
        self.text(WIDTH - RIGHT, 24, beside, fill=FAINT, anchor="end")

    def lane(
        self,
        name: str,
        x: tuple[float, float],
        y: tuple[float, float],
        height: float,
        *,
        steps: int = 4,
        unit: str = "s",
    ) -> None:
        """A frame from x[0] to x[1] and y[0] to y[1], with its scales."""
        self._x, self._y, self._height = x, y, height
        self.y += 18
        self.text(LEFT, self.y - 5, name, size=11, fill=INK)
        if steps:
            step = _round_step((y[1] - y[0]) / steps)
            for k in range(math.ceil(y[0] / step - 1e-9), math.floor(y[1] / step + 1e-9) + 1):
                at = self.at_y(k * step)
                self.line(LEFT, at, WIDTH - RIGHT, at, GRID)
                words = f"{k * step:g}" if abs(y[1]) < 10_000 else f"{k * step / 1000:g}k"
                self.text(LEFT - 6, at + 4, words, size=10, fill=FAINT, anchor="end")
        span = x[1] - x[0]
        step = next((s for s in STEPS if abs(span) / s <= 12), STEPS[-1])
        first, last = sorted(x)
        for k in range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1):
            at = self.at_x(k * step)
            self.line(at, self.y, at, self.y + height, GRID)
            words = f"{k * step:g}" if unit != "s" or span < 120 else f"{k * step // 60:.0f}:{k * step % 60:02.0f}"
            self.text(at, self.y + height + 13, words, size=10, fill=FAINT, anchor="middle")
        if unit:
            self.text(
                WIDTH - RIGHT,
                self.y - 5,
                f"{'min:s' if unit == 's' and span >= 120 else unit}",
                size=10,
                fill=FAINT,
                anchor="end",
            )

    def end_lane(self) -> None:
        self.y += self._height + 20

    def at_x(self, value: float) -> float:
        share = (value - self._x[0]) / (self._x[1] - self._x[0])
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, share))

    def at_y(self, value: float) -> float:
        low, high = self._y
        share = (min(max(value, min(low, high)), max(low, high)) - low) / (high - low)
        return self.y + self._height * (1 - share)

    def text(self, x: float, y: float, words: str, *, size: int = 11, fill: str = INK, anchor: str = "start") -> None:
        how = f'font-size="{size}" fill="{fill}" text-anchor="{anchor}"'
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {how}>{escape(words)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = FAINT, extra: str = "") -> None:
        self._parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{extra}/>')

    def level(self, value: float, words: str, stroke: str) -> None:
        """A line across the lane at a value, with its name."""
        y = self.at_y(value)
        self.line(LEFT, y, WIDTH - RIGHT, y, stroke, ' stroke-dasharray="5 4"')
        self.text(WIDTH - RIGHT - 4, y - 4, words, fill=stroke, anchor="end")

    def upright(self, value: float, words: str, stroke: str) -> None:
        """A line down the lane at a place, with its name."""
        x = self.at_x(value)
        self.line(x, self.y, x, self.y + self._height, stroke, ' stroke-dasharray="5 4"')
        self.text(x + 4, self.y + 12, words, fill=stroke)

    def band(self, begin: float, end: float, fill: str, words: str = "") -> None:
        """A box as high as the lane; the words stand in it if there is room, and always in its tip."""
        x, width = self.at_x(begin), max(0.8, abs(self.at_x(end) - self.at_x(begin)))
        tip = f"<title>{escape(words)}</title>" if words else ""
        self._parts.append(
            f'<rect x="{min(x, self.at_x(end)):.1f}" y="{self.y:.1f}" width="{width:.1f}" height="{self._height:.1f}" '
            f'fill="{fill}">{tip}</rect>'
        )
        if words and width > 5.7 * len(words):
            self.text(x + 4, self.y + self._height / 2 + 4, words, size=10)

    def dots(self, points: Sequence[tuple[float, float]], fill: str, radius: float = 2.5) -> None:
        for x, y in points:
            at = f'cx="{self.at_x(x):.1f}" cy="{self.at_y(y):.1f}"'
            self._parts.append(f'<circle {at} r="{radius:g}" fill="{fill}"/>')

    def curve(self, x: Samples, y: Samples, stroke: str, width: float = 1.4) -> None:
        """A line, broken at NaN; where more points than pixels come, the lowest and highest of each pixel."""
        for part in np.split(np.arange(len(y)), np.flatnonzero(~np.isfinite(y))):
            some: NDArray[np.intp] = part[np.isfinite(y[part])]
            if len(some) > 2 * WIDTH:
                pieces = np.array_split(some, int(WIDTH))
                some = np.array([i for p in pieces for i in sorted((p[np.argmin(y[p])], p[np.argmax(y[p])]))])
            if len(some) > 1:
                path = " ".join(f"{self.at_x(float(x[i])):.1f},{self.at_y(float(y[i])):.1f}" for i in some)
                self._parts.append(
                    f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width:g}" '
                    'stroke-linejoin="round"/>'
                )
            elif len(some) == 1:
                self.dots([(float(x[some[0]]), float(y[some[0]]))], stroke, 1.6)

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {self.y + 6:g}" '
            f'font-family="system-ui, sans-serif" role="img"><title>{escape(self._title)}</title>'
            f'<rect width="{WIDTH:g}" height="{self.y + 6:g}" fill="#ffffff"/>'
        )
        return head + "\n" + "\n".join(self._parts) + "\n</svg>\n"


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... from `step` on."""
    size = 10.0 ** math.floor(math.log10(step))
    return next(size * k for k in (1, 2, 5, 10) if size * k >= step * 0.999)
