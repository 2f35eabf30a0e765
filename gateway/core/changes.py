"""How far a value fell or rose within a time: the distance from the highest or lowest good value of the window.

The window is kept as its extremes alone, oldest first, each less extreme than the one before: at most a few dozen
numbers, however long the window. Only good values count; a gap in them makes no change of its own.
"""

from msgspec import Struct

from gateway.core.protocol import Measure

SOURCES: dict[Measure, tuple[Measure, int]] = {
    "spo2_fall_pct": ("spo2_pct", 1),
    "pulse_fall_bpm": ("pulse_bpm", 1),
    "pulse_rise_bpm": ("pulse_bpm", -1),
}
"""What each is a change of; 1 from the highest value, -1 from the lowest."""
EXTREMES_MAX = 30


class Extreme(Struct, frozen=True, gc=False):
    value: float
    at_mono_ms: int


Window = tuple[Extreme, ...]


def with_value(window: Window, measure: Measure, value: float, at_ms: int, window_ms: int) -> Window:
    """The window with a new value and without what is too old. One that comes within a thirtieth of the window after a
    more extreme one is left out: the window is that much shorter at most."""
    sign = SOURCES[measure][1]
    kept = [one for one in window if at_ms - one.at_mono_ms <= window_ms and sign * (one.value - value) > 0]
    if not kept or at_ms - kept[-1].at_mono_ms > window_ms / EXTREMES_MAX:
        kept.append(Extreme(value, at_ms))
    return tuple(kept)


def change(window: Window, measure: Measure, value: float) -> float:
    """How far `value` is from the window's extreme; 0 when it is the extreme itself."""
    return max(0.0, SOURCES[measure][1] * (window[0].value - value)) if window else 0.0
