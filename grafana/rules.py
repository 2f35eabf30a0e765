"""What every dashboard must have: a title, words, units, the chosen database, and a time filter in every query."""

from collections.abc import Iterator
from typing import Any

DESCRIPTION_LETTERS_MIN = 20
SOURCE_UID = "${source}"
UNITLESS = ("text",)


def faults(dashboard: dict[str, Any]) -> list[str]:
    """Each broken rule as `dashboard, panel: what`."""
    return [f"{dashboard['title']}, {where}: {what}" for where, what in _faults(dashboard)]


def _faults(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in dashboard["panels"]:
        title = panel.get("title") or "a panel without a title"
        if not panel.get("title"):
            yield title, "no title"
        if len(panel.get("description") or "") < DESCRIPTION_LETTERS_MIN:
            yield title, "no description"
        if (panel.get("datasource") or {}).get("uid") != SOURCE_UID:
            yield title, "not from the chosen database"
        if panel["type"] not in UNITLESS and not panel["fieldConfig"]["defaults"].get("unit"):
            yield title, "no unit"
        for target in panel.get("targets", []):
            yield from ((title, what) for what in _of_query(target["query"], target["datasource"]["uid"]))
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if "query" in annotation:
            where = f"annotation {annotation['name']}"
            yield from ((where, what) for what in _of_query(annotation["query"], annotation["datasource"]["uid"]))


def _of_query(query: str, uid: str) -> Iterator[str]:
    # Each SELECT from a measurement has its own; one over a subquery may take the inner one's, and has both.
    if query.count("$timeFilter") < query.count("SELECT"):
        yield f"no time filter: {query}"
    if uid != SOURCE_UID:
        yield "its query is not for the chosen database"
