"""The two clocks. Durations and timers use one that only runs on; UTC only labels."""

import ctypes
import time
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
RUNS_ON = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux counts the time of a suspended computer in this one: what was read before it slept is old when it wakes."""
_ADJTIMEX = getattr(ctypes.CDLL(None), "adjtimex", None)
_TIME_ERROR = 5
_TIMEX_BYTES = 512
"""More than `struct timex` has on any platform; zeroed it only asks."""


def monotonic_ms() -> int:
    return time.clock_gettime_ns(RUNS_ON) // 1_000_000


def utc_ms() -> int:
    return time.time_ns() // 1_000_000


def utc_trusted() -> bool:
    """Does a time service keep the computer's UTC? By adjtimex(2): after a start the kernel answers TIME_ERROR until
    one has set the clock, be it timesyncd, chrony or ntpd. False where the system has no such call."""
    return _ADJTIMEX is not None and 0 <= _ADJTIMEX(ctypes.create_string_buffer(_TIMEX_BYTES)) < _TIME_ERROR


def host_boot() -> str:
    """Names this run of the computer, and so its monotonic clock; empty where the system has no such name."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
