"""The firmware's files on MicroPython, fed with a conditioned recording; results come back as JSON, one a line.

The two programs are all that runs there beside the firmware. They are text, because to this Python the firmware's
packages do not exist.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulators.plan import ROOT
from simulators.process import BoardError, find_micropython

FIRMWARE = ROOT / "firmware"

# Reads pairs of 32 bit red and infrared, 100 a second. Red -1: no sample was taken, for as many as infrared says, told
# at the first of them; by the chip's rule 31 or more end the history. The clock is the recording's.
OXIMETRY = """
import json, sys
from array import array
from chair.oximetry import Oximeter

calibration = json.loads(sys.argv[2])
now_ms = [0]
oximeter = Oximeter(100, calibration, ticks_ms=lambda: now_ms[0])
pairs = array("i", bytes(800))
with open(sys.argv[1], "rb") as file:
    while file.readinto(pairs) == 800:
        for i in range(0, 200, 2):
            if pairs[i] >= 0:
                oximeter.feed(pairs[i], pairs[i + 1])
            elif pairs[i + 1]:
                oximeter.gap(min(31, pairs[i + 1]))
        now_ms[0] += 1000
        print(json.dumps(oximeter.reading()))
"""

# Reads 32 bit floats, one each 20 ms; NaN: no sample was taken.
CUFF = """
import json, sys
from array import array
from chair.oscillometry import RATIOS, Pulses

pulses = Pulses()
one = array("f", [0.0])
now_ms = 0
with open(sys.argv[1], "rb") as file:
    while file.readinto(one) == 4:
        if one[0] == one[0]:
            pulses.feed(now_ms, one[0])
        now_ms += 20
print(json.dumps(pulses.estimate(json.loads(sys.argv[2]) or RATIOS)))
"""


def run(program: str, samples: bytes, given: Any = None) -> Iterator[dict[str, Any]]:
    """What the program prints, as it comes. Raises BoardError when MicroPython is missing or the program fails."""
    micropython = find_micropython()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "samples").write_bytes(samples)
        (Path(folder) / "program.py").write_text(program, encoding="utf-8")
        with (Path(folder) / "errors").open("w+") as errors:
            try:
                process = subprocess.Popen(
                    [micropython, "-X", "heapsize=4M", "program.py", "samples", json.dumps(given)],
                    cwd=folder,
                    env={"MICROPYPATH": f"{FIRMWARE}:.frozen"},
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
            except OSError as error:
                raise BoardError(f"{micropython} does not run: {error.strerror}") from error
            with process:
                try:
                    told: list[str] = []
                    for said in process.stdout or ():
                        if said.startswith("{"):
                            yield json.loads(said)
                        else:
                            told.append(said.strip())
                finally:
                    process.kill()
            errors.seek(0)
            if process.returncode > 0:
                raise BoardError(
                    f"the firmware's code stopped on MicroPython: {'; '.join([*told, errors.read()][-4:])}"
                )
