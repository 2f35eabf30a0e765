"""Whether somebody sits in the chair: a change-over contact under the cushion.

Two lines, each 0 through its closed contact: one while somebody sits, the other while nobody does. A cable that is
broken or pulled leaves both open, a crushed one closes both, and a worn contact chatters: all of these are `unknown`,
never an empty or an occupied chair.
"""

from micropython import const

_STEADY_MS = const(1000)  # people shift their weight
_CHATTER_MS = const(10000)

_STATES = {(True, False): "occupied", (False, True): "empty"}


class Seat:
    """`state` is occupied, empty or unknown."""

    def __init__(self):
        self.state = "unknown"
        self._lines = None
        self._since_ms = 0
        self._steady_ms = 0

    def turn(self, lines, now_ms):
        """`lines`: whether the contact (occupied, empty) is closed; call it several times a second."""
        if lines != self._lines:
            self._lines = lines
            self._since_ms = now_ms
        if now_ms - self._since_ms >= _STEADY_MS:
            self._steady_ms = now_ms
            self.state = _STATES.get(lines, "unknown")
        elif now_ms - self._steady_ms >= _CHATTER_MS:
            self.state = "unknown"
