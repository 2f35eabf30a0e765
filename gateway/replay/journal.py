"""A stay as the journal has it: rows become the happenings that `core.chair.step` saw, in the order of seeing them.

A record's row holds its sensor's time and its delay, a staff action the action itself, a status what it said. What was
present before the first row is taken over as it was recorded.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway import wire
from gateway.core import rows as written
from gateway.core.alarm import Alarm
from gateway.core.chair_state import ChairState, CuffRead, Happened, Happening, Reported, Staff, VitalsRead
from gateway.journal_reader import JournalReader, StoredRow
from gateway.replay import clock
from gateway.replay.recording import Ended, Recording, RecordingError, Reseated, Restarted, Timed

MAGIC = b"SQLite format 3\0"
LEAD_MS = 60_000
"""So long before a session its rows are judged too: a delay may have begun."""
GATEWAY_ROW_MS = 11_000
"""A gateway that runs writes a row so often."""
KINDS: dict[str, type[wire.Record]] = {"vitals": wire.Vitals, "cuff": wire.Cuff, "device": wire.Event}
STOOD = ("active", "clearing", "latched")


class Stay(Struct, frozen=True, kw_only=True):
    """One session as the journal has it. `last_id` and `ended_ms` (UTC) are None while it goes on. `chair` is where it
    began, `moves` say from which row on it was where."""

    session: str
    chair: str
    device: str
    protocol: str
    began_ms: int
    first_id: int
    protocol_hash: str = ""
    """Of the numbers that judged it last."""
    ended_ms: int | None = None
    last_id: int | None = None
    moves: tuple[tuple[str, int], ...] = ()

    def was_in(self, chair: str, first_id: int, last_id: int) -> bool:
        """Was it there at any of these rows?"""
        seats = [(self.chair, self.first_id), *self.moves, ("", self.last_id or last_id)]
        return any(at == chair and begun <= last_id and left >= first_id for (at, begun), (_, left) in pairwise(seats))


def is_journal(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def opened(path: Path) -> JournalReader:
    """Raises RecordingError."""
    try:
        reader = JournalReader(path)
        reader.ids()
    except (OSError, sqlite3.Error) as error:
        raise RecordingError(f"{path}: no journal that can be read: {error}") from None
    return reader


def stays(reader: JournalReader) -> list[Stay]:
    """Every session of the journal, oldest first."""
    found: dict[str, Stay] = {}
    rows = [row for chair in reader.chairs() for row in reader.rows("session", chair, 0, rows_max=1_000_000)]
    for row in sorted(rows, key=lambda row: row.id):
        name, what = str(row.fields.get("session", "")), row.fields.get("what")
        if what == "started":
            found[name] = Stay(
                session=name, chair=row.chair, device=row.device, protocol=str(row.fields.get("protocol", "")),
                began_ms=row.time_ns // 1_000_000, first_id=row.id,
                protocol_hash=str(row.fields.get("protocol_hash", "")),
            )  # fmt: skip
        elif what == "protocol_changed" and name in found:
            found[name] = msgspec.structs.replace(found[name], protocol_hash=str(row.fields["protocol_hash"]))
        elif (to := _moved_to(row)) and name in found:
            found[name] = msgspec.structs.replace(found[name], moves=(*found[name].moves, (to, row.id + 1)))
        elif what == "ended" and name in found:
            found[name] = msgspec.structs.replace(found[name], ended_ms=row.time_ns // 1_000_000, last_id=row.id)
    return list(found.values())


def of_stay(reader: JournalReader, name: str, stay: Stay) -> Recording:
    last_id = stay.last_id if stay.last_id is not None else reader.ids()[1]
    return _recording(reader, name, stay.chair, stay.first_id, last_id, stay.began_ms, stay)


def of_span(reader: JournalReader, name: str, chair: str, from_ms: int | None, to_ms: int | None) -> Recording:
    """A chair's rows between two times (UTC), with the whole of a session that ran when they begin."""
    first_id, last_id = reader.ids()
    if to_ms is not None:
        # One more: it says whether the gateway was there at that time.
        last_id = min(last_id, reader.id_at(to_ms + GATEWAY_ROW_MS))
    if from_ms is None:
        from_ms = next((clock.utc_ms(row) for row in reader.between(chair, first_id, last_id)), 0)
    else:
        first_id = max(first_id, reader.id_at(from_ms))
    stay = next((stay for stay in stays(reader) if stay.was_in(chair, first_id, last_id)), None)
    if stay is not None:
        first_id = min(first_id, stay.first_id)
    if first_id > last_id:
        raise RecordingError(f"{name}: {chair} has no rows in that time")
    begun_elsewhere = stay is not None and stay.chair != chair
    at = stay.chair if stay is not None and begun_elsewhere else chair
    return _recording(reader, name, at, first_id, last_id, from_ms, stay, to_ms, follows=begun_elsewhere)


