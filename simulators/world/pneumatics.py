"""The air in the cuff: pump, bleed valve, dump valve, leak, and the artery that pushes back.

The state is one number, the air in the cuff (absolute pressure times volume, at constant temperature),
integrated in fixed small steps up to the moment somebody looks. Pressures are gauge mmHg, volumes ml.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.world.artery import TYPICAL, Artery

ATMOSPHERE_MMHG = 760.0
STEP_S = 0.002
CUFF_EMPTY_ML = 120.0
# Not wrapped round an arm the bladder unfolds: it takes this much air before it resists.
CUFF_LOOSE_ML = 420.0
TUBE_ML = 8.0
TUBE_STRETCH_ML_PER_MMHG = 0.004
CUFF_STRETCH_ML_PER_MMHG = 0.25
# Air volumes and stretch of a cuff against a normal adult's. The artery under it is taken to be the same.
CUFF_SIZES = {"small": 0.6, "normal": 1.0, "large": 1.6}
# A small diaphragm pump: free flow, falling in a line to nothing at its stall pressure.
PUMP_FREE_ML_PER_S = 14.0
PUMP_STALL_MMHG = 450.0
# Orifices: air per second = size * sqrt(gauge * absolute pressure).
DUMP_SIZE = 95.0
BLEED_SIZE = 20.0
HELD_MMHG = 15.0


@dataclass
class SafetyFacts:
    """What the cuff did to the arm, for tests to judge."""

    pressure_mmhg_max: float = 0.0
    held_s_max: float = 0.0  # longest time without a break above 15 mmHg
    pump_s: float = 0.0
    held_since_s: float | None = field(default=None, repr=False)


class Cuff:
    """A cuff on an arm that fits it, of one of `CUFF_SIZES`; KeyError for another.

    `arterial_mmhg(t)` is the true pressure in the artery under it; `muscle_ml(t)` what a moving arm takes of its room.
    """

    def __init__(self, arterial_mmhg: Callable[[float], float], size: str = "normal", artery: Artery = TYPICAL) -> None:
        self.arterial_mmhg = arterial_mmhg
        self.artery = artery
        self.muscle_ml: Callable[[float], float] = lambda t: 0.0
        self.size = size
        self._empty_ml = CUFF_EMPTY_ML * CUFF_SIZES[size]
        self._loose_ml = CUFF_LOOSE_ML * CUFF_SIZES[size]
        self._stretch = CUFF_STRETCH_ML_PER_MMHG * CUFF_SIZES[size]
        self.pump_on = False
        self.dump_open = True
        self.bleed = 0.0  # 0 closed .. 1 fully open
        self.leak_size = 0.0  # an orifice like the valves'; 5 loses about 3 mmHg/s at 160
        self.on_arm = True
        self.pump_dead = False
        self.pump_runs_on = False  # its transistor is burnt through
        self.dump_stuck_shut = False
        self.dump_stuck_open = False
        self.bleed_blocked = False
        self.kinked = False
        self.facts = SafetyFacts()
        self._now = 0.0
        self._air = ATMOSPHERE_MMHG * (self._empty_ml - artery.volume_ml(arterial_mmhg(0.0)))
        self._pressure = 0.0
        self._trapped = 0.0  # air behind a kink, and its pressure
        self._trapped_mmhg = 0.0

    def wrap(self, t: float, on_arm: bool) -> None:
        """Take the cuff off the arm, or put it on: then what air was in it is pressed out first."""
        self.pressure_mmhg(t)
        self.on_arm = on_arm
        if on_arm:
            room_ml = self._empty_ml - self.artery.volume_ml(self.arterial_mmhg(t))
            self._air = min(self._air, ATMOSPHERE_MMHG * room_ml)
        self._pressure = self._solve()

    def kink(self, t: float, kinked: bool) -> None:
        """Press the tube shut near the cuff, or let it go: pump, valves and sensor see the tube alone meanwhile."""
        pressure = self.pressure_mmhg(t)
        if kinked and not self.kinked:
            tube = (ATMOSPHERE_MMHG + pressure) * TUBE_ML
            self._trapped, self._trapped_mmhg = self._air - tube, pressure
            self._air = tube
        elif self.kinked and not kinked:
            self._air += self._trapped
        self.kinked = kinked
        self._pressure = self._solve()

    def arm_mmhg(self, t: float) -> float:
        """What presses on the arm: what the sensor sees, but for a kink."""
        pressure = self.pressure_mmhg(t)
        return self._trapped_mmhg if self.kinked else pressure

    def control(self, t: float, *, pump_on: bool, dump_open: bool, bleed: float) -> None:
        """Set the three drives at world time t."""
        self.pressure_mmhg(t)
        self.pump_on, self.dump_open, self.bleed = pump_on, dump_open, bleed

    def pressure_mmhg(self, t: float) -> float:
        """Gauge pressure in the cuff at world time t (or at the last time asked, if that was later)."""
        running = (self.pump_on or self.pump_runs_on) and not self.pump_dead
        if self._pressure < 0.01 and not running:
            # Nothing can happen to an empty cuff, so a quiet hour costs nothing.
            self._now = max(self._now, t)
        while self._now + STEP_S <= t:
            self._now += STEP_S
            self._step(running)
        return self._pressure

    def _step(self, running: bool) -> None:
        pressure = self._pressure
        opening = 0.0 if self.kinked else self.leak_size
        if not self.bleed_blocked:
            opening += self.bleed * BLEED_SIZE
        if (self.dump_open or self.dump_stuck_open) and not self.dump_stuck_shut:
            opening += DUMP_SIZE
        flow = -opening * math.sqrt(max(pressure, 0.0) * (pressure + ATMOSPHERE_MMHG))
        if running:
            flow += ATMOSPHERE_MMHG * PUMP_FREE_ML_PER_S * max(0.0, 1.0 - pressure / PUMP_STALL_MMHG)
            self.facts.pump_s += STEP_S
        self._air += flow * STEP_S
        self._pressure = self._solve()
        self._note_facts()

    def _solve(self) -> float:
        """Pressure at which this much air fills the cuff beside the artery; a slack cuff has none."""
        volume_ml, stretch = TUBE_ML, TUBE_STRETCH_ML_PER_MMHG
        if not self.kinked:
            volume_ml, stretch = self._loose_ml, self._stretch
            if self.on_arm:
                # The artery moves a fraction of a mmHg, so the last pressure serves for its transmural pressure.
                arterial_mmhg = self.arterial_mmhg(self._now)
                volume_ml = self._empty_ml - self.artery.volume_ml(arterial_mmhg - self._pressure)
                volume_ml -= self.muscle_ml(self._now)
        # (760 + p) * (volume + stretch * p) = air, solved for p.
        half_b = 0.5 * (volume_ml + stretch * ATMOSPHERE_MMHG)
        c = ATMOSPHERE_MMHG * volume_ml - self._air
        root = math.sqrt(max(0.0, half_b * half_b - stretch * c))
        return max(0.0, (root - half_b) / stretch)

    def _note_facts(self) -> None:
        facts = self.facts
        pressure = self._trapped_mmhg if self.kinked else self._pressure
        facts.pressure_mmhg_max = max(facts.pressure_mmhg_max, pressure)
        if pressure <= HELD_MMHG:
            facts.held_since_s = None
            return
        if facts.held_since_s is None:
            facts.held_since_s = self._now
        facts.held_s_max = max(facts.held_s_max, self._now - facts.held_since_s)
