"""A cuff that can also stay at a pressure, beside a manometer. For the bench; loaded with the first request.

It is the same cuff under the same supervisor: only the deflation waits, with its valve shut, until the time is over.
Then, or when anything is wrong, it empties as always.
"""

from chair.cuff import Cuff
from micropython import const

MMHG = (30, 270)  # what may be asked for
MS_MAX = const(120_000)  # with the way up below the supervisor's own 150 s


class Hold(Cuff):
    _hold_ms = 0

    def hold(self, mmhg, ms):
        """Fill to `mmhg` and stay there for `ms`; returns "" or why not."""
        reason = self.start("command")
        if not reason:
            self._target_mmhg = mmhg  # the timer is still looking for its zero
            self._hold_ms = ms
        return reason

    def start(self, trigger):
        self._hold_ms = 0
        return Cuff.start(self, trigger)

    def forget(self):
        """A session begins or ends: whatever this was, it is over."""
        Cuff.forget(self)
        if self._hold_ms:
            self.abort("aborted")

    def _deflating(self):
        if not self._hold_ms:
            Cuff._deflating(self)
        elif self._since(self._entered_ms) < self._hold_ms:
            self._bleed.opening = 0.0
        else:
            self._open("aborted")


def hold(arm, mmhg, ms):
    """Let this arm's cuff stay at a pressure; returns "" or why not."""
    cuff = arm._cuff
    if cuff is None or cuff.state == "fault":
        return "fault"
    if cuff.state != "idle":
        return "busy"
    if not isinstance(cuff, Hold):
        arm._cuff = cuff = Hold(arm._board, cuff._guard._sensor, arm._calibration)
    return cuff.hold(mmhg, ms)
