"""`time` of the simulated board: ticks wrap at 2**30 as on the ESP32; a reset board is in the year 2000."""

import sys

import link
import utime
from micropython import const

TICKS_PERIOD = const(1 << 30)
_HALF = const(1 << 29)

if link.live:

    def _since_boot_us():
        link.run_timers()
        return link.now_us() - link.boot_us

elif link.ticks_ppm:

    def _since_boot_us():
        # A crystal that runs fast or slow: all that the program measures is off by it.
        us = link.look()
        return us + us * link.ticks_ppm // 1_000_000

else:
    _since_boot_us = link.look

_start_us = link.ticks_start_us


def ticks_us():
    return (_since_boot_us() + _start_us) % TICKS_PERIOD


def ticks_ms():
    return (_since_boot_us() + _start_us) // 1000 % TICKS_PERIOD


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    if not -_HALF < delta < _HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) % TICKS_PERIOD


def ticks_diff(end, start):
    return (end - start + _HALF) % TICKS_PERIOD - _HALF


def sleep_us(us):
    until_us = link.now_us() + us
    while link.now_us() < until_us:
        link.wait(until_us)


def sleep_ms(ms):
    sleep_us(ms * 1000)


def sleep(seconds):
    sleep_us(int(seconds * 1_000_000))


def time_ns():
    return _since_boot_us() * 1000


def time():
    return _since_boot_us() // 1_000_000


# The ESP32 counts from 2000-01-01, the unix port from 1970-01-01.
_EPOCH_S = const(946_684_800)


def gmtime(seconds=None):
    return utime.gmtime((time() if seconds is None else seconds) + _EPOCH_S)


localtime = gmtime


def mktime(when):
    return utime.mktime(when) - _EPOCH_S


# asyncio's built-in task queue reads the machine's own clock; ours reads this one.
if not link.live:
    import collector  # noqa: F401
    import flash  # noqa: F401
import tasks

sys.modules["_asyncio"] = tasks
