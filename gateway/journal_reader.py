"""Reading the journal from another thread or process: the sink, the web pages, an export. It can never change it."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from gateway.journal_recovery import broken_audit

_COLUMNS = "id, time_ns, stored_ms, measurement, device, chair, boot, seq, tags, fields"


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


class JournalReader:
    """Reads a journal that another thread or process writes; it can never change it. For one thread at a
    time.

    Raises sqlite3.OperationalError if there is no journal yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
        )
        self._inode = path.stat().st_ino

    def is_current(self) -> bool:
        """False once the file was set aside and another one begun."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def rows(self, measurement: str, chair: str, since_ns: int, rows_max: int = 10_000) -> list[StoredRow]:
        """A chair's rows of one kind from a time on, oldest first; at most the newest `rows_max`."""
        newest_first = self._connection.execute(
            f"SELECT {_COLUMNS} FROM rows WHERE chair = ? AND measurement = ? AND time_ns >= ?"
            " ORDER BY time_ns DESC LIMIT ?",
            (chair, measurement, since_ns, rows_max),
        )
        return [_stored(values) for values in newest_first][::-1]

    def after(self, row_id: int, rows_max: int) -> list[StoredRow]:
        """The next rows after an id, in the order of commits."""
        return [
            _stored(values)
            for values in self._connection.execute(
                f"SELECT {_COLUMNS} FROM rows WHERE id > ? ORDER BY id LIMIT ?", (row_id, rows_max)
            )
        ]

    def sent_upto(self) -> int:
        found = self._connection.execute("SELECT value FROM marks WHERE name = 'sent_upto'").fetchone()
        return int(found[0]) if found else 0

    def quarantined(self) -> dict[int, str]:
        """Rows that the database will not take, by id, each with its reason."""
        return dict(self._connection.execute("SELECT row_id, reason FROM quarantine ORDER BY row_id"))

    def broken_audit(self) -> int | None:
        """The first audit row that was tampered with or follows a missing one, or None."""
        return broken_audit(self._connection)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _stored(values: tuple[int, int, int, str, str, str, str, int, str, str]) -> StoredRow:
    row_id, time_ns, stored_ms, measurement, device, chair, boot, seq, tags, fields = values
    return StoredRow(
        row_id, time_ns, stored_ms, measurement, device, chair, boot, seq,
        msgspec.json.decode(tags, type=dict[str, str]),
        msgspec.json.decode(fields, type=dict[str, float | str | None]),
    )  # fmt: skip
