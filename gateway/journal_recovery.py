"""Opening a journal: its tables, what it knows after a crash, and what is done with a damaged file.

Terms. A *row* is one point for the database to come; its id rises for ever and is given in the order of commits, so
that "sent up to id" is all the state an outbox needs. A *snapshot* is what the engine comes back with. The *audit*
trail repeats some rows in a chain of hashes, so that a changed or missing line shows.
"""

import errno
import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from gateway.journal_schema import NewerJournal, bring_up

__all__ = ["NewerJournal"]

CHECK_BYTES_MAX = 16 * 1024 * 1024
"""A file up to this size is checked whole at each start; a larger one would cost more than a restart may take, and is
checked beside it (`journal_check`)."""
WAL_BYTES_MAX = 64 * 1024 * 1024
AUDIT_LINES = 500
HAVE_ROWS_MAX = 50_000
"""Delivered records are reported from the newest rows only; older resends are caught by the unique index."""

_ISLANDS = """
WITH numbered AS (
  SELECT device, boot, seq, seq - row_number() OVER (PARTITION BY device, boot ORDER BY seq) AS island
  FROM rows WHERE seq > 0 AND id > ? AND typeof(seq) = 'integer')
SELECT device, boot, min(seq), max(seq) FROM numbered
GROUP BY device, boot, island ORDER BY device, boot, min(seq)
"""

_AUDIT = "SELECT id, body, previous, hash FROM audit WHERE id > ? ORDER BY id LIMIT ?"

Have = dict[str, dict[str, list[tuple[int, int]]]]


class JournalInUse(RuntimeError):
    """Another process writes this journal. Two would give the same ids twice and acknowledge what neither keeps."""


class Recovered(Struct, kw_only=True):
    """What a journal knows when it is opened."""

    snapshots: dict[str, bytes] = {}
    have: Have = {}
    """device -> boot -> ranges of seq that are durable, newest rows only."""
    set_aside: str = ""
    """Where a damaged file was moved to, and why; empty if there was none."""
    copied: str = ""
    """Where a file of an older format was copied to before it was brought up to date."""


def legible(raw: bytes) -> str:
    """For `text_factory`: one damaged letter must not keep all else in the file from being read."""
    return raw.decode(errors="replace")


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def is_damage(error: sqlite3.Error) -> bool:
    """Is the file itself broken, as opposed to a disk that is full, slow or read-only?"""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_full(error: Exception) -> bool:
    """Is there no room on the disk?"""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


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
    connection.text_factory = legible
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        if path.stat().st_size <= CHECK_BYTES_MAX:
            quick_check(connection)
        copy = bring_up(connection, path)
        snapshots = dict(connection.execute("SELECT key, body FROM snapshots"))
        return connection, Recovered(snapshots=snapshots, have=_have(connection), copied=str(copy or ""))
    except BaseException:
        connection.close()
        raise


def quick_check(connection: sqlite3.Connection) -> None:
    """Raises the error of a damaged file if a page of it makes no sense."""
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
    """The highest row id ever given, also when its row is gone, or is in a file whose place this one took: a reader
    that had come so far would take lower ones for sent."""
    found = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM sqlite_sequence WHERE name = 'rows' UNION ALL SELECT value FROM marks)"
    ).fetchone()
    return int(found[0] or 0)


def _salvage(path: Path) -> dict[str, bytes]:
    """The snapshots of a damaged file that are whole by their digest: a session must not vanish with a bad
    page."""
    kept: dict[str, bytes] = {}
    try:
        connection = sqlite3.connect(path)
        connection.text_factory = legible
        try:
            for key, body, checked in connection.execute("SELECT key, body, digest FROM snapshots"):
                if digest(body) == checked:
                    kept[key] = body
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        pass
    return kept


def broken_audit(connection: sqlite3.Connection, breathe: Callable[[], None] = lambda: None) -> int | None:
    """The id of the first audit line that does not fit the chain or is missing, or None. `breathe` is called after
    each piece; no piece is read while another is awaited."""
    before, number = bytes(32), 0
    while lines := connection.execute(_AUDIT, (number, AUDIT_LINES)).fetchall():
        for line, body, previous, hashed in lines:
            # Only the first line of a file that took the place of a damaged one goes on from another file.
            follows = previous == before or number == 0
            if line != number + 1 or not follows or digest(previous + body.encode()) != hashed:
                return number + 1
            before, number = hashed, line
        breathe()
    given = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    return number + 1 if given and given[0] > number else None
