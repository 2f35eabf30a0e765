"""The schema of InfluxDB: what the gateway writes is what is listed, and what is not listed is never sent."""

import json
import random
import re
from collections import defaultdict
from pathlib import Path

import pytest
from core_helpers import BOARD, CHAIR, Story
from msgspec.structs import replace
from servers import wait_until

from gateway import influx, influx_setup, wire
from gateway.core import rows
from gateway.core.outputs import Health, Row
from gateway.influx import Sink
from gateway.influx_schema import check
from gateway.influx_schema.measurements import MINUTES, SCHEMA
from gateway.journal import Journal
from gateway.journal_reader import JournalReader

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((ROOT / "grafana" / "provisioning" / "alerting").glob("*.yaml"))
FIELDS = {one.name: {field.name for field in one.fields} for one in SCHEMA}
TAGS = {one.name: set(one.tags) for one in SCHEMA}
COPY = {field.name for field in MINUTES.fields}


# ---- the list ---------------------------------------------------------------------------------------------------


def test_a_name_is_one_thing_everywhere():
    """A field has one type in all measurements, none is called as a tag is, and none as InfluxDB calls the time."""
    kinds = defaultdict(set)
    for one in SCHEMA:
        for field in one.fields:
            kinds[field.name].add(field.kind)
        assert len(FIELDS[one.name]) == len(one.fields), f"{one.name} lists a field twice"
    assert {name for name, found in kinds.items() if len(found) > 1} == set()
    assert kinds.keys() & set().union(*TAGS.values()) == set()
    assert "time" not in kinds


def test_a_tag_is_bounded_by_configuration_and_protocol():
    """Each value of a tag is a series that the database keeps in memory: no session, no person, no words of a board."""
    assert set().union(*TAGS.values()) == {"site", "chair", "device", "rule", "priority", "criterion"}
    assert {name for name, tags in TAGS.items() if tags & {"rule", "priority"}} == {"alarm"}
    assert {name for name, tags in TAGS.items() if "criterion" in tags} == {"readiness"}


def test_a_number_has_its_unit():
    """What ends with a unit has that one, and a count says that it is one."""
    units = {field.name: field.unit for one in SCHEMA for field in one.fields if field.kind == "float"}
    assert all(units.values())
    assert [units[name] for name in ("spo2_pct", "sys_mmhg", "delay_ms", "minutes_ago")] == ["%", "mmHg", "ms", "min"]


@pytest.mark.parametrize(
    ("measurement", "tags", "fields", "why"),
    [
        ("vital", {}, {"spo2_pct": 97.0}, "measurement 'vital'"),
        ("vitals", {"session": "s-1"}, {"spo2_pct": 97.0}, "tag 'session'"),
        ("gateway", {"chair": "bay-1"}, {"received": 1.0}, "tag 'chair'"),
        ("vitals", {}, {"spo2_pct": 97.0, "spo3_pct": 97.0}, "field 'spo3_pct'"),
        ("vitals", {}, {"spo2_pct": "97"}, "spo2_pct of vitals is a float"),
        ("vitals", {}, {"quality": 97.0}, "quality of vitals is a string"),
    ],
)
def test_what_is_not_listed_is_refused(measurement, tags, fields, why):
    """A measurement, a tag, a field, or another type of one; and it is said which."""
    with pytest.raises(ValueError, match=re.escape(why)):
        check(measurement, tags, fields)


def test_an_empty_tag_is_none_and_a_whole_number_is_a_float():
    """The gateway's rows have no chair; JSON gives back 97 for 97.0."""
    check("gateway", {"site": "clinic", "chair": "", "device": ""}, {"received": 97})


# ---- who makes rows ---------------------------------------------------------------------------------------------


def test_one_file_makes_rows():
    """What names the fields stands in gateway/core/rows.py; nothing else in the gateway makes a row of its own."""
    makers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gateway").rglob("*.py")
        if re.search(r"from gateway\.core\.outputs import .*\bRow\b", text := path.read_text("utf-8"))
        and re.search(r"\bRow\(", text)
    }
    assert makers == {"gateway/core/rows.py"}