def _recording(
    reader: JournalReader,
    name: str,
    chair: str,
    first_id: int,
    last_id: int,
    from_ms: int,
    stay: Stay | None,
    to_ms: int | None = None,
    *,
    follows: bool = True,
) -> Recording:
    lead_id = min(first_id, reader.id_at((reader.came_ms(first_id) or 0) - LEAD_MS))
    session = stay.session if stay is not None and follows else ""
    return Recording(
        name=name,
        events=Rows(reader, chair, lead_id, last_id, to_ms, session),
        told=Told(reader, chair, lead_id, last_id, to_ms, session),
        zero_ms=from_ms,
        from_ms=from_ms,
        state=lambda idle: _stood(reader, chair, lead_id, idle),
        protocol=stay.protocol if stay is not None else "",
        protocol_hash=stay.protocol_hash if stay is not None else "",
    )


class Rows:
    """The happenings of some rows, read as they are asked for: of one chair, or of the chairs that a session was in."""

    def __init__(
        self,
        reader: JournalReader,
        chair: str,
        first_id: int,
        last_id: int,
        to_ms: int | None = None,
        session: str = "",
    ) -> None:
        self._reader, self._chair, self._session = reader, chair, session
        self._first_id, self._last_id, self._to_ms = first_id, last_id, to_ms

    def __iter__(self) -> Iterator[Timed]:
        for at_ms, row in self.timed():
            if isinstance(row, Restarted | Ended):
                yield at_ms, row
            elif (happening := _happening(row, at_ms)) is not None:
                yield at_ms, self._reseated(row, happening) or happening

    def timed(self) -> Iterator[tuple[int, StoredRow | Restarted | Ended]]:
        """Each row at its time on the running clock, until the end."""
        last_ms = 0
        for at_ms, ahead_ms, row in clock.running(self._rows()):
            if self._to_ms is not None and at_ms + ahead_ms > self._to_ms:
                since_ms = row.since_ms if isinstance(row, Restarted) else None
                yield self._to_ms - ahead_ms, Ended(away_since_ms=since_ms)
                return
            last_ms = at_ms
            yield at_ms, row
        yield last_ms, Ended()

    def _rows(self) -> Iterator[StoredRow]:
        chair, first_id = self._chair, self._first_id
        while chair:
            at, chair = chair, ""
            for row in self._reader.between(at, first_id, self._last_id):
                yield row
                if self._session and row.fields.get("session") == self._session and (chair := _moved_to(row)):
                    first_id = row.id + 1
                    break

    def _reseated(self, row: StoredRow, happening: Happening) -> Reseated | None:
        if not isinstance(happening, Staff):
            return None
        action = happening.do.action
        if isinstance(action, wire.Move):
            stood = partial(_stood, self._reader, action.to, row.id) if self._session else None
            return Reseated(asked=happening, target=stood)
        if isinstance(action, wire.Swap):
            return Reseated(asked=happening, status=_last_status(self._reader, action.device, row))
        return None


class Told(Rows):
    """What the gateway said of alarms, at its times."""

    def __iter__(self) -> Iterator[tuple[int, wire.AlarmTransition]]:  # type: ignore[override]
        for at_ms, row in self.timed():
            if isinstance(row, StoredRow) and row.measurement == "alarm":
                yield at_ms, transition(row)


