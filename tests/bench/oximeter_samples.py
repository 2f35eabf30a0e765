"""What a board's oximeter chip samples of a patient's finger, and what the firmware reads from that: without the rest
of the board, so that hours of many boards take seconds.

The LED currents are those that the firmware's own gain settles on; a board of the whole firmware changes them on the
way, which `test_oximetry_faults.py` covers.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from hardware.bench import calibrate
from simulators.bench import SPO2_POINTS_PCT
from simulators.chips import max30102 as chip_registers
from simulators.chips.max30102 import Max30102
from simulators.plan import ROOT
from simulators.process import find_micropython
from simulators.world.finger import DARK_SKIN, LIGHT_SKIN, Finger
from simulators.world.patient import Patient

RATE_HZ = 100
START_STEPS = 36
SETTLED_S = 8  # from when on there must be a value
POINT_S = 13
SETTING = {chip_registers.FIFO_CONFIG: 0x00, chip_registers.SPO2_CONFIG: 0x27}  # as tests/firmware/test_drivers.py

READER = """
import json, sys
from array import array
from chair.gain import LedGain
from chair.oximetry import Oximeter

def currents(red, ir):
    gain = LedGain()
    now_ms = 0
    for _ in range(100):
        levels = array("i", [min(262143, red * gain.red // 36)]), array("i", [min(262143, ir * gain.ir // 36)])
        gain.take(levels[0], levels[1], 1)
        gain.step(True, now_ms)
        now_ms += 1000
    return gain.red, gain.ir

def read(name, calibration, average_s):
    clock = [0]
    oximeter = Oximeter(100, calibration, lambda: clock[0], average_s)
    published = Oximeter(100)
    samples = array("i")
    with open(name, "rb") as file:
        samples.extend(array("i", file.read()))
    count = len(samples) // 2
    for i in range(count):
        oximeter.feed(samples[i], samples[count + i])
        if i % 100 == 99:
            clock[0] += 1000
            reading = oximeter.reading()
            if "spo2_pct" in reading:
                reading["published_pct"] = published._saturation(reading["ratio"])
            yield reading

for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps(currents(*job["levels"]) if "levels" in job else list(read(**job))))
"""


class Reader:
    """The firmware's oximetry in a process of its own; use as a context manager."""

    def __enter__(self) -> Reader:
        self._folder = tempfile.TemporaryDirectory()
        self._samples = Path(self._folder.name) / "samples.bin"
        self._process = subprocess.Popen(
            [find_micropython(), "-X", "heapsize=8m", "-c", READER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"MICROPYPATH": f"{ROOT / 'firmware'}:.frozen"},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._folder.cleanup()

    def _ask(self, job: Mapping[str, object]) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def currents(self, red: int, ir: int) -> tuple[int, int]:
        """The LED currents, in the register's steps, for these levels at the usual current."""
        red_steps, ir_steps = self._ask({"levels": (red, ir)})
        return red_steps, ir_steps

    def read(
        self, red: array[int], ir: array[int], calibration: Mapping[str, object] | None = None, average_s: int = 8
    ) -> list[dict[str, Any]]:
        """One reading for each second; `published_pct` is what the published curve makes of its ratio."""
        with self._samples.open("wb") as file:
            red.tofile(file)
            ir.tofile(file)
        readings: list[dict[str, Any]] = self._ask(
            {"name": str(self._samples), "calibration": calibration, "average_s": average_s}
        )
        return readings


class Board:
    """The optical part of the board with this number, on the finger of patients who are told what to have."""

    def __init__(self, seed: int, reader: Reader) -> None:
        chance = random.Random(seed)
        self.seed = seed
        self.reader = reader
        self.clock_error = chance.uniform(-0.004, 0.004)
        self.skin = chance.uniform(LIGHT_SKIN, DARK_SKIN)

    def samples(
        self, patient: Patient, seconds: float, course: Callable[[float], Mapping[str, float]] | None = None
    ) -> tuple[array[int], array[int]]:
        """Red and infrared counts. `course(t)` sets the patient four times a second."""
        finger = Finger(patient, self.seed)
        finger.skin = self.skin
        red, ir = self._record(finger, 1.0, START_STEPS, START_STEPS)
        currents = self.reader.currents(sum(red) // len(red), sum(ir) // len(ir))
        return self._record(finger, seconds, *currents, course)

    def _record(
        self,
        finger: Finger,
        seconds: float,
        red_steps: int,
        ir_steps: int,
        course: Callable[[float], Mapping[str, float]] | None = None,
    ) -> tuple[array[int], array[int]]:
        chip = Max30102(finger.light, clock_error=self.clock_error)
        currents = {chip_registers.LED1_CURRENT: red_steps, chip_registers.LED2_CURRENT: ir_steps}
        for register, value in {**SETTING, **currents, chip_registers.MODE_CONFIG: 3}.items():
            chip.write(0.0, bytes((register, value)))
        red, ir = array("i"), array("i")
        now_s = 0.0
        finger.patient.clock = lambda: now_s
        while len(red) < seconds * RATE_HZ:
            now_s += 0.25
            if course:
                finger.patient.set(**course(now_s))
            chip.write(now_s, bytes((chip_registers.WRITE_POINTER,)))
            pointers = chip.read(now_s, 3)
            count = (pointers[0] - pointers[2]) % 32
            chip.write(now_s, bytes((chip_registers.FIFO_DATA,)))
            raw = chip.read(now_s, 6 * count)
            for at in range(0, 6 * count, 6):
                red.append(int.from_bytes(raw[at : at + 3], "big") & 0x3FFFF)
                ir.append(int.from_bytes(raw[at + 3 : at + 6], "big") & 0x3FFFF)
        return red, ir

    def calibrated(self) -> dict[str, Any]:
        """What the bench's procedure makes of the board's own ratios at its reference points."""
        pairs = []
        for spo2_pct in SPO2_POINTS_PCT:
            readings = self.reader.read(*self.samples(Patient(spo2_pct=spo2_pct), POINT_S))
            pairs += [(reading["ratio"], spo2_pct) for reading in readings[SETTLED_S:] if "spo2_pct" in reading]
        return calibrate.fit(f"cb-{self.seed:06d}", pairs)
