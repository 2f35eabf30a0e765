"""The journal: what is reported durable is on the disk, once, whatever happens to the disk or the process."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from servers import wait_until

from gateway import journal as journal_module
from gateway import journal_check, journal_file, journal_recovery
from gateway.clock import monotonic_ms
from gateway.core.outputs import RecordId, Row, Snapshot
from gateway.journal import NEVER, Journal
from gateway.journal_reader import JournalReader
from gateway.journal_recovery import JournalInUse, NewerJournal

BOOT = "00112233445566aa"


def vitals(seq: int, at_ms: int = 1_000, boot: str = BOOT) -> Row:
    return Row(
        measurement="vitals", at_ms=at_ms, device="cb-1", chair="bay-1", fields={"spo2_pct": 97.0}, boot=boot, seq=seq
    )


def alarm(at_ms: int = 1_000, name: str = "a1") -> Row:
    return Row(
        measurement="alarm", at_ms=at_ms, device="cb-1", chair="bay-1", tags={"rule": "spo2_low"},
        fields={"id": name, "value": 84.0}, urgent=True, audit=True,
    )  # fmt: skip


class Rig:
    """A journal with what it has reported so far."""

    def __init__(self, path: Path, bytes_max: int = 10**9) -> None:
        self.path = path
        self.news = threading.Event()
        self.position = 0
        self.records: list[RecordId] = []
        self.journal = Journal(path, bytes_max, self.news.set)
        self.recovered = self.journal.open()
        self.journal.start()

    def put(self, *entries: Row | Snapshot) -> float:
        return self.journal.put(entries)

    def reached(self, position: float) -> bool:
        committed = self.journal.take()
        self.position = committed.position
        self.records += committed.records
        return self.position >= position

    def durable(self, *entries: Row | Snapshot) -> None:
        position = self.put(*entries)
        wait_until(lambda: self.reached(position), "the commit")

    def rows(self, measurement: str = "vitals") -> list:
        with JournalReader(self.path) as reader:
            return reader.rows(measurement, "bay-1", 0)


@pytest.fixture
def make_rig(tmp_path):
    rigs = []

    def make(name: str = "journal.db", **options):
        rigs.append(Rig(tmp_path / name, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.journal.stop()


def test_a_record_is_stored_once_and_reported_each_time(make_rig):
    """A resent record must be acknowledged, or its board would send it for ever, but it is one row."""
    rig = make_rig()
    rig.durable(vitals(1), vitals(2))
    rig.durable(vitals(2), vitals(3))
    assert [row.seq for row in rig.rows()] == [1, 2, 3]
    assert [record.seq for record in rig.records] == [1, 2, 2, 3]


def test_the_same_numbers_of_another_boot_are_other_records(make_rig):
    """A board counts from 1 after each start."""
    rig = make_rig()
    rig.durable(vitals(1), vitals(1, boot="ffffffffffffffff"))
    assert len(rig.rows()) == 2


def test_a_rows_time_is_fixed_and_its_own(make_rig):
    """Two alarms in one millisecond differ in their nanoseconds, so that neither replaces the other."""
    rig = make_rig()
    rig.durable(alarm(at_ms=5, name="a1"), alarm(at_ms=5, name="a2"))
    first, second = rig.rows("alarm")
    assert {first.fields["id"], second.fields["id"]} == {"a1", "a2"}
    assert first.time_ns != second.time_ns
    assert first.time_ns // 1_000_000 == second.time_ns // 1_000_000 == 5


def test_an_urgent_row_takes_what_waits_with_it(make_rig, monkeypatch):
    """The group of readings is not due for an hour, yet a staff action commits at once, and its readings with
    it."""
    monkeypatch.setattr(journal_module, "GROUP_MS", 3_600_000)
    rig = make_rig()
    rig.put(vitals(1))
    rig.durable(alarm())
    assert len(rig.rows()) == 1


def test_it_comes_back_with_snapshots_and_what_it_has(make_rig):
    """After a restart: the last snapshot of each key, and the ranges of records with their gaps."""
    rig = make_rig()
    rig.durable(Snapshot(key="bay-1", body=b"old"), *map(vitals, (1, 2, 3, 7, 8)), Snapshot(key="bay-1", body=b"new"))
    rig.durable(Snapshot(key="bay-2", body=b"other"), vitals(4, boot="ffffffffffffffff"))
    rig.journal.stop()
    again = make_rig()
    assert again.recovered.snapshots == {"bay-1": b"new", "bay-2": b"other"}
    assert again.recovered.have == {"cb-1": {BOOT: [(1, 3), (7, 8)], "ffffffffffffffff": [(4, 4)]}}
    assert not again.recovered.set_aside


def test_ids_rise_for_ever(make_rig):
    """An id is never given twice, not even when every row was trimmed: the sink's mark is an id."""
    rig = make_rig()
    rig.durable(vitals(1), vitals(2))
    rig.journal.stop()
    with sqlite3.connect(rig.path) as connection:
        connection.execute("DELETE FROM rows")
    connection.close()
    again = make_rig()
    again.durable(vitals(3))
    assert again.rows()[0].id == 3


