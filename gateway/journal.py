"""The journal: everything that must survive, on the disk, written by a thread of its own.

The loop puts rows and snapshots in and never waits; the thread commits them in groups, at most `GROUP_MS`
after the first and at once for an urgent one, with one fsync for the group. After each commit it reports the
records that are durable now and a *position*: what was put up to there is on the disk.

While the disk does not take it (full, read-only, gone), nothing is reported, so nothing is acknowledged to a
board; the thread tries again for ever. The queue is bounded and what it drops is counted.
"""

import math
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from gateway.clock import monotonic_ms, utc_ms
from gateway.core.outputs import RecordId, Row, Snapshot
from gateway.journal_file import Recovered, digest, is_damage, last_id, open_journal, set_aside

GROUP_MS = 200
STALLED_MS = 5_000
"""A disk that has not committed for so long is reported as not well."""
RETRY_S = 0.5
STOP_S = 5.0
ROWS_MAX = 20_000
URGENT_ROWS_MAX = 40_000
"""Urgent rows and the audit trail have this much room: readings, which their boards keep, are dropped long
before."""
TRIM_ROWS = 2_000
NEVER = math.inf
"""The position of something that will never be durable."""
_TRIM_ORDER = (
    "id <= :sent",
    "measurement = 'vitals'",
    "measurement NOT IN ('session', 'cuff')",
    "1",
)
"""What goes first when the cap is reached: what was sent, then readings, ... alarms and the audit trail
never."""

_UNFIT = (
    TypeError, ValueError, OverflowError, sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)  # fmt: skip

log = structlog.get_logger("journal")


class Committed(Struct, frozen=True):
    """What became durable since the last call."""

    position: int
    records: list[RecordId]


class _Batch(Struct):
    position: int
    rows: list[Row]
    snapshots: dict[str, bytes]
    sent_upto: int
    quarantine: dict[int, str]


