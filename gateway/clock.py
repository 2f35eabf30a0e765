"""The two clocks. Durations and timers use monotonic time; UTC only labels."""

import time


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def utc_ms() -> int:
    return time.time_ns() // 1_000_000
