"""From a board's time since boot to the gateway's monotonic time, by the least delayed message.

A message cannot arrive before it was sent, so the smallest `arrival - up_ms` of the last minutes is the best
estimate of the clocks' difference. The minimum is kept in two buckets so that a drifting board clock (50 ppm is
6 ms in two minutes) is followed. Resent records say nothing about delay and never feed it.
"""

from msgspec import Struct

BUCKET_MS = 60_000


class TimeMap(Struct, frozen=True, kw_only=True):
    boot: str
    old_offset_mono_ms: int
    offset_mono_ms: int
    bucket_mono_ms: int
    """When the newer bucket was begun."""


def fed(time_map: TimeMap | None, boot: str, up_ms: int, now_ms: int) -> TimeMap:
    """The map after a live record sent at `up_ms` arrived at `now_ms`. A new boot starts afresh."""
    offset_ms = now_ms - up_ms
    if time_map is None or time_map.boot != boot:
        return TimeMap(boot=boot, old_offset_mono_ms=offset_ms, offset_mono_ms=offset_ms, bucket_mono_ms=now_ms)
    if now_ms - time_map.bucket_mono_ms >= BUCKET_MS:
        return TimeMap(
            boot=boot,
            old_offset_mono_ms=time_map.offset_mono_ms,
            offset_mono_ms=offset_ms,
            bucket_mono_ms=now_ms,
        )
    if offset_ms < time_map.offset_mono_ms:
        return TimeMap(
            boot=boot,
            old_offset_mono_ms=time_map.old_offset_mono_ms,
            offset_mono_ms=offset_ms,
            bucket_mono_ms=time_map.bucket_mono_ms,
        )
    return time_map


def sensor_mono_ms(time_map: TimeMap, up_ms: int, age_ms: int) -> int:
    """When the value was true, on the gateway's monotonic clock."""
    return up_ms + min(time_map.old_offset_mono_ms, time_map.offset_mono_ms) - age_ms
