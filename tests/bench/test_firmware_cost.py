"""What a second of oximetry and a sample of the cuff cost an ESP32, counted in instructions.

Assumption. The unix port and the ESP32 run the same interpreter, so two programs that both do float arithmetic, calls
and attribute access cost in about the same proportion on both. pyperformance's `float` benchmark is such a program,
and its speed on an ESP32 is published: 3467 points a second (MicroPython pull request 7850, bm_float of
tests/perf_bench, which is that benchmark; 160 MHz, a board runs at up to 240). So a second of ours costs

    share of a core = our instructions a second / (instructions a point * 3467)

Counted by callgrind as the difference between a longer and a shorter run, so that loading and compiling cancel out.
Garbage collection is in it, as far as the runs collect. Bus transfers and the radio are not.
"""

import json
import os
import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from simulators.plan import ROOT
from simulators.process import find_micropython

ESP32_POINTS_PER_S = 3467
SHARE_MAX = 0.25

FLOAT = """
names = {"__name__": "float"}
exec(open(path).read().replace("import pyperf", ""), names)
for _ in range(n):
    names["benchmark"](250)
"""
OXIMETRY = """
from math import sin
from chair.oximetry import Oximeter
oximeter = Oximeter(100, None)
for second in range(10 + n):
    for i in range(100):
        beat = sin(6.2832 * 1.2 * (second + i / 100))
        oximeter.feed(int(100000 + 800 * beat), int(110000 + 1600 * beat))
    if second >= 10:
        oximeter.reading()
"""
# What the loop itself costs, to be taken off.
OXIMETRY_INPUT = """
from math import sin
def feed(red, ir):
    pass
for second in range(10 + n):
    for i in range(100):
        beat = sin(6.2832 * 1.2 * (second + i / 100))
        feed(int(100000 + 800 * beat), int(110000 + 1600 * beat))
"""
CUFF = """
from math import sin
from chair import cuff
class Valves:
    def pump(self, on): pass
    def dump_valve(self, closed): pass
    def bleed_valve(self, open_fraction): pass
class Sensor:
    mmhg = 0.0
    def read_mmhg(self): return self.mmhg
sensor = Sensor()
now = [0]
it = cuff.Cuff(Valves(), sensor, None, lambda: now[0])
def turn(mmhg):
    now[0] += 20
    sensor.mmhg = mmhg
    it.tick(now[0])
turn(0.0)
assert it.start("command") == ""
for i in range(40):
    turn(0.01 * (i % 2))
mmhg = 0.0
while it.state == "inflating":
    mmhg += 0.4
    turn(mmhg)
for i in range(300 + 50 * n):
    mmhg -= 0.06
    turn(mmhg + sin(6.2832 * 1.2 * i / 50))
assert it.state == "deflating", it.state
"""


def instructions(script: str, n: int, **given: object) -> int:
    program = f"import json\nglobals().update(json.loads({json.dumps(given)!r}))\nn = {n}\n{script}"
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", find_micropython(), "-c", program],
        env={"MICROPYPATH": f"{ROOT / 'firmware'}:.frozen", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"Collected : (\d+)", done.stderr)
    assert counted, done.stderr
    return int(counted[1])


def each(script: str, short: int, long: int, **given: object) -> float:
    """Instructions of one more turn."""
    return (instructions(script, long, **given) - instructions(script, short, **given)) / (long - short)


@pytest.fixture(scope="module")
def esp32_per_s() -> float:
    """Instructions, as counted here, that an ESP32 gets through in a second."""
    path = resources.files("pyperformance") / "data-files/benchmarks/bm_float/run_benchmark.py"
    return each(FLOAT, 1, 3, path=str(Path(str(path)))) / 250 * ESP32_POINTS_PER_S


def test_a_second_of_oximetry(esp32_per_s: float) -> None:
    """A hundred samples and a reading take at most a quarter of an ESP32's core."""
    cost = each(OXIMETRY, 1, 6) - each(OXIMETRY_INPUT, 1, 6)
    print(f"oximetry: {cost / 1e6:.2f} M instructions a second, {cost / esp32_per_s:.1%} of an ESP32 core")
    assert cost / esp32_per_s <= SHARE_MAX


def test_a_second_of_the_cuff(esp32_per_s: float) -> None:
    """The supervisor's fifty samples of a deflation take at most a quarter of an ESP32's core."""
    cost = each(CUFF, 1, 6)
    print(
        f"cuff: {cost / 50 / 1e3:.1f} k instructions a sample, {cost / 1e6:.2f} M a second, "
        f"{cost / esp32_per_s:.1%} of an ESP32 core"
    )
    assert cost / esp32_per_s <= SHARE_MAX
