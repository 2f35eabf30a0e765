"""InfluxQL as Grafana wants it, over the measurements of docs/reference/influx-schema.md.

The queries work on InfluxDB 1.x, 2.x and 3.x. A value that nobody measured is a gap: an interval without one is null,
which a chart leaves open, where a row that is not there would be drawn across.

Vitals come each second, so a range over a day reads the copy by the minute. Which one to read is answered by the
database itself: the hidden variable `copy` asks it with the width of the range.
"""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

SOURCE = DataSourceRef(type_val="influxdb", uid="${source}")
SITE = '"site" =~ /^$site$/'
CHAIR = f'{SITE} AND "chair" =~ /^$chair$/'
SESSION = "\"session\" = '$session'"
EACH_INTERVAL = "time($__interval)"
LIVE = "time > now() - 15s"
"""What a page that looks like now may still show: a value that is older is no value."""
COPY_OF_RANGE = (
    'SELECT "copy" FROM "minutes"."resolution"'
    ' WHERE "from_ms" <= ($__to - $__from) AND "to_ms" > ($__to - $__from) AND time >= 0'
)
POINTS_MAX = 1_000
"""Over a day one point is more than a minute, whatever the screen: the copy by the minute has none in between."""
POINTS_OF_MANY_MAX = 400
"""For each of many chairs in one chart: more would only be sent."""
EACH_VITALS, EACH_BEAT, EACH_MINUTE = "2s", "30s", "1m"
"""The shortest interval in which a record of a kind is always due; in a shorter one a null would not be a gap."""
VITALS = '"$copy"."vitals"'
"""Each second, or of a range over a day each minute."""
MINUTES = '"minutes"."vitals"'


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
    return InfluxQl(f"{_select(measurement, what, where)}{_grouped(group)}", alias, ref)


def table(measurement: str, what: str, *group: str, where: str = CHAIR, latest: int = 0, ref: str = "A") -> InfluxQl:
    """One row for each combination of `group`, or with `latest` that many rows, newest first. A selector such as
    `last()` at the beginning of `what` gives the row its time."""
    order = f" ORDER BY time DESC LIMIT {latest}" if latest else ""
    return InfluxQl(f"{_select(measurement, what, where)}{_grouped(group)}{order}", ref=ref)


def of(inner: InfluxQl, what: str, where: str, *group: str) -> InfluxQl:
    """A query over the rows of another; the time filter stands in the inner one and here."""
    return InfluxQl(f"SELECT {what} FROM ({inner.query}) WHERE {where} AND $timeFilter{_grouped(group)}", ref=inner.ref)


def _grouped(group: tuple[str, ...]) -> str:
    return f" GROUP BY {', '.join(group)}" if group else ""


def _select(measurement: str, what: str, where: str) -> str:
    named = measurement if measurement.startswith('"') else f'"{measurement}"'
    return f"SELECT {what} FROM {named} WHERE {where} AND $timeFilter"
