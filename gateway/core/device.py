"""One board as its link shows it: what was accepted, what is durable, how its clock relates to ours."""

from msgspec import UNSET, Struct
from msgspec.structs import replace

from gateway.core import ranges
from gateway.core.ranges import Ranges
from gateway.core.timebase import TimeMap, fed, sensor_mono_ms
from gateway.wire import Event, Record, Status

BOOTS_MAX = 4
HAVE_MAX = 16
ONLINE_MS = 5_000


class Device(Struct, frozen=True, kw_only=True):
    """Online is judged by live records alone: neither a status nor its last will says that a board is there."""

    boot: str = ""
    """The boot that speaks now; empty before the first live record."""
    left: tuple[str, ...] = ()
    """Boots that spoke before it."""
    accepted: dict[str, Ranges] = {}
    """By boot, newest last: what was judged, so that nothing is judged twice."""
    durable: dict[str, Ranges] = {}
    base: int = 1
    time_map: TimeMap | None = None
    time_map_before: TimeMap | None = None
    """Of the boot that spoke before: the board may have carried a call over its restart."""
    heard_mono_ms: int | None = None
    """When a live record last arrived."""
    status: Status | None = None

    def online(self, now_ms: int) -> bool:
        return self.heard_mono_ms is not None and now_ms - self.heard_mono_ms <= ONLINE_MS


class Taken(Struct, frozen=True, kw_only=True):
    """What a record turned out to be. Without a time nobody knows how old it is: it is history."""

    duplicate: bool
    live: bool
    at_mono_ms: int | None


def take(device: Device, record: Record, now_ms: int) -> tuple[Device, Taken]:
    """The device after a record arrived. A boot that was left behind does not come back as the current one, and only
    a live record begins a new one."""
    boot = record.boot
    duplicate = ranges.contains(device.accepted.get(boot, ()), record.seq)
    live = boot not in device.left and not record.late and not duplicate
    if live and boot != device.boot:
        left = (*device.left, device.boot)[-BOOTS_MAX:] if device.boot else device.left
        device = replace(device, boot=boot, left=left, base=1, time_map_before=device.time_map)
    accepted = dict(device.accepted)
    accepted[boot] = ranges.with_seq(accepted.pop(boot, ()), record.seq)
    while len(accepted) > BOOTS_MAX:
        del accepted[next(known for known in accepted if known != device.boot)]
    time_map = fed(device.time_map, boot, record.up_ms, now_ms) if live else device.time_map
    at_ms = None
    # Readings of a boot that was left say nothing of now; what happened then may still call for somebody.
    for known in (time_map, device.time_map_before) if isinstance(record, Event) else (time_map,):
        if known is not None and known.boot == boot:
            at_ms = min(now_ms, sensor_mono_ms(known, record.up_ms, record.age_ms))
    device = replace(
        device,
        accepted=accepted,
        durable={known: device.durable[known] for known in accepted if known in device.durable},
        base=max(record.base, device.base) if boot == device.boot else device.base,
        time_map=time_map,
        heard_mono_ms=now_ms if live else device.heard_mono_ms,
    )
    return device, Taken(duplicate=duplicate, live=live, at_mono_ms=at_ms)


def stored(device: Device, boot: str, seq: int) -> Device:
    """The journal has it on disk."""
    if boot not in device.accepted:
        return device
    durable = {**device.durable, boot: ranges.with_seq(device.durable.get(boot, ()), seq)}
    return replace(device, durable=durable)


def at_the_latest_ms(device: Device, record: Record, now_ms: int, utc_ms: int | None) -> int:
    """Of a record whose time nobody knows: before the board's present boot began, and at its own UTC if it has one and
    ours (`utc_ms`) can be trusted."""
    known = [now_ms]
    if device.time_map is not None and device.time_map.boot != record.boot:
        known.append(sensor_mono_ms(device.time_map, 0, 0))
    if utc_ms is not None and record.at_ms is not UNSET:
        known.append(now_ms - (utc_ms - record.at_ms))
    return min(known)


def clock_apart_s(device: Device, record: Record, now_ms: int, utc_ms: int) -> float | None:
    """How far the board's own UTC is from the gateway's at the moment the record was made; None if the board does not
    know UTC, or nobody knows that moment. A delay that all messages share is apart as well: the map cannot see it."""
    time_map = device.time_map
    if record.at_ms is UNSET or time_map is None or time_map.boot != record.boot:
        return None
    made_ms = min(now_ms, sensor_mono_ms(time_map, record.up_ms, 0))
    return abs(record.at_ms - (utc_ms - (now_ms - made_ms))) / 1000


def missing(device: Device) -> int:
    return ranges.missing(device.accepted.get(device.boot, ()), device.base)
