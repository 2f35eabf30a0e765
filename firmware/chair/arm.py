"""The arm: one cuff, when it measures, and what came of it. Its safety is in chair/cuff.py, by hardware timer."""

import asyncio
import time

from chair import pins
from chair.cuff import Cuff
from chair.schedule import Schedule
from drivers.ads1115 import Ads1115
from drivers.mpx5050 import Mpx5050

_SUPERVISE_MS = 20
_RETRY_MS = 3000
_SAFE_MMHG = 15


class Arm:
    """`finished(result, now_ms)` is called with each result. `faults` names what is broken now.

    `supervised` is set by each turn of the supervisor, for the watchdog; `failure` is the programming error that
    ended one.
    """

    def __init__(self, board, calibration, clock, finished):
        self._board = board
        self._calibration = calibration
        self._clock = clock
        self._finished = finished
        self._cuff = None  # until its converter answers
        self._held_since_ms = None
        self.schedule = Schedule()
        self.faults = set()
        self.supervised = False
        self.failure = None

    def begin(self):
        """Find the converter and start the supervisor, beside everything else."""
        self._open()
        self._board.every(_SUPERVISE_MS, self._supervise)

    def _supervise(self):
        """Called by the hardware timer, between any two steps of the program."""
        self.supervised = True
        try:
            if self._cuff:
                self._cuff.tick(time.ticks_ms())
        except Exception as error:  # noqa: BLE001  (whatever it is, main.py restarts the board)
            self.failure = error

    def _open(self):
        try:
            converter = Ads1115(self._board.i2c, pins.PRESSURE_ADC_ADDRESS)
        except OSError:
            self.faults.add("pressure_adc")
            return
        self.faults.discard("pressure_adc")
        self._cuff = Cuff(self._board, Mpx5050(converter, self._calibration.get("pressure")), self._calibration)

    async def run(self):
        tried_ms = 0
        while True:
            await asyncio.sleep_ms(100)
            now_ms = self._clock.up_ms()
            if self._cuff:
                self._turn(now_ms)
            elif now_ms - tried_ms >= _RETRY_MS:
                tried_ms = now_ms
                self._open()

    def _turn(self, now_ms):
        state = self._cuff.state
        if state in ("idle", "fault"):
            self._held_since_ms = None
        else:
            self.schedule.busy(now_ms)
            if self._held_since_ms is None:
                self._held_since_ms = now_ms
        for fault in [fault for fault in self.faults if fault.startswith("cuff_")]:
            self.faults.discard(fault)
        if state == "fault":
            self.faults.add("cuff_" + self._cuff.fault)
        self._cuff.poll()
        result = self._cuff.take_result()
        if result:
            self._finished(result, now_ms)
        if self.schedule.due(now_ms):
            self._cuff.start("schedule")

    def start(self, trigger):
        """Begin a measurement; returns "" or why not."""
        return self._cuff.start(trigger) if self._cuff else "fault"

    def abort(self, reason):
        if self._cuff:
            self._cuff.abort(reason)

    def forget(self):
        """Another patient: nothing of the last one's pressure sets the first target."""
        if self._cuff:
            self._cuff.forget()

    @property
    def state(self):
        return self._cuff.state if self._cuff else "fault"

    @property
    def pressure_mmhg(self):
        """Present cuff pressure, or None when it is not known."""
        return self._cuff.pressure_mmhg if self._cuff else None

    @property
    def empty(self):
        """Whether the program may stand still for seconds. In a fault the outputs are safe, and it must be told."""
        if self.state == "fault":
            return True
        mmhg = self.pressure_mmhg
        return self.state == "idle" and (mmhg is None or mmhg <= _SAFE_MMHG)

    def held_ms(self, now_ms):
        """How long the present measurement has lasted, None without one."""
        return None if self._held_since_ms is None else now_ms - self._held_since_ms
