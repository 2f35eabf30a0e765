"""The cuff: one measurement from zero to a result, and the supervisor that keeps it safe.

    idle ──start──▶ zeroing ──▶ inflating ──▶ deflating ──▶ dumping ──▶ idle
      │                │            │  ◀─ higher ─┘             │
      └── pressure ────┴── any failure, abort ───────▶ dumping ─┴── still not empty ──▶ fault ──▶ idle

`tick(now_ms)` does sampling, supervising, control and cut-off, every 20 ms from a hardware timer, whatever the event
loop is doing; it sets all three outputs each time from the table below. Only the estimate, too slow for a timer, runs
in `poll()` from the event loop, and all that it can do is ask for an end or for one more, bounded, inflation. Without
`poll` the cuff deflates to its floor and opens.

Limits (adult; clinical-facts.md): never above 300 mmHg, above 15 mmHg at most 180 s, 30 s between automatic cycles,
under 15 mmHg within 30 s of any single fault. This is software on one processor: the hardware's own pressure switch
and a dump valve that opens without power stand behind it.

Failure reasons: overpressure, too_long, sensor_silent, sensor_range, sensor_frozen, supervisor_late, supervisor_error,
zero_drift, no_rise, leak, kinked, pump_runs_on, bleed_blocked, not_deflating, above_range, what `abort` was given, and
those of oscillometry.py.
"""

import time

from chair.bleed import Bleed
from chair.oscillometry import RATIOS, Pulses
from micropython import const

# state: (pump on, dump valve closed, bleed valve); None: the deflation controls it. In dumping the bleed valve opens
# too, so that a dump valve that stays shut does not hold the pressure.
OUTPUTS = {
    "idle": (False, False, 0.0),
    "zeroing": (False, False, 0.0),
    "inflating": (True, True, 0.0),
    "deflating": (False, True, None),
    "dumping": (False, False, 1.0),
    "fault": (False, False, 1.0),
}
_MEASURING = ("zeroing", "inflating", "deflating")
_AUTOMATIC = ("schedule", "repeat")

_CUT_OFF_MMHG = const(290)  # 300 less one late tick of the pump and the sensor's 2 %
_HELD_MMHG = const(15)
_HELD_MS_MAX = const(170_000)  # 180 s less the time it takes to empty
_EMPTY_MMHG = const(5)
_EMPTY_MS = const(500)
_DUMP_MS_MAX = const(20_000)
_RECOVER_MS = const(2000)
_REST_MS = const(30_000)

_SENSOR_MMHG = (-13, 370)  # what an MPX5050 can say; below it the line is broken
_SILENT_MS_MAX = const(150)
_FROZEN_MS = {"inflating": 500, "deflating": 1500}  # moving air never reads the same for so long
_LATE_MS_MAX = const(500)  # the pump adds 30 mmHg/s while nobody looks
_TICKING_MS_MAX = const(1000)

_ZERO_MS = const(600)
_ZERO_SPREAD_MMHG = 2.0
_ZERO_MS_MAX = const(5000)
_ZERO_MMHG_MAX = const(10)

_TARGET_MMHG = const(160)
_TARGET_MMHG_MIN = const(120)
_TARGET_MMHG_MAX = const(280)
_TARGET_OVER_SYSTOLIC_MMHG = const(30)
_TARGET_STEP_MMHG = const(40)
_AGAIN_MS_MAX = const(110_000)  # held so far, at which one more inflation still ends in time
_RISE_MMHG = const(5)
_RISE_MS_MAX = const(5000)
_STROKE_MS_MAX = const(40_000)
_CUFF_OFF_MMHG = const(20)  # below it there is no cuff on the tube, above it the cuff leaks
_KINKED_MMHG_PER_S = const(150)  # no pump fills a cuff so fast: this is the tube alone

_FLOOR_MMHG = const(25)
_LEAK_MMHG_PER_S = const(10)
_STUCK_MMHG_PER_S = 1.0
_WRONG_RATE_MS_MAX = const(2000)
_RUNS_ON_MMHG = const(15)
_JUDGE_MS = const(700)  # the estimate costs the board some 50 ms
_PAST_DIASTOLIC = 0.10  # of the envelope's maximum, and
_PAST_DIASTOLIC_MMHG = const(10)  # so that the smoothing has both sides of the crossing
_PAST_MAXIMUM = 0.80


