"""What every dashboard must have: a title, words, units, the chosen database, a time filter in each query, and gaps."""

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
    several = [variable["name"] for variable in dashboard["templating"]["list"] if variable.get("multi")]
    for annotation in dashboard.get("annotations", {}).get("list", []):
        where, target = f"annotation {annotation['name']}", annotation["target"]
        if "query" in target:
            yield from ((where, what) for what in _of_query(target["query"], annotation["datasource"]["uid"]))
        for name in several:
            if any(f"${name}" in tag for tag in target.get("tags", [])):
                yield where, f"it asks for all of several tags at once, because ${name} may have several values"


def _of_query(query: str, uid: str) -> Iterator[str]:
    # Each SELECT from a measurement has its own; one over a subquery may take the inner one's, and has both.
    if query.count("$timeFilter") < query.count("SELECT"):
        yield f"no time filter: {query}"
    if "fill(" in query:
        yield f"it fills gaps: {query}"
    if uid != SOURCE_UID:
        yield "its query is not for the chosen database"
