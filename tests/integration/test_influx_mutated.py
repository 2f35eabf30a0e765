"""Rows that no database can store, among good ones: each is put aside with its reason, and holds up nothing."""

import contextlib
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from servers import Influxd, VictoriaMetrics, wait_until

from gateway import influx as influx_module
from gateway.config import InfluxConfig
from gateway.core.outputs import Row
from gateway.influx import Sink
from gateway.influx_answers import BadLines
from gateway.influx_writers import Writer, writer_for
from gateway.journal import Journal
from gateway.journal_reader import JournalReader

AT_NS = 1_700_000_000_000_000_000
NOW_NS = time.time_ns()
GOOD_ROWS = 1_500
BODY_BYTES_MAX = 200_000

# What stands in the file instead of a good row's column, and what the reason must say. Bytes are stored as text.
ANY_SERVER: dict[str, tuple[dict[str, object], str]] = {
    "half a JSON": ({"fields": '{"spo2_pct": 97'}, "unreadable"),
    "NaN": ({"fields": '{"spo2_pct": NaN}'}, "unreadable"),
    "infinite": ({"fields": '{"spo2_pct": 1e999}'}, ""),
    "a list for a number": ({"fields": '{"spo2_pct": [97]}'}, "unreadable"),
    "a flag": ({"fields": '{"spo2_pct": true}'}, "unreadable"),
    "no table": ({"tags": "null"}, "unreadable"),
    "a number for a tag": ({"tags": '{"rule": 3}'}, "unreadable"),
    "no field": ({"fields": "{}"}, "needs a field"),
    "nothing in a field": ({"fields": '{"spo2_pct": null}'}, "needs a field"),
    "fields of no UTF-8": ({"fields": b'{"quality": "\xff\xfe"}'}, "unreadable"),
    "a device of no UTF-8": ({"device": b"cb-\xff"}, "unreadable"),
    "half a character": ({"fields": '{"quality": "\\ud800"}'}, ""),
    "before 1970": ({"time_ns": -5}, "time is"),
    "the end of time": ({"time_ns": 2**63 - 1}, "time is"),
    "a word for a time": ({"time_ns": "noon"}, "unreadable"),
    "a line in a time": ({"time_ns": "1\nvitals,chair=evil spo2_pct=1 5"}, "unreadable"),
    "a word for a number": ({"seq": "first"}, "unreadable"),
    "a comment": ({"measurement": "#vitals"}, "schema"),
    "no measurement": ({"measurement": ""}, "schema"),
    "another type": ({"fields": '{"spo2_pct": "ninety"}'}, "schema"),
    "a tag without a name": ({"tags": '{"": "x"}'}, "schema"),
    "a tag called time": ({"tags": '{"time": "now"}'}, "schema"),
    "a huge word": ({"fields": f'{{"quality": "{"x" * 1_100_000}"}}'}, "line of"),
}
ONLY_INFLUXDB: dict[str, tuple[dict[str, object], str]] = {
    "more than the server reads": ({"fields": f'{{"quality": "{"x" * 300_000}"}}'}, "Too Large"),
    "a type that is another there": ({"fields": '{"seat": "occupied"}'}, "field type conflict"),
    "a type that is another there, beside good fields": (
        {"fields": '{"spo2_pct": 97.0, "seat": "empty"}'},
        "field type conflict",
    ),
    "a name too long": ({"device": "x" * 70_000}, "unable to parse"),
}
ODD_BUT_GOOD = ("two\nlines, with a comma=1", "ends with \\", "\x00 and é")