def everything(story: Story) -> None:
    """A stay in which a board, a chair and staff say all that they can say."""
    story.engine.host_boot = "host"
    story.comes_up()
    calibration = wire.Calibration(state="calibrated", made_on="2026-11-01")
    story.status(firmware="1", reset_cause="power_on", calibration=calibration, faults=["fan"], heap_free_bytes=60_000,
                 rssi_dbm=-50, battery_pct=80, dropped=0)  # fmt: skip
    story.starts()
    story.engine.tick(story.now_ms, story.utc_ms, Health(utc_trusted=True))
    told = {"pi_pct": 2.0, "resp_bpm": 14.0, "ratio": 0.6, "cuff_mmhg": 0.0, "at_ms": story.utc_ms}
    story.vitals(**told)
    story.doses("first")
    story.does(wire.Dose(what="end", minutes_ago=0))
    seen = {"moaas": 5, "cadss": 0, "nausea": 0, "pain": 0, "gait": "steady", "oriented": True, "escort": True}
    seen |= {"dissociation": False, "activity": 4, "breathing": "deep", "oxygen": False, "note": "calm"}
    story.does(wire.Observe(**seen), id="observed-1")
    story.does(wire.Correct(entry="observed-1", instead=wire.Observe(**seen)))
    story.does(wire.Away(minutes=1))
    story.does(wire.Back())
    story.send(wire.Reply(boot=story.board.boot, id="measure-1", result="refused", reason="busy"))
    story.cuff(pulse_bpm=70, duration_ms=30_000)
    story.cuff_failed()
    story.event("local_alarm", "sys_high", value=190.0, limit=180.0, unit="mmHg", detail="alone")
    held = [story.board.record(kind, story.now_ms, **given) for kind, given in LATE]
    story.watched(5, spo2_pct=80.0)
    story.does(wire.Acknowledge())
    for record in held:
        story.send(replace(record, late=True))
    story.watched(25)


LATE = (
    (wire.Vitals, {"quality": "good", "sqi_pct": 90.0, "spo2_pct": 96.0}),
    (wire.Cuff, {"quality": "failed", "trigger": "command", "reason": "leak"}),
    (wire.Event, {"kind": "button", "name": "call"}),
)


def test_what_is_written_is_what_is_listed():
    """A stay in which everything is said writes every field of the list, with its type, and no other: no list that is
    too short, and none with what nobody writes."""
    everything(story := Story())
    (ready := Story()).becomes_ready()
    assert ready.does(wire.SignOff()).ok
    written = defaultdict(set)
    for row in (*story.outputs, *ready.outputs):
        if isinstance(row, Row):
            tags = row.tags | {"site": "clinic", "chair": row.chair, "device": row.device}
            check(row.measurement, tags, row.fields)
            written[row.measurement] |= row.fields.keys()
    # `resolution` is what the database is prepared with.
    assert written == {name: fields for name, fields in FIELDS.items() if name != "resolution"}


def test_an_engine_that_makes_another_row_fails_every_test(monkeypatch):
    """tests/row_schema.py looks at whatever an engine makes, wherever it runs."""
    made = rows.of_record
    monkeypatch.setattr(rows, "of_record", lambda *given: _with_more(made(*given)))
    with pytest.raises(ValueError, match="field 'mood'"):
        Story().vitals()


def _with_more(row: Row) -> Row:
    row.fields["mood"] = "good"
    return row


def test_the_database_is_prepared_as_listed(monkeypatch):
    """What dashboards choose a copy by, and what the copy by the minute holds."""
    made = []
    monkeypatch.setattr(influx_setup, "line", lambda *given: made.append(given) or "")
    influx_setup.resolution_lines()
    assert made
    for measurement, tags, fields, _ in made:
        check(measurement, tags, fields)
        assert fields.keys() == FIELDS["resolution"]
    copied = dict(re.findall(r'\w+\("(\w+)"[^)]*\) AS "(\w+)"', influx_setup.copied("chairside")))
    assert copied.keys() <= FIELDS["vitals"]
    assert set(re.findall(r'AS "(\w+)"', influx_setup.copied("chairside"))) == COPY
    assert all(f'"{name}"' in influx_setup.task("chairside", "copy") for name in COPY)


# ---- at the border ----------------------------------------------------------------------------------------------


class Writer:
    def __init__(self) -> None:
        self.stored: list[str] = []

    def set_up(self):
        pass

    def copy(self, since_ns, until_ns):
        pass

    def write(self, lines):
        self.stored += lines


