"""LED currents: found in seconds, left alone when good, told from light that is not theirs; a change fakes no pulse."""

from pathlib import Path
from typing import Any

import pytest
from test_drivers import BUS, MAX30102
from unix_port import run

# A finger that returns so many counts for each step of current, besides ambient light; 20 s.
LEVELS = """
from array import array
from chair.gain import LedGain
gain = LedGain()
result = {"currents": [], "changes": 0, "ambient": []}
for second in range(seconds):
    red, ir = [min(262143, int(per_step * steps + ambient_raw * (second >= 10)))
               for per_step, steps in ((red_per_step, gain.red), (ir_per_step, gain.ir))]
    gain.take(array("i", [red] * 8), array("i", [ir] * 8), 8)
    result["changes"] += gain.step(finger, second * 1000)
    result["currents"].append((gain.red, gain.ir))
    result["ambient"].append(gain.ambient)
result["levels"] = red, ir
"""


def levels(**given: Any) -> dict[str, Any]:
    found: dict[str, Any] = run(LEVELS, **{"seconds": 20, "ambient_raw": 0, "finger": True, **given})
    return found


@pytest.mark.parametrize(("red_per_step", "ir_per_step"), [(1900, 2400), (400, 900), (12000, 15000), (2800, 900)])
def test_both_levels_come_into_range_and_stay(red_per_step: int, ir_per_step: int) -> None:
    """Within 5 s both colours are equally bright, and then nothing changes."""
    found = levels(red_per_step=red_per_step, ir_per_step=ir_per_step)
    assert all(
        90_000 <= level <= 215_000 or current == 200
        for level, current in zip(found["levels"], found["currents"][-1], strict=True)
    )
    assert found["currents"][5:] == found["currents"][5:6] * 15
    assert found["changes"] <= 4


def test_without_a_finger_the_currents_are_the_usual_ones() -> None:
    """Tissue is told from air at one known current."""
    assert set(map(tuple, levels(red_per_step=5, ir_per_step=5, finger=False)["currents"])) == {(36, 36)}


def test_changes_come_ever_more_seldom() -> None:
    """A level that cannot be held does not make the currents jump for ever."""
    found = run(
        LEVELS.replace("int(per_step * steps", "int((1 + 0.7 * (second % 2)) * per_step * steps"),
        seconds=120,
        ambient_raw=0,
        finger=True,
        red_per_step=1900,
        ir_per_step=2400,
    )
    assert found["changes"] <= 8


def test_light_that_does_not_follow_the_current_is_ambient() -> None:
    """Sun in the probe: named within 10 s of its coming."""
    found = levels(red_per_step=2000, ir_per_step=2400, ambient_raw=120_000, seconds=40)
    assert not any(found["ambient"][:10])
    assert any(found["ambient"][10:20])


def test_the_driver_writes_both_currents() -> None:
    """Red is LED 1, infrared LED 2."""
    log = run(
        BUS + "from drivers.max30102 import Max30102\nb = Bus(regs)\nc = Max30102(b)\nb.log.clear()\n"
        "c.set_leds(70, 55)\nresult = b.log",
        regs={0xFF: [0x15], 0x09: [0x00]},
    )
    assert log == [["w", MAX30102, 0x0C, [70]], ["w", MAX30102, 0x0D, [55]]]


def test_a_change_of_current_fakes_nothing(tmp_path: Path) -> None:
    """Currents that double and halve again every 3 s: the value goes on, as it was."""
    readings = run("""
from math import exp, sin
from chair.oximetry import Oximeter
clock = [0]
o = Oximeter(100, {"spo2": [0, -25, 110], "spo2_ratio_range": [0.3, 1.4], "led_order": "red_ir"}, lambda: clock[0])
result = []
share = 1
for i in range(3000):
    if i % 300 == 299:
        share = 3 - share
        o.lights(share, share)
    s = 0.01 * sin(i * 0.075) + 0.004 * sin(i * 0.15 + 1) + 0.00002 * (i * 7919 % 11)
    o.feed(int(share * 60000 * exp(0.6 * s)), int(share * 70000 * exp(s)))
    if i % 100 == 99:
        clock[0] += 1000
        result.append(o.reading())
""")
    for reading in readings[8:]:
        assert reading["quality"] == "good"
        assert reading["spo2_pct"] == pytest.approx(95, abs=0.5)
        assert reading["pulse_bpm"] == pytest.approx(71.6, abs=2)
