"""From the journal into real databases: every row once, through outages, restarts and refusals."""

import random
from uuid import uuid4

import pytest
from msgspec.structs import replace
from servers import Influxd, wait_until

from gateway import influx as influx_module
from gateway.config import InfluxConfig
from gateway.core.outputs import Row
from gateway.influx import Sink
from gateway.influx_setup import copied, task
from gateway.influx_writers import writer_for
from gateway.journal import Journal
from gateway.journal_reader import JournalReader

BOOT = "00112233445566aa"


def vitals(seq: int) -> Row:
    return Row(
        measurement="vitals", at_ms=1_700_000_000_000 + seq, device="cb-1", chair="bay-1",
        fields={"spo2_pct": 97.0, "quality": "good"}, boot=BOOT, seq=seq,
    )  # fmt: skip


def alarm(name: str) -> Row:
    return Row(
        measurement="alarm", at_ms=1_700_000_000_000, device="cb-1", chair="bay-1",
        tags={"rule": "spo2_low", "priority": "high"}, fields={"id": name, "value": 84.0}, urgent=True, audit=True,
    )  # fmt: skip


@pytest.fixture
def make_sink(tmp_path, monkeypatch):
    """`make_sink(config)`: a journal and a sink that write to a real server, quick to try again."""
    for name in ("POLL_S", "RETRY_S_MIN", "RETRY_S_MAX", "RETRY_REFUSED_S"):
        monkeypatch.setattr(influx_module, name, 0.05)
    made = []

    def make(config):
        journal = Journal(tmp_path / "journal.db", 10**9, lambda: None)
        journal.open()
        journal.start()
        sink = Sink(journal, "clinic", writer_for(config), random.Random(1))
        sink.start()
        made.append((journal, sink))
        return journal, sink

    yield make
    for journal, sink in made:
        sink.stop()
        journal.stop()


def influx1(server, database=None):
    return InfluxConfig(version=1, url=server.url, database=database or f"db{uuid4().hex[:8]}")


def sent_upto(journal):
    with JournalReader(journal.path) as reader:
        return reader.sent_upto()


def test_the_database_is_made_and_every_row_is_there(make_sink, influxd):
    """Nobody has to create it first; words and numbers come back as they were."""
    config = influx1(influxd)
    journal, sink = make_sink(config)
    journal.put([vitals(seq) for seq in range(1, 2501)])
    wait_until(lambda: sent_upto(journal) == 2500, "the rows to be sent")
    assert influxd.count("vitals", database=config.database) == 2500
    first = influxd.rows("SELECT * FROM vitals LIMIT 1", config.database)[0]
    assert (first["spo2_pct"], first["quality"], first["chair"], first["site"]) == (97, "good", "bay-1", "clinic")
    assert sink.health().state == "ok"


def test_two_alarms_in_one_millisecond_are_two_rows(make_sink, influxd):
    """Same chair, same rule, same millisecond: counted by query, both are there."""
    config = influx1(influxd)
    journal, _ = make_sink(config)
    journal.put([alarm("a1"), alarm("a2")])
    wait_until(lambda: sent_upto(journal) == 2, "the rows to be sent")
    assert influxd.count("alarm", field="id", database=config.database) == 2


def test_an_outage_loses_and_doubles_nothing(make_sink, make_server):
    """The server is killed and started between rows; afterwards each row is there once."""
    server = make_server(Influxd)
    config = influx1(server)
    journal, sink = make_sink(config)
    journal.put([vitals(seq) for seq in range(1, 101)])
    wait_until(lambda: sent_upto(journal) == 100, "the first rows")
    server.kill()
    journal.put([vitals(seq) for seq in range(101, 201)])
    wait_until(lambda: sink.health().state == "down", "the outage to be noticed")
    assert sink.health().lag_s >= 0
    server.start()
    wait_until(lambda: sent_upto(journal) == 200, "the rest")
    assert server.count("vitals", database=config.database) == 200


