"""Everything one simulated board touches: chips on their bus, pins, the finger, the cuff and its sensor.

The conductor passes pin and bus traffic in; tests and the demo set the patient and the faults. What the
board's lines do is read from `hardware/board.toml`.
"""

from __future__ import annotations

import random
from collections import deque

from simulators.chips.ads1115 import Ads1115
from simulators.chips.i2c import Bus
from simulators.chips.max30102 import Max30102
from simulators.plan import BoardPlan, load
from simulators.world import artery
from simulators.world.finger import Finger
from simulators.world.patient import Patient
from simulators.world.pneumatics import Cuff
from simulators.world.pulse import Shape, finger_volume

KPA_PER_MMHG = 0.133322
FULL_V = 4.0


class UnknownPin(Exception):
    """The firmware used a pin that the board plan does not name, or used it the wrong way round."""


class ChairWorld:
    """The physical surroundings of one board. `seed` fixes this board's spread of parts and its noise."""

    def __init__(
        self,
        patient: Patient,
        seed: int = 1,
        *,
        same_limb: bool = False,
        cuff_size: str = "normal",
        shape: Shape = finger_volume,
        plan: BoardPlan | None = None,
    ) -> None:
        chance = random.Random(seed * 7919 + 3)
        self.patient = patient
        self.seed = seed
        self.plan = plan or load()
        self.finger = Finger(patient, seed, shape)
        self.cuff = Cuff(lambda t: artery.pressure_mmhg(patient, t), cuff_size)
        self.oximeter = Max30102(self.finger.light, clock_error=chance.uniform(-0.004, 0.004))
        self.pressure_adc = Ads1115(self._input_v, clock_error=chance.uniform(-0.03, 0.03))
        self.bus = Bus()
        self.bus.chips = {
            self.plan.oximeter_address: self.oximeter,
            self.plan.pressure_adc_address: self.pressure_adc,
        }
        self.sensor_frozen = False
        self.sensor_drift_mmhg = 0.0
        self.battery_v = FULL_V
        self.rssi_dbm = -58
        self.wifi_up = True
        self.levels = {gpio: float(pin.reset) for gpio, pin in self.plan.pins.items()}
        # (world seconds, line name, level) of every change of an output, newest last.
        self.output_log: deque[tuple[float, str, float]] = deque(maxlen=20_000)
        self._sensor_gain = 1.0 + chance.uniform(-0.007, 0.007)
        self._sensor_zero_v = chance.uniform(-0.025, 0.025)
        self._sensor_noise = random.Random(seed * 7919 + 4)
        self._sensor_v = 0.0
        self.sit()
        if same_limb:
            self.finger.occlusion = self._occlusion

    def reseed(self, seed: int) -> None:
        """The same parts on another day: other noise, other movements."""
        self.finger.reseed(seed)
        self._sensor_noise = random.Random(seed * 7919 + 6)

    # --- pins

    def write_pin(self, t: float, gpio: int, level: float) -> None:
        """An output line takes a level: 0 or 1, or for a PWM line its duty 0..1. Raises UnknownPin."""
        pin = self.plan.pins.get(gpio)
        if pin is None or pin.direction not in ("out", "pwm"):
            raise UnknownPin(f"GPIO {gpio} is not an output of this board")
        if self.levels[gpio] != level:
            self.output_log.append((t, pin.name, level))
        self.levels[gpio] = level
        self._drive_cuff(t)

    def read_pin(self, gpio: int) -> int:
        """The level of a line. Raises UnknownPin."""
        if gpio not in self.levels:
            raise UnknownPin(f"GPIO {gpio} is not a line of this board")
        return int(self.levels[gpio] > 0)

    def float_pins(self, t: float) -> None:
        """The processor is in reset or without power: every line goes where its resistor pulls it."""
        for gpio, pin in self.plan.pins.items():
            if pin.direction in ("out", "pwm"):
                self.write_pin(t, gpio, float(pin.reset))

    def press(self, name: str, down: bool = True) -> None:
        """Hold or release a button by its line's name; the buttons pull to ground."""
        self.levels[self.plan.gpio(name)] = 0.0 if down else 1.0

    def output(self, name: str) -> float:
        """The present level of a line by its name."""
        return self.levels[self.plan.gpio(name)]

    def sit(self, state: str = "occupied") -> None:
        """Somebody sits, nobody does ("empty"), or the contact's cable is "broken" or "crushed"."""
        closed = {"occupied": (True, False), "empty": (False, True), "broken": (False, False), "crushed": (True, True)}
        for name, down in zip(("seat_occupied", "seat_empty"), closed[state], strict=True):
            self.press(name, down)

    def read_adc_v(self, gpio: int) -> float:
        """The voltage at an analogue input. Raises UnknownPin."""
        pin = self.plan.pins.get(gpio)
        if pin is None or pin.direction != "adc":
            raise UnknownPin(f"GPIO {gpio} is not an analogue input of this board")
        return max(0.0, self.battery_v * self.plan.battery_divider + self._sensor_noise.gauss(0.0, 0.004))

    def _drive_cuff(self, t: float) -> None:
        self.cuff.control(
            t,
            pump_on=self.output("pump") > 0,
            dump_open=self.output("dump_valve") == 0,
            bleed=self.output("bleed_valve"),
        )

    # --- analogue

    def _input_v(self, channel: int, t: float) -> float:
        if channel != self.plan.pressure_adc_channel:
            return 0.0
        if not self.sensor_frozen:
            sensor = self.plan.sensor
            kpa = (self.cuff.pressure_mmhg(t) + self.sensor_drift_mmhg) * KPA_PER_MMHG
            ideal_v = sensor.supply_v * (sensor.gain_per_kpa * kpa * self._sensor_gain + sensor.offset)
            noise_v = self._sensor_noise.gauss(0.0, 0.0003)
            self._sensor_v = (ideal_v + self._sensor_zero_v + noise_v) * sensor.divider
        return self._sensor_v

    def _occlusion(self, t: float) -> float:
        sys, dia = self.patient.at("sys_mmhg", t), self.patient.at("dia_mmhg", t)
        return max(0.0, min(1.0, (sys - self.cuff.arm_mmhg(t)) / (sys - dia)))
