"""InfluxQL as Grafana wants it, over the measurements of docs/reference/influx-schema.md.

The queries work on InfluxDB 1.x, 2.x and 3.x. A value that nobody measured is a gap: no query fills one.
"""

from typing import Literal

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

SOURCE = DataSourceRef(type_val="influxdb", uid="${source}")
SITE = '"site" =~ /^$site$/'
CHAIR = f'{SITE} AND "chair" =~ /^$chair$/'
EACH_INTERVAL = "time($__interval)"


class InfluxQl(Dataquery, Builder[Dataquery]):
    """One target of a panel. `alias` names its series: `$tag_chair`, `$col`."""

    def __init__(self, query: str, alias: str = "", ref: str = "A") -> None:
        self.query = query
        self.alias = alias
        self.ref = ref

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref,
            "datasource": SOURCE,
            "query": self.query,
            "rawQuery": True,
            "resultFormat": "time_series" if self.alias else "table",
            "alias": self.alias,
        }


def over_time(
    measurement: str, what: str, *group: str, where: str = CHAIR, alias: str = "$tag_chair", ref: str = "A"
) -> InfluxQl:
    """`what` as series: one for each combination of `group`. With EACH_INTERVAL first, one point an interval."""
    fill = " fill(none)" if EACH_INTERVAL in group else ""
    return InfluxQl(f"{_select(measurement, what, where)} GROUP BY {', '.join(group)}{fill}", alias, ref)


def table(measurement: str, what: str, *, where: str = CHAIR, latest: int) -> InfluxQl:
    """The `latest` rows, newest first."""
    return InfluxQl(f"{_select(measurement, what, where)} ORDER BY time DESC LIMIT {latest}")


def last_of_each(measurement: str, what: str, *group: Literal['"chair"', '"criterion"', '"device"']) -> InfluxQl:
    """One row for each combination of `group`, with the time of that row; `what` begins with a `last()`."""
    return InfluxQl(f"{_select(measurement, what, CHAIR)} GROUP BY {', '.join(group)}")


def _select(measurement: str, what: str, where: str) -> str:
    return f'SELECT {what} FROM "{measurement}" WHERE {where} AND $timeFilter'