@pytest.mark.parametrize("damage", ["header", "middle", "truncated", "not_a_database"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(make_rig, tmp_path, damage):
    """The gateway starts whatever the file is like; the file is kept for whoever wants to rescue more from
    it."""
    rig = make_rig()
    rig.durable(*(vitals(seq) for seq in range(1, 2000)))
    rig.journal.stop()
    content = bytearray(rig.path.read_bytes())
    if damage == "header":
        content[0:100] = bytes(100)
    elif damage == "middle":
        content[4096:-4096] = b"\x55" * (len(content) - 8192)
    elif damage == "truncated":
        del content[len(content) // 2 :]
    else:
        content = bytearray(b"this is no database " * 500)
    rig.path.write_bytes(content)
    again = make_rig()
    assert "damaged-" in again.recovered.set_aside
    assert again.recovered.have == {}
    again.durable(vitals(1))
    assert [row.seq for row in again.rows()] == [1]
    assert list(tmp_path.glob("journal.db.damaged-*"))


def test_sessions_are_rescued_from_a_damaged_file(make_rig):
    """A bad page among the readings must not end every session: a chair without one has no physiological
    alarms."""
    rig = make_rig()
    rig.durable(Snapshot(key="bay-1", body=b"session 7"))
    rig.durable(*(vitals(seq) for seq in range(1, 2000)))
    rig.journal.stop()
    content = bytearray(rig.path.read_bytes())
    content[-60_000:] = b"\x55" * 60_000
    rig.path.write_bytes(content)
    again = make_rig()
    assert again.recovered.set_aside
    assert again.recovered.snapshots == {"bay-1": b"session 7"}
    again.journal.stop()
    assert make_rig().recovered.snapshots == {"bay-1": b"session 7"}


def test_a_snapshot_that_was_altered_is_not_rescued(make_rig):
    """Half a session read from a broken page could look like a whole one."""
    rig = make_rig()
    rig.durable(Snapshot(key="bay-1", body=b"session 7"), *(vitals(seq) for seq in range(1, 2000)))
    rig.journal.stop()
    content = bytearray(rig.path.read_bytes().replace(b"session 7", b"session 8"))
    content[-60_000:] = b"\x55" * 60_000
    rig.path.write_bytes(content)
    assert make_rig().recovered.snapshots == {}


def test_a_newer_format_is_left_alone(make_rig):
    """An older program must not write into it, nor set it aside as if it were damaged."""
    rig = make_rig()
    rig.journal.stop()
    with sqlite3.connect(rig.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NewerJournal, match="99"):
        Journal(rig.path, 10**9, lambda: None).open()


def test_one_journal_has_one_writer(make_rig, monkeypatch):
    """A second gateway on the same file would acknowledge records under ids that the first one gives as well."""
    monkeypatch.setattr(journal_module, "OPEN_MS_MAX", 0)
    rig = make_rig()
    with pytest.raises(JournalInUse, match="another gateway"):
        Journal(rig.path, 10**9, lambda: None).open()
    rig.journal.stop()
    assert make_rig().recovered is not None


def test_a_lock_that_is_given_up_in_time_is_waited_for(make_rig):
    """After a crash the last gateway may still be ending: its sessions must not be missed for that."""
    rig = make_rig()
    rig.durable(Snapshot(key="bay-1", body=b"session 7"))
    threading.Timer(0.2, rig.journal.stop).start()
    assert make_rig().recovered.snapshots == {"bay-1": b"session 7"}


def test_a_disk_that_refuses_at_the_start_is_used_when_it_comes_back(make_rig, tmp_path, monkeypatch):
    """Alarms do not wait for storage; what came meanwhile is written as soon as there is a disk."""
    monkeypatch.setattr(journal_module, "OPEN_MS_MAX", 0)
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    disk = tmp_path / "disk"
    disk.write_text("not a directory")
    rig = make_rig("disk/journal.db")
    position = rig.put(vitals(1))
    wait_until(lambda: not rig.journal.is_well(0), "the journal to say that it is not well")
    assert rig.journal.condition(monotonic_ms())[0] == "failed"
    assert not rig.reached(position)
    disk.unlink()
    wait_until(lambda: rig.reached(position), "the disk to be used")
    assert [row.seq for row in rig.rows()] == [1]
    assert rig.journal.is_well(0)


def test_a_full_disk_acknowledges_nothing_and_loses_nothing(make_rig, monkeypatch):
    """While SQLite finds no room nothing is durable, and the journal says that it is full and since when; when there is
    room again everything is written, in order and once."""
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    rig = make_rig()
    rig.durable(vitals(1))
    connection = rig.journal._file._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [vitals(seq) for seq in range(2, 400)]
    position = rig.put(*many, alarm())
    wait_until(lambda: rig.journal.condition(monotonic_ms())[0] == "full", "the journal to say that it is full")
    since_ms = rig.journal.condition(monotonic_ms())[1]
    rig.put(vitals(400), Snapshot(key="bay-1", body=b"s"))
    assert not rig.journal.is_well(0)
    assert not rig.reached(position)
    assert rig.journal.queued() == len(many) + 2
    assert [record.seq for record in rig.records] == [1]
    assert rig.journal.condition(monotonic_ms()) == ("full", since_ms)
    connection.execute(f"PRAGMA max_page_count = {pages + 10_000}")
    wait_until(lambda: rig.reached(position + 1), "the disk to be used again")
    assert [row.seq for row in rig.rows()] == list(range(1, 401))
    assert len(rig.rows("alarm")) == 1
    assert rig.journal.condition(monotonic_ms()) == ("ok", None)


class BrokenPage:
    """Stands before a connection and answers as SQLite does when it meets a page that makes no sense."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
        if sql == "COMMIT":
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        return self._connection.execute(sql, *arguments)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def test_damage_met_while_running_begins_a_new_file(make_rig, tmp_path, monkeypatch):
    """What was queued goes into the new file, with every session this process knows; the old one is kept."""
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    rig = make_rig()
    rig.durable(Snapshot(key="bay-1", body=b"session 7"), vitals(1))
    rig.journal._file._connection = BrokenPage(rig.journal._file._connection)
    rig.durable(vitals(2))
    assert [row.seq for row in rig.rows()] == [2]
    assert len(list(tmp_path.glob("journal.db.damaged-*[0-9]"))) == 1
    rig.journal.stop()
    assert make_rig().recovered.snapshots == {"bay-1": b"session 7"}


def test_putting_never_waits_for_the_disk(make_rig, monkeypatch):
    """With a commit stuck in the disk, the loop still puts; after a while the journal says it is not well."""
    rig = make_rig()
    stuck, entered = threading.Event(), threading.Event()
    real = rig.journal._file.commit

    def commit(batch):
        entered.set()
        assert stuck.wait(60)
        return real(batch)

    monkeypatch.setattr(rig.journal._file, "commit", commit)
    rig.put(alarm())
    assert entered.wait(60)
    position = rig.put(vitals(1))
    assert rig.journal.is_well(0)
    assert not rig.journal.is_well(10**12)
    assert rig.journal.condition(10**12)[0] == "slow"
    assert rig.journal.queued() == 2
    stuck.set()
    wait_until(lambda: rig.reached(position), "the stuck commit")


def test_a_full_queue_drops_readings_before_alarms_and_counts(make_rig, monkeypatch):
    """Readings are with their boards as well; an urgent row that had to go is never reported durable."""
    monkeypatch.setattr(journal_module, "ROWS_MAX", 2)
    monkeypatch.setattr(journal_module, "URGENT_ROWS_MAX", 3)
    rig = make_rig()
    stuck = threading.Event()
    monkeypatch.setattr(rig.journal._file, "commit", lambda batch: stuck.wait(60) and [])
    rig.put(vitals(1), vitals(2))
    assert rig.put(vitals(3)) != NEVER
    assert rig.put(alarm()) != NEVER
    assert rig.put(alarm()) == NEVER
    assert rig.journal.dropped() == 2
    stuck.set()


def test_a_deleted_file_is_noticed(make_rig):
    """SQLite would go on writing into a file without a name, and all of it would be lost at the next
    start."""
    rig = make_rig()
    rig.durable(Snapshot(key="bay-1", body=b"s"), vitals(1))
    rig.path.unlink()
    rig.durable(vitals(2))
    assert [row.seq for row in rig.rows()] == [2]
    rig.journal.stop()
    assert make_rig().recovered.snapshots == {"bay-1": b"s"}


def test_a_row_that_cannot_be_stored_does_not_stop_the_others(make_rig):
    """Its number is too large for SQLite: a programming error, counted, and not acknowledged."""
    rig = make_rig()
    rig.durable(vitals(1), vitals(2, at_ms=2**60), vitals(3))
    assert [row.seq for row in rig.rows()] == [1, 3]
    assert [record.seq for record in rig.records] == [1, 3]
    assert rig.journal.dropped() == 1


@pytest.mark.parametrize(
    ("tampering", "line"),
    [
        (None, None),
        ("UPDATE audit SET body = replace(body, 'a2', 'a9') WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 1", 1),
        ("DELETE FROM audit WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 3", 3),
        ("DELETE FROM audit", 1),
    ],
)
def test_the_audit_trail_shows_a_change(make_rig, monkeypatch, tampering, line):
    """A changed or missing line breaks the chain at its place, the first and the last too; the untouched trail is
    whole, also after a restart; and a gateway that starts on it says so."""
    monkeypatch.setattr(journal_recovery, "AUDIT_LINES", 2)
    rig = make_rig()
    rig.durable(alarm(name="a1"))
    rig.durable(alarm(name="a2"))
    rig.journal.stop()
    again = make_rig()
    again.durable(alarm(name="a3"))
    again.journal.stop()
    if tampering is not None:
        with sqlite3.connect(rig.path) as connection:
            connection.execute(tampering)
        connection.close()
    with JournalReader(rig.path) as reader:
        assert reader.broken_audit() == line
    last = make_rig()
    last.journal._looking.join(30)
    assert last.journal.condition(monotonic_ms())[0] == ("ok" if line is None else "altered")
    last.durable(vitals(9))


def test_a_new_file_goes_on_with_the_trail_of_the_damaged_one(make_rig, monkeypatch):
    """Its first line follows the last one of the file that was set aside."""
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    rig = make_rig()
    rig.durable(alarm(name="a1"))
    rig.journal._file._connection = BrokenPage(rig.journal._file._connection)
    rig.durable(alarm(name="a2"))
    rig.durable(alarm(name="a3"))
    with JournalReader(rig.path) as reader:
        assert reader.broken_audit() is None


def test_damage_in_a_large_file_is_found_beside_the_running_gateway(make_rig, tmp_path, monkeypatch):
    """A file too large to be checked at the start is checked behind it: it is set aside, what comes goes into a new
    one with every session, and the journal says so."""
    monkeypatch.setattr(journal_recovery, "CHECK_BYTES_MAX", 0)
    monkeypatch.setattr(journal_check, "CHECK_BYTES_MAX", 0)
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    rig = make_rig()
    rig.durable(Snapshot(key="bay-1", body=b"session 7"))
    rig.durable(*(vitals(seq) for seq in range(1, 2000)))
    rig.journal.stop()
    with sqlite3.connect(rig.path) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'rows_shown'").fetchone()[0]
    connection.close()
    content = bytearray(rig.path.read_bytes())
    content[4096 * (page - 1) : 4096 * page] = b"\x55" * 4096
    rig.path.write_bytes(content)
    again = make_rig()
    assert not again.recovered.set_aside
    wait_until(lambda: again.journal.condition(monotonic_ms())[0] == "set_aside", "the damage to be found")
    again.durable(vitals(5000))
    assert [row.seq for row in again.rows()] == [5000]
    assert list(tmp_path.glob("journal.db.damaged-*"))
    again.journal.stop()
    last = make_rig()
    assert last.recovered.snapshots == {"bay-1": b"session 7"}
    last.journal._looking.join(30)
    assert last.journal.condition(monotonic_ms()) == ("ok", None)


def test_the_cap_drops_what_was_sent_first_and_never_an_alarm(make_rig, monkeypatch):
    """Over the cap: sent readings go uncounted, then unsent ones counted; alarms stay."""
    monkeypatch.setattr(journal_file, "TRIM_ROWS", 100)
    rig = make_rig()
    rig.durable(alarm(), *(vitals(seq) for seq in range(1, 301)))
    rig.journal.mark_sent(201, {})
    rig.durable(vitals(301))
    rig.journal._file._bytes_max = 40_000
    seq = 302
    while rig.journal.dropped() == 0:
        rig.durable(vitals(seq))
        seq += 1
    left = [row.seq for row in rig.rows()]
    assert left[0] > 200
    assert left == list(range(left[0], seq))
    assert len(rig.rows("alarm")) == 1


def test_the_mark_of_what_was_sent_survives_a_restart(make_rig):
    """It never falls, or everything would be sent again after each start."""
    rig = make_rig()
    rig.durable(vitals(1), vitals(2))
    rig.journal.mark_sent(2, {1: "refused"})
    rig.journal.stop()
    again = make_rig()
    again.durable(vitals(3))
    with JournalReader(rig.path) as reader:
        assert reader.sent_upto() == 2
        assert reader.quarantined() == {1: "refused"}
        assert [row.seq for row in reader.after(reader.sent_upto(), 10)] == [3]


def test_stopping_commits_what_waits(make_rig, monkeypatch):
    """A service that is told to end loses nothing."""
    monkeypatch.setattr(journal_module, "GROUP_MS", 3_600_000)
    rig = make_rig()
    rig.put(vitals(1))
    rig.journal.stop()
    assert [row.seq for row in rig.rows()] == [1]


def test_a_reader_never_writes(make_rig):
    """The web process can look and no more."""
    rig = make_rig()
    rig.durable(vitals(1))
    with JournalReader(rig.path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM rows")


def test_a_reader_learns_that_the_file_was_replaced(make_rig, tmp_path):
    """After damage another file takes the place; who reads on in the old one would see nothing new for
    ever."""
    rig = make_rig()
    rig.durable(vitals(1))
    with JournalReader(rig.path) as reader:
        assert reader.is_current()
        rig.path.rename(tmp_path / "elsewhere.db")
        assert not reader.is_current()


def test_commits_come_in_groups(make_rig):
    """A hundred readings in a burst cost a few fsyncs, not a hundred: a ratio, so that a slow machine
    passes."""
    rig = make_rig()
    commits = 0

    def counted():
        nonlocal commits
        commits += 1

    rig.journal._on_commit = counted
    position = 0.0
    for seq in range(1, 101):
        position = rig.put(vitals(seq))
        time.sleep(0)
    wait_until(lambda: rig.reached(position), "the commits")
    assert commits <= 50
