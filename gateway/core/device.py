"""One board as its link shows it: what was accepted, what is durable, how its clock relates to ours."""

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import ranges
from gateway.core.ranges import Ranges
from gateway.core.timebase import TimeMap, fed, sensor_mono_ms
from gateway.wire import Record, Status

BOOTS_MAX = 4
HAVE_MAX = 16
ONLINE_MS = 5_000


class Device(Struct, frozen=True, kw_only=True):
    """Online is judged by live records alone: neither a status nor its last will says that a board is there."""

    accepted: dict[str, Ranges] = {}
    """By boot, newest last: what was judged, so that nothing is judged twice."""
    durable: dict[str, Ranges] = {}
    base: int = 1
    time_map: TimeMap | None = None
    heard_mono_ms: int | None = None
    """When a live record last arrived."""
    status: Status | None = None

    @property
    def boot(self) -> str:
        """The boot that speaks now; empty before the first record."""
        return next(reversed(self.accepted), "")

    def online(self, now_ms: int) -> bool:
        return self.heard_mono_ms is not None and now_ms - self.heard_mono_ms <= ONLINE_MS


class Taken(Struct, frozen=True, kw_only=True):
    """What a record turned out to be. Without a time nobody knows how old it is: it is history."""

    duplicate: bool
    live: bool
    at_mono_ms: int | None


def take(device: Device, record: Record, now_ms: int) -> tuple[Device, Taken]:
    """The device after a record arrived. A boot that was left behind does not come back as the current one."""
    boot, known = record.boot, record.boot in device.accepted
    current = not known or boot == device.boot
    before = device.accepted.get(boot, ())
    duplicate = ranges.contains(before, record.seq)
    accepted = dict(device.accepted)
    accepted[boot] = ranges.with_seq(before, record.seq)
    while len(accepted) > BOOTS_MAX:
        del accepted[next(iter(accepted))]
    durable = {known_boot: device.durable[known_boot] for known_boot in accepted if known_boot in device.durable}
    live = current and not record.late and not duplicate
    time_map = device.time_map
    if live:
        time_map = fed(time_map, boot, record.up_ms, now_ms)
    at_ms = None
    if time_map is not None and time_map.boot == boot:
        at_ms = min(now_ms, sensor_mono_ms(time_map, record.up_ms, record.age_ms))
    device = replace(
        device,
        accepted=accepted,
        durable=durable,
        base=max(record.base, device.base) if known and current else record.base if current else device.base,
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


def missing(device: Device) -> int:
    return ranges.missing(device.accepted.get(device.boot, ()), device.base)
