"""What the console can do with a board on the bench: look at its chips, tell what they see, move its air.

Each request is a coroutine of the console and what was asked; it says lines as it goes and returns the answer's
fields. One that lasts ends early when another request comes, and one that a session forbids when a session begins.
Loaded with the first of them.
"""

import json
from array import array

from chair import hold, pins, wire
from chair.console import Refused
from drivers import ads1115
from drivers.max30102 import DEPTH, Max30102
from micropython import const

_STREAM_S_MAX = const(60)
_TELL_S_MAX = const(600)
_CONVERSION = const(0x00)


def _number(request, key, low, high):
    value = request.get(key)
    if type(value) not in (int, float) or not low <= value <= high:
        raise Refused("%s: found %s, must be %s to %s" % (key, json.dumps(value)[:40], low, high))
    return value


def arm_of(console):
    if console.arm is None:
        raise Refused("the chair's program does not run: provision the board, or end its safe mode")
    return console.arm


# ---- the oximeter's chip, borrowed from the finger


class _Away:
    """What the finger has instead of its chip meanwhile: no samples, and settings that reach nobody."""

    def read(self, red, ir):
        return 0, 0

    def __getattr__(self, name):
        return lambda *settings: None


async def borrowed(console, use):
    if console.finger:
        console.finger._chip = _Away()
    try:
        return await use()
    finally:
        if console.finger:
            console.finger._chip = None  # set up anew, so that no value spans the break


async def samples(console, chip, ms, take):
    """Give `take(at, red, ir, count)` what the chip has, with the number of the first sample, for some time."""
    red = array("i", bytes(4 * DEPTH))
    ir = array("i", bytes(4 * DEPTH))
    at = 0
    began_ms = console.up_ms()
    while True:
        going = await console.turn()
        passed_ms = console.up_ms() - began_ms
        count, lost = chip.read(red, ir)
        if count:
            take(at, red, ir, count)
        at += count + lost
        if not going or passed_ms >= ms:
            return at, passed_ms, going


async def stream(console, request):
    """Red and infrared counts as the chip gives them; `at` counts samples, `up_ms` is when the last was read."""
    ms = int(1000 * _number(request, "seconds", 0.1, _STREAM_S_MAX))
    led_ma = _number(request, "led_ma", 0, 51) if "led_ma" in request else 7.2

    def tell(at, red, ir, count):
        console.say({"at": at, "up_ms": console.up_ms(), "red": list(red[:count]), "ir": list(ir[:count])})

    async def use():
        chip = Max30102(console.board.i2c, pins.OXIMETER_ADDRESS, led_ma)
        return await samples(console, chip, ms, tell)

    at, passed_ms, _ = await borrowed(console, use)
    return {"samples": at, "ms": passed_ms}


async def volts(console, ms):
    """The mean at the pressure converter. Only reads it: the cuff's supervisor goes on with it."""
    volts = []
    began_ms = console.up_ms()
    while console.up_ms() - began_ms < ms:
        if not await console.turn():
            raise Refused("stopped")
        volts.append(ads1115.convert(console.board.i2c.readfrom_mem(pins.PRESSURE_ADC_ADDRESS, _CONVERSION, 2)))
    return sum(volts) / len(volts)


async def wait(console, condition, ms_max):
    """How long it took in ms, or None when it did not come true."""
    began_ms = console.up_ms()
    while console.up_ms() - began_ms < ms_max:
        if not await console.turn():
            raise Refused("stopped")
        if condition():
            return console.up_ms() - began_ms
    return None


# ---- what the chair does


async def identify(console, request):
    """All lamps flash and the sounder beeps for ten seconds; an alarm goes before it."""
    arm_of(console)
    console.annunciator.identify(console.up_ms())


async def buttons(console, request):
    """Tells each button once it is pressed, until both were."""
    pressed = []

    def look():
        for name, down in zip(("acknowledge", "call"), console.board.buttons()):
            if down and name not in pressed:
                pressed.append(name)
                console.say({"button": name})
        return len(pressed) == 2

    await wait(console, look, 1000 * _number(request, "seconds", 1, _TELL_S_MAX))
    return {"pressed": pressed}


async def pressure(console, request):
    """Volts at the converter, means of 200 ms; calibrated and uncalibrated pressure follow from them."""
    ms = int(1000 * _number(request, "seconds", 0.2, _TELL_S_MAX))
    if console.arm is None:
        ads1115.Ads1115(console.board.i2c, pins.PRESSURE_ADC_ADDRESS)
    began_ms = console.up_ms()
    while console.up_ms() - began_ms < ms:
        adc_v = await volts(console, 200)
        line = {"up_ms": console.up_ms(), "adc_v": round(adc_v, 5)}
        if console.arm:
            line["cuff"] = console.arm.state
        console.say(line)


async def hold_(console, request):
    """Fill the cuff to a pressure and stay there, for a comparison; it empties by itself."""
    arm = arm_of(console)
    mmhg = _number(request, "mmhg", *hold.MMHG)
    seconds = _number(request, "seconds", 1, hold.MS_MAX // 1000)
    reason = hold.hold(arm, mmhg, 1000 * seconds)
    if reason:
        raise Refused("the cuff does not start: " + reason)


async def measure(console, request):
    """Begin one measurement; its record tells the result."""
    reason = arm_of(console).start("command")
    if reason:
        raise Refused("the cuff does not start: " + reason)


async def release(console, request):
    """Let the air out."""
    arm_of(console).abort("aborted")


async def records(console, request):
    """What the gateway gets, as it gets it, for some time or until the first of the kind `until`."""
    arm_of(console)
    ms = 1000 * _number(request, "seconds", 1, _TELL_S_MAX)
    seen = set()

    def tell(kind, body):
        record = json.loads(b"{" + body + b"}")
        record["record"] = wire.RECORD_LEAF[kind]
        seen.add(record["record"])
        console.say(record)

    console.listener = tell
    try:
        await wait(console, lambda: request.get("until") in seen, ms)
    except Refused:
        pass  # ended by another request, which is how one that waits for nothing is meant to end
    finally:
        console.listener = None


async def self_test(console, request):
    """See chair/selftest.py."""
    from chair import selftest

    return await selftest.run(console, request)


REQUESTS = {
    "self_test": self_test,
    "stream": stream,
    "pressure": pressure,
    "records": records,
    "identify": identify,
    "buttons": buttons,
    "measure": measure,
    "hold": hold_,
    "release": release,
}
