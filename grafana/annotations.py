"""Marks over a chart: alarms and staff actions from the database, and the regions that the gateway writes."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import AnnotationQuery, DataSourceRef

from grafana import thresholds
from grafana.panels import TAG, grafana_store
from grafana.queries import SOURCE

REGIONS_MAX = 200


class Mark(AnnotationQuery, Builder[AnnotationQuery]):
    """An annotation with the target that its data source asks for, which the published model does not know."""

    def __init__(self, name: str, source: DataSourceRef, colour: str, given: dict[str, object]) -> None:
        super().__init__(name=name, datasource=source, enable=True, icon_color=colour)
        self.given = given

    def build(self) -> AnnotationQuery:
        return self

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "target": self.given}


def alarms(where: str) -> Mark:
    raised = f'SELECT "reason", "rule" FROM "alarm" WHERE {where} AND "what" = \'raised\' AND $timeFilter'
    return _stored("Alarms", thresholds.COLOURS["high"], raised, "reason", "rule")


def staff(where: str) -> Mark:
    done = f'SELECT "what", "who" FROM "session" WHERE {where} AND $timeFilter'
    return _stored("Staff", "#5794f2", done, "what", "who")


def regions(*tags: str) -> list[Mark]:
    """Grafana's own annotations that have all of these tags: alarms from raise to end in the colour of their level, and
    phases from mark to mark.

    A variable in a tag must be of one value: of several, Grafana makes tags of which one annotation had to have all.
    """
    kinds = [(f"Alarms, {level}", f"level:{level}", thresholds.COLOURS[level]) for level in ("high", "medium", "low")]
    return [
        Mark(
            name,
            grafana_store(),
            colour,
            {"type": "tags", "tags": [TAG, *tags, kind], "matchAny": False, "limit": REGIONS_MAX},
        )
        for name, kind, colour in [*kinds, ("Phases", "phase", "#8ab8ff")]
    ]


def _stored(name: str, colour: str, query: str, text: str, tags: str) -> Mark:
    """A query of the InfluxDB data source, and which of its columns are text and tags."""
    target: dict[str, object] = {
        "refId": name,
        "query": query,
        "queryType": "tags",
        "fromAnnotations": True,
        "rawQuery": True,
        "textColumn": text,
        "tagsColumn": tags,
    }
    return Mark(name, SOURCE, colour, target)
