"""A journal of an older program: it is copied, brought up to date in one piece, or left as it was."""

import hashlib
import sqlite3
from pathlib import Path

import pytest

from gateway import journal_schema
from gateway.core.outputs import Row
from gateway.journal_file import Batch, JournalFile
from gateway.journal_reader import JournalReader
from gateway.journal_recovery import open_journal
from gateway.journal_schema import SCHEMA_VERSION, STEPS

BOOT = "00112233445566aa"
VERSION_1 = """
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
PRAGMA user_version = 1;
"""
"""As the program of version 1 made them."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A journal of version 1 with three readings, an audited alarm, a session and what the sink said."""
    path = tmp_path / "journal.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(VERSION_1)
    with connection:
        insert = "INSERT INTO rows VALUES (?, ?, ?, ?, 'cb-1', 'bay-1', ?, ?, '{}', '{}', ?)"
        for seq in (1, 2, 3):
            connection.execute(insert, (seq, seq * 10**6 + seq, 5, "vitals", BOOT, seq, 0))
        connection.execute(insert, (4, 4 * 10**6 + 4, 5, "alarm", "", 0, 1))
        body = '{"alarm":1}'
        hashed = hashlib.sha256(bytes(32) + body.encode()).digest()
        connection.execute("INSERT INTO audit VALUES (NULL, 4, ?, ?, ?)", (body, bytes(32), hashed))
        kept = b"session 7"
        connection.execute("INSERT INTO snapshots VALUES ('bay-1', ?, ?)", (kept, hashlib.sha256(kept).digest()))
        connection.execute("INSERT INTO marks VALUES ('sent_upto', 2)")
        connection.execute("INSERT INTO quarantine VALUES (1, 'bad')")
    connection.close()
    return path


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def reads(path: Path) -> list[object]:
    with JournalReader(path) as reader:
        rows = [(row.id, row.time_ns, row.seq) for row in reader.after(0, 100)]
        return [rows, reader.sent_upto(), reader.quarantined(), reader.broken_audit()]


def test_an_older_journal_keeps_all_it_has(old: Path) -> None:
    """Rows, marks, trail and sessions are there, new rows follow, and the copy is what the old program left."""
    before = reads(old)
    journal = JournalFile(old, 10**9)
    recovered = journal.open()
    assert version(old) == SCHEMA_VERSION
    assert recovered.snapshots == {"bay-1": b"session 7"}
    assert recovered.have == {"cb-1": {BOOT: [(1, 3)]}}
    assert reads(old) == before
    row = Row(measurement="vitals", at_ms=9, device="cb-1", chair="bay-1", fields={}, boot=BOOT, seq=4, audit=True)
    journal.commit(Batch(rows=[row], snapshots={"bay-1": b"later"}))
    journal.release()
    with JournalReader(old) as reader:
        assert [row.id for row in reader.after(3, 10)] == [4, 5]
        assert reader.broken_audit() is None
    copy = Path(recovered.copied)
    assert copy == old.with_name("journal.db.format-1")
    assert version(copy) == 1
    assert reads(copy) == before


def test_a_new_journal_has_the_tables_of_one_that_was_brought_up_to_date(old: Path, tmp_path: Path) -> None:
    """Whichever way a file came to this version."""

    def tables(path: Path) -> list[object]:
        connection, _ = open_journal(path, 0)
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
        columns = [connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names]
        connection.close()
        return [names, columns]

    assert tables(old) == tables(tmp_path / "new.db")
    assert not list(tmp_path.glob("new.db.format-*"))


def test_a_step_that_fails_leaves_the_file_to_the_old_program(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the steps before it are undone; a later program that can do it goes on from there."""
    before = reads(old)
    monkeypatch.setattr(journal_schema, "STEPS", (*STEPS, "CREATE TABLE more (x); INSERT INTO nowhere VALUES (1);"))
    monkeypatch.setattr(journal_schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        open_journal(old, 0)
    assert (version(old), reads(old)) == (1, before)
    connection = sqlite3.connect(old)
    connection.executescript(VERSION_1)
    connection.execute("INSERT INTO rows VALUES (9, 9, 9, 'vitals', 'cb-1', 'bay-1', '', 0, '{}', '{}', 0)")
    connection.commit()
    connection.close()
    monkeypatch.undo()
    _, recovered = open_journal(old, 0)
    assert recovered.snapshots == {"bay-1": b"session 7"}


def test_without_room_for_the_copy_nothing_is_touched(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how much there is; the gateway goes on without a journal until somebody makes room."""
    monkeypatch.setattr(journal_schema, "SPARE_BYTES", 1 << 62)
    with pytest.raises(OSError, match="no room for the copy"):
        open_journal(old, 0)
    assert version(old) == 1


def test_a_copy_that_was_interrupted_is_made_anew(old: Path) -> None:
    """Half a copy must not pass for a whole one."""
    before = reads(old)
    old.with_name("journal.db.format-1.part").write_bytes(b"half")
    connection, recovered = open_journal(old, 0)
    connection.close()
    assert reads(Path(recovered.copied)) == before
    assert not old.with_name("journal.db.format-1.part").exists()


def test_a_row_says_whether_its_time_could_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a computer without a clock wrote before a time service set it has a label that is a guess."""
    path = tmp_path / "journal.db"
    journal = JournalFile(path, 10**9)
    for seq, trusted in ((1, False), (2, True)):
        monkeypatch.setattr("gateway.journal_file.utc_trusted", lambda trusted=trusted: trusted)
        row = Row(measurement="vitals", at_ms=9, device="cb-1", chair="bay-1", fields={}, boot=BOOT, seq=seq)
        journal.commit(Batch(rows=[row]))
    journal.release()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT seq, utc_trusted FROM rows ORDER BY seq").fetchall() == [(1, 0), (2, 1)]
    connection.close()
