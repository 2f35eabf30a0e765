"""The journal as the outbox to InfluxDB: nothing in it is taken for sent that was not, and no bad row hides another."""

import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from servers import wait_until

from gateway import influx as influx_module
from gateway.core.outputs import Row
from gateway.influx import Sink
from gateway.influx_answers import Unavailable
from gateway.journal import Journal
from gateway.journal_file import Batch, JournalFile
from gateway.journal_reader import JournalReader, StoredRow, Unreadable


def row(number: int, seq: int = 0) -> Row:
    return Row(
        measurement="vitals", at_ms=number, device="cb-1", chair="bay-1", boot="b", seq=seq,
        fields={"spo2_pct": float(number)},
    )  # fmt: skip


class Taking:
    """A writer that takes all, unless it is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.lines: list[str] = []
        self.sizes: list[int] = []
        self.away = away

    def set_up(self) -> None:
        if self.away:
            raise Unavailable("no route")

    probe = set_up

    def copy(self, since_ns: int, until_ns: int) -> None:
        """Those rows are of long ago."""

    def write(self, lines: list[str]) -> None:
        self.sizes.append(len(lines))
        self.set_up()
        self.lines += lines


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLL_S", "RETRY_S_MIN", "RETRY_S_MAX"):
        monkeypatch.setattr(influx_module, name, 0.01)


def test_a_new_file_goes_on_above_what_counts_as_sent(tmp_path: Path) -> None:
    """A damaged journal was replaced, the new one knows how far the sink had come and has no row yet, and then the
    gateway is killed: lower ids would be taken for sent and never go."""
    path = tmp_path / "journal.db"
    first = JournalFile(path, 10**9)
    first.commit(Batch(rows=[row(n) for n in range(1, 101)]))
    first.set_aside()
    first.commit(Batch(rows=[], marks={"sent_upto": 100}))
    first.release()
    second = JournalFile(path, 10**9)
    second.commit(Batch(rows=[row(7)]))
    with JournalReader(path) as reader:
        assert [stored.time_ns // 10**6 for stored in reader.after(reader.sent_upto(), 10)] == [7]
    second.release()


def test_the_sink_goes_on_with_the_file_that_took_the_place(tmp_path: Path) -> None:
    """Set aside while the sink runs: every row of the new file is sent, and what is left in the other is not waited
    for."""
    journal, writer = Journal(tmp_path / "journal.db", 10**9, lambda: None), Taking()
    journal.open()
    journal.start()
    sink = Sink(journal, "clinic", writer, random.Random(1))
    sink.start()
    journal.put([row(n) for n in range(1, 51)])
    wait_until(lambda: len(writer.lines) == 50, "the first rows")
    writer.away = True
    journal.put([row(n) for n in range(51, 61)])
    wait_until(lambda: sink.health().unsent == 10, "the rows that wait")
    journal._found("set_aside", sqlite3.DatabaseError("page 7 makes no sense"))
    journal._damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT  # type: ignore[union-attr]
    journal.put([row(n) for n in range(61, 71)])
    wait_until(lambda: journal.last_id() == 70, "the new file")
    writer.away = False
    wait_until(lambda: sink.health().unsent == 0, "the rest")
    sink.stop()
    journal.stop()
    assert {int(line.split("spo2_pct=")[1].split()[0]) for line in writer.lines} >= {*range(1, 51), *range(61, 71)}


def test_an_outage_that_was_there_at_the_start_is_told_with_its_depth(tmp_path: Path) -> None:
    """A gateway that starts while the database is away knows at once how much waits, and since when."""
    journal = Journal(tmp_path / "journal.db", 10**9, lambda: None)
    journal.open()
    journal.start()
    journal.put([row(n) for n in range(1, 31)])
    wait_until(lambda: journal.last_id() == 30, "the rows")
    sink = Sink(journal, "clinic", Taking(away=True), random.Random(1))
    sink.start()
    wait_until(lambda: sink.health().state == "down", "the outage")
    assert sink.health().unsent == 30
    lag_s = sink.health().lag_s
    wait_until(lambda: sink.health().lag_s > lag_s, "the lag to rise")
    sink.stop()
    journal.stop()


def test_an_answer_that_does_not_end_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says a letter now and then runs into no timeout; what waits is told all the same."""
    monkeypatch.setattr(influx_module, "TIMEOUT_S", 0.05)
    journal, writer, ended = Journal(tmp_path / "journal.db", 10**9, lambda: None), Taking(), threading.Event()
    writer.set_up = ended.wait  # type: ignore[assignment,method-assign]
    journal.open()
    journal.start()
    journal.put([row(1)])
    wait_until(lambda: journal.last_id() == 1, "the row")
    sink = Sink(journal, "clinic", writer, random.Random(1))
    sink.start()
    wait_until(lambda: sink.health().state == "down", "the outage")
    assert sink.health().unsent == 1
    ended.set()
    wait_until(lambda: sink.health().state == "ok" and sink.health().unsent == 0, "the row")
    sink.stop()
    journal.stop()


