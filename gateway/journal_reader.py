"""Reading the journal from another thread or process: the sink, the web pages, an export. It can never change it."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from gateway.journal_recovery import broken_audit, legible, quick_check

READ_IDS = 20_000
_CHAIRS = """
WITH RECURSIVE next (chair) AS (
  SELECT min(chair) FROM rows
  UNION ALL SELECT (SELECT min(chair) FROM rows WHERE chair > next.chair) FROM next WHERE next.chair IS NOT NULL)
SELECT chair FROM next WHERE chair IS NOT NULL
"""
_CAME = "time_ns / 1000000 + coalesce(json_extract(fields, '$.delay_ms'), json_extract(fields, '$.late_ms'), 0)"
_COLUMNS = ("time_ns", "stored_ms", "measurement", "device", "chair", "boot", "seq", "tags", "fields")
_AS_BYTES = "id, " + ", ".join(f"CAST({name} AS BLOB)" for name in _COLUMNS)
"""Of any row, however damaged: text that is no UTF-8 would end a whole read."""


class StoredRow(Struct, frozen=True):
    """A row as it is in the file. `time_ns` is its time for good; `stored_ms` is UTC of its commit."""

    id: int
    time_ns: int
    stored_ms: int
    measurement: str
    device: str
    chair: str
    boot: str
    seq: int
    tags: dict[str, str]
    fields: dict[str, float | str | None]


class Unreadable(Struct, frozen=True):
    """A row that makes no sense: the file was damaged there, or somebody else wrote it."""

    id: int
    why: str


class JournalReader:
    """Reads a journal that another thread or process writes; it can never change it. For one thread at a
    time.

    Raises sqlite3.OperationalError if there is no journal yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Before it is opened: if another takes its place in between, that is seen at the next look.
        self._inode = path.stat().st_ino
        self._connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
        )
        self._connection.text_factory = legible

    def is_current(self) -> bool:
        """False once the file was set aside and another one begun."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def rows(self, measurement: str, chair: str, since_ns: int, rows_max: int = 10_000) -> list[StoredRow]:
        """A chair's rows of one kind from a time on, oldest first; at most the newest `rows_max`."""
        newest_first = self._connection.execute(
            f"SELECT {_AS_BYTES} FROM rows WHERE chair = ? AND measurement = ? AND time_ns >= ? ORDER BY time_ns DESC",
            (chair, measurement, since_ns),
        )
        return _sound(newest_first, rows_max)[::-1]

    def after(self, row_id: int, rows_max: int, measurements: Sequence[str] = ()) -> list[StoredRow]:
        """The next rows after an id, in the order of commits; of these measurements, or of all."""
        of = f" AND measurement IN ({', '.join('?' * len(measurements))})" if measurements else ""
        found = self._connection.execute(
            f"SELECT {_AS_BYTES} FROM rows WHERE id > ?{of} ORDER BY id", (row_id, *measurements)
        )
        return _sound(found, rows_max)

    def outgoing(self, row_id: int, rows_max: int, bytes_max: int) -> list[StoredRow | Unreadable]:
        """The next rows after an id, up to about `bytes_max` and at least one. One that makes no sense does not hide
        those beside it."""
        found = self._connection.execute(
            f"SELECT {_AS_BYTES} FROM rows WHERE id > ? ORDER BY id LIMIT ?", (row_id, rows_max)
        )
        rows: list[StoredRow | Unreadable] = []
        for values in found:
            rows.append(_understood(*values))
            bytes_max -= sum(map(len, values[1:]))
            if bytes_max <= 0:
                break
        found.close()
        return rows

    def newest(self, measurement: str, row_id: int, rows_max: int) -> list[StoredRow]:
        """The newest rows of a measurement after an id, oldest first; a long absence is not made up for."""
        found = self._connection.execute(
            f"SELECT {_AS_BYTES} FROM rows WHERE id > ? AND measurement = ? ORDER BY id DESC", (row_id, measurement)
        )
        return _sound(found, rows_max)[::-1]

    def chairs(self) -> list[str]:
        """Every chair that has rows; rows of the site itself have the chair ""."""
        return [name for (name,) in self._connection.execute(_CHAIRS)]

    def between(self, chair: str, first_id: int, last_id: int) -> Iterator[StoredRow]:
        """A chair's rows and those of the site itself, in the order in which they were put in."""
        while first_id <= last_id:
            found = self._connection.execute(
                f"SELECT {_AS_BYTES} FROM rows WHERE id >= ? AND id < ? AND id <= ? AND chair IN ('', ?) ORDER BY id",
                (first_id, first_id + READ_IDS, last_id, chair),
            )
            yield from _sound(found, READ_IDS)
            first_id += READ_IDS

    def record(self, device: str, boot: str, seq: int) -> StoredRow | None:
        """A board's record."""
        found = self._connection.execute(
            f"SELECT {_AS_BYTES} FROM rows WHERE device = ? AND boot = ? AND seq = ? AND seq > 0", (device, boot, seq)
        )
        return next(iter(_sound(found, 1)), None)

    def ids(self) -> tuple[int, int]:
        """The first and the last id there is; (1, 0) in an empty journal."""
        first, last = self._connection.execute("SELECT min(id), max(id) FROM rows").fetchone()
        return (first, last) if first is not None else (1, 0)

    def came_ms(self, row_id: int) -> int | None:
        """UTC in ms at which the first row from an id on was put in: its time, which for a record is its sensor's, and
        its delay. None if there is no such row."""
        found = self._connection.execute(f"SELECT {_CAME} FROM rows WHERE id >= ? ORDER BY id LIMIT 1", (row_id,))
        return next((round(came_ms) for (came_ms,) in found), None)

    def id_at(self, came_ms: int) -> int:
        """The first row that came then or later, as far as UTC went on; one past the last if there is none."""
        low, high = self.ids()
        high += 1
        while low < high:
            middle = (low + high) // 2
            found = self.came_ms(middle)
            if found is None or found >= came_ms:
                high = middle
            else:
                low = middle + 1
        return low

    def sent_upto(self) -> int:
        return self.mark("sent_upto")

    def mark(self, name: str) -> int:
        """How far a reader has come, 0 for one that never told."""
        found = self._connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return int(found[0]) if found else 0

    def quarantined(self) -> dict[int, str]:
        """Rows that the database will not take, by id, each with its reason."""
        return dict(self._connection.execute("SELECT row_id, reason FROM quarantine ORDER BY row_id"))

    def quarantine_size(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])

    def broken_audit(self, breathe: Callable[[], None] = lambda: None) -> int | None:
        """The first audit line that was altered or is missing, or None. `breathe` is called now and then."""
        return broken_audit(self._connection, breathe)

    def quick_check(self) -> None:
        """Raises sqlite3.DatabaseError if a page of the file makes no sense."""
        quick_check(self._connection)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _sound(found: sqlite3.Cursor, rows_max: int) -> list[StoredRow]:
    """The first rows that make sense. The others are named where rows leave for the database."""
    understood = (_understood(*values) for values in found)
    rows = list(itertools.islice((row for row in understood if isinstance(row, StoredRow)), rows_max))
    found.close()  # a read that stays open would hold up the journal's checkpoints
    return rows


def _understood(row_id: int, *columns: bytes) -> StoredRow | Unreadable:
    try:
        time_ns, stored_ms, measurement, device, chair, boot, seq, tags, fields = columns
        return StoredRow(
            row_id, int(time_ns), int(stored_ms), measurement.decode(), device.decode(), chair.decode(), boot.decode(),
            int(seq), msgspec.json.decode(tags, type=dict[str, str]),
            msgspec.json.decode(fields, type=dict[str, float | str | None]),
        )  # fmt: skip
    except (ValueError, msgspec.MsgspecError) as error:
        return Unreadable(row_id, f"unreadable: {error}")
