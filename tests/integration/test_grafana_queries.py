"""Every query of the dashboards, with Grafana's variables filled in, against a real InfluxDB 1.6."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Influxd

from gateway import protocols, wire
from gateway.core.outputs import Health, Output, Row
from gateway.engine import Engine
from gateway.line_protocol import line

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
SCHEMA = (ROOT / "docs" / "reference" / "influx-schema.md").read_text(encoding="utf-8")
DEMO_S_MAX = 400
SITE, CHAIR, BOARD, BOOT = "clinic", "bay-1", "cb-000001", "0f1e2d3c4b5a6978"
BEGIN_UTC_MS = 1_772_352_000_000


def panel_queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(title, query) of every target of every panel."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["query"]


def variables(influxd: Influxd, database: str, dashboard: dict[str, Any]) -> dict[str, list[str]]:
    """What Grafana would offer for each variable, each one asked with those before it chosen in full."""
    chosen: dict[str, list[str]] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked = fill(variable["query"], chosen)
            chosen[variable["name"]] = [row["value"] for row in influxd.rows(asked, database)]
            assert chosen[variable["name"]], f"variable {variable['name']} offers nothing: {asked}"
    return chosen


def fill(query: str, chosen: dict[str, list[str]], time_filter: str = "") -> str:
    """A query as Grafana sends it: a variable of several values becomes alternatives of the regular expression."""
    for name, values in chosen.items():
        query = query.replace(f"${name}", "(" + "|".join(re.escape(value) for value in values) + ")")
    query = query.replace("$timeFilter", time_filter).replace("$__interval", "10s")
    assert "$" not in query.replace("$/", ""), f"a variable is left: {query}"
    return query


def assert_every_query_finds_data(influxd: Influxd, database: str, time_filter: str) -> None:
    assert DASHBOARDS
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        chosen = variables(influxd, database, dashboard)
        for title, query in panel_queries(dashboard):
            rows = influxd.rows(fill(query, chosen, time_filter), database)
            values = [value for row in rows for key, value in row.items() if key != "time" and value not in (None, "")]
            assert values, f"{path.stem}, {title!r} finds nothing: {query}"


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
            status = wire.Status(boot=BOOT, conn=1, online=True, firmware="0.1.0")
            hear(wire.device_topic(BOARD, "status"), status, at_s)
        spo2_pct = 83.0 if 60 <= at_s < 80 else 97.0
        vitals = wire.Vitals(**record, quality="good", sqi_pct=95, spo2_pct=spo2_pct, pulse_bpm=70, pi_pct=2.5)
        hear(wire.device_topic(BOARD, "vitals"), vitals, at_s)
        if at_s == 5:
            staff(wire.Start(protocol="demo", alias="blue", baseline_sys_mmhg=120, baseline_dia_mmhg=80), at_s)
        if at_s == 20:
            cuff = {"sys_mmhg": 124, "dia_mmhg": 82, "map_mmhg": 96, "pulse_bpm": 70}
            measured = wire.Cuff(**record | {"seq": at_s * 2 + 1}, quality="good", trigger="schedule", **cuff)
            hear(wire.device_topic(BOARD, "cuff"), measured, at_s)
        if at_s == 30:
            staff(wire.Dose(what="first"), at_s)
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
    influxd.request("POST", "/query?q=CREATE+DATABASE+grafana_engine")
    status, answer = influxd.request("POST", "/write?db=grafana_engine", lines(a_short_stay()))
    assert status == 204, answer
    within = f"time >= {BEGIN_UTC_MS}ms AND time <= {BEGIN_UTC_MS + 130_000}ms"
    assert_every_query_finds_data(influxd, "grafana_engine", within)
    assert_every_field_is_documented(influxd, "grafana_engine")


@pytest.mark.long
def test_every_query_finds_data_after_a_demo(influxd: Influxd, tmp_path: Path) -> None:
    """What the whole chain stored of a demo, from the boards on, is what the dashboards show."""
    demo = [Path(sys.executable).parent / "chairside", "demo", "--seconds", "90", "--influx-url", influxd.url]
    ran = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=DEMO_S_MAX)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert_every_query_finds_data(influxd, "chairside", "time > now() - 1h")
    assert_every_field_is_documented(influxd, "chairside")
