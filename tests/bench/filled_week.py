"""A week of twenty chairs in InfluxDB, from a few simulated stays: the gateway's own rows, moved in time and place.

Each stay is lived once, by the model of a board and the real engine; what that wrote is written again for each chair
and day under its own session. So the schema is the gateway's, and a week costs seconds of simulation.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, product

import pytest
from servers import Influxd

from gateway import wire
from gateway.core import rows
from gateway.core.outputs import Row
from gateway.line_protocol import line
from simulators.clinic import gateway as virtual_gateway
from simulators.clinic.model import ModelChair
from simulators.world.patient import Patient

SITE, PROTOCOL = "clinic", "iv-ketamine"
CHAIRS = [f"bay-{number}" for number in range(1, 21)]
DAYS = 7
SLOTS_H, SWITCHED_ON_H = (8.0, 10.5, 13.0), (7.0, 12.25)
"""When stays begin; each chair a while after the one before it."""
CHAIR_APART_MS = 150_000
DAY_MS, HOUR_MS, MINUTE_S = 86_400_000, 3_600_000, 60
BEGIN_MS = virtual_gateway.UTC_MS // DAY_MS * DAY_MS
END_MS = BEGIN_MS + (DAYS - 1) * DAY_MS + round(14.4 * HOUR_MS)
"""Now: an afternoon with a patient in every chair."""
LINES_MAX, WRITERS = 20_000, 2
Line = tuple[str, int]
"""A line without its time, and its time in ms."""
_CHAIR, _DEVICE, _SESSION = "@chair@", "@device@", "@session@"


def fill(influxd: Influxd, database: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Write the week into a database that is set up. Returns the number of rows."""
    batches = _batches(line for line in _week(_stays(monkeypatch)) if line[1] <= END_MS)

    def write(batch: bytes) -> int:
        status, words = influxd.request("POST", f"/write?db={database}&rp=autogen&precision=ns", batch)
        assert status == 204, words
        return batch.count(b"\n") + 1

    count = 0
    with ThreadPoolExecutor(WRITERS) as pool:
        while several := list(islice(batches, WRITERS * 4)):
            count += sum(pool.map(write, several))
    return count


def _batches(lines: Iterator[Line]) -> Iterator[bytes]:
    number = 0
    while batch := list(islice(lines, LINES_MAX)):
        # The time as the sink makes it: the row's number makes it unique.
        yield "\n".join(
            f"{text} {at_ms}{(number + n) % 1_000_000:06d}" for n, (text, at_ms) in enumerate(batch)
        ).encode()
        number += len(batch)


def _week(stays: list[list[Line]]) -> Iterator[Line]:
    for day in range(DAYS):
        for slot, begin_h in enumerate(SLOTS_H):
            for place, chair in enumerate(CHAIRS):
                begin_ms = BEGIN_MS + day * DAY_MS + round(begin_h * HOUR_MS) + place * CHAIR_APART_MS
                named = {_CHAIR: chair, _DEVICE: device_of(chair), _SESSION: f"s-{day}{slot}-{chair}"}
                yield from _moved(stays[(day + slot + place) % len(stays)], begin_ms, named)
    for chair in CHAIRS:
        yield from _statuses(chair)
    yield from _group_alarms()
    yield from _heartbeats()


def _moved(stay: list[Line], begin_ms: int, named: dict[str, str]) -> Iterator[Line]:
    # One text for the whole stay: replacing in each line would take most of the time.
    joined = "\n".join(text for text, _ in stay)
    for placeholder, name in named.items():
        joined = joined.replace(placeholder, name)
    for text, (_, after_ms) in zip(joined.split("\n"), stay, strict=True):
        yield text, begin_ms + after_ms


def device_of(chair: str) -> str:
    return f"cb-{int(chair.removeprefix('bay-')):06d}"


def _statuses(chair: str) -> Iterator[Line]:
    """A board is switched on in the morning and after lunch, says each hour how it is, and that its battery is low."""
    device = device_of(chair)
    for day, on_h in product(range(DAYS), SWITCHED_ON_H):
        on_ms, boot = BEGIN_MS + day * DAY_MS + round(on_h * HOUR_MS), f"{day:014x}{round(on_h):02x}"
        events = (("start", "power_on", 0), ("fault", "battery_low", HOUR_MS))
        for seq, (kind, name, up_ms) in enumerate(events, start=1):
            event = wire.Event(boot=boot, seq=seq, base=1, up_ms=up_ms, kind=kind, name=name)
            yield _line(rows.of_record(event, device, chair, "", on_ms + up_ms)), on_ms + up_ms
        for hour in range(5):
            status = wire.Status(
                boot=boot, conn=1 + hour // 3, online=True, up_ms=hour * HOUR_MS, firmware="0.1.0",
                reset_cause="power_on", rssi_dbm=-52 - hour, heap_free_bytes=61_000 - 100 * hour, dropped=hour // 4,
                battery_pct=100 - 8 * hour, calibration=wire.Calibration(state="calibrated", made_on="2026-01-02"),
                faults=[],
            )  # fmt: skip
            at_ms = on_ms + hour * HOUR_MS
            yield _line(rows.of_status(status, device, chair, at_ms)), at_ms


