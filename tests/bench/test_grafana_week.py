"""Every query of every panel, variable and annotation, over a week of twenty chairs in a real InfluxDB 1.6.

Prints how long each took over what a user would choose, and what it shows:

    .venv/bin/python -m pytest -s -m long tests/bench/test_grafana_week.py

It takes two minutes of two free cores, most of them to fill the database.
"""

import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import filled_week
import pytest
from grafana_queries import DASHBOARDS, Asked, Chosen, Range, answer, asked, load, variables
from servers import Influxd, Server

from gateway.config import InfluxConfig
from gateway.influx_setup import copied
from gateway.influx_writers import Influx1

DATABASE = "week"
RANGES = {
    name: Range(filled_week.END_MS - hours * filled_week.HOUR_MS, filled_week.END_MS)
    for name, hours in (("6 h", 6), ("24 h", 24), ("7 d", 7 * 24))
}
ROUNDS = 3
TIMES_MAX = 15.0
"""How many times longer than one scan of six hours a query may take; the old one of a raw week took a hundred."""
PLAUSIBLE = {
    "percent": (0, 100),
    "percentunit": (0, 1),
    "suffix: mmHg": (20, 300),
    "suffix: /min": (20, 250),
    "ms": (0, 600_000),
    "s": (0, 86_400),
    "dBm": (-120, 0),
    "decbytes": (1_000, 10_000_000),
    "short": (0, 10**9),
}


class Took(NamedTuple):
    what: Asked
    ms: list[float]
    rows: list[dict[str, Any]]


@pytest.mark.long
def test_every_query_answers_on_a_filled_week(
    make_server: Callable[[type[Server]], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds something plausible over six hours, a day and a week, and none takes many times longer than a scan of
    one field of six hours."""
    influxd = make_server(Influxd)
    assert isinstance(influxd, Influxd)
    began = time.monotonic()
    Influx1(InfluxConfig(version=1, url=influxd.url, database=DATABASE)).set_up()
    count = filled_week.fill(influxd, DATABASE, monkeypatch)
    for day in range(filled_week.DAYS):
        begin_ms = filled_week.BEGIN_MS + day * filled_week.DAY_MS
        within = f"time >= {begin_ms}ms AND time < {begin_ms + filled_week.DAY_MS}ms"
        influxd.rows(copied(DATABASE, within), DATABASE)
    print(f"\n{count} rows of {len(filled_week.CHAIRS)} chairs, filled in {time.monotonic() - began:.0f} s")
    scan, took = _scan(), {}
    scans_ms: list[float] = []
    for name, at in RANGES.items():
        took[name] = _all(influxd, at)
        scans_ms += _timed(influxd, scan, {}, RANGES["6 h"]).ms
    _print(took)
    _print_wall(influxd, RANGES["6 h"])
    slowest = max((one for each in took.values() for one in each), key=lambda one: median(one.ms))
    print(f"slowest: {slowest.what.name}, {median(slowest.ms):.0f} ms; a scan: {median(scans_ms):.0f} ms")
    for name, each in took.items():
        for one in each:
            assert one.rows, f"{one.what.name} finds nothing in {name}"
            _assert_plausible(one, RANGES[name])
            assert min(one.ms) < TIMES_MAX * min(scans_ms), f"{one.what.name} takes {min(one.ms):.0f} ms over {name}"


def _all(influxd: Influxd, at: Range) -> list[Took]:
    took = []
    for path in DASHBOARDS:
        dashboard = load(path)
        chosen, queries = variables(influxd, DATABASE, dashboard, at)
        took += [_timed(influxd, what, chosen, at) for what in [*queries, *asked(dashboard)]]
    return took


def _timed(influxd: Influxd, what: Asked, chosen: Chosen, at: Range) -> Took:
    took_ms = []
    rows: list[dict[str, Any]] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        rows = answer(influxd, DATABASE, what, chosen, at)
        took_ms.append((time.perf_counter() - began) * 1000)
    return Took(what, took_ms, rows)


def _scan() -> Asked:
    return Asked("reference", "one field of six hours", 'SELECT max("sqi_pct") FROM "vitals" WHERE $timeFilter')


def _assert_plausible(one: Took, at: Range) -> None:
    """Numbers that a chart in this unit can have, and times within the range."""
    low, high = PLAUSIBLE.get(one.what.unit, (-math.inf, math.inf))
    begin_ms = one.what.range(at).from_ms
    slack_ms = filled_week.DAY_MS  # An interval that the range begins in has begun before.
    for row in one.rows:
        at_ms = row.get("time", 0) // 1_000_000
        assert at_ms == 0 or begin_ms - slack_ms <= at_ms <= at.to_ms, f"{one.what.name}: {row}"
        for name, value in row.items():
            if name != "time" and isinstance(value, int | float):
                assert low <= value <= high, f"{one.what.name}: {name} is {value} {one.what.unit}"
    values = [value for row in one.rows for name, value in row.items() if name != "time" and value not in (None, "")]
    assert values, f"{one.what.name} finds only nothing"


def _print_wall(influxd: Influxd, at: Range) -> None:
    """The wall's tiles as words."""
    wall = next(dashboard for dashboard in map(load, DASHBOARDS) if dashboard["title"].endswith("wall"))
    (tile,) = [what for what in asked(wall) if what.repeat]
    words = {name: found["text"] for name, found in _mapped(wall, "level").items()}
    for chair in filled_week.CHAIRS:
        rows = answer(influxd, DATABASE, tile, {"site": [filled_week.SITE], "chair": [chair]}, at)
        shown = rows[-1] if rows else {}
        level = words[f"{shown['level']:g}"] if shown else "-- stale"
        print(f"{chair:8} {level:12} {shown.get('SpO2') or '-- stale':>8} % {shown.get('pulse') or '-- stale':>8} /min")


def _mapped(dashboard: dict[str, Any], column: str) -> dict[str, Any]:
    overrides = [one for panel in dashboard["panels"] for one in panel.get("fieldConfig", {}).get("overrides", [])]
    (first, *_) = [one["properties"] for one in overrides if one["matcher"]["options"] == column]
    return dict(first[0]["value"][0]["options"])


def _print(took: dict[str, list[Took]]) -> None:
    print(
        f"{'dashboard, panel':46} {' '.join(f'{name:>7}' for name in took)}   ms; of {list(took)[-1]}: rows, the last"
    )
    for each in zip(*took.values(), strict=True):
        name = each[0].what.name.removeprefix("Chairside: ")[:46]
        times = " ".join(f"{median(one.ms):7.0f}" for one in each)
        last = {key: value for key, value in each[-1].rows[-1].items() if key != "time"} if each[-1].rows else {}
        print(f"{name:46} {times}   {len(each[-1].rows)}: {str(last)[:90]}")
