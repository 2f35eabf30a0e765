"""The journal's file: its tables, one transaction for each batch, recovery after a crash or damage.

Terms. A *row* is one point for the database to come; its id rises for ever and is given in the order of
commits, so that "sent up to id" is all the state an outbox needs. A *snapshot* is what the engine comes back
with. The *audit* trail repeats some rows in a chain of hashes, so that a changed or missing line shows.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from gateway.clock import utc_ms
from gateway.core.outputs import RecordId, Row

SCHEMA_VERSION = 1
CHECK_BYTES_MAX = 64 * 1024 * 1024
"""A file up to this size is checked whole at each start; a larger one would cost more than a restart may
take."""
HAVE_ROWS_MAX = 50_000
"""Delivered records are reported from the newest rows only; older resends are caught by the unique index."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, stored_ms INTEGER NOT NULL,
  measurement TEXT NOT NULL, device TEXT NOT NULL, chair TEXT NOT NULL,
  boot TEXT NOT NULL, seq INTEGER NOT NULL, tags TEXT NOT NULL, fields TEXT NOT NULL, kept INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS rows_record ON rows (device, boot, seq) WHERE seq > 0;
CREATE INDEX IF NOT EXISTS rows_shown ON rows (chair, measurement, time_ns);
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, row_id INTEGER NOT NULL, body TEXT NOT NULL,
  previous BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS snapshots (key TEXT PRIMARY KEY, body BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine (row_id INTEGER PRIMARY KEY, reason TEXT NOT NULL);
"""
_ISLANDS = """
WITH numbered AS (
  SELECT device, boot, seq, seq - row_number() OVER (PARTITION BY device, boot ORDER BY seq) AS island
  FROM rows WHERE seq > 0 AND id > ?)
SELECT device, boot, min(seq), max(seq) FROM numbered
GROUP BY device, boot, island ORDER BY device, boot, min(seq)
"""

TRIM_ROWS = 2_000
_TRIM_ORDER = ("id <= :sent", "measurement = 'vitals'", "measurement NOT IN ('session', 'cuff')", "1")
"""What goes first when the cap is reached: what was sent, then readings, ... alarms and the audit trail never."""
_UNFIT = (
    TypeError, ValueError, OverflowError, sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)  # fmt: skip

log = structlog.get_logger("journal")

Have = dict[str, dict[str, list[tuple[int, int]]]]


class NewerJournal(RuntimeError):
    """The file was written by a newer version of this program; opening it could destroy what it holds."""


class Recovered(Struct, kw_only=True):
    """What a journal knows when it is opened."""

    snapshots: dict[str, bytes] = {}
    have: Have = {}
    """device -> boot -> ranges of seq that are durable, newest rows only."""
    set_aside: str = ""
    """Where a damaged file was moved to, and why; empty if there was none."""


class Batch(Struct, kw_only=True):
    """What one transaction writes. `sent_upto` and `quarantine` are the sink's report on rows written before."""

    rows: list[Row]
    snapshots: dict[str, bytes] = {}
    sent_upto: int = 0
    quarantine: dict[int, str] = {}


class JournalFile:
    """An open journal, for one thread. It numbers rows, chains the audit trail and keeps the file under its cap.

    `dropped` counts rows that were lost: over the cap before they were sent, or unfit to be stored.
    """

    def __init__(self, path: Path, bytes_max: int) -> None:
        self.path = path
        self.dropped = 0
        self._bytes_max = bytes_max
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._next_id = 1
        self._chain = bytes(32)
        self._known: dict[str, bytes] = {}

    def open(self) -> Recovered:
        """Raises sqlite3.Error or OSError while the disk does not let it; NewerJournal."""
        self.close()
        connection, recovered = open_journal(self.path, utc_ms())
        if recovered.set_aside:
            log.error("journal was damaged, a new one is begun", set_aside=recovered.set_aside)
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
            sent_upto = _write_mark(connection, batch)
            self._trim(connection, sent_upto)
        self._next_id, self._chain = next_id, chain
        self._known |= batch.snapshots
        return records

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def set_aside(self) -> Path:
        """Move a damaged file out of the way; the next commit begins a new one. Raises OSError."""
        self.close()
        return set_aside(self.path, utc_ms())

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
        stored_ms = utc_ms()
        for row in rows:
            time_ns = row.at_ms * 1_000_000 + next_id % 1_000_000
            kept = row.audit or row.measurement == "alarm"
            try:
                tags, fields = _text(row.tags), _text(row.fields)
                written = connection.execute(
                    "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (device, boot, seq) WHERE seq > 0 DO NOTHING",
                    (next_id, time_ns, stored_ms, row.measurement, row.device, row.chair, row.boot, row.seq,
                     tags, fields, kept),
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


def _write_mark(connection: sqlite3.Connection, batch: Batch) -> int:
    """The mark only rises: after a start the file knows more than the sink, which has sent nothing yet."""
    connection.executemany("INSERT OR REPLACE INTO quarantine VALUES (?, ?)", tuple(batch.quarantine.items()))
    found = connection.execute(
        "INSERT INTO marks VALUES ('sent_upto', ?)"
        " ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value) RETURNING value",
        (batch.sent_upto,),
    ).fetchone()
    return int(found[0])


def _text(value: object) -> str:
    """Canonical JSON: the audit trail's hash must not depend on the order of keys."""
    return msgspec.json.encode(value, order="deterministic").decode()


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def is_damage(error: sqlite3.Error) -> bool:
    """Is the file itself broken, as opposed to a disk that is full, slow or read-only?"""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_journal(path: Path, stamp_ms: int) -> tuple[sqlite3.Connection, Recovered]:
    """Open or begin the journal. A damaged file is renamed (never deleted) and a new one begun with the
    snapshots that could still be read.

    Raises sqlite3.OperationalError or OSError while the disk does not let it; NewerJournal.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        kept = _salvage(path)
        moved = set_aside(path, stamp_ms)
        connection, recovered = _open(path)
        recovered.snapshots = kept
        recovered.set_aside = f"{moved}: {error}"
        return connection, recovered


def set_aside(path: Path, stamp_ms: int) -> Path:
    """Rename the file and its write-ahead log. Returns the new name."""
    moved = path.with_name(f"{path.name}.damaged-{stamp_ms}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(moved.with_name(moved.name + suffix))
    return moved


def _open(path: Path) -> tuple[sqlite3.Connection, Recovered]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise NewerJournal(f"{path} has format {version}; this program knows {SCHEMA_VERSION}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {CHECK_BYTES_MAX}")
        connection.executescript(f"{_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")
        if path.stat().st_size <= CHECK_BYTES_MAX:
            _check(connection)
        snapshots = dict(connection.execute("SELECT key, body FROM snapshots"))
        return connection, Recovered(snapshots=snapshots, have=_have(connection))
    except BaseException:
        connection.close()
        raise


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _have(connection: sqlite3.Connection) -> Have:
    after = last_id(connection) - HAVE_ROWS_MAX
    have: Have = {}
    for device, boot, first, last in connection.execute(_ISLANDS, (after,)):
        have.setdefault(device, {}).setdefault(boot, []).append((first, last))
    return have


def last_id(connection: sqlite3.Connection) -> int:
    """The highest row id ever given, also when its row is gone."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'rows'").fetchone()
    return int(found[0]) if found else 0


def _salvage(path: Path) -> dict[str, bytes]:
    """The snapshots of a damaged file that are whole by their digest: a session must not vanish with a bad
    page."""
    kept: dict[str, bytes] = {}
    try:
        connection = sqlite3.connect(path)
        try:
            for key, body, checked in connection.execute("SELECT key, body, digest FROM snapshots"):
                if digest(body) == checked:
                    kept[key] = body
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        pass
    return kept


def broken_audit(connection: sqlite3.Connection) -> int | None:
    """The id of the first audit row that does not fit the chain, or None if all do."""
    before: bytes | None = None
    for number, body, previous, hashed in connection.execute("SELECT id, body, previous, hash FROM audit ORDER BY id"):
        if digest(previous + body.encode()) != hashed or before not in (None, previous):
            return int(number)
        before = hashed
    return None
