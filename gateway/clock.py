"""The two clocks. Durations and timers use monotonic time; UTC only labels."""

import time
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def utc_ms() -> int:
    return time.time_ns() // 1_000_000


def host_boot() -> str:
    """Names this run of the computer, and so its monotonic clock; empty where the system has no such name."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
