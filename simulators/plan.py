"""The board as data: pins, buses, addresses and the pressure sensor, read from `hardware/board.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class PinPlan:
    name: str
    gpio: int
    direction: str  # "in", "adc", "out" or "pwm"
    reset: int  # what the line does while the processor's pin floats


@dataclass(frozen=True)
class SensorPlan:
    """Gauge pressure sensor and divider: volts = supply * (gain * kPa + offset) * divider."""

    supply_v: float
    gain_per_kpa: float
    offset: float
    divider: float


@dataclass(frozen=True)
class BoardPlan:
    pins: dict[int, PinPlan]
    scl_gpio: int
    sda_gpio: int
    oximeter_address: int
    pressure_adc_address: int
    pressure_adc_channel: int
    sensor: SensorPlan
    battery_divider: float

    def gpio(self, name: str) -> int:
        """The GPIO number of a named line; raises KeyError for an unknown name."""
        for pin in self.pins.values():
            if pin.name == name:
                return pin.gpio
        raise KeyError(name)


def load(path: Path = ROOT / "hardware" / "board.toml") -> BoardPlan:
    """Read the plan; a missing key raises KeyError naming it."""
    data = tomllib.loads(path.read_text())
    pins = {
        pin["gpio"]: PinPlan(name, pin["gpio"], pin["direction"], pin["reset"]) for name, pin in data["pins"].items()
    }
    sensor = data["pressure_sensor"]
    return BoardPlan(
        pins=pins,
        battery_divider=data["battery"]["divider"],
        scl_gpio=data["buses"]["i2c0"]["scl_gpio"],
        sda_gpio=data["buses"]["i2c0"]["sda_gpio"],
        oximeter_address=data["chips"]["oximeter"]["address"],
        pressure_adc_address=data["chips"]["pressure_adc"]["address"],
        pressure_adc_channel=int(data["chips"]["pressure_adc"]["input"].removeprefix("AIN")),
        sensor=SensorPlan(sensor["supply_v"], sensor["gain_per_kpa"], sensor["offset"], sensor["divider"]),
    )