def device_of(row_id: int) -> str:
    return "cb-1" if row_id % 50 else ODD_BUT_GOOD[row_id // 50 % 3]


def foreign(path: Path, mutations: list[dict[str, object]], chance: random.Random) -> tuple[set[int], dict[int, int]]:
    """A journal as somebody else might leave it. Returns the good ids, and which mutation each bad one has."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        bad = dict(zip(chance.sample(range(1, GOOD_ROWS), len(mutations)), range(len(mutations)), strict=True))
        for row_id in range(1, GOOD_ROWS + 1):
            row: dict[str, object] = {
                "id": row_id, "time_ns": AT_NS + row_id * 1_000_000, "stored_ms": AT_NS // 10**6,
                "measurement": "vitals", "device": device_of(row_id), "chair": "bay-1", "boot": "00112233445566aa",
                "seq": row_id, "tags": "{}", "fields": '{"spo2_pct": 97.0, "quality": "good"}', "kept": 0,
                "utc_trusted": 1,
            }  # fmt: skip
            row |= mutations[bad[row_id]] if row_id in bad else {}
            marks = ["CAST(? AS TEXT)" if isinstance(value, bytes) else "?" for value in row.values()]
            connection.execute(f"INSERT INTO rows VALUES ({', '.join(marks)})", tuple(row.values()))
    return set(range(1, GOOD_ROWS + 1)) - bad.keys(), bad


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLL_S", "RETRY_S_MIN", "RETRY_S_MAX", "RETRY_REFUSED_S"):
        monkeypatch.setattr(influx_module, name, 0.05)


@contextlib.contextmanager
def sunk(path: Path, writer: Writer, site: str) -> Iterator[Sink]:
    journal = Journal(path, 10**9, lambda: None)
    journal.open()
    journal.start()
    sink = Sink(journal, site, writer, random.Random(1))
    sink.start()
    yield sink
    sink.stop()
    journal.stop()


def begun(path: Path) -> Path:
    journal = Journal(path, 10**9, lambda: None)
    journal.open()
    journal.start()
    journal.stop()
    return path


def quarantined(path: Path) -> tuple[int, dict[int, str]]:
    with JournalReader(path) as reader:
        return reader.sent_upto(), reader.quarantined()


def fits(reasons: dict[int, str], bad: dict[int, int], cases: dict[str, tuple[dict[str, object], str]]) -> None:
    named = list(cases)
    assert {named[bad[row_id]] for row_id in bad.keys() - reasons.keys()} == set(), "not in quarantine"
    assert reasons.keys() - bad.keys() == set(), "good rows in quarantine"
    for row_id, why in reasons.items():
        assert why, named[bad[row_id]]
        assert cases[named[bad[row_id]]][1] in why, (named[bad[row_id]], why)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """InfluxDB that takes no large request."""
    server = Influxd(tmp_path_factory.mktemp("narrow"), http=f"  max-body-size = {BODY_BYTES_MAX}")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_bad_row_stands_aside_with_its_reason_and_each_good_one_is_stored(
    narrow: Influxd, tmp_path: Path, seed: int
) -> None:
    """Every kind at a random place among 1,500 good rows: each good one is in InfluxDB once, and the sink is well."""
    cases = ANY_SERVER | ONLY_INFLUXDB
    path = begun(tmp_path / "journal.db")
    good, bad = foreign(path, [change for change, _ in cases.values()], random.Random(seed))
    database = f"db{uuid4().hex[:8]}"
    writer = writer_for(InfluxConfig(version=1, url=narrow.url, database=database))
    writer.set_up()
    writer.write([f'vitals,chair=x spo2_pct=97,quality="good",seat=1 {AT_NS}'])
    with sunk(path, writer, "clinic") as sink:
        wait_until(lambda: quarantined(path)[0] == GOOD_ROWS, f"all rows of seed {seed}")
        wait_until(lambda: sink.health().state == "ok" and sink.health().unsent == 0, "the good state")
        assert sink.health().quarantined == len(bad)
    fits(quarantined(path)[1], bad, cases)
    rows = narrow.rows("SELECT spo2_pct, quality, device FROM vitals WHERE chair = 'bay-1'", database)
    assert sorted((row["time"] - AT_NS) // 1_000_000 for row in rows) == sorted(good)
    assert all((row["spo2_pct"], row["quality"]) == (97, "good") for row in rows)
    assert {row["device"] for row in rows} >= {"cb-1", "\x00 and é"}
    assert narrow.rows("SELECT spo2_pct FROM vitals WHERE chair = 'evil'", database) == []


def test_the_client_of_influxdb_2_stops_at_no_bad_row_either(victoria: VictoriaMetrics, tmp_path: Path) -> None:
    """The same file through influxdb-client: each good number is there, at its own time and nowhere else."""
    path = begun(tmp_path / "journal.db")
    good, bad = foreign(path, [change for change, _ in ANY_SERVER.values()], random.Random(4))
    site = f"s{uuid4().hex[:8]}"
    writer = writer_for(InfluxConfig(version=2, url=victoria.url, org="clinic", bucket="chairside", token="t"))
    with sunk(path, writer, site) as sink:
        wait_until(lambda: quarantined(path)[0] == GOOD_ROWS, "all rows")
        wait_until(lambda: sink.health().state == "ok", "the good state")
    fits(quarantined(path)[1], bad, ANY_SERVER)
    plain = {row_id for row_id in good if row_id % 50}
    series = wait_until(lambda: victoria.export(f'vitals_spo2_pct{{site="{site}",device="cb-1"}}'), "the samples")
    assert series[0]["timestamps"] == [AT_NS // 10**6 + row_id for row_id in sorted(plain)]
    assert set(series[0]["values"]) == {97.0}


class Counting:
    """A writer that counts its requests."""

    def __init__(self, inner: Writer) -> None:
        self._inner, self.requests, self.refused = inner, 0, 0
        self.set_up, self.probe, self.copy = inner.set_up, inner.probe, inner.copy

    def write(self, lines: list[str]) -> None:
        self.requests += 1
        try:
            self._inner.write(lines)
        except BadLines:
            self.refused += 1
            raise


@pytest.mark.parametrize(
    ("old", "requests_max"),
    [(True, 5), (False, 2_100)],
    ids=["the server says that it dropped all", "each must be asked for"],
)
def test_a_thousand_bad_rows_are_paid_for_once(
    narrow: Influxd, tmp_path: Path, *, old: bool, requests_max: int
) -> None:
    """Two requests for each at most, and that once: what comes behind goes as if nothing had been. Rows older than the
    server keeps are all bad, and it says so at once; for two kinds in turn it counts only one."""
    path = begun(tmp_path / "journal.db")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for row_id in range(1, 1_001):
            at_ns, fields = (AT_NS, '{"spo2_pct": 97.0}') if old or row_id % 2 else (NOW_NS, '{"seat": "empty"}')
            connection.execute(
                "INSERT INTO rows VALUES (?, ?, ?, 'vitals', 'cb-1', 'bay-1', '', 0, '{}', ?, 0, 1)",
                (row_id, at_ns + row_id, AT_NS // 10**6, fields),
            )
    database = f"db{uuid4().hex[:8]}"
    writer = Counting(writer_for(InfluxConfig(version=1, url=narrow.url, database=database, keep_days=1)))
    writer.set_up()
    writer.write([f"vitals,chair=x spo2_pct=97,seat=1 {NOW_NS}"])
    began_s = time.monotonic()
    with sunk(path, writer, "clinic") as sink:
        wait_until(lambda: quarantined(path)[0] == 1_000, "the end")
        took_s = time.monotonic() - began_s
        wait_until(lambda: sink.health().unsent == 0, "the end of the turn")
        paid = writer.requests
        assert len(quarantined(path)[1]) == 1_000
        # The next good row costs one request.
        good = Row(measurement="vitals", at_ms=NOW_NS // 10**6, device="cb-1", chair="", fields={"spo2_pct": 97.0})
        sink._journal.put([good])
        wait_until(lambda: quarantined(path)[0] == 1_001, "the good row")
        assert writer.requests - paid == 1
    print(f"\n1,000 bad rows: {paid} requests, {writer.refused} of them refused, {took_s:.1f} s")
    assert paid <= requests_max
