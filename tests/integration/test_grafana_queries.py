"""Every query of the dashboards, with Grafana's variables filled in, against a real InfluxDB 1.6."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from grafana_queries import DASHBOARDS, ROOT, Range, answer, asked, filled, load, variables
from msgspec.structs import replace
from servers import Influxd

from gateway import protocols, wire
from gateway.config import InfluxConfig
from gateway.core.outputs import Health, Output, Row
from gateway.engine import Engine
from gateway.influx_setup import copied
from gateway.influx_writers import Influx1
from gateway.line_protocol import line

SCHEMA = (ROOT / "docs" / "reference" / "influx-schema.md").read_text(encoding="utf-8")
DEMO_S_MAX = 400
SITE, CHAIR, BOARD, BOOT = "clinic", "bay-1", "cb-000001", "0f1e2d3c4b5a6978"
BEGIN_UTC_MS = 1_772_352_000_000
STAY = Range(BEGIN_UTC_MS, BEGIN_UTC_MS + 121_000)
DATABASE = "grafana_engine"


def assert_every_query_finds_data(
    influxd: Influxd, database: str, at: Range, nothing: tuple[str, ...] = (), paths: list[Path] = DASHBOARDS
) -> None:
    """Each is answered; what a dashboard or panel named in `nothing` asks for need not have happened."""
    assert paths
    for path in paths:
        dashboard = load(path)
        chosen, _ = variables(influxd, database, dashboard, at)
        for what in asked(dashboard):
            rows = answer(influxd, database, what, chosen, at)
            values = [value for row in rows for key, value in row.items() if key != "time" and value not in (None, "")]
            assert values or what.panel in nothing or path.stem in nothing, (
                f"{what.name} finds nothing: {filled(what, chosen, at)}"
            )


def assert_every_field_is_documented(influxd: Influxd, database: str) -> None:
    for row in influxd.query("SHOW FIELD KEYS", database) + influxd.query("SHOW TAG KEYS", database):
        for key, *_ in row["values"]:
            assert f"`{key}`" in SCHEMA, f"{key} of {row['name']} is not in docs/reference/influx-schema.md"


def a_short_stay() -> list[Row]:
    """The journal rows of two minutes with one patient, in virtual time: a start, a fall in saturation, a cuff
    measurement, a dose, and what staff saw."""
    engine = Engine(
        SITE, {CHAIR: BOARD}, protocols.load_all(), "run-1", {}, {}, now_ms=0, utc_ms=BEGIN_UTC_MS
    )  # fmt: skip
    outputs: list[Output] = []

    def hear(topic: str, message: wire.Message, at_s: int) -> None:
        now_ms = at_s * 1_000
        outputs.extend(engine.message(topic, wire.encode(message), False, now_ms, BEGIN_UTC_MS + now_ms))

    def staff(action: wire.Action, at_s: int) -> None:
        states = [
            o.message for o in outputs if not isinstance(o, Row) and isinstance(getattr(o, "message", 0), wire.State)
        ]
        session = states[-1].session if states and not isinstance(action, wire.Start) else ""
        do = wire.Do(id=f"action-{at_s:04d}", session=session, who="A. Nurse", action=action)
        hear(wire.chair_topic(SITE, CHAIR, "do"), do, at_s)

    for at_s in range(1, 121):
        record = {"boot": BOOT, "seq": at_s * 2, "base": 1, "up_ms": at_s * 1_000}
        if at_s == 1:
            said = {"firmware": "0.1.0", "rssi_dbm": -58, "heap_free_bytes": 61_000, "dropped": 0}
            hear(wire.device_topic(BOARD, "status"), wire.Status(boot=BOOT, conn=1, online=True, **said), at_s)
        if at_s in (2, 3):
            kind, name = ("start", "power_on") if at_s == 2 else ("fault", "battery_low")
            happened = wire.Event(**record | {"seq": at_s * 2 + 1}, kind=kind, name=name)
            hear(wire.device_topic(BOARD, "event"), happened, at_s)
        spo2_pct = 83.0 if 60 <= at_s < 80 else 97.0
        pulse_bpm = 126 if 35 <= at_s < 55 else 70
        vitals = wire.Vitals(**record, quality="good", sqi_pct=95, spo2_pct=spo2_pct, pulse_bpm=pulse_bpm, pi_pct=2.5)
        hear(wire.device_topic(BOARD, "vitals"), vitals, at_s)
        if at_s == 5:
            staff(wire.Start(protocol="demo", alias="blue", baseline_sys_mmhg=120, baseline_dia_mmhg=80), at_s)
        if at_s in (20, 100):
            cuff = {"sys_mmhg": 124 if at_s == 20 else 163, "dia_mmhg": 82, "map_mmhg": 96, "pulse_bpm": 70}
            measured = wire.Cuff(**record | {"seq": at_s * 2 + 1}, quality="good", trigger="schedule", **cuff)
            hear(wire.device_topic(BOARD, "cuff"), measured, at_s)
        if at_s == 30:
            staff(wire.Dose(what="first"), at_s)
        if at_s == 70:
            staff(wire.Acknowledge(), at_s)
        if at_s == 90:
            staff(wire.Observe(moaas=5, nausea=0), at_s)
        outputs += engine.tick(at_s * 1_000, BEGIN_UTC_MS + at_s * 1_000, Health())
    return [output for output in outputs if isinstance(output, Row)]


def lines(rows: list[Row]) -> bytes:
    tagged = [({"site": SITE, "chair": row.chair, "device": row.device} | row.tags, row) for row in rows]
    return "\n".join(
        line(row.measurement, tags, row.fields, row.at_ms * 10**6 + number) for number, (tags, row) in enumerate(tagged)
    ).encode()


@pytest.fixture(scope="module")
def short_stay(influxd: Influxd) -> Influxd:
    """A database that is set up and has the stay's rows, vitals of a second chair, and the copy by the minute."""
    server = Influx1(InfluxConfig(version=1, url=influxd.url, database=DATABASE))
    server.set_up()
    stay = a_short_stay()
    stay += [replace(row, chair="bay-0") for row in stay if row.measurement == "vitals"]
    server.write(lines(stay).decode().splitlines())
    influxd.query(copied(DATABASE), DATABASE)
    return influxd