def transition(row: StoredRow) -> wire.AlarmTransition:
    """As it was published."""
    named = {
        "run": "",
        "site": "",
        "chair": row.chair,
        "device": row.device,
        "from_condition": "",
        "rule": row.tags["rule"],
    }
    told = {"to_condition": row.fields["state"], "level": row.tags["priority"], "at_ms": row.time_ns // 1_000_000}
    return msgspec.convert({**row.fields, **named, **told}, wire.AlarmTransition, strict=False)


def _happening(row: StoredRow, at_ms: int) -> Happening | None:
    """What the chair's core was told by this row; None for what it said itself, and for a record of unknown time."""
    asked = row.fields.get("do")
    if isinstance(asked, str):
        return Staff(do=msgspec.json.decode(asked, type=wire.Do), chair=row.chair)
    if row.fields.get("kind") == "status":
        return Reported(status=_status(row.fields))
    kind, delay_ms = KINDS.get(row.measurement), clock.delay_ms(row)
    if kind is None or delay_ms is None or row.seq == 0:
        return None
    record = _record(kind, row)
    timed: dict[str, Any] = {"at_mono_ms": at_ms - round(delay_ms), "delay_ms": round(delay_ms)}
    if isinstance(record, wire.Vitals):
        return VitalsRead(record=record, **timed)
    if isinstance(record, wire.Cuff):
        return CuffRead(record=record, **timed)
    assert isinstance(record, wire.Event)
    return Happened(record=record, **timed)


def _record(kind: type[wire.Record], row: StoredRow) -> wire.Record:
    names = (*written.QUANTITIES[kind], *written.WORDS[kind])
    fields = {name: row.fields[name] for name in names if name in row.fields}
    return msgspec.convert(
        {"boot": row.boot, "seq": row.seq, "base": row.seq, "up_ms": 0, **fields}, kind, strict=False
    )


def _status(fields: Mapping[str, float | str | None]) -> wire.Status:
    """As it was reported, as far as it is judged."""
    told: dict[str, Any] = {name: fields[name] for name in ("boot", "conn", "up_ms", "battery_pct") if name in fields}
    if "calibration" in fields:
        told["calibration"] = {"state": fields["calibration"]}
    if "faults" in fields:
        told["faults"] = [fault for fault in str(fields["faults"]).split(", ") if fault]
    told["safe_mode"] = bool(fields.get("safe_mode", 0.0))
    return msgspec.convert({"conn": 0, "online": True, **told}, wire.Status, strict=False)


def _moved_to(row: StoredRow) -> str:
    """The chair to which this row says that its session went; empty for any other row."""
    why = str(row.fields.get("why", ""))
    return why.removeprefix("to ") if row.fields.get("what") == "moved" and why.startswith("to ") else ""


def _last_status(reader: JournalReader, device: str, before: StoredRow) -> Reported | None:
    rows = [row for chair in (before.chair, "") for row in reader.rows("device", chair, 0)]
    said = [row for row in rows if row.device == device and row.id < before.id and row.fields["kind"] == "status"]
    return Reported(status=_status(said[-1].fields)) if said else None


def _stood(reader: JournalReader, chair: str, first_id: int, idle: str) -> ChairState:
    """What the chair was before its first row here: the last status, and the alarms that were present."""
    status = [row for row in reader.rows("device", chair, 0) if row.id < first_id and row.fields["kind"] == "status"]
    alarms: dict[str, Alarm] = {}
    for row in reader.rows("alarm", chair, 0):
        if row.id >= first_id:
            continue
        rule, level, at_ms = row.tags["rule"], row.tags["priority"], row.time_ns // 1_000_000
        before = alarms.get(rule, Alarm())
        if row.fields.get("what") == "raised":
            before = Alarm(id=str(row.fields["id"]), peak=level, began_mono_ms=at_ms, raised_mono_ms=at_ms)  # type: ignore[arg-type]
        seen = str(row.fields.get("who", "")) if row.fields.get("what") == "acknowledged" else before.acknowledged_by
        alarms[rule] = msgspec.structs.replace(before, condition=row.fields["state"], level=level, acknowledged_by=seen)
    return ChairState(
        idle_protocol=idle,
        alarms={rule: alarm for rule, alarm in alarms.items() if alarm.condition in STOOD},
        status=_status(status[-1].fields) if status else None,
    )
