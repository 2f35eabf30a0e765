"""The cuff: one measurement from zero to a result.

    idle ──start──▶ zeroing ──▶ inflating ──▶ deflating ──▶ dumping ──▶ idle
      │                │            │  ◀─ higher ─┘             │
      └── pressure ────┴── any failure, abort ───────▶ dumping ─┴── still not empty ──▶ fault ──▶ idle

`tick(now_ms)` does sampling, supervising, control and cut-off, every 20 ms from a hardware timer, whatever the event
loop is doing; it sets all three outputs each time from the table below. What must open the cuff is judged in
chair/supervisor.py; here is what happens then. Only the estimate, too slow for a timer, runs in `poll()` from the
event loop, and all that it can do is ask for an end or for one more, bounded, inflation. Without `poll` the cuff
deflates to its floor and opens. The pulses are measured while it deflates: measuring is no state of its own.

Limits (adult; clinical-facts.md): never above 300 mmHg, above 15 mmHg at most 180 s, 30 s between automatic cycles,
under 15 mmHg within 30 s of any single fault. This is software on one processor: the hardware's own pressure switch
and a dump valve that opens without power stand behind it.

Failure reasons: those of supervisor.py, supervisor_error, zero_drift, above_range, what `abort` was given, and those
of oscillometry.py.
"""

import time

from chair.bleed import Bleed
from chair.oscillometry import RATIOS, Pulses
from chair.supervisor import FLOOR_MMHG, HELD_MMHG, Supervisor
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
MEASURING = ("zeroing", "inflating", "deflating")
_AUTOMATIC = const(("schedule", "repeat"))

_EMPTY_MMHG = const(5)
_EMPTY_MS = const(500)
_PROBE_MS = const(15_000)  # long enough for a large cuff to empty through the bleed valve
_PROBE_OPENING = const(0.5)
_DUMP_MS_MAX = const(20_000)
_RECOVER_MS = const(2000)
_REST_MS = const(30_000)
_TICKING_MS_MAX = const(1000)

_ZERO_MS = const(600)
_ZERO_SPREAD_MMHG = const(2.0)
_ZERO_MS_MAX = const(5000)
_ZERO_MMHG_MAX = const(10)

_TARGET_MMHG = const(160)
_TARGET_MMHG_MIN = const(120)
_TARGET_MMHG_MAX = const(280)
_TARGET_OVER_SYSTOLIC_MMHG = const(30)
_TARGET_STEP_MMHG = const(40)
_AGAIN_MS_MAX = const(90_000)  # held so far, at which one more inflation still ends in time

_JUDGE_MS = const(700)  # the estimate is too dear for every turn
_PAST_DIASTOLIC = const(0.10)  # of the envelope's maximum, and
_PAST_DIASTOLIC_MMHG = const(10)  # so that the smoothing has both sides of the crossing
_PAST_MAXIMUM = const(0.80)