def test_every_query_finds_what_the_engine_writes(short_stay: Influxd) -> None:
    """The dashboards ask for the measurements, tags and fields that the gateway's rows have."""
    # The stay has one chair, and nothing struck the whole site.
    assert_every_query_finds_data(short_stay, DATABASE, STAY, ("Alarms of the whole site",))
    assert_every_field_is_documented(short_stay, DATABASE)


def test_the_copy_of_an_older_version_is_made_anew(influxd: Influxd) -> None:
    """Setting up again is allowed, and the continuous query is the present one afterwards."""
    influxd.query('CREATE DATABASE "older"')
    old = 'SELECT mean("x") AS "x" INTO "older"."autogen"."y" FROM "older"."autogen"."vitals" GROUP BY time(1m)'
    influxd.query(f'CREATE CONTINUOUS QUERY "vitals_minutes" ON "older" BEGIN {old} END')
    for _ in range(2):
        Influx1(InfluxConfig(version=1, url=influxd.url, database="older")).set_up()
    (made,) = [series["values"] for series in influxd.query("SHOW CONTINUOUS QUERIES") if series["name"] == "older"]
    assert len(made) == 1
    assert "delay_p95_ms" in made[0][1]


BROKEN = {
    "is no InfluxQL": ('SELECT last("rank" FROM "vitals" WHERE $timeFilter', "error parsing query"),
    "asks for what is never written": ('SELECT "spo2" FROM "vitals" WHERE $timeFilter', "finds nothing"),
    "has an unknown variable": (
        'SELECT "rank" FROM "vitals" WHERE $timeFilter AND "chair" = \'$bay\'',
        "no variable bay",
    ),
    "gives several values as one": (
        'SELECT "rank" FROM "vitals" WHERE $timeFilter AND "chair" = \'$chair\'',
        "several",
    ),
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_broken_query_is_found_and_named(short_stay: Influxd, tmp_path: Path, why: str) -> None:
    """What makes a query fail in Grafana fails here, with dashboard and panel."""
    query, said = BROKEN[why]
    dashboard = load(ROOT / "grafana" / "dashboards" / "chairside-wall.json")
    panel = next(panel for panel in dashboard["panels"] if panel["title"] == "Oxygen saturation")
    panel["targets"][0]["query"] = query
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(dashboard), encoding="utf-8")
    with pytest.raises(AssertionError, match=f"Chairside: wall, Oxygen saturation.*{said}"):
        assert_every_query_finds_data(short_stay, DATABASE, STAY, paths=[path])


