"""The self-test of a board: is each part there, and does it work? One line of the console for each check.

Pump and valves are only tried when that is asked for, and only as in a measurement: by chair/cuff.py, under its
supervisor.
"""

import json

from chair import pins, wire
from chair.bench import arm_of, borrowed, samples, volts, wait
from chair.console import Refused
from drivers import ChipFault, ads1115, mpx5050
from drivers.max30102 import Max30102
from micropython import const

_LED_MA = const(10.0)
_LIGHT_COUNTS_MIN = const(50)  # in open air too: the cover glass sends that much back
_RATE_MS = const(2000)
_RATE_HZ = (98.0, 102.0)
_ZERO_MMHG_MAX = const(10)  # 2.5 % of full scale, the sensor's own tolerance
_FILLED_MMHG = const(50)
_FILLED_MS_MAX = const(20_000)
_EMPTY_MMHG = const(15)
_EMPTY_MS_MAX = const(10_000)


class _Checks:
    def __init__(self, console):
        self._console = console
        self.failed = 0

    def add(self, check, found, needed, passed):
        self.failed += not passed
        self._console.say({"check": check, "found": found, "needed": needed, "passed": passed})


async def run(console, request):
    """Looks at each chip. With `cuff`, which must be round something, also fills it a little and empties it again."""
    checks = _Checks(console)

    async def use():
        await _test_oximeter(console, checks)

    await borrowed(console, use)
    await _test_pressure(console, checks)
    for name, pressed in zip(("acknowledge", "call"), console.board.buttons()):
        checks.add("button_" + name, "pressed" if pressed else "released", "released", not pressed)
    if request.get("cuff"):
        await _test_cuff(console, checks)
    return {"failed": checks.failed}


async def _test_oximeter(console, checks):
    needed = "part id 0x15 at 0x%02x" % pins.OXIMETER_ADDRESS
    try:
        chip = Max30102(console.board.i2c, pins.OXIMETER_ADDRESS, 0)
        checks.add("oximeter", needed, needed, True)
        dark = await _light(console, chip, 500)
        bright = await _light(console, Max30102(console.board.i2c, pins.OXIMETER_ADDRESS, _LED_MA), _RATE_MS)
    except ChipFault as fault:
        checks.add("oximeter", str(fault), needed, False)
        return
    except OSError:
        checks.add("oximeter", "no answer", needed, False)
        return
    needed = "at least %d counts more than without" % _LIGHT_COUNTS_MIN
    for i, name in enumerate(("red_led", "infrared_led")):
        counts = round(bright[i] - dark[i])
        checks.add(name, "%d counts" % counts, needed, counts >= _LIGHT_COUNTS_MIN)
    passed = _RATE_HZ[0] <= bright[2] <= _RATE_HZ[1]
    checks.add("oximeter_rate", "%.1f /s" % bright[2], "%d to %d /s" % _RATE_HZ, passed)


async def _light(console, chip, ms):
    """(mean red, mean infrared counts, samples a second)."""
    sums = [0, 0, 0]

    def add(at, red, ir, count):
        for i in range(count):
            sums[0] += red[i]
            sums[1] += ir[i]
        sums[2] += count

    at, passed_ms, going = await samples(console, chip, ms, add)
    if not going:
        raise Refused("stopped")
    held = max(sums[2], 1)
    return sums[0] / held, sums[1] / held, at * 1000 / passed_ms


async def _test_pressure(console, checks):
    needed = "its configuration at 0x%02x" % pins.PRESSURE_ADC_ADDRESS
    try:
        ads1115.Ads1115(console.board.i2c, pins.PRESSURE_ADC_ADDRESS)
        mmhg = mpx5050.convert(await volts(console, 500))
    except ChipFault as fault:
        checks.add("pressure_adc", str(fault), needed, False)
        return
    except OSError:
        checks.add("pressure_adc", "no answer", needed, False)
        return
    checks.add("pressure_adc", needed, needed, True)
    needed = "-%d to %d mmHg, with the cuff open" % (_ZERO_MMHG_MAX, _ZERO_MMHG_MAX)
    checks.add("pressure_sensor", "%.1f mmHg" % mmhg, needed, abs(mmhg) <= _ZERO_MMHG_MAX)


async def _test_cuff(console, checks):
    """Pump, valves and sensor together, under the cuff's own supervisor: up to 50 mmHg, and open."""
    arm = arm_of(console)
    reasons = []

    def heard(kind, body):
        if kind == wire.CUFF:
            reasons.append(json.loads(b"{" + body + b"}").get("reason"))

    reason = arm.start("command")
    if reason:
        raise Refused("the cuff does not start: " + reason)
    console.listener = heard
    needed = "%d mmHg within %d s" % (_FILLED_MMHG, _FILLED_MS_MAX // 1000)
    try:
        took_ms = await wait(console, lambda: (arm.pressure_mmhg or 0) >= _FILLED_MMHG or reasons, _FILLED_MS_MAX)
        why = reasons[0] if reasons else "not reached"
        filled = took_ms is not None and not reasons
        checks.add("pump", "%.1f s" % (took_ms / 1000) if filled else why, needed, filled)
    finally:
        arm.abort("aborted")
        console.listener = None
    needed = "under %d mmHg within %d s" % (_EMPTY_MMHG, _EMPTY_MS_MAX // 1000)
    took_ms = await wait(console, lambda: arm.empty, _EMPTY_MS_MAX)
    found = "still filled" if took_ms is None else "%.1f s" % (took_ms / 1000)
    stuck = "cuff_dump_valve_stuck" in arm.faults
    checks.add(
        "dump_valve", "stuck: only the bleed valve opened" if stuck else found, needed, bool(took_ms) and not stuck
    )