class Cuff:
    """One cuff. `valves` offers pump(on), dump_valve(closed), bleed_valve(open_fraction); `sensor` read_mmhg()."""

    def __init__(self, valves, sensor, calibration=None, ticks_ms=time.ticks_ms):
        self._valves = valves
        self._ticks_ms = ticks_ms
        self._ratios = (calibration or {}).get("cuff_ratios", RATIOS)
        self._pulses = Pulses()
        self._bleed = Bleed()
        now_ms = ticks_ms()
        self._guard = Supervisor(sensor, self._bleed, now_ms)
        self._now_ms = now_ms
        self._quiet_ms = now_ms  # since when the pressure is where the state wants it
        self._rested = True
        self._probing = False
        self._systolic_mmhg = None
        self._pulseless = False  # the last measurement, in which the cuff worked
        self._target_mmhg = _TARGET_MMHG
        self._trigger = ""
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
        self.reason = ""  # what opened the last measurement before its end
        self.fault = ""  # why the state is fault
        self.dump_valve_stuck = False  # found when the cuff was last emptied; the bleed valve did it
        self._enter("idle")
        self._drive()

    @property
    def state(self):
        return self._state

    @property
    def pressure_mmhg(self):
        """Present cuff pressure, or None while the sensor gives none."""
        if self._guard.raw_mmhg is None or self._guard.silent_ms(self._ticks_ms()) > _TICKING_MS_MAX:
            return None
        return self._guard.mmhg

    # ---- from the event loop ------------------------------------------------------------------------------

    def start(self, trigger):
        """Begin a measurement; returns "" or why not: fault, busy, resting.

        With a dump valve that stuck, a power cut would leave the arm squeezed: only somebody who is there may try.
        """
        if self._state == "fault" or time.ticks_diff(self._ticks_ms(), self._now_ms) > _TICKING_MS_MAX:
            return "fault"
        if self._state != "idle" or self._ended:
            return "busy"
        if trigger in _AUTOMATIC and self.dump_valve_stuck:
            return "fault"
        if trigger in _AUTOMATIC and not self._rested:
            return "resting"
        self._trigger = trigger
        self.reason = self._wish = ""
        self._samples = 0
        self._begun_ms = self._now_ms
        if trigger == "repeat" and self._pulseless:
            target_mmhg = self._target_mmhg + _TARGET_STEP_MMHG  # far below the diastolic pressure no pulse is seen
        elif self._systolic_mmhg is not None:
            target_mmhg = max(_TARGET_MMHG_MIN, self._systolic_mmhg + _TARGET_OVER_SYSTOLIC_MMHG)
        else:
            target_mmhg = _TARGET_MMHG
        self._target_mmhg = min(_TARGET_MMHG_MAX, target_mmhg)
        self._enter("zeroing")  # last: from here the timer acts on it
        return ""

    def abort(self, reason):
        """End a measurement at once, without waiting for the timer."""
        if self._state in MEASURING:
            self._open(reason)
            self._drive()

    def poll(self):
        """Judge the pulses of a running deflation; call several times a second."""
        if self._state in MEASURING and time.ticks_diff(self._ticks_ms(), self._now_ms) > _TICKING_MS_MAX:
            self.abort("supervisor_late")
        if self._state != "deflating" or self._wish or self._since(self._judged_ms) < _JUDGE_MS:
            return
        self._judged_ms = self._now_ms
        result = self._estimate()
        if "envelope" not in result:
            return
        if result.get("reason") == "not_bracketed":
            if _past_maximum([amplitude for _, amplitude in result["envelope"]]):
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

    def _estimate(self):
        try:
            return self._pulses.estimate(self._ratios)
        except MemoryError:
            return {"reason": "memory"}  # a heap in pieces: this measurement is lost, and nothing else

    def take_result(self):
        """The finished or failed measurement as fields of the wire's cuff record, once; else None."""
        self.poll()
        if not self._ended:
            return None
        result = {"reason": self.reason} if self.reason else self._estimate()
        result.pop("beyond", None)
        result["quality"] = "failed" if "reason" in result else "good"
        result["trigger"] = self._trigger
        result["duration_ms"] = time.ticks_diff(self._ended_ms, self._begun_ms)
        self._pulseless = "reason" in result and not self.reason
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
            self._now_ms = now_ms
            reason = self._guard.look(now_ms, self._state in MEASURING)
            if reason:
                self._open(reason)
            self._act[self._state]()
        except Exception:
            self._open("supervisor_error")
            self._break_down("supervisor_error")
            raise
        finally:
            self._drive()

    def _drive(self):
        pump, dump_closed, bleed = OUTPUTS[self._state]
        if bleed is None:
            bleed = self._bleed.opening
        elif self._probing:
            bleed = _PROBE_OPENING
        self._valves.pump(pump)
        self._valves.dump_valve(dump_closed)
        self._valves.bleed_valve(bleed)

    def _enter(self, state):
        self._entered_ms = self._quiet_ms = self._now_ms
        self._probing = False
        self._guard.enter(state, self._now_ms)
        self._state = state

    def _open(self, reason=""):
        """Open the cuff: a measurement ends, for a `reason` if it failed; or there is pressure nobody asked for."""
        if self._state in MEASURING:
            self.reason = reason
            self._ended_ms = self._now_ms
            self._rested = False
            self._measured = True
            self._enter("dumping")
        elif self._state == "idle":
            self._enter("dumping")

    def _since(self, ticks):
        return time.ticks_diff(self._now_ms, ticks)

    def _idle(self):
        guard = self._guard
        if guard.raw_mmhg is None:
            if guard.silent_ms(self._now_ms) > _TICKING_MS_MAX:
                self._break_down(guard.problem())
        elif not guard.held:
            self._quiet_ms = self._now_ms
        elif self._since(self._quiet_ms) > _EMPTY_MS:
            self._open()
        if not self._rested and self._since(self._emptied_ms) >= _REST_MS:
            self._rested = True

    def _zeroing(self):
        """Mean of a quiet stretch with the cuff open: the sensor's zero of today."""
        mmhg = self._guard.raw_mmhg
        if mmhg is None:
            return
        if self._samples == 0 or abs(mmhg - self._first_mmhg) > _ZERO_SPREAD_MMHG / 2:
            self._quiet_ms = self._now_ms
            self._first_mmhg = mmhg
            self._sum = 0.0
            self._samples = 0
        self._sum += mmhg
        self._samples += 1
        if self._since(self._quiet_ms) >= _ZERO_MS:
            zero_mmhg = self._sum / self._samples
            if abs(zero_mmhg) > _ZERO_MMHG_MAX:
                self._open("zero_drift")
                return
            self._guard.set_zero(zero_mmhg)
            self._enter("inflating")
        elif self._since(self._entered_ms) > _ZERO_MS_MAX:
            self._open("zero_drift")

    def _inflating(self):
        if self._guard.raw_mmhg is not None and self._guard.mmhg >= self._target_mmhg:
            self._bleed.begin(self._now_ms, self._guard.mmhg)
            self._pulses.clear()
            self._enter("deflating")

    def _deflating(self):
        if self._guard.raw_mmhg is None:
            return
        mmhg = self._guard.mmhg
        self._bleed.step(self._now_ms, mmhg)
        self._pulses.feed(self._now_ms, mmhg)
        if self._wish == "higher":
            self._wish = ""
            if self._target_mmhg >= _TARGET_MMHG_MAX or self._guard.held_ms() > _AGAIN_MS_MAX:
                self._open("above_range")
            else:
                self._target_mmhg = min(_TARGET_MMHG_MAX, self._target_mmhg + _TARGET_STEP_MMHG)
                self._enter("inflating")
        elif self._wish == "enough" or mmhg < FLOOR_MMHG:
            self._open()

    def _dumping(self):
        guard = self._guard
        found = guard.exhausted()
        if found == "kinked":
            self.reason = found  # whatever else it was: this is what somebody must see to
        elif found:
            self.dump_valve_stuck = found == "dump_valve_stuck"
        # Against the zero of this measurement: a sensor that moved meanwhile measured nothing.
        if guard.raw_mmhg is None or abs(guard.mmhg) > _EMPTY_MMHG:
            self._quiet_ms = self._now_ms
        if self._since(self._quiet_ms) > _EMPTY_MS:
            self._release()
            self._emptied_ms = self._now_ms
            self._enter("idle")
        elif self._since(self._entered_ms) > _DUMP_MS_MAX:
            self._break_down(guard.problem() or self._residue())
        elif self._since(self._entered_ms) > _PROBE_MS and not self._probing and guard.mmhg < HELD_MMHG:
            # A pump that runs on holds some pressure against open valves, more against less open ones.
            guard.mark()
            self._probing = True

    def _residue(self):
        """Why the open cuff does not read empty."""
        if not self._probing:
            return "not_deflating"
        return "pump_runs_on" if self._guard.risen() else "zero_drift"

    def _break_down(self, problem):
        self.fault = problem
        self.reason = self.reason or problem
        self._release()
        self._enter("fault")

    def _release(self):
        """Hand out the measurement that dumping ended, if one did."""
        self._ended = self._ended or self._measured
        self._measured = False

    def _fault(self):
        mmhg = self._guard.raw_mmhg
        if mmhg is None or abs(mmhg) > _ZERO_MMHG_MAX:
            self._quiet_ms = self._now_ms
        if self._since(self._quiet_ms) > _RECOVER_MS:
            self.fault = ""
            self._enter("idle")


def _past_maximum(amplitudes):
    """Whether the last of them have fallen from the highest, one outlier left out of each."""
    return sorted(amplitudes[-3:])[1] < _PAST_MAXIMUM * sorted(amplitudes)[-2]
