"""Chairs as tiles, to be read across a room: a word on its colour, and grey as soon as nothing is fresh."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    DynamicConfigValue,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMappingResult,
)

from gateway.core.protocol import Measure, Protocol
from grafana import thresholds
from grafana.panels import FULL, NO_UNIT, Words, described, mapped
from grafana.queries import InfluxQl

IN_A_ROW = 6
STALE_WORD, GREY = "-- stale", "#5a5f6b"
GREY_STEP = Threshold(value=None, color=GREY)
STALE = SpecialValueMap(
    DashboardSpecialValueMapOptions(SpecialValueMatch.NULL_AND_NAN, ValueMappingResult(text=STALE_WORD, color=GREY))
)


def tile(description: str, query: InfluxQl, fields: Mapping[str, list[DynamicConfigValue]]) -> stat.Panel:
    """One for each chair, to be read across a room: what it has just now on the colour of that. Grey with STALE: it
    has nothing fresh, all of it or one field."""
    panel = described(stat.Panel(), "$chair", description, NO_UNIT, [query], FULL, 4)
    panel.repeat("chair").repeat_direction("h").max_per_row(IN_A_ROW)
    panel.color_mode(BigValueColorMode.BACKGROUND_SOLID).graph_mode(BigValueGraphMode.NONE)
    panel.text_mode(BigValueTextMode.VALUE_AND_NAME).orientation(VizOrientation.VERTICAL)
    panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    # Without a value Grafana takes the lowest step's colour, which would be a limit's or green.
    panel.mappings([STALE]).thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([GREY_STEP]))
    for name, settings in fields.items():
        panel.override_by_name(name, settings)
    return panel.no_value(STALE_WORD)


def worded(words: Words) -> DynamicConfigValue:
    return DynamicConfigValue(id_val="mappings", value=[*mapped(words), STALE])


def limited(protocol: Protocol, measure: Measure, unit: str) -> list[DynamicConfigValue]:
    """A number in its unit, on the colour of the limit that it crosses."""
    steps = thresholds.of(protocol, measure).build()
    settings = {"unit": unit, "decimals": 0, "thresholds": steps}
    return [DynamicConfigValue(id_val=name, value=value) for name, value in settings.items()]