def _group_alarms() -> Iterator[Line]:
    """The access point restarts at noon: one cause for many chairs, and one alarm."""
    for day in range(DAYS):
        for what, after_ms, before, after in (
            ("raised", 0, "normal", "active"),
            ("cleared", 40_000, "active", "normal"),
        ):
            at_ms = BEGIN_MS + day * DAY_MS + 12 * HOUR_MS + after_ms
            told = wire.AlarmTransition(
                run="run-1", id=f"group-{day}", site=SITE, chair="", device="", session="", rule="group", what=what,
                from_condition=before, to_condition=after, level="high", reason="No data from 20 chairs", at_ms=at_ms,
            )  # fmt: skip
            yield _line(rows.of_transition(told)), at_ms


def _heartbeats() -> Iterator[Line]:
    """The gateway's own row each ten seconds of the week."""
    for at_ms in range(BEGIN_MS, END_MS, 10_000):
        up_s = (at_ms - BEGIN_MS) // 1000
        beat = wire.Heartbeat(
            run="run-1", online=True, at_ms=at_ms, utc_trusted=True, received=20 * up_s, duplicates=up_s // 60,
            queued={"journal": up_s % 7}, devices_online=len(CHAIRS), sink_lag_s=0.4,
        )  # fmt: skip
        yield _line(rows.of_heartbeat(beat, "host", up_s * 1000, at_ms)), at_ms


def _line(row: Row) -> str:
    tags = row.tags | {"site": SITE, "chair": row.chair, "device": row.device}
    return line(row.measurement, tags, row.fields, 0).removesuffix(" 0")


# ---- the stays


def _stays(monkeypatch: pytest.MonkeyPatch) -> list[list[Line]]:
    # Here there is nothing to judge more often than each second, and nobody compares with a twin.
    monkeypatch.setattr(virtual_gateway, "TICK_US", 1_000_000)
    monkeypatch.setattr(virtual_gateway, "TWIN_EACH_MS", 10**12)
    return [_lived(seed, trouble) for seed, trouble in enumerate((_probe_off, _breathing, _pressure), start=1)]


Trouble = Callable[[ModelChair], None]


def _probe_off(chair: ModelChair) -> None:
    """Nothing but a probe that falls off for a minute."""
    chair.at(60 * MINUTE_S, lambda: chair.patient.set(finger_on=0.0))
    chair.at(61 * MINUTE_S, lambda: chair.patient.set(finger_on=1.0))


def _breathing(chair: ModelChair) -> None:
    """Saturation falls twice; somebody comes the first time."""
    chair.at(25 * MINUTE_S, lambda: chair.patient.apnoea(lasts_s=100))
    chair.at(29 * MINUTE_S, lambda: chair.act("acknowledge", wire.Acknowledge()))
    chair.at(55 * MINUTE_S, lambda: chair.patient.apnoea(lasts_s=70))


def _pressure(chair: ModelChair) -> None:
    """A crisis of pressure, and somebody comes."""
    chair.at(20 * MINUTE_S, lambda: chair.patient.hypertensive(lasts_s=900))
    chair.at(36 * MINUTE_S, lambda: chair.act("acknowledge", wire.Acknowledge()))


def _lived(seed: int, trouble: Trouble) -> list[Line]:
    patient = Patient(spo2_pct=98, pulse_bpm=68, sys_mmhg=124, dia_mmhg=78)
    chair = ModelChair(PROTOCOL, seed=seed, patient=patient, same_limb=False, calibration="calibrated")
    written: list[Row] = []
    put = chair.gateway._journal.put

    def keep(now_us: int, entries: list) -> None:
        written.extend(entry for entry in entries if isinstance(entry, Row))
        put(now_us, entries)

    chair.gateway._journal.put = keep
    chair.gateway.watch = None
    for at_min, action in (
        (1, wire.Start(protocol=PROTOCOL, alias="Aspen", baseline_sys_mmhg=124, baseline_dia_mmhg=78)),
        (5, wire.Dose(what="first")),
        (45, wire.Dose(what="end")),
        (80, wire.Observe(moaas=4, dissociation=True, nausea=1, gait="help", oriented=True)),
        (98, wire.Observe(moaas=5, dissociation=False, nausea=0, gait="steady", oriented=True, escort=True)),
        (99, wire.Acknowledge()),
        (108, wire.SignOff()),
        (110, wire.Discharge()),
    ):
        chair.at(at_min * MINUTE_S, lambda action=action: chair.act("deed", action))
    chair.at(5 * MINUTE_S, lambda: patient.set(sys_mmhg=137, dia_mmhg=87, pulse_bpm=72, spo2_pct=96.5, over_s=2100))
    chair.at(46 * MINUTE_S, lambda: patient.set(sys_mmhg=125, dia_mmhg=79, pulse_bpm=68, spo2_pct=98, over_s=2400))
    trouble(chair)
    with chair:
        chair.run_for(111 * MINUTE_S)
    return [_template(row) for row in written if row.measurement != "gateway"]


def _template(row: Row) -> Line:
    fields = dict(row.fields)
    if fields.get("session"):
        fields["session"] = _SESSION
    if "id" in fields:
        fields["id"] = f"{_SESSION}-{fields['id']}"
    moved = Row(
        measurement=row.measurement, at_ms=0, device=_DEVICE, chair=_CHAIR, fields=fields, tags=row.tags
    )  # fmt: skip
    return _line(moved), row.at_ms - virtual_gateway.UTC_MS