def test_sending_twice_overwrites(make_sink, influxd):
    """A crash between the server's 204 and the mark sends a batch again: it changes nothing."""
    config = influx1(influxd)
    journal, _ = make_sink(config)
    journal.put([alarm("a1"), alarm("a2"), *(vitals(seq) for seq in range(1, 51))])
    wait_until(lambda: sent_upto(journal) == 52, "the rows to be sent")
    again = Sink(journal, "clinic", writer_for(config), random.Random(1))
    with JournalReader(journal.path) as reader:
        again._send(reader.after(0, 100))
    assert influxd.count("vitals", database=config.database) == 50
    assert influxd.count("alarm", database=config.database) == 2


def test_a_line_the_server_refuses_is_quarantined_with_its_words(make_sink, influxd, monkeypatch):
    """A field whose type somebody else changed: the others of the batch are stored, and the reason is kept."""
    monkeypatch.setattr(influx_module, "check", lambda *_: None)
    config = influx1(influxd)
    journal, sink = make_sink(config)
    journal.put([vitals(1)])
    wait_until(lambda: sent_upto(journal) == 1, "the first row")
    wrong = Row(
        measurement="vitals", at_ms=1_700_000_000_002, device="cb-1", chair="bay-1", fields={"spo2_pct": "ninety"}
    )
    journal.put([vitals(2), wrong, vitals(3)])
    wait_until(lambda: sent_upto(journal) == 4, "the others")
    assert influxd.count("vitals", field="spo2_pct", database=config.database) == 3
    with JournalReader(journal.path) as reader:
        assert "field type conflict" in reader.quarantined()[3]
    assert sink.health().quarantined == 1


def test_a_wrong_login_is_said_and_nothing_is_lost(make_sink, make_server):
    """Refused, not down: somebody must act. With the right login the rows go."""
    server = make_server(Influxd, auth=True)
    server.query("CREATE USER admin WITH PASSWORD 'right' WITH ALL PRIVILEGES")
    config = InfluxConfig(version=1, url=server.url, database="chairside", user="admin", password="wrong")
    journal, sink = make_sink(config)
    journal.put([vitals(1)])
    wait_until(lambda: sink.health().state == "refused", "the refusal")
    assert sent_upto(journal) == 0
    sink._writer = writer_for(InfluxConfig(version=1, url=server.url, database="chairside", user="admin",
                                           password="right"))  # fmt: skip
    wait_until(lambda: sent_upto(journal) == 1, "the row")
    assert server.query("SELECT count(spo2_pct) FROM vitals", "chairside", "admin", "right")


def test_the_client_of_influxdb_2_writes_from_the_journal(make_sink, victoria):
    """A second real server answers influxdb-client: the numbers are there, each at its own time."""
    config = InfluxConfig(version=2, url=victoria.url, org="clinic", bucket="chairside", token="t")
    journal, sink = make_sink(config)
    site = f"s{uuid4().hex[:8]}"
    sink._site = site
    journal.put([vitals(seq) for seq in range(1, 51)])
    wait_until(lambda: sent_upto(journal) == 50, "the rows to be sent")
    match = f'vitals_spo2_pct{{site="{site}",chair="bay-1",device="cb-1"}}'
    series = wait_until(lambda: victoria.export(match), "the samples to be visible")
    assert series[0]["values"] == [97.0] * 50
    assert series[0]["timestamps"] == [1_700_000_000_000 + seq for seq in range(1, 51)]


def test_an_absent_server_is_down_for_the_client_of_influxdb_2(make_sink):
    """Its own retries and errors end in the same state as those of version 1."""
    config = InfluxConfig(version=2, url="http://127.0.0.1:9", org="clinic", bucket="chairside", token="t")
    journal, sink = make_sink(config)
    journal.put([vitals(1)])
    wait_until(lambda: sink.health().state == "down", "the outage to be noticed")
    assert sent_upto(journal) == 0


