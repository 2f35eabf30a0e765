"""The dashboards and the provisioning as files: fresh, explained, and without a secret."""

import json
import re
from pathlib import Path

import pytest
import yaml

from gateway import protocols
from gateway.core.protocol import Protocol
from grafana import build, thresholds

PROVISIONING = Path(build.__file__).parent / "provisioning"
PANELS = [
    pytest.param(panel, id=panel.get("title", "notice"))
    for text in build.rendered().values()
    for panel in json.loads(text)["panels"]
]
DEMO = protocols.load_all()["demo"]


def test_the_committed_dashboards_are_what_the_code_builds() -> None:
    """A changed limit or panel without a new file is found."""
    for path, text in build.rendered().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m grafana.build"


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict) -> None:
    """Nobody has to read a query to know what a chart means."""
    assert len(panel["description"]) > 20
    if panel["type"] == "timeseries":
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_panels_do_not_lie_over_each_other() -> None:
    """Each place of the grid belongs to one panel at most."""
    for text in build.rendered().values():
        taken: dict[tuple[int, int], str] = {}
        for panel in json.loads(text)["panels"]:
            at = panel["gridPos"]
            for x in range(at["x"], at["x"] + at["w"]):
                for y in range(at["y"], at["y"] + at["h"]):
                    assert x < 24
                    assert (x, y) not in taken, f"{panel['title']} over {taken[x, y]}"
                    taken[x, y] = panel.get("title", "notice")


def test_a_link_from_a_chair_opens_the_one_of_the_same_site() -> None:
    """Two sites may have a bay-1 each: whoever follows a link sees the one that was clicked, of the same database."""
    links = [
        link["value"][0]["url"]
        for text in build.rendered().values()
        for panel in json.loads(text)["panels"]
        for override in panel.get("fieldConfig", {}).get("overrides", [])
        for link in override["properties"]
        if link["id"] == "links"
    ]
    kept = "var-source=${source}&var-site=${site}&${__url_time_range}"
    assert set(links) == {"/d/chairside-chair?var-chair=${__value.raw}&" + kept}


def test_limits_on_a_chart_are_those_of_the_protocol() -> None:
    """Below 85 is high, from 85 medium, from 90 nothing: as `demo.toml` says, none written twice."""
    found = [(step.value, step.color) for step in thresholds.of(DEMO, "spo2_pct").build().steps]
    high, medium, none = (thresholds.COLOURS[level] for level in ("high", "medium", "none"))
    tiers = {tier.level: tier.limit for rule in DEMO.rules if rule.id == "spo2_low" for tier in rule.tiers}
    assert found == [(None, high), (tiers["high"], medium), (tiers["medium"], none)]


def test_a_chart_of_both_sides_is_calm_in_the_middle() -> None:
    """Pulse has limits below and above; colours come in the order high, medium, none, medium, high."""
    colours = [step.color for step in thresholds.of(DEMO, "pulse_bpm").build().steps]
    order = ("high", "medium", "none", "medium", "high")
    assert colours == [thresholds.COLOURS[level] for level in order]


def test_a_measure_without_a_limit_is_an_error() -> None:
    """A chart that promises limits never shows an empty promise."""
    bare = Protocol(**{name: getattr(DEMO, name) for name in Protocol.__struct_fields__} | {"rules": ()})
    with pytest.raises(ValueError, match="no limit for spo2_pct"):
        thresholds.of(bare, "spo2_pct")


@pytest.mark.parametrize(
    ("version", "secret"),
    [
        ("influx1", {"password": "$CHAIRSIDE_INFLUX_PASSWORD"}),
        ("influx2", {"httpHeaderValue1": "Token $__file{/etc/grafana/secrets/influx-token}"}),
        ("influx3", {"httpHeaderValue1": "Bearer $__file{/etc/grafana/secrets/influx-token}"}),
    ],
)
def test_a_data_source_holds_no_address_and_no_secret(version: str, secret: dict[str, str]) -> None:
    """Each line of InfluxDB has its file; all of them are asked in InfluxQL, and found by the alert rules."""
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / f"{version}.yaml").read_text())["datasources"]
    assert source["jsonData"]["version"] == "InfluxQL"
    assert (source["url"], source["secureJsonData"]) == ("$CHAIRSIDE_INFLUX_URL", secret)
    assert source.get("user", "") in ("", "$CHAIRSIDE_INFLUX_USER")
    alerting = yaml.safe_load((PROVISIONING / "alerting" / "chairside.yaml").read_text())
    asked = {query["datasourceUid"] for rule in alerting["groups"][0]["rules"] for query in rule["data"]}
    assert asked == {source["uid"], "__expr__"}


def test_each_alert_rule_has_words_and_a_query_of_its_own_time() -> None:
    """Alerts are a second line: they say what to do, read only the last minutes, and hold no secret."""
    alerting = yaml.safe_load((PROVISIONING / "alerting" / "chairside.yaml").read_text())
    (group,) = alerting["groups"]
    for rule in group["rules"]:
        assert "chairside doctor" in rule["annotations"]["summary"]
        query, *expressions = rule["data"]
        assert re.search(r"time > now\(\) - \d+m$", query["model"]["query"])
        assert rule["condition"] in [one["refId"] for one in expressions]
    (point,) = alerting["contactPoints"]
    assert point["receivers"][0]["settings"]["addresses"] == "$CHAIRSIDE_ALERT_MAIL"
