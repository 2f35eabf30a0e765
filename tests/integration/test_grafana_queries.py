"""Every query of the dashboards, with Grafana's variables filled in, against a real InfluxDB 1.6."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from servers import Influxd

from gateway import protocols, wire
from gateway.config import InfluxConfig
from gateway.core.outputs import Health, Output, Row
from gateway.engine import Engine
from gateway.influx_setup import copied
from gateway.influx_writers import Influx1
from gateway.line_protocol import line

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
SCHEMA = (ROOT / "docs" / "reference" / "influx-schema.md").read_text(encoding="utf-8")
DEMO_S_MAX = 400
SITE, CHAIR, BOARD, BOOT = "clinic", "bay-1", "cb-000001", "0f1e2d3c4b5a6978"
BEGIN_UTC_MS = 1_772_352_000_000


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, query) of every target of every panel, and of every annotation."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["query"]
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if "query" in annotation:
            yield f"annotation {annotation['name']}", annotation["query"]


def variables(influxd: Influxd, database: str, dashboard: dict[str, Any], at: "Range") -> dict[str, list[str]]:
    """What Grafana would offer for each variable, each one asked with those before it chosen in full; of one that takes
    a single value the first."""
    chosen: dict[str, list[str]] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked = fill(variable["query"], chosen, at)
            found = influxd.rows(asked, database)
            offered = [row[next(key for key in ("value", "distinct", "copy") if key in row)] for row in found]
            assert offered, f"variable {variable['name']} offers nothing: {asked}"
            chosen[variable["name"]] = offered if variable["multi"] else offered[:1]
    return chosen


class Range(NamedTuple):
    """The dashboard's range, as the built-in variables have it."""

    from_ms: int
    to_ms: int

    @property
    def within(self) -> str:
        return f"time >= {self.from_ms}ms AND time <= {self.to_ms}ms"


def fill(query: str, chosen: dict[str, list[str]], at: Range) -> str:
    """A query as Grafana sends it: a variable of several values becomes alternatives of the regular expression."""
    for name, values in chosen.items():
        several = "(" + "|".join(re.escape(value) for value in values) + ")"
        query = query.replace(f"/^${name}$/", f"/^{several}$/").replace(f"${name}", values[0])
    query = query.replace("$timeFilter", at.within).replace("$__interval", "10s")
    query = query.replace("$__from", str(at.from_ms)).replace("$__to", str(at.to_ms))
    # A page that is always of now is asked about the end of the range.
    query = query.replace("now()", f"{at.to_ms}ms")
    assert "$" not in query.replace("$/", ""), f"a variable is left: {query}"
    return query


def assert_every_query_finds_data(influxd: Influxd, database: str, at: Range, nothing: tuple[str, ...] = ()) -> None:
    """Each is answered; what a dashboard or panel named in `nothing` asks for need not have happened."""
    assert DASHBOARDS
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        chosen = variables(influxd, database, dashboard, at)
        for title, query in queries(dashboard):
            rows = influxd.rows(fill(query, chosen, at), database)
            values = [value for row in rows for key, value in row.items() if key != "time" and value not in (None, "")]
            assert values or title in nothing or path.stem in nothing, (
                f"{path.stem}, {title!r} finds nothing: {fill(query, chosen, at)}"
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


def test_every_query_finds_what_the_engine_writes(influxd: Influxd) -> None:
    """The dashboards ask for the measurements, tags and fields that the gateway's rows have."""
    server = Influx1(InfluxConfig(version=1, url=influxd.url, database="grafana_engine"))
    server.set_up()
    server.write(lines(a_short_stay()).decode().splitlines())
    influxd.query(copied("grafana_engine"), "grafana_engine")
    assert_every_query_finds_data(influxd, "grafana_engine", Range(BEGIN_UTC_MS, BEGIN_UTC_MS + 121_000))
    assert_every_field_is_documented(influxd, "grafana_engine")


@pytest.mark.long
def test_every_query_finds_data_after_a_demo(influxd: Influxd, tmp_path: Path) -> None:
    """What the whole chain stored of a demo, from the boards on, is what the dashboards show."""
    demo = [Path(sys.executable).parent / "chairside", "demo", "--seconds", "90", "--influx-url", influxd.url]
    ran = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=DEMO_S_MAX)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    influxd.query(copied("chairside"), "chairside")
    ended_ms = influxd.rows('SELECT last("sqi_pct") FROM "vitals"', "chairside")[0]["time"] // 1_000_000 + 1_000
    # No board has a fault in a demo; its sessions are of six chairs, and a calm one has no alarm to review.
    nothing = ("Faults and links", "chairside-review", "chairside-load")
    assert_every_query_finds_data(influxd, "chairside", Range(ended_ms - 3_600_000, ended_ms), nothing)
    assert_every_field_is_documented(influxd, "chairside")