class Journal:
    """`open`, `start`, then `put` from the loop and `take` after each `on_commit` (which is called by the
    thread)."""

    def __init__(self, path: Path, bytes_max: int, on_commit: Callable[[], None]) -> None:
        self.path = path
        self._bytes_max = bytes_max
        self._on_commit = on_commit
        self._changed = threading.Condition()
        # Guarded by _changed:
        self._rows: list[Row] = []
        self._snapshots: dict[str, bytes] = {}
        self._sent_upto = 0
        self._quarantine: dict[int, str] = {}
        self._put_position = 0
        self._due_ms: int | None = None
        self._waiting_since_ms: int | None = None
        self._done_position = 0
        self._done_records: list[RecordId] = []
        self._dropped = 0
        self._stop = False
        # The thread's own:
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._next_id = 1
        self._chain = bytes(32)
        self._known: dict[str, bytes] = {}
        self._well = True
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    # ---- for the loop
    # ---------------------------------------------------------------------------------------

    def open(self) -> Recovered:
        """Open the file before the thread starts. A disk that refuses gives nothing back and is tried again
        later: alarms do not wait for storage. Raises NewerJournal."""
        try:
            return self._open()
        except (sqlite3.Error, OSError) as error:
            self._well = False
            log.error("journal cannot be opened, going on without", path=str(self.path), error=str(error))
            return Recovered()

    def start(self) -> None:
        self._thread.start()

    def put(self, entries: Sequence[Row | Snapshot]) -> float:
        """Queue entries in order; never blocks on a disk. Returns the position at which they are durable, or
        NEVER if something urgent among them had to be dropped."""
        lost = False
        now_ms = monotonic_ms()
        with self._changed:
            urgent = False
            for entry in entries:
                if isinstance(entry, Snapshot):
                    # All that is pending is committed together, so only the last body of a key matters.
                    self._snapshots[entry.key] = entry.body
                    continue
                important = entry.urgent or entry.audit
                urgent |= entry.urgent
                if len(self._rows) < (URGENT_ROWS_MAX if important else ROWS_MAX):
                    self._rows.append(entry)
                else:
                    self._dropped += 1
                    lost |= important
            self._put_position += 1
            self._hasten(now_ms, 0 if urgent else GROUP_MS)
            return NEVER if lost else self._put_position

    def position(self) -> int:
        """What was put last."""
        with self._changed:
            return self._put_position

    def take(self) -> Committed:
        with self._changed:
            records, self._done_records = self._done_records, []
            return Committed(self._done_position, records)

    def queued(self) -> int:
        return len(self._rows)

    def dropped(self) -> int:
        return self._dropped

    def is_well(self, now_ms: int) -> bool:
        """Did the last commit succeed, without anything waiting for long?"""
        with self._changed:
            since_ms = self._waiting_since_ms
            stalled = since_ms is not None and now_ms - since_ms > STALLED_MS
            return self._well and not stalled and self._thread.is_alive()

    def stop(self) -> None:
        """Commit what is pending and end. Gives up after STOP_S: the disk may be gone."""
        with self._changed:
            self._stop = True
            self._changed.notify()
        self._thread.join(STOP_S)

    # ---- for the sink's thread
    # --------------------------------------------------------------------------------

    def mark_sent(self, upto: int, quarantine: dict[int, str]) -> None:
        """Every row up to this id was taken by the database, except those in quarantine, each with its
        reason."""
        with self._changed:
            self._sent_upto = upto
            self._quarantine = self._quarantine | quarantine
            self._hasten(monotonic_ms(), GROUP_MS)

    # ---- the thread
    # -------------------------------------------------------------------------------------------

    def _hasten(self, now_ms: int, within_ms: int) -> None:
        if self._waiting_since_ms is None:
            self._waiting_since_ms = now_ms
        if self._due_ms is None or now_ms + within_ms < self._due_ms:
            self._due_ms = now_ms + within_ms
            self._changed.notify()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                records = self._commit(batch)
            except Exception as error:  # noqa: BLE001 - whatever it is, the queue must not be lost with it
                self._failed(error)
                with self._changed:
                    if self._stop:
                        log.error("journal stops with rows unwritten", rows=len(batch.rows))
                        break
                    self._changed.wait(RETRY_S)
                continue
            self._succeeded(batch, records)
        if self._connection is not None:
            self._connection.close()

    def _next_batch(self) -> _Batch | None:
        """Waits for something that is due and copies it; it leaves the queue only after its commit."""
        with self._changed:
            while True:
                if self._stop and self._due_ms is None:
                    return None
                wait_ms = None if self._due_ms is None else self._due_ms - monotonic_ms()
                if wait_ms is not None and (wait_ms <= 0 or self._stop):
                    break
                self._changed.wait(None if wait_ms is None else wait_ms / 1000)
            return _Batch(self._put_position, self._rows[:], dict(self._snapshots), self._sent_upto, self._quarantine)

    def _succeeded(self, batch: _Batch, records: list[RecordId]) -> None:
        with self._changed:
            del self._rows[: len(batch.rows)]
            for key, body in batch.snapshots.items():
                if self._snapshots.get(key) is body:
                    del self._snapshots[key]
            if self._quarantine is batch.quarantine:
                self._quarantine = {}
            more = self._put_position > batch.position or self._sent_upto > batch.sent_upto
            now_ms = monotonic_ms()
            self._waiting_since_ms = now_ms if more else None
            # Something urgent may have come in meanwhile, so what is left is due now.
            self._due_ms = now_ms if more else None
            self._done_position = batch.position
            self._done_records += records
            self._well = True
        self._on_commit()

    def _failed(self, error: Exception) -> None:
        """Close the file; the next try opens it again, and puts a new one in the place of a damaged one."""
        if self._well:
            expected = isinstance(error, sqlite3.Error | OSError)
            log.error(
                "journal cannot write, trying again",
                path=str(self.path), error=str(error), exc_info=None if expected else error,
            )  # fmt: skip
        self._well = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if isinstance(error, sqlite3.Error) and is_damage(error):
            try:
                moved = set_aside(self.path, utc_ms())
                log.error("journal was damaged, a new one is begun", set_aside=str(moved), error=str(error))
            except OSError as refused:
                log.error("damaged journal cannot be moved", path=str(self.path), error=str(refused))

    def _open(self) -> Recovered:
        self._connection, recovered = open_journal(self.path, utc_ms())
        self._inode = self.path.stat().st_ino
        if recovered.set_aside:
            log.error("journal was damaged, a new one is begun", set_aside=recovered.set_aside)
        # What this process knows is newer than what the file says.
        self._known = recovered.snapshots | self._known
        self._next_id = max(self._next_id, last_id(self._connection) + 1)
        head = self._connection.execute("SELECT hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        self._chain = head[0] if head else self._chain
        self._connection.execute("BEGIN IMMEDIATE")
        self._write_snapshots(self._connection, self._known)
        self._connection.execute("COMMIT")
        return recovered

    def _commit(self, batch: _Batch) -> list[RecordId]:
        if self._connection is not None and not self._file_is_there():
            self._connection.close()
            self._connection = None
            log.error("journal file is gone, a new one is begun", path=str(self.path))
        if self._connection is None:
            self._open()
        connection = self._connection
        assert connection is not None
        connection.execute("BEGIN IMMEDIATE")
        try:
            next_id, chain, records = self._write_rows(connection, batch.rows)
            self._write_snapshots(connection, batch.snapshots)
            connection.execute("INSERT OR REPLACE INTO marks VALUES ('sent_upto', ?)", (batch.sent_upto,))
            connection.executemany("INSERT OR REPLACE INTO quarantine VALUES (?, ?)", tuple(batch.quarantine.items()))
            self._trim(connection, batch.sent_upto)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._next_id, self._chain = next_id, chain
        self._known |= batch.snapshots
        return records

    def _file_is_there(self) -> bool:
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
                self._dropped += 1
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

    def _write_snapshots(self, connection: sqlite3.Connection, snapshots: dict[str, bytes]) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
            [(key, body, digest(body)) for key, body in snapshots.items()],
        )

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
                self._dropped += sum(row_id > sent_upto for (row_id,) in gone)
                return


def _text(value: object) -> str:
    """Canonical JSON: the audit trail's hash must not depend on the order of keys."""
    return msgspec.json.encode(value, order="deterministic").decode()
