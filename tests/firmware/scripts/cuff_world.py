"""A cuff on an arm for the cuff's own tests: one volume of air, a pump, two valves, an artery. Runs on MicroPython.

Not the simulator: coarser on purpose, with every part breakable, and time that only `Bench.run` moves.
"""

import math
import random
import sys

WRAP = 1 << 30


class _Time:
    """The board's `time`, whose ticks wrap at 2**30 ms where the unix port's wrap at 2**62."""

    @staticmethod
    def ticks_ms():
        return 0

    @staticmethod
    def ticks_add(ticks, delta):
        return (ticks + delta) % WRAP

    @staticmethod
    def ticks_diff(a, b):
        return (a - b + WRAP // 2) % WRAP - WRAP // 2


sys.modules["time"] = _Time

from chair.cuff import Cuff  # noqa: E402 the clock comes first


class Bench:
    """Valves and sensor in one; `broken` names what does not do as told."""

    def __init__(self, sys_mmhg=120, dia_mmhg=80, pulse_bpm=72, broken=(), calibration=None, start_ticks=0, size=1.0):
        self.sys_mmhg, self.dia_mmhg, self.pulse_bpm = sys_mmhg, dia_mmhg, pulse_bpm
        self.broken = set(broken)
        self.size = size
        self.ticks = start_ticks
        self.mmhg = 0.0
        self.mmhg_max = 0.0
        self.held_ms = self.held_ms_max = 0
        self._pump = self._closed = False
        self._bleed = 0.0
        self._phase = 0.0
        self._frozen_mmhg = None
        random.seed(7)
        self.polls = True
        self.cuff = Cuff(self, self, calibration, ticks_ms=lambda: self.ticks)

    # valves
    def pump(self, on):
        self._pump = on

    def dump_valve(self, closed):
        self._closed = closed

    def bleed_valve(self, open_fraction):
        self._bleed = open_fraction

    # sensor
    def read_mmhg(self):
        if "sensor_silent" in self.broken:
            raise OSError(5)
        if "sensor_rail" in self.broken:
            return -16.7
        if "sensor_frozen" in self.broken:
            if self._frozen_mmhg is None:
                self._frozen_mmhg = self.mmhg
            return self._frozen_mmhg
        if "sensor_bug" in self.broken:
            raise ValueError("a programming error")
        drift = 14.0 if "sensor_drift" in self.broken else 1.3
        noise = 0.05 * (random.random() - 0.5)
        return round((self.mmhg + self._pulse() + drift + noise) / 0.01737) * 0.01737

    def _pulse(self):
        if self.mmhg < 5:
            return 0.0
        wave = math.exp(-(((self._phase - 0.2) / 0.1) ** 2)) + 0.4 * math.exp(-(((self._phase - 0.45) / 0.13) ** 2))
        return 0.7 * wave * (self._artery(self.sys_mmhg - self.mmhg) - self._artery(self.dia_mmhg - self.mmhg))

    @staticmethod
    def _artery(mmhg):
        """Its volume: with these slopes the envelope has the ratios 0.50 and 0.75 at a pulse pressure of 40 mmHg."""
        return math.exp(0.0868 * mmhg) if mmhg < 0 else 1 + 0.0868 / 0.0524 * (1 - math.exp(-0.0524 * mmhg))

    def _step(self, dt):
        broken = self.broken
        flow = 0.0
        if "pump_stuck_on" in broken or (self._pump and "pump_dead" not in broken):
            flow += 32.0 * (1 - self.mmhg / 450)
        pressure = math.sqrt(max(self.mmhg, 0.0) * 760) / 340
        if (not self._closed and "dump_stuck_shut" not in broken) or "dump_stuck_open" in broken:
            flow -= 95 * pressure
        bleed = 0.0 if "bleed_stuck_shut" in broken else 1.0 if "bleed_stuck_open" in broken else self._bleed
        flow -= 20 * bleed * pressure
        if "leak" in broken:
            flow -= 25 * pressure
        if "kink" in broken and self._pump:
            flow *= 30
        if "cuff_off" in broken:
            flow = -self.mmhg * 10 + (2 if self._pump else 0)
        self.mmhg = max(0.0, self.mmhg + flow / self.size * dt)
        self.mmhg_max = max(self.mmhg_max, self.mmhg)
        self._phase = (self._phase + dt * self.pulse_bpm / 60) % 1.0

    def run(self, ms, every_ms=20, until=None):
        """Let time pass, ticking; returns milliseconds passed when `until()` became true, or all."""
        passed = 0
        while passed < ms:
            for _ in range(every_ms // 4):
                self._step(0.004)
            passed += every_ms
            self.ticks = (self.ticks + every_ms) % WRAP
            self.held_ms = self.held_ms + every_ms if self.mmhg > 15 else 0
            self.held_ms_max = max(self.held_ms_max, self.held_ms)
            try:
                self.cuff.tick(self.ticks)
            except ValueError:
                assert "sensor_bug" in self.broken
            if self.polls and passed % 100 < every_ms:
                self.cuff.poll()
            if until is not None and until():
                break
        return passed

    def measure(self, trigger="command", every_ms=20):
        """Start and run to the end; returns the result."""
        refusal = self.cuff.start(trigger)
        assert refusal == "", refusal
        self.run(240000, every_ms, until=lambda: self.cuff.state in ("idle", "fault"))
        return self.cuff.take_result()

    def break_at(self, ms, part):
        """Start, break a part after `ms`, and watch for a minute; returns what a test judges."""
        self.run(1000)
        self.cuff.start("command")
        self.run(ms)
        self.broken.add(part)
        ended_ms = self.run(60000, until=lambda: self.cuff.state in ("dumping", "fault"))
        emptied_ms = self.run(30000, until=lambda: self.mmhg < 15)
        self.run(30000)
        return {
            "ended_ms": ended_ms,
            "emptied_ms": emptied_ms,
            "mmhg_max": self.mmhg_max,
            "held_ms_max": self.held_ms_max,
            "mmhg": self.mmhg,
            "state": self.cuff.state,
            "fault": self.cuff.fault,
            "dump_valve_stuck": self.cuff.dump_valve_stuck,
            "outputs": [self._pump, self._closed],
            "result": self.cuff.take_result(),
        }
