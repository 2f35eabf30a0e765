"""An open journal: one transaction for each batch of rows, snapshots and what the sink reports."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
import structlog
from msgspec import Struct

from gateway.clock import utc_ms, utc_trusted
from gateway.core.outputs import RecordId, Row
from gateway.journal_recovery import JournalInUse, Recovered, digest, last_id, open_journal, set_aside

TRIM_ROWS = 2_000
_TRIM_ORDER = ("id <= :sent", "measurement = 'vitals'", "measurement NOT IN ('session', 'cuff')", "1")
"""What goes first when the cap is reached: what was sent, then readings, ... alarms and the audit trail never."""
_UNFIT = (
    TypeError, ValueError, OverflowError, sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)  # fmt: skip

log = structlog.get_logger(part="journal")


class Batch(Struct, kw_only=True):
    """What one transaction writes. `marks` and `quarantine` are what readers report on rows written before."""

    rows: list[Row]
    snapshots: dict[str, bytes] = {}
    marks: dict[str, int] = {}
    quarantine: dict[int, str] = {}


class JournalFile:
    """An open journal, for one thread. It numbers rows, chains the audit trail and keeps the file under its cap.

    `dropped` counts rows that were lost: over the cap before they were sent, or unfit to be stored.
    """

    def __init__(self, path: Path, bytes_max: int) -> None:
        self.path = path
        self.dropped = 0
        self._bytes_max = bytes_max
        self._lock: IO[str] | None = None
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._next_id = 1
        self._chain = bytes(32)
        self._known: dict[str, bytes] = {}

    def open(self) -> Recovered:
        """Raises sqlite3.Error or OSError while the disk does not let it; NewerJournal; JournalInUse."""
        self.close()
        self._take_lock()
        connection, recovered = open_journal(self.path, utc_ms())
        if recovered.set_aside:
            log.error("journal was damaged, a new one is begun", set_aside=recovered.set_aside)
        if recovered.copied:
            log.info("journal was brought up to date", copy_of_before=recovered.copied)
        # What this process knows is newer than what the file says.
        self._known = recovered.snapshots | self._known
        self._next_id = max(self._next_id, last_id(connection) + 1)
        head = connection.execute("SELECT hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        self._chain = head[0] if head else self._chain
        self._inode = self.path.stat().st_ino
        with _transaction(connection):
            _write_snapshots(connection, self._known)
        self._connection = connection
        return recovered

    @property
    def last_id(self) -> int:
        """Of the row that was committed last."""
        return self._next_id - 1

    def commit(self, batch: Batch) -> list[RecordId]:
        """Write it all or nothing, flushed to the disk. Returns the records that are stored now, also those that
        were before. Opens the file if need be. Raises like `open`."""
        if self._connection is not None and not self._is_there():
            log.error("journal file is gone, a new one is begun", path=str(self.path))
            self.close()
        if self._connection is None:
            self.open()
        connection = self._connection
        assert connection is not None
        with _transaction(connection):
            next_id, chain, records = self._write_rows(connection, batch.rows)
            _write_snapshots(connection, batch.snapshots)
            self._trim(connection, _write_marks(connection, batch))
        self._next_id, self._chain = next_id, chain
        self._known |= batch.snapshots
        return records

    def release(self) -> None:
        """Close, and let another process have the journal."""
        self.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def set_aside(self) -> Path:
        """Move a damaged file out of the way; the next commit begins a new one. Raises OSError."""
        self.close()
        return set_aside(self.path, utc_ms())

    def _take_lock(self) -> None:
        """Held until `release`, or until the process dies in whatever way."""
        if self._lock is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(self.path.name + ".lock").open("w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise JournalInUse(f"{self.path} is written by another gateway that runs now") from None
        except BaseException:
            lock.close()
            raise
        self._lock = lock

    def _is_there(self) -> bool:
        """A deleted file would take every commit and keep none."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _write_rows(self, connection: sqlite3.Connection, rows: list[Row]) -> tuple[int, bytes, list[RecordId]]:
        """Returns the next row id, the end of the audit chain and the records that are stored now."""
        next_id, chain = self._next_id, self._chain
        records = []
        stored_ms, trusted = utc_ms(), utc_trusted()
        for row in rows:
            time_ns = row.at_ms * 1_000_000 + next_id % 1_000_000
            kept = row.audit or row.measurement == "alarm"
            try:
                tags, fields = _text(row.tags), _text(row.fields)
                written = connection.execute(
                    "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (device, boot, seq) WHERE seq > 0 DO NOTHING",
                    (next_id, time_ns, stored_ms, row.measurement, row.device, row.chair, row.boot, row.seq,
                     tags, fields, kept, trusted),
                ).rowcount  # fmt: skip
            except _UNFIT:
                # A programming error in one row must not stop all the others for ever.
                log.exception("row cannot be journaled", measurement=row.measurement, device=row.device)
                self.dropped += 1
                continue
            if row.seq > 0:
                records.append(RecordId(row.device, row.boot, row.seq))
            if not written:
                continue
            if row.audit:
                body = _text(
                    {"time_ns": time_ns, "measurement": row.measurement, "device": row.device,
                     "chair": row.chair, "boot": row.boot, "seq": row.seq, "tags": row.tags,
                     "fields": row.fields}
                )  # fmt: skip
                hashed = digest(chain + body.encode())
                connection.execute("INSERT INTO audit VALUES (NULL, ?, ?, ?, ?)", (next_id, body, chain, hashed))
                chain = hashed
            next_id += 1
        return next_id, chain, records

    def _trim(self, connection: sqlite3.Connection, sent_upto: int) -> None:
        """Over the cap, one step for each commit: no commit waits for a long deletion."""
        pages, free, page_bytes = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * page_bytes <= self._bytes_max:
            return
        for condition in _TRIM_ORDER:
            gone = connection.execute(
                f"DELETE FROM rows WHERE id IN (SELECT id FROM rows WHERE NOT kept AND {condition}"
                " ORDER BY id LIMIT :rows) RETURNING id",
                {"sent": sent_upto, "rows": TRIM_ROWS},
            ).fetchall()
            if gone:
                connection.executemany("DELETE FROM quarantine WHERE row_id = ?", gone)
                self.dropped += sum(row_id > sent_upto for (row_id,) in gone)
                return


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _write_snapshots(connection: sqlite3.Connection, snapshots: dict[str, bytes]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
        [(key, body, digest(body)) for key, body in snapshots.items()],
    )


def _write_marks(connection: sqlite3.Connection, batch: Batch) -> int:
    """Marks only rise: after a start the file knows more than its readers, who have told nothing yet. Returns up to
    where the database has every row."""
    connection.executemany("INSERT OR REPLACE INTO quarantine VALUES (?, ?)", tuple(batch.quarantine.items()))
    connection.executemany(
        "INSERT INTO marks VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        tuple(batch.marks.items()),
    )
    found = connection.execute("SELECT value FROM marks WHERE name = 'sent_upto'").fetchone()
    return int(found[0]) if found else 0


def _text(value: object) -> str:
    """Canonical JSON: the audit trail's hash must not depend on the order of keys."""
    return msgspec.json.encode(value, order="deterministic").decode()