def test_a_database_is_prepared_again_and_again(influxd: Influxd) -> None:
    """Database, retention, the copy by the minute and what chooses between them; nothing is doubled by another start,
    and a changed retention is taken over."""
    for keep_days, duration in ((0, "0s"), (1, "24h0m0s"), (30, "720h0m0s"), (30, "720h0m0s")):
        config = influx1(influxd, "prepared")
        writer_for(replace(config, keep_days=keep_days)).set_up()
        policies = {row["name"]: row["duration"] for row in influxd.rows("SHOW RETENTION POLICIES", "prepared")}
        assert policies == {"autogen": duration, "minutes": "0s"}
    assert influxd.count("resolution", field='"copy"', database="prepared") == 0
    rows = influxd.rows('SELECT "copy" FROM "minutes"."resolution"', "prepared")
    assert [row["copy"] for row in rows] == ["autogen", "minutes"]
    queries = [row["name"] for row in influxd.rows("SHOW CONTINUOUS QUERIES") if "prepared" in row.get("query", "")]
    assert queries == ["vitals_minutes"]


def test_the_copy_has_the_worst_of_each_minute(influxd: Influxd) -> None:
    """The lowest saturation, the gravest level and the number of records: a short fall is not averaged away."""
    writer = writer_for(influx1(influxd, "copied"))
    writer.set_up()
    begin_ns = 1_700_000_040 * 10**9
    writer.write(
        [
            f"vitals,chair=bay-1,site=clinic spo2_pct={spo2_pct},pulse_bpm=70,sqi_pct=90,rank={rank}"
            f" {begin_ns + n * 10**9}"
            for n in range(60)
            for spo2_pct, rank in [(83, 3) if n == 20 else (97, 0)]
        ]
    )
    influxd.query(copied("copied"), "copied")
    (minute,) = influxd.rows('SELECT * FROM "minutes"."vitals"', "copied")
    assert (minute["spo2_pct"], minute["rank"], minute["records"], minute["pulse_bpm"]) == (83, 3, 60, 70)
    assert (minute["chair"], minute["site"]) == ("bay-1", "clinic")


def test_the_task_of_influxdb_2_names_both_buckets() -> None:
    """What InfluxDB 2 is told; it has no package here, so the text is all that is looked at."""
    script = task('cl"inic', "cl_minutes")
    assert 'from(bucket: "cl\\"inic")' in script
    assert 'to(bucket: "cl_minutes")' in script
    assert all(f'"{name}"' in script for name in ("spo2_pct", "pulse_bpm", "rank", "records"))


def test_a_late_row_takes_nothing_from_its_minute(make_sink, influxd: Influxd) -> None:
    """The whole minute is copied again, with what was there before."""
    config = influx1(influxd, "whole")
    begin_s = 1_700_000_040
    writer = writer_for(config)
    writer.set_up()
    writer.write([f"vitals,chair=bay-1,device=cb-1,site=clinic spo2_pct=70,sqi_pct=90 {(begin_s + 10) * 10**9}"])
    journal, _ = make_sink(config)
    late = replace(vitals(1), at_ms=(begin_s + 50) * 1000, fields={"spo2_pct": 96.0, "sqi_pct": 90.0})
    journal.put([late])
    wait_until(lambda: sent_upto(journal) == 1, "the row")
    asked = 'SELECT "spo2_pct", "records" FROM "minutes"."vitals"'
    wait_until(lambda: influxd.rows(asked, "whole"), "the copy")
    (minute,) = influxd.rows(asked, "whole")
    assert (minute["spo2_pct"], minute["records"]) == (70, 2)


def test_rows_that_came_hours_late_are_in_the_copy(make_sink, influxd: Influxd) -> None:
    """What looks back two hours has not seen them: they are copied once all is there."""
    journal, _ = make_sink(influx1(influxd, "late"))
    journal.put([replace(vitals(seq), fields={"spo2_pct": 97.0, "sqi_pct": 90.0}) for seq in range(1, 121)])
    wait_until(lambda: sent_upto(journal) == 120, "the rows")
    counted = 'SELECT sum("records") AS "all" FROM "minutes"."vitals"'
    wait_until(lambda: [row["all"] for row in influxd.rows(counted, "late")] == [120], "the copy")
