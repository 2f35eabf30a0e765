"""The arm: one cuff, when it measures, and what came of it. Its safety is in chair/cuff.py, by hardware timer.

A measurement that found no pressure although the cuff worked (motion, too few pulses) is repeated once; one that the
supervisor opened, that was aborted, or that is above range is not. While the board is alone, one over a fallback limit
is repeated after 2 min; beside a gateway the gateway orders that. A repeat is never repeated, and without a session
nothing is: the patient may have gone.
"""

import asyncio
import time

from chair import pins
from chair.cuff import MEASURING, Cuff
from chair.schedule import AUTOMATIC_GAP_MS, Schedule
from drivers.ads1115 import Ads1115
from drivers.mpx5050 import Mpx5050
from micropython import const

_SUPERVISE_MS = const(20)
_RETRY_MS = const(3000)
_SAFE_MMHG = const(15)
_OVER_LIMIT_MS = const(120000)


class Arm:
    """`finished(result, now_ms)` is called with each result. `faults` names what is broken now. `annunciator` knows
    the session, whether the board is alone, and the fallback limits.

    `supervised` is set by each turn of the supervisor, for the watchdog; `failure` is the programming error that
    ended one.
    """

    def __init__(self, board, calibration, clock, annunciator, finished):
        self._board = board
        self._calibration = calibration
        self._clock = clock
        self._annunciator = annunciator
        self._finished = finished
        self._cuff = None  # until its converter answers
        self._held_since_ms = None
        self._buttons_down = 0
        self.schedule = Schedule()
        self.faults = set()
        self.supervised = False
        self.failure = None
        self.held_off = lambda: False  # whether the program may stand still soon, so that no measurement may begin

    def begin(self):
        """Find the converter and start the supervisor, beside everything else."""
        self._open()
        self._board.every(_SUPERVISE_MS, self._supervise)

    def _supervise(self):
        """Called by the hardware timer, between any two steps of the program."""
        self.supervised = True
        try:
            if self._cuff:
                # Whatever else a button means, pressing one takes the cuff off the arm.
                acknowledge, call = self._board.buttons()
                down = acknowledge + call
                if down > self._buttons_down:
                    self._cuff.abort("button")
                self._buttons_down = down
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
        if self._cuff.dump_valve_stuck:
            self.faults.add("cuff_dump_valve_stuck")
        self._cuff.poll()
        result = self._cuff.take_result()
        if result:
            self._finished(result, now_ms)
            self._repeat(result, now_ms)
        trigger = None if self.held_off() else self.schedule.due(now_ms)
        if trigger:
            self._cuff.start(trigger)

    def _repeat(self, result, now_ms):
        told = self._annunciator
        if result["trigger"] == "repeat" or not told.session:
            return
        if "reason" in result:
            if not self._cuff.reason:
                self.schedule.again(now_ms + AUTOMATIC_GAP_MS)
        elif told.alone and told.local.limits:
            limits = told.local.limits
            if not limits["sys_low_mmhg"] <= result["sys_mmhg"] <= limits["sys_high_mmhg"]:
                self.schedule.again(now_ms + _OVER_LIMIT_MS)

    def start(self, trigger):
        """Begin a measurement; returns "" or why not."""
        if self._cuff is None:
            return "fault"
        return "busy" if self.held_off() else self._cuff.start(trigger)

    def abort(self, reason):
        if self._cuff:
            self._cuff.abort(reason)

    def forget(self):
        """Another patient: nothing of the last one's pressure sets the first target, and nothing of it is repeated."""
        self.schedule.again(None)
        if self._cuff:
            self._cuff.forget()

    @property
    def state(self):
        return self._cuff.state if self._cuff else "fault"

    @property
    def measuring(self):
        """Whether the pump may run."""
        return self.state in MEASURING

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