def test_a_chair_that_falls_silent_is_stale_and_its_lines_end(short_stay: Influxd) -> None:
    """Fifteen seconds after its last record the wall has no number of it; charts have nulls from there on, across
    which Grafana draws nothing, and never the last value again."""
    wall = load(ROOT / "grafana" / "dashboards" / "chairside-wall.json")
    (tile,) = [what for what in asked(wall) if what.repeat]
    chosen = {"site": [SITE], "chair": [CHAIR], "copy": ["autogen"]}
    for after_s, fresh in ((1, True), (14, True), (16, False), (3600, False)):
        at = Range(BEGIN_UTC_MS, BEGIN_UTC_MS + (120 + after_s) * 1000)
        assert bool(answer(short_stay, DATABASE, tile, chosen, at)) == fresh, f"{after_s} s after the last record"
    late = Range(BEGIN_UTC_MS, BEGIN_UTC_MS + 600_000)
    chair = load(ROOT / "grafana" / "dashboards" / "chairside-chair.json")
    lines_of_time = [what for what in asked(chair) if "time(" in what.query]
    assert len(lines_of_time) == 5
    for what in lines_of_time:
        rows = answer(short_stay, DATABASE, what, chosen, late)
        after = [row for row in rows if row["time"] > (BEGIN_UTC_MS + 122_000) * 10**6]
        assert after, f"{what.name} is drawn on to the end"
        assert {value for row in after for name, value in row.items() if name not in ("time", "chair")} == {None}


def test_what_a_table_says_of_a_column_is_of_one_that_it_has(short_stay: Influxd) -> None:
    """An age, a unit or a link stands where the page says: a table has one query, so its columns are that query's own
    and need no names that Grafana makes when it joins several. On the wall each begins with the row's age."""
    aged = set()
    for path in DASHBOARDS:
        dashboard = load(path)
        chosen, _ = variables(short_stay, DATABASE, dashboard, STAY)
        queries = {what.panel: what for what in asked(dashboard)}
        for panel in [panel for panel in dashboard["panels"] if panel["type"] == "table"]:
            title = panel["title"]
            assert (len(panel["targets"]), panel.get("transformations", [])) == (1, []), title
            rows = answer(short_stay, DATABASE, queries[title], chosen, STAY)
            columns = {"Time" if name == "time" else name for row in rows for name in row}
            for override in panel["fieldConfig"].get("overrides", []):
                name = override["matcher"]["options"]
                assert name in columns, f"{title}: no column {name}"
                if {"id": "unit", "value": "dateTimeFromNow"} in override["properties"]:
                    aged.add((title, name))
    assert aged == {("Last vitals", "Time"), ("Last cuff measurements", "Time")}


@pytest.mark.parametrize("lost", [0, 3])
def test_the_alert_counts_what_was_dropped_and_no_restart(influxd: Influxd, lost: int) -> None:
    """A site that dropped fifty long ago and starts again is no alarm, nor that another stands at zero; a new loss at
    either is one."""
    server = Influx1(InfluxConfig(version=1, url=influxd.url, database=f"dropped_{lost}"))
    server.set_up()
    counts = {"north": (0, 0, 0, lost), "south": (50, 50, 0, 0)}
    server.write(
        [
            line("gateway", {"site": site}, {"dropped": float(count)}, (BEGIN_UTC_MS + 10_000 * beat) * 10**6)
            for site, beats in counts.items()
            for beat, count in enumerate(beats)
        ]
    )
    alerting = yaml.safe_load((ROOT / "grafana" / "provisioning" / "alerting" / "chairside.yaml").read_text())
    (rule,) = [rule for rule in alerting["groups"][0]["rules"] if rule["uid"] == "chairside-lost"]
    query = rule["data"][0]["model"]["query"].replace("now()", f"{BEGIN_UTC_MS + 60_000}ms")
    (row,) = influxd.rows(query, f"dropped_{lost}")
    assert [value for name, value in row.items() if name != "time"] == [lost]


@pytest.mark.long
def test_every_query_finds_data_after_a_demo(influxd: Influxd, tmp_path: Path) -> None:
    """What the whole chain stored of a demo, from the boards on, is what the dashboards show."""
    demo = [Path(sys.executable).parent / "chairside", "demo", "--seconds", "90", "--influx-url", influxd.url]
    ran = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=DEMO_S_MAX)
    # It ran to its end. Whether all went in time, which a busy machine may miss, is asked by the demo's own test.
    assert "What was seen" in ran.stdout, ran.stdout + ran.stderr
    influxd.query(copied("chairside"), "chairside")
    ended_ms = influxd.rows('SELECT last("sqi_pct") FROM "vitals"', "chairside")[0]["time"] // 1_000_000 + 1_000
    # No board has a fault in a demo; its sessions are of six chairs, and a calm one has no alarm to review.
    nothing = ("Faults and links", "Alarms of the whole site", "chairside-review", "chairside-load")
    assert_every_query_finds_data(influxd, "chairside", Range(ended_ms - 3_600_000, ended_ms), nothing)
    assert_every_field_is_documented(influxd, "chairside")
