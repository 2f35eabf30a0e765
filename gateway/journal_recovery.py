"""Opening a journal: its tables, what it knows after a crash, and what is done with a damaged file.

Terms. A *row* is one point for the database to come; its id rises for ever and is given in the order of commits, so
that "sent up to id" is all the state an outbox needs. A *snapshot* is what the engine comes back with. The *audit*
trail repeats some rows in a chain of hashes, so that a changed or missing line shows.
"""

import hashlib
import sqlite3
from pathlib import Path

from msgspec import Struct

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

Have = dict[str, dict[str, list[tuple[int, int]]]]


class NewerJournal(RuntimeError):
    """The file was written by a newer version of this program; opening it could destroy what it holds."""


class JournalInUse(RuntimeError):
    """Another process writes this journal. Two would give the same ids twice and acknowledge what neither keeps."""


class Recovered(Struct, kw_only=True):
    """What a journal knows when it is opened."""

    snapshots: dict[str, bytes] = {}
    have: Have = {}
    """device -> boot -> ranges of seq that are durable, newest rows only."""
    set_aside: str = ""
    """Where a damaged file was moved to, and why; empty if there was none."""


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
