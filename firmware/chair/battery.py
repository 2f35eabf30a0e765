"""How full the battery is, from its voltage."""

from chair import pins
from micropython import const

_LOW_PCT = const(20)
_RECOVERED_PCT = const(25)
_CELL_V = const((2.5, 4.4))  # outside it is no cell that this board could run on: the divider or its line is broken
_EVERY_MS = const(5000)
_SMOOTHING = const(8)  # samples: the pump pulls the voltage down for half a minute at a time


class Battery:
    """`pct` is None until it is known. `faults` may hold "battery_low" (under 20 %, until 25 %) and "battery_sensor".
    A line that breaks does not charge a battery: it leaves `battery_low` where it was."""

    def __init__(self):
        self.pct = None
        self.faults = set()
        self._v = None
        self._due_ms = 0

    def turn(self, read_v, now_ms):
        """Call it as often as you like; `read_v()` gives the cell's voltage."""
        if now_ms < self._due_ms:
            return
        self._due_ms = now_ms + _EVERY_MS
        v = read_v()
        if not _CELL_V[0] <= v <= _CELL_V[1]:
            self.faults.add("battery_sensor")
            self.pct = self._v = None
            return
        self.faults.discard("battery_sensor")
        self._v = v if self._v is None else self._v + (v - self._v) / _SMOOTHING
        self.pct = charge_pct(self._v)
        if self.pct < _LOW_PCT:
            self.faults.add("battery_low")
        elif self.pct >= _RECOVERED_PCT:
            self.faults.discard("battery_low")


def charge_pct(cell_v):
    """Between the points of the cell's discharge curve a straight line."""
    below_v, below_pct = pins.BATTERY_CURVE[0]
    if cell_v <= below_v:
        return below_pct
    for above_v, above_pct in pins.BATTERY_CURVE:
        if cell_v < above_v:
            return round(below_pct + (above_pct - below_pct) * (cell_v - below_v) / (above_v - below_v))
        below_v, below_pct = above_v, above_pct
    return below_pct
