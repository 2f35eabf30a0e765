"""Every driver of the firmware against its simulated chip, over its whole range, through the bus.

One line of `SWEEPS` makes a driver's sweep: how the board reads the quantity, where it enters the simulated world, and
how far a reading may be off. The quantity climbs in steps of world time; the board reads near the end of each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from simulators.conductor import SimBoard
from simulators.plan import ROOT
from simulators.process import BoardError
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

STEPS, STEP_S = 60, 0.1
PROGRAM = """
import time
from array import array
from machine import I2C, Pin
from drivers.ads1115 import Ads1115
from drivers.max30102 import DEPTH, Max30102
from drivers.mpx5050 import Mpx5050

i2c = I2C(0, scl=Pin(22), sda=Pin(21), freq=400_000)

def newest(chip, red, ir, wanted):
    count, lost = chip.read(red, ir)
    assert count and not lost, (count, lost)
    return wanted[count - 1] * 4096 / 2**18  # nA

red, ir = array("i", bytes(4 * DEPTH)), array("i", bytes(4 * DEPTH))
{setup}
for step in range({steps}):
    time.sleep_ms({step_ms} * step + {step_ms} * 9 // 10 - time.ticks_ms())
    print({read})
"""

Course = Callable[[float], float]


def red_light(world: ChairWorld, course: Course) -> None:
    world.oximeter.light = lambda t, red_ma, ir_ma: (course(t), 1000.0)


def ir_light(world: ChairWorld, course: Course) -> None:
    world.oximeter.light = lambda t, red_ma, ir_ma: (1000.0, course(t))


def converter_volts(world: ChairWorld, course: Course) -> None:
    world.pressure_adc.volts = lambda channel, t: course(t) if channel == 0 else 1.0


def cuff_pressure(world: ChairWorld, course: Course) -> None:
    world.cuff.pressure_mmhg = course  # type: ignore[method-assign]


@dataclass
class Sweep:
    driver: str
    quantity: str
    setup: str
    read: str
    enters: Callable[[ChairWorld, Course], None]
    low: float
    high: float
    off: float  # by the part's tolerance
    bent: float  # away from a straight line: resolution and noise

    def __str__(self) -> str:
        return f"{self.driver}-{self.quantity}"


OXIMETER, CONVERTER = "chip = Max30102(i2c)", "adc = Ads1115(i2c)"
GAUGE = CONVERTER + "; gauge = Mpx5050(adc)"
LIGHT_LSB_NA, VOLTS_LSB = 4096 / 2**18, 4.096 / 2**15
SENSOR_MMHG = 0.025 * 375  # 2.5 % of full scale without calibration
SWEEPS = [
    Sweep(
        "max30102", "red_na", OXIMETER, "newest(chip, red, ir, red)", red_light, 0, 4095.9, LIGHT_LSB_NA, LIGHT_LSB_NA
    ),
    Sweep("max30102", "ir_na", OXIMETER, "newest(chip, red, ir, ir)", ir_light, 0, 4095.9, LIGHT_LSB_NA, LIGHT_LSB_NA),
    Sweep("ads1115", "volts", CONVERTER, "adc.read_v()", converter_volts, -0.3, 3.6, VOLTS_LSB / 2, VOLTS_LSB / 2),
    Sweep("mpx5050", "mmhg", GAUGE, "gauge.read_mmhg()", cuff_pressure, -10, 370, SENSOR_MMHG, 0.2),
]


@pytest.mark.parametrize("sweep", SWEEPS, ids=str)
def test_a_driver_reads_what_is_there(sweep: Sweep, tmp_path: Path) -> None:
    """Over its whole range a reading is within the part's tolerance of the truth, and the readings lie on a line."""
    true = np.linspace(sweep.low, sweep.high, STEPS)
    world = ChairWorld(Patient(), seed=3)
    sweep.enters(world, lambda t: float(true[min(int(t / STEP_S), STEPS - 1)]))
    program = PROGRAM.format(setup=sweep.setup, read=sweep.read, steps=STEPS, step_ms=round(STEP_S * 1000))
    (tmp_path / "main.py").write_text(program)
    board = SimBoard("cb-0000d1", world, tmp_path / "flash", main=tmp_path / "main.py")
    board.start()
    try:
        with pytest.raises(BoardError, match="its program ended"):
            board.run_for(STEPS * STEP_S + 1)
    finally:
        board.kill()
    console = board.log_path.read_text()
    assert "Traceback" not in console, console
    read = np.array([float(line) for line in console.splitlines()])
    assert len(read) == STEPS
    assert np.abs(read - true).max() <= sweep.off + 1e-9
    line = np.polyval(np.polyfit(true, read, 1), true)
    assert np.abs(read - line).max() <= sweep.bent + 1e-9


def test_no_driver_is_left_out() -> None:
    """Each module of the firmware's drivers has a line in the table."""
    drivers = {path.stem for path in (ROOT / "firmware" / "drivers").glob("*.py")} - {"__init__"}
    assert {sweep.driver for sweep in SWEEPS} == drivers
