"""The journal: everything that must survive, on the disk, written by a thread of its own.

The loop puts rows and snapshots in and never waits; the thread commits them in groups, at most `GROUP_MS` after the
first and at once for an urgent one, with one fsync for the group. After each commit it reports the records that are
durable now and a *position*: what was put up to there is on the disk.

While the disk does not take it (full, read-only, gone), nothing is reported, so nothing is acknowledged to a board;
the thread tries again for ever. The queue is bounded and what it drops is counted.
"""

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from msgspec import Struct

from gateway.clock import monotonic_ms
from gateway.core.outputs import RecordId, Row, Snapshot
from gateway.journal_check import Flaw, look_over
from gateway.journal_file import Batch, JournalFile
from gateway.journal_recovery import JournalInUse, Recovered, is_damage, is_full
from gateway.wire import JournalWord

GROUP_MS = 200
STALLED_MS = 5_000
"""A disk that has not committed for so long is reported as not well."""
OPEN_MS_MAX, OPEN_RETRY_S = 1_500, 0.05
RETRY_S = 0.5
STOP_S = 5.0
ROWS_MAX = 20_000
URGENT_ROWS_MAX = 40_000
"""Urgent rows and the audit trail have this much room: readings, which their boards keep, are dropped long before."""
NEVER = math.inf
"""The position of something that will never be durable."""

log = structlog.get_logger(part="journal")


class Committed(Struct, frozen=True):
    """What became durable since the last call."""

    position: int
    records: list[RecordId]