def test_a_server_too_slow_for_a_batch_is_given_less(tmp_path: Path) -> None:
    """What gets no answer goes in halves; what is taken, in twice as many: neither a slow server nor a long outage
    leaves anything behind."""
    journal, writer = Journal(tmp_path / "journal.db", 10**9, lambda: None), Taking(away=True)
    journal.open()
    journal.start()
    journal.put([row(n) for n in range(1, 2_001)])
    wait_until(lambda: journal.last_id() == 2_000, "the rows")
    sink = Sink(journal, "clinic", writer, random.Random(1))
    sink._is_set_up = True
    sink.start()
    wait_until(lambda: writer.sizes[-2:] == [1, 1], "single rows")
    writer.away = False
    wait_until(lambda: len(writer.lines) == 2_000, "all rows")
    sink.stop()
    journal.stop()
    assert writer.sizes[:3] == [1_000, 500, 250]
    assert max(writer.sizes[-3:]) > 400


def test_a_batch_has_a_size_in_bytes(tmp_path: Path) -> None:
    """However large rows are, what the sink holds in memory is bounded."""
    journal = JournalFile(tmp_path / "journal.db", 10**9)
    large = Row(measurement="event", at_ms=1, device="cb-1", chair="", fields={"word": "x" * 1_000})
    journal.commit(Batch(rows=[large] * 50))
    journal.release()
    with JournalReader(journal.path) as reader:
        assert len(reader.outgoing(0, 1_000, 10_000)) == 10
        assert len(reader.outgoing(0, 1_000, 1)) == 1


def test_a_damaged_letter_keeps_no_journal_from_opening(tmp_path: Path) -> None:
    """One name that is no UTF-8 any more: sessions and all other records are known after a start, and reading goes on
    behind it."""
    path = tmp_path / "journal.db"
    first = JournalFile(path, 10**9)
    first.commit(Batch(rows=[row(n, seq=n) for n in range(1, 11)], snapshots={"chair": b"state"}))
    first.release()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE rows SET device = CAST(x'63622dff' AS TEXT) WHERE id = 3")
        connection.execute("UPDATE rows SET seq = 'first' WHERE id = 5")
    second = JournalFile(path, 10**9)
    recovered = second.open()
    second.release()
    assert recovered.snapshots == {"chair": b"state"}
    assert recovered.have["cb-1"]["b"] == [(1, 2), (4, 4), (6, 10)]
    with JournalReader(path) as reader:
        kinds = {found.id: type(found) for found in reader.outgoing(0, 100, 10**6)}
    assert kinds == {n: Unreadable if n in (3, 5) else StoredRow for n in range(1, 11)}


def test_quarantine_goes_with_its_rows_over_the_cap(tmp_path: Path) -> None:
    """A server that refuses one kind of row for months must not fill the disk with its reasons."""
    journal = JournalFile(tmp_path / "journal.db", 100_000)
    for first in range(1, 4_001, 500):
        numbers = range(first, first + 500)
        reasons = dict.fromkeys(numbers, "field type conflict")
        journal.commit(Batch(rows=[row(n) for n in numbers], marks={"sent_upto": first + 499}, quarantine=reasons))
    for _ in range(4):
        journal.commit(Batch(rows=[row(1)]))
    journal.release()
    with JournalReader(journal.path) as reader:
        stored = {found.id for found in reader.after(0, 10_000)}
        assert len(stored) < 4_000
        assert reader.quarantined().keys() <= stored
        assert reader.quarantine_size() == len(reader.quarantined())