def test_a_row_outside_the_schema_is_never_sent(tmp_path, monkeypatch):
    """It is quarantined with its reason and counted; the journal has it, and the rows around it go."""
    monkeypatch.setattr(influx, "POLL_S", 0.01)
    journal = Journal(tmp_path / "journal.db", 10**9, lambda: None)
    journal.open()
    journal.start()
    good = Row(measurement="vitals", at_ms=1, device=BOARD, chair=CHAIR, fields={"spo2_pct": 97.0})
    strange = (
        replace(good, fields={"spo2_pct": "ninety"}),
        replace(good, fields={"mood": 1.0}),
        replace(good, tags={"patient": "J. D."}),
        replace(good, measurement="moods"),
    )
    sink = Sink(journal, "clinic", writer := Writer(), random.Random(1))
    sink.start()
    try:
        journal.put([good, *strange, good])
        wait_until(lambda: sink.health().quarantined == len(strange), "the quarantine")
        wait_until(lambda: len(writer.stored) == 2, "the good rows")
    finally:
        sink.stop()
        journal.stop()
    assert all(line.startswith("vitals,chair=bay-1,") and " spo2_pct=97 " in line for line in writer.stored)
    with JournalReader(journal.path) as reader:
        reasons = reader.quarantined()
        assert reasons.keys() == {2, 3, 4, 5}
        assert all(why.startswith("not in the schema: ") for why in reasons.values())
        assert len(reader.after(0, 10)) == 6


# ---- who reads --------------------------------------------------------------------------------------------------


def queries() -> list[tuple[str, str]]:
    """(where, query) of every panel, variable and annotation, and of the alert rules."""
    found = []
    for path in DASHBOARDS:
        board = json.loads(path.read_text("utf-8"))
        found += [(path.stem, target["query"]) for panel in board["panels"] for target in panel.get("targets", [])]
        found += [(path.stem, one["query"]) for one in board["templating"]["list"] if one["type"] == "query"]
        found += [(path.stem, one["query"]) for one in board["annotations"].get("list", []) if "query" in one]
    for path in RULES:
        found += [(path.stem, asked) for asked in re.findall(r"^ *query: (.*)$", path.read_text("utf-8"), re.MULTILINE)]
    return found


def named(query: str) -> list[tuple[str, set[str]]]:
    """Which measurement a query reads and what of it, loosely; of a query within a query both."""
    inner = re.search(r"\((SELECT .*?)\) WHERE|\((SELECT .*)\)$", query)
    if inner:
        within = inner[1] or inner[2]
        (measurement, names), *deeper = named(within)
        outer = query.replace(within, "")
        aliases = set(re.findall(r'AS "([^"]+)"', within))
        return [(measurement, names), *deeper, (measurement, _names(outer) - aliases)]
    (policy, measurement) = re.findall(r'FROM (?:"([^"]+)"\.)?"([^"]+)"', query)[0]
    return [(f"{policy}.{measurement}" if policy else measurement, _names(query))]


def _names(query: str) -> set[str]:
    plain = re.sub(r"'[^']*'|/[^/]*/", "", query)
    plain = re.sub(r'FROM (?:"[^"]+"\.)?"[^"]+"', "", plain)
    return set(re.findall(r'"([^"]+)"', re.sub(r'AS "[^"]+"', "", plain)))


def unknown(query: str) -> set[str]:
    """What a query names that no row has."""
    found = set()
    for source, names in named(query):
        policy, _, measurement = source.rpartition(".")
        if measurement not in FIELDS:
            return {measurement}
        found |= names - _fields(policy, measurement) - TAGS[measurement]
    return found


def _fields(policy: str, measurement: str) -> set[str]:
    """Of a copy that a variable names, what is in both."""
    fields = FIELDS[measurement]
    if measurement != "vitals":
        return fields
    return {"minutes": COPY, "$copy": fields & COPY}.get(policy, fields)


def test_dashboards_ask_for_what_there_is():
    """Every field and tag that a panel, a variable, an annotation or an alert rule names is in the schema."""
    asked = queries()
    assert len(asked) > 50
    assert [(where, query, missing) for where, query in asked if (missing := unknown(query))] == []


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ('SELECT min("spo2_pct") AS "x" FROM "vitals" WHERE "site" =~ /^$site$/ AND $timeFilter', set()),
        ('SELECT min("spo3_pct") FROM "vitals" WHERE "chair" = \'spo2\'', {"spo3_pct"}),
        ('SELECT "x" FROM "vitals2"', {"vitals2"}),
        ('SELECT sum("records") FROM "minutes"."vitals"', set()),
        ('SELECT sum("records") FROM "$copy"."vitals"', {"records"}),
        ('SELECT last("quality") FROM "$copy"."vitals"', {"quality"}),
        ('SELECT "rank" FROM "alarm" WHERE "ward" = \'a\'', {"ward"}),
        ('SELECT "s", "nope" FROM (SELECT last("state") AS "s", "no" FROM "alarm" GROUP BY "rule") WHERE "s" != \'x\'',
         {"no", "nope"}),
        ('SHOW TAG VALUES FROM "gateway" WITH KEY = "chair"', {"chair"}),
    ],
)  # fmt: skip
def test_a_query_for_what_there_is_not_is_found(query, missing):
    """In what it selects, filters and groups by, and also inside another one."""
    assert unknown(query) == missing
