"""Grafana's part in a query: which ones a dashboard asks, and what becomes of their macros and variables.

As its documentation of variables and of the InfluxDB data source says:
https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from servers import Influxd

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
PIXELS_OF_A_COLUMN = 70
"""A panel has as many points as pixels; there are 24 columns on a screen of 1,680."""
NICE_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Chosen = Mapping[str, list[str]]
"""The values of each variable."""


class Range(NamedTuple):
    """The dashboard's range."""

    from_ms: int
    to_ms: int


class Asked(NamedTuple):
    """A query of a dashboard, whose it is, and what its panel says of it."""

    dashboard: str
    panel: str
    query: str
    unit: str = ""
    points: int = 24 * PIXELS_OF_A_COLUMN
    each: str = "1s"
    time_from: str = ""
    repeat: str = ""

    @property
    def name(self) -> str:
        return f"{self.dashboard}, {self.panel}"

    def range(self, at: Range) -> Range:
        """Of the dashboard, or the panel's own."""
        return Range(at.to_ms - 1000 * _seconds(self.time_from), at.to_ms) if self.time_from else at

    def interval_s(self, at: Range) -> int:
        """`$__interval`: the range over the panel's points as a round number, at least the panel's shortest."""
        exact_s = (at.to_ms - at.from_ms) / 1000 / self.points
        nice_s = next((low for low, high in pairwise(NICE_S) if exact_s < (low + high) / 2), NICE_S[-1])
        return max(nice_s, _seconds(self.each))


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def asked(dashboard: dict[str, Any]) -> Iterator[Asked]:
    """Every target of every panel, and every annotation that is a query."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield Asked(
                dashboard["title"],
                panel["title"],
                target["query"],
                unit=panel["fieldConfig"]["defaults"].get("unit", ""),
                points=panel.get("maxDataPoints") or panel["gridPos"]["w"] * PIXELS_OF_A_COLUMN,
                each=panel.get("interval") or "1s",
                time_from=panel.get("timeFrom") or "",
                repeat=panel.get("repeat") or "",
            )
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if query := annotation["target"].get("query"):
            yield Asked(dashboard["title"], f"annotation {annotation['name']}", query)


def variables(influxd: Influxd, database: str, dashboard: dict[str, Any], at: Range) -> tuple[Chosen, list[Asked]]:
    """What is chosen if everything is, and what was asked for it: each variable with those before it chosen; of one
    that takes a single value the one in the middle. Raises AssertionError, naming both, where one offers nothing."""
    chosen: dict[str, list[str]] = {}
    queries = []
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        what = Asked(dashboard["title"], f"variable {variable['name']}", variable["query"])
        queries.append(what)
        rows = answer(influxd, database, what, chosen, at)
        offered = [str(value) for row in rows for key, value in row.items() if key not in ("time", "key")]
        assert offered, f"{what.name} offers nothing: {filled(what, chosen, at)}"
        chosen[variable["name"]] = offered if variable["multi"] else [offered[len(offered) // 2]]
    return chosen, queries


def answer(influxd: Influxd, database: str, what: Asked, chosen: Chosen, at: Range) -> list[dict[str, Any]]:
    """The rows of its series. Raises AssertionError, naming dashboard and panel, if the server refuses the query."""
    query = filled(what, chosen, at)
    try:
        return influxd.rows(query, database)
    except AssertionError as error:
        raise AssertionError(f"{what.name}: {error}: {query}") from None


def filled(what: Asked, chosen: Chosen, at: Range) -> str:
    """A query as Grafana sends it. Raises AssertionError, naming dashboard and panel, for what it could not fill in."""
    at = what.range(at)
    if what.repeat:
        chosen = {**chosen, what.repeat: chosen[what.repeat][:1]}
    query = re.sub(r"\$(\w+)|\$\{(\w+)\}", lambda found: _value(found, what, chosen, at), what.query)
    # A page that is always of now is asked about the end of the range.
    return query.replace("now()", f"{at.to_ms}ms")


def _value(found: re.Match[str], what: Asked, chosen: Chosen, at: Range) -> str:
    name = found[1] or found[2]
    interval = f"{what.interval_s(at)}s"
    built_in = {
        "timeFilter": f"time >= {at.from_ms}ms and time <= {at.to_ms}ms",
        "__interval": interval,
        "interval": interval,
        "__from": str(at.from_ms),
        "__to": str(at.to_ms),
    }
    if name in built_in:
        return built_in[name]
    assert name in chosen, f"{what.name}: there is no variable {name}: {what.query}"
    values = chosen[name]
    if not what.query[: found.start()].endswith("/^"):
        assert len(values) == 1, f"{what.name}: several values of {name} fit into a regular expression only"
        return values[0]
    escaped = [re.sub(r"[\\^$*+?.()|\[\]{}/]", lambda special: "\\" + special[0], value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _seconds(words: str) -> int:
    return int(words[:-1]) * UNITS_S[words[-1]]