class Cuff:
    """One cuff. `valves` offers pump(on), dump_valve(closed), bleed_valve(open_fraction); `sensor` read_mmhg()."""

    def __init__(self, valves, sensor, calibration=None, ticks_ms=time.ticks_ms):
        self._valves = valves
        self._sensor = sensor
        self._ticks_ms = ticks_ms
        self._ratios = (calibration or {}).get("cuff_ratios", RATIOS)
        self._pulses = Pulses()
        self._bleed = Bleed()
        now_ms = ticks_ms()
        self._now_ms = now_ms
        self._read_ms = now_ms  # of the last good sample
        self._changed_ms = now_ms  # since when the sensor says the same
        self._raw_mmhg = None
        self._zero_mmhg = 0.0
        self._held = False
        self._held_ms = now_ms
        self._quiet_ms = now_ms  # since when the pressure is where the state wants it
        self._sensor_problem = "sensor_silent"
        self._rested = True
        self._systolic_mmhg = None
        self._target_mmhg = _TARGET_MMHG
        self._trigger = ""
        self._reason = ""
        self._wish = ""  # of poll(): "enough" or "higher"
        self._measured = False  # dumping ends a measurement
        self._ended = False  # its result waits to be taken
        self._begun_ms = self._ended_ms = self._emptied_ms = self._judged_ms = now_ms
        self._act = {
            "idle": self._idle,
            "zeroing": self._zeroing,
            "inflating": self._inflating,
            "deflating": self._deflating,
            "dumping": self._dumping,
            "fault": self._fault,
        }
        self.fault = ""  # why the state is fault
        self._enter("idle")
        self._drive()

    @property
    def state(self):
        return self._state

    @property
    def pressure_mmhg(self):
        """Present cuff pressure, or None while the sensor gives none."""
        if self._raw_mmhg is None or time.ticks_diff(self._ticks_ms(), self._read_ms) > _TICKING_MS_MAX:
            return None
        return self._raw_mmhg - self._zero_mmhg

    # ---- from the event loop ------------------------------------------------------------------------------

    def start(self, trigger):
        """Begin a measurement; returns "" or why not: fault, busy, resting."""
        if self._state == "fault" or time.ticks_diff(self._ticks_ms(), self._now_ms) > _TICKING_MS_MAX:
            return "fault"
        if self._state != "idle" or self._ended:
            return "busy"
        if trigger in _AUTOMATIC and not self._rested:
            return "resting"
        self._trigger = trigger
        self._reason = self._wish = ""
        self._samples = 0
        self._begun_ms = self._now_ms
        if self._systolic_mmhg is None:
            self._target_mmhg = _TARGET_MMHG
        else:
            wanted = self._systolic_mmhg + _TARGET_OVER_SYSTOLIC_MMHG
            self._target_mmhg = max(_TARGET_MMHG_MIN, min(_TARGET_MMHG_MAX, wanted))
        self._enter("zeroing")  # last: from here the timer acts on it
        return ""

    def abort(self, reason):
        """End a measurement at once, without waiting for the timer."""
        if self._state in _MEASURING:
            self._fail(reason)
            self._drive()

    def poll(self):
        """Judge the pulses of a running deflation; call several times a second."""
        if self._state in _MEASURING and time.ticks_diff(self._ticks_ms(), self._now_ms) > _TICKING_MS_MAX:
            self.abort("supervisor_late")
        if self._state != "deflating" or self._wish or self._since(self._judged_ms) < _JUDGE_MS:
            return
        self._judged_ms = self._now_ms
        result = self._pulses.estimate(self._ratios)
        if "envelope" not in result:
            return
        if result.get("reason") == "not_bracketed":
            if result["beyond"] < _PAST_MAXIMUM:
                self._wish = "higher"
        elif "dia_mmhg" in result:
            lowest_mmhg = result["envelope"][-1][0]
            if (
                result["beyond"] < self._ratios[1] - _PAST_DIASTOLIC
                and lowest_mmhg < result["dia_mmhg"] - _PAST_DIASTOLIC_MMHG
            ):
                self._wish = "enough"

    def forget(self):
        """Another patient sits here: begin with the first target again."""
        self._systolic_mmhg = None

    def take_result(self):
        """The finished or failed measurement as fields of the wire's cuff record, once; else None."""
        self.poll()
        if not self._ended:
            return None
        result = {"reason": self._reason} if self._reason else self._pulses.estimate(self._ratios)
        result.pop("beyond", None)
        result["quality"] = "failed" if "reason" in result else "good"
        result["trigger"] = self._trigger
        result["duration_ms"] = time.ticks_diff(self._ended_ms, self._begun_ms)
        if "sys_mmhg" in result:
            self._systolic_mmhg = result["sys_mmhg"]
        elif result["reason"] == "above_range":
            self._systolic_mmhg = _TARGET_MMHG_MAX
        self._ended = False
        return result

    # ---- from the timer -----------------------------------------------------------------------------------

    def tick(self, now_ms):
        """Sample, supervise, control. A programming error in here opens the cuff before it is raised."""
        try:
            late_ms = time.ticks_diff(now_ms, self._now_ms)
            self._now_ms = now_ms
            self._sample(now_ms)
            self._supervise(now_ms, late_ms)
            self._act[self._state](now_ms)
        except Exception:
            self._fail("supervisor_error")
            self._break_down("supervisor_error")
            raise
        finally:
            self._drive()

    def _drive(self):
        pump, dump_closed, bleed = OUTPUTS[self._state]
        self._valves.pump(pump)
        self._valves.dump_valve(dump_closed)
        self._valves.bleed_valve(self._bleed.opening if bleed is None else bleed)

    def _enter(self, state):
        self._entered_ms = self._quiet_ms = self._changed_ms = self._now_ms
        self._state = state

    def _fail(self, reason):
        """Open the cuff; the first reason of a measurement is the one that counts."""
        if self._state in _MEASURING:
            self._end(reason)
        elif self._state == "idle":
            self._enter("dumping")

    def _end(self, reason=""):
        self._reason = reason
        self._ended_ms = self._now_ms
        self._rested = False
        self._measured = True
        self._enter("dumping")

    def _sample(self, now_ms):
        try:
            mmhg = self._sensor.read_mmhg()
        except OSError:
            self._raw_mmhg = None
            self._sensor_problem = "sensor_silent"
            return
        if not _SENSOR_MMHG[0] <= mmhg <= _SENSOR_MMHG[1]:
            self._raw_mmhg = None
            self._sensor_problem = "sensor_range"
            return
        if mmhg != self._raw_mmhg:
            self._changed_ms = now_ms
        self._raw_mmhg = mmhg
        self._read_ms = now_ms
        # By the larger of the two: an offset taken from a cuff that was not empty must not hide pressure.
        self._mmhg = mmhg - self._zero_mmhg
        highest_mmhg = max(mmhg, self._mmhg)
        if highest_mmhg > _HELD_MMHG:
            if not self._held:
                self._held = True
                self._held_ms = now_ms
        else:
            self._held = False
        if highest_mmhg > _CUT_OFF_MMHG:
            self._fail("overpressure")

    def _supervise(self, now_ms, late_ms):
        if self._state not in _MEASURING:
            return
        if time.ticks_diff(now_ms, self._read_ms) > _SILENT_MS_MAX:
            self._fail(self._sensor_problem)
        elif late_ms > _LATE_MS_MAX and self._state == "inflating":
            self._fail("supervisor_late")
        elif self._held and time.ticks_diff(now_ms, self._held_ms) > _HELD_MS_MAX:
            self._fail("too_long")
        elif time.ticks_diff(now_ms, self._changed_ms) > _FROZEN_MS.get(self._state, _ZERO_MS_MAX * 2):
            self._fail("sensor_frozen")

    def _since(self, ticks):
        return time.ticks_diff(self._now_ms, ticks)

    def _idle(self, now_ms):
        if self._raw_mmhg is None:
            if self._since(self._read_ms) > _TICKING_MS_MAX:
                self._break_down(self._sensor_problem)
            return
        if not self._held:
            self._quiet_ms = now_ms
        elif self._since(self._quiet_ms) > _EMPTY_MS:
            self._enter("dumping")
        if not self._rested and self._since(self._emptied_ms) >= _REST_MS:
            self._rested = True

    def _zeroing(self, now_ms):
        """Mean of a quiet stretch with the cuff open: the sensor's zero of today."""
        if self._raw_mmhg is None:
            return
        mmhg = self._raw_mmhg
        if self._samples == 0 or abs(mmhg - self._first_mmhg) > _ZERO_SPREAD_MMHG / 2:
            self._quiet_ms = now_ms
            self._first_mmhg = mmhg
            self._sum = 0.0
            self._samples = 0
        self._sum += mmhg
        self._samples += 1
        if self._since(self._quiet_ms) >= _ZERO_MS:
            zero_mmhg = self._sum / self._samples
            if abs(zero_mmhg) > _ZERO_MMHG_MAX:
                self._fail("zero_drift")
                return
            self._zero_mmhg = zero_mmhg
            self._inflate(now_ms)
        elif self._since(self._entered_ms) > _ZERO_MS_MAX:
            self._fail("zero_drift")

    def _inflate(self, now_ms):
        self._mark_mmhg = self._from_mmhg = self._raw_mmhg - self._zero_mmhg
        self._mark_ms = now_ms
        self._enter("inflating")

    def _inflating(self, now_ms):
        if self._raw_mmhg is None:
            return
        if self._mmhg >= self._target_mmhg:
            if (self._mmhg - self._from_mmhg) * 1000 > _KINKED_MMHG_PER_S * self._since(self._entered_ms):
                self._fail("kinked")
                return
            self._bleed.begin(now_ms, self._mmhg)
            self._pulses.clear()
            self._enter("deflating")
        elif self._mmhg >= self._mark_mmhg + _RISE_MMHG:
            self._mark_mmhg = self._mmhg
            self._mark_ms = now_ms
        elif self._since(self._mark_ms) > _RISE_MS_MAX or self._since(self._entered_ms) > _STROKE_MS_MAX:
            self._fail("no_rise" if self._mark_mmhg < _CUFF_OFF_MMHG else "leak")

    def _deflating(self, now_ms):
        if self._raw_mmhg is None:
            return
        bleed = self._bleed
        bleed.step(now_ms, self._mmhg)
        self._pulses.feed(now_ms, self._mmhg)
        too_fast = bleed.rate > _LEAK_MMHG_PER_S
        too_slow = bleed.rate < _STUCK_MMHG_PER_S and bleed.opening > 0.99
        if not (too_fast or too_slow):
            self._quiet_ms = now_ms
        if self._since(self._quiet_ms) > _WRONG_RATE_MS_MAX:
            self._fail("leak" if too_fast else "bleed_blocked")
        elif self._mmhg > self._target_mmhg + _RUNS_ON_MMHG:
            self._fail("pump_runs_on")
        elif self._wish == "higher":
            self._wish = ""
            if self._target_mmhg >= _TARGET_MMHG_MAX or self._since(self._held_ms) > _AGAIN_MS_MAX:
                self._end("above_range")
            else:
                self._target_mmhg = min(_TARGET_MMHG_MAX, self._target_mmhg + _TARGET_STEP_MMHG)
                self._inflate(now_ms)
        elif self._mmhg < _FLOOR_MMHG and bleed.rate > _LEAK_MMHG_PER_S:
            self._fail("leak")
        elif self._wish == "enough" or self._mmhg < _FLOOR_MMHG:
            self._end()

    def _dumping(self, now_ms):
        # Against the zero of this measurement: a sensor that moved meanwhile measured nothing.
        if self._raw_mmhg is None or abs(self._mmhg) > _EMPTY_MMHG:
            self._quiet_ms = now_ms
        if self._since(self._quiet_ms) > _EMPTY_MS:
            self._release()
            self._emptied_ms = now_ms
            self._enter("idle")
        elif self._since(self._entered_ms) > _DUMP_MS_MAX:
            self._break_down("not_deflating" if self._raw_mmhg is not None else self._sensor_problem)

    def _break_down(self, problem):
        self.fault = problem
        self._reason = self._reason or problem
        self._release()
        self._enter("fault")

    def _release(self):
        """Hand out the measurement that dumping ended, if one did."""
        self._ended = self._ended or self._measured
        self._measured = False

    def _fault(self, now_ms):
        if self._raw_mmhg is None or abs(self._raw_mmhg) > _ZERO_MMHG_MAX:
            self._quiet_ms = now_ms
        if self._since(self._quiet_ms) > _RECOVER_MS:
            self.fault = ""
            self._enter("idle")
