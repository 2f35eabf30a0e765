"""Marks over a chart: alarms and staff actions from the database, and the regions that the gateway writes."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import AnnotationQuery

from grafana import thresholds
from grafana.panels import TAG, grafana_store
from grafana.queries import SOURCE


class Mark(AnnotationQuery, Builder[AnnotationQuery]):
    """An annotation of the InfluxDB data source: a query, and which columns are text and tags."""

    def __init__(self, name: str, colour: str, query: str, text: str, tags: str, *, enable: bool = True) -> None:
        super().__init__(name=name, datasource=SOURCE, enable=enable, icon_color=colour)
        self.query, self.text, self.tags = query, text, tags

    def build(self) -> AnnotationQuery:
        return self

    def to_json(self) -> dict[str, object]:
        columns = {"query": self.query, "textColumn": self.text, "tagsColumn": self.tags, "rawQuery": True}
        return {**super().to_json(), **columns}


class Regions(AnnotationQuery, Builder[AnnotationQuery]):
    """Grafana's own annotations that have all of these tags; alarms are regions there, from raise to end."""

    def __init__(self, name: str, tags: list[str]) -> None:
        super().__init__(name=name, datasource=grafana_store(), enable=True, icon_color=thresholds.COLOURS["medium"])
        self.tags = tags

    def build(self) -> AnnotationQuery:
        return self

    def to_json(self) -> dict[str, object]:
        target = {"type": "tags", "tags": self.tags, "matchAny": False, "limit": 200}
        return {**super().to_json(), "target": target}


def alarms(where: str) -> Mark:
    raised = f'SELECT "reason", "rule" FROM "alarm" WHERE {where} AND "what" = \'raised\' AND $timeFilter'
    return Mark("Alarms", thresholds.COLOURS["high"], raised, "reason", "rule")


def staff(where: str) -> Mark:
    done = f'SELECT "what", "who" FROM "session" WHERE {where} AND $timeFilter'
    return Mark("Staff", "#5794f2", done, "what", "who")


def regions(chair: str) -> Regions:
    return Regions("Alarms as regions", [TAG, f"chair:{chair}"])
