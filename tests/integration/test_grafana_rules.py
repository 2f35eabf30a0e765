"""What no dashboard may be, each rule broken once; and that Grafana's published model knows all that ours say."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.runtime import Runtime
from grafana_foundation_sdk.models.dashboard import Dashboard

from gateway import generated
from grafana import build, rules
from grafana.pages import wall
from grafana.panels import page, table
from grafana.queries import InfluxQl

DASHBOARDS = {path.stem: json.loads(text) for path, text in build.rendered().items()}
RAW = 'SELECT "x" FROM "vitals"'
PANELS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no title": lambda panel: panel.pop("title"),
    "no description": lambda panel: panel.update(description="short"),
    "not from the chosen database": lambda panel: panel["datasource"].update(uid="mine"),
    "its query is not for the chosen database": lambda panel: panel["targets"][0]["datasource"].update(uid="mine"),
    "no unit": lambda panel: panel["fieldConfig"]["defaults"].pop("unit"),
    f"no time filter: {RAW}": lambda panel: panel["targets"][0].update(query=RAW),
    "it fills gaps: ": lambda panel: panel["targets"][0].update(query=f"{RAW} WHERE $timeFilter fill(previous)"),
}


def chair_page() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(DASHBOARDS["chairside-chair"]))
    assert rules.faults(made) == []
    return made


@pytest.mark.parametrize("what", PANELS)
def test_a_panel_that_breaks_a_rule_is_named(what: str) -> None:
    """No dashboard is written that somebody could misread, or whose query reads everything there is."""
    dashboard = chair_page()
    PANELS[what](dashboard["panels"][1])
    (found,) = rules.faults(dashboard)
    name = "a panel without a title" if what == "no title" else "Oxygen saturation"
    assert found.startswith(f"Chairside: chair, {name}: {what}")


def test_an_annotation_that_breaks_a_rule_is_named() -> None:
    """A mark over a chart is held to the same; and Grafana's own must be found whatever is chosen."""
    dashboard = chair_page()
    dashboard["annotations"]["list"][0]["target"]["query"] = RAW
    next(variable for variable in dashboard["templating"]["list"] if variable["name"] == "chair")["multi"] = True
    filterless, *tagged = rules.faults(dashboard)
    assert filterless == f"Chairside: chair, annotation Alarms: no time filter: {RAW}"
    assert [found.split(": ")[1] for found in tagged] == [
        *(f"chair, annotation Alarms, {level}" for level in ("high", "medium", "low")),
        "chair, annotation Phases",
    ]


def test_a_broken_page_is_not_written_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build stops with dashboard and panel, so `make check` does."""
    bare = table("Bare", "A description that is long enough.", InfluxQl(RAW))
    monkeypatch.setattr(wall, "build", lambda _: page("wall", "wall", "", [bare], begin="now-1h"))
    with pytest.raises(ValueError, match=r"^Chairside: wall, Bare: no time filter"):
        build.rendered()


def test_a_stale_file_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dashboard that was changed by hand, or not built again, is named, and left as it is."""
    monkeypatch.setattr(build, "DASHBOARDS", tmp_path)
    files = build.rendered()
    assert generated.settle(files, "grafana.build") == 0
    monkeypatch.setattr(sys, "argv", ["build", "--check"])
    assert generated.settle(files, "grafana.build") == 0
    (tmp_path / "chairside-load.json").write_text("{}")
    assert generated.settle(files, "grafana.build") == 1
    assert "chairside-load.json is stale" in capsys.readouterr().err
    assert (tmp_path / "chairside-load.json").read_text() == "{}"


def test_the_published_model_knows_all_that_a_dashboard_says() -> None:
    """Read by Grafana's own model and written again, every name and value of ours is still there; what a panel is, is
    one of its panels. The model leaves out what only the InfluxDB data source knows of an annotation."""
    plugins.register_default_plugins()
    for name, dashboard in DASHBOARDS.items():
        again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
        assert again == json.loads(json.dumps(Dashboard.from_json(again), cls=JSONEncoder))
        for panel in dashboard["panels"]:
            assert Runtime().panelcfg_config(panel["type"]) is not None, f"{name}: no panel is called {panel['type']}"
        for annotation in dashboard.get("annotations", {}).get("list", []):
            if "query" in annotation["target"]:
                annotation.pop("target")
        assert lost(dashboard, again) == [], name


def lost(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Where something of ours is missing or different in theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [text for key in ours for text in lost(ours[key], theirs.get(key), f"{where}/{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [text for n, pair in enumerate(zip(ours, theirs, strict=True)) for text in lost(*pair, f"{where}/{n}")]
    return [] if ours == theirs else [f"{where}: {ours!r} became {theirs!r}"]