class Journal:
    """`open`, `start`, then `put` from the loop, and `take` after each `on_commit`, which the thread calls."""

    def __init__(self, path: Path, bytes_max: int, on_commit: Callable[[], None]) -> None:
        self.path = path
        self._file = JournalFile(path, bytes_max)
        self._on_commit = on_commit
        self._well = True
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._looking = threading.Thread(target=look_over, args=(path, self._found), name="journal-check", daemon=True)
        self._changed = threading.Condition()
        # What follows is guarded by _changed.
        self._rows: list[Row] = []
        self._snapshots: dict[str, bytes] = {}
        self._marks: dict[str, int] = {}
        self._quarantine: dict[int, str] = {}
        self._put_position = 0
        self._due_ms: int | None = None
        self._waiting_since_ms: int | None = None
        self._done_position = 0
        self._done_records: list[RecordId] = []
        self._dropped = 0
        self._stop = False
        self._refused: tuple[JournalWord, int] | None = None
        self._flaw: tuple[JournalWord, int] | None = None
        self._damage: Exception | None = None

    # ---- for the loop ---------------------------------------------------------------------------------------

    def open(self) -> Recovered:
        """Open the file before the thread starts. A lock or a disk may be busy for a moment after a crash; one that
        refuses for longer gives nothing back and is tried again later: alarms do not wait for storage.

        Raises NewerJournal; JournalInUse if another gateway keeps it."""
        give_up_ms = monotonic_ms() + OPEN_MS_MAX
        while True:
            try:
                recovered = self._file.open()
                if recovered.set_aside:
                    self._flaw = ("set_aside", monotonic_ms())
                return recovered
            except (sqlite3.Error, OSError, JournalInUse) as error:
                if monotonic_ms() < give_up_ms:
                    time.sleep(OPEN_RETRY_S)
                    continue
                if isinstance(error, JournalInUse):
                    raise
                self._well, self._refused = False, (_word(error), monotonic_ms())
                log.error("journal cannot be opened, going on without", path=str(self.path), error=str(error))
                return Recovered()

    def start(self) -> None:
        self._thread.start()
        self._looking.start()

    def put(self, entries: Sequence[Row | Snapshot]) -> float:
        """Queue entries in order; never waits for a disk. Returns the position at which they are durable, or NEVER
        if something urgent among them had to be dropped."""
        lost = urgent = False
        with self._changed:
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
            self._hasten(0 if urgent else GROUP_MS)
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
        return self._dropped + self._file.dropped

    def is_well(self, now_ms: int) -> bool:
        """Did the last commit succeed, and has nothing waited for long?"""
        with self._changed:
            since_ms = self._waiting_since_ms
            stalled = since_ms is not None and now_ms - since_ms > STALLED_MS
            return self._well and not stalled and self._thread.is_alive()

    def condition(self, now_ms: int) -> tuple[JournalWord, int | None]:
        """What the journal is like, and since when if it is not ok."""
        with self._changed:
            if self._refused is not None:
                return self._refused
            since_ms = self._waiting_since_ms
            if since_ms is not None and now_ms - since_ms > STALLED_MS:
                return "slow", since_ms
            return self._flaw if self._flaw is not None else ("ok", None)

    def stop(self) -> None:
        """Commit what is pending and end. Gives up after STOP_S: the disk may be gone."""
        with self._changed:
            self._stop = True
            self._changed.notify()
        self._thread.join(STOP_S)

    # ---- for the sink's thread ------------------------------------------------------------------------------

    def last_id(self) -> int:
        """Of the row that was committed last."""
        return self._file.last_id

    def mark_sent(self, upto: int, quarantine: dict[int, str]) -> None:
        """Every row up to this id was taken by the database, except those in quarantine, each with its reason."""
        with self._changed:
            self._quarantine = self._quarantine | quarantine
            self._mark("sent_upto", upto)

    def mark(self, name: str, upto: int) -> None:
        """How far another reader has come; it only rises."""
        with self._changed:
            self._mark(name, upto)

    def _mark(self, name: str, upto: int) -> None:
        self._marks = self._marks | {name: upto}
        self._hasten(GROUP_MS)

    # ---- the thread -----------------------------------------------------------------------------------------

    def _hasten(self, within_ms: int) -> None:
        now_ms = monotonic_ms()
        if self._waiting_since_ms is None:
            self._waiting_since_ms = now_ms
        if self._due_ms is None or now_ms + within_ms < self._due_ms:
            self._due_ms = now_ms + within_ms
            self._changed.notify()

    def _run(self) -> None:
        while (due := self._next_batch()) is not None:
            batch, position = due
            try:
                if self._damage is not None:
                    raise self._damage
                records = self._file.commit(batch)
            except Exception as error:  # noqa: BLE001 - whatever it is, the queue must not be lost with it
                self._failed(error)
                with self._changed:
                    if self._stop:
                        log.error("journal stops with rows unwritten", rows=len(batch.rows))
                        break
                    self._changed.wait(RETRY_S)
            else:
                self._succeeded(batch, position, records)
        self._file.release()

    def _next_batch(self) -> tuple[Batch, int] | None:
        """Waits for something that is due and copies it, with its position; it leaves the queue after its commit."""
        with self._changed:
            while True:
                if self._stop and self._due_ms is None:
                    return None
                wait_ms = None if self._due_ms is None else self._due_ms - monotonic_ms()
                if wait_ms is not None and (wait_ms <= 0 or self._stop):
                    break
                self._changed.wait(None if wait_ms is None else wait_ms / 1000)
            batch = Batch(
                rows=self._rows[:],
                snapshots=dict(self._snapshots),
                marks=self._marks,
                quarantine=self._quarantine,
            )
            return batch, self._put_position

    def _succeeded(self, batch: Batch, position: int, records: list[RecordId]) -> None:
        with self._changed:
            del self._rows[: len(batch.rows)]
            for key, body in batch.snapshots.items():
                if self._snapshots.get(key) is body:
                    del self._snapshots[key]
            if self._quarantine is batch.quarantine:
                self._quarantine = {}
            more = self._put_position > position or self._marks is not batch.marks
            # Something urgent may have come in meanwhile, so what is left is due now.
            self._due_ms = self._waiting_since_ms = monotonic_ms() if more else None
            self._done_position = position
            self._done_records += records
            self._well, self._refused = True, None
        self._on_commit()

    def _failed(self, error: Exception) -> None:
        """The next try goes on with a file that only has no room, opens another one again, and begins a new one in the
        place of a damaged one."""
        if self._well:
            expected = isinstance(error, sqlite3.Error | OSError)
            trace = None if expected else error
            log.error("journal cannot write, trying again", path=str(self.path), error=str(error), exc_info=trace)
        with self._changed:
            self._well, self._damage = False, None
            if self._refused is None or self._refused[0] != _word(error):
                self._refused = (_word(error), monotonic_ms())
        if is_full(error):
            return
        self._file.close()
        if isinstance(error, sqlite3.Error) and is_damage(error):
            try:
                log.error("journal was damaged, a new one is begun", set_aside=str(self._file.set_aside()))
                self._flaw = ("set_aside", monotonic_ms())
            except OSError as refused:
                log.error("damaged journal cannot be moved", path=str(self.path), error=str(refused))

    def _found(self, flaw: Flaw, damage: Exception | None) -> None:
        """What a look over the file found. A damaged one is replaced with the next commit, which is due at once."""
        with self._changed:
            if damage is None:
                self._flaw = (flaw, monotonic_ms())
            else:
                self._damage = damage
                self._hasten(0)


def _word(error: Exception) -> JournalWord:
    return "full" if is_full(error) else "failed"
