"""The dashboard `chairside-chairs.json`: what happened at the chairs, for looking back.

    python -m grafana.build            # writes grafana/dashboards/
    python -m grafana.build --check    # exits 1 if a committed file is stale

Every panel says what it shows. Limits come from the protocol file; none is written here.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, statetimeline, text, timeseries
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import GraphDrawStyle, GraphThresholdsStyleMode, VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    Panel,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableRefresh,
    VariableSort,
)

from gateway import generated, protocols
from gateway.core.protocol import Protocol
from grafana import thresholds
from grafana.queries import CHAIR, EACH_INTERVAL, SITE, SOURCE, InfluxQl, last_of_each, over_time, table

DASHBOARDS = Path(__file__).parent / "dashboards"
PROTOCOL = "demo"
MMHG, PER_MINUTE = "suffix: mmHg", "suffix: /min"
HALF, FULL = 12, 24

NOTICE = """**For looking back. Not an alarm display, and not a medical device.** Grafana reads the database, which
may be seconds or hours behind; a chair that is silent here may be in alarm. The wall page shows what is live."""
VERDICTS = {"1": ("met", "green"), "0": ("not met", "orange"), "-1": ("unknown", "purple")}
CONDITIONS = {
    "normal": ("normal", "transparent"),
    "active": ("active", "#e02f44"),
    "clearing": ("clearing", "#ff9830"),
    "latched": ("latched", "#8f3bb8"),
}


def chairs(protocol: Protocol) -> dashboard.Dashboard:
    board = (
        dashboard.Dashboard("Chairside: chairs")
        .uid("chairside-chairs")
        .description("Vitals, cuff pressure, alarms and readiness of the recovery chairs, for looking back.")
        .tags(["chairside"])
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("source").label("database").type("influxdb"))
        .with_variable(_choice("site", 'SHOW TAG VALUES FROM "vitals" WITH KEY = "site"'))
        .with_variable(_choice("chair", f'SHOW TAG VALUES FROM "vitals" WITH KEY = "chair" WHERE {SITE}'))
        .with_panel(text.Panel().content(NOTICE).description("What this page is for.").span(FULL).height(3))
    )
    for panel in (*_vitals(protocol), *_cuff(protocol), *_alarms(), *_readiness(), *_machinery()):
        board.with_panel(panel)
    return board


def _vitals(protocol: Protocol) -> list[dashboard.Panel | timeseries.Panel | table_panel.Panel]:
    limits = f"Lines: limits of the protocol “{protocol.title}”."
    return [
        _table(
            "Last record of each chair",
            "The newest record in the range and when it was measured. A value that was not measured is empty.",
            last_of_each(
                "vitals",
                'last("quality") AS "signal", "spo2_pct" AS "SpO2 %", "pulse_bpm" AS "pulse /min", '
                '"pi_pct" AS "perfusion %"',
                '"chair"',
            ),
        ),
        _chart(
            "Oxygen saturation",
            f"Lowest SpO2 of each interval, so that a short fall is not averaged away. Gaps stay gaps. {limits}",
            units.Percent,
            over_time("vitals", 'min("spo2_pct")', EACH_INTERVAL, '"chair"'),
        )
        .min(60)
        .max(100)
        .thresholds(thresholds.of(protocol, "spo2_pct"))
        .thresholds_style(_LINES),
        _chart(
            "Pulse rate",
            f"Mean pulse rate of each interval, by the oximeter. {limits}",
            PER_MINUTE,
            over_time("vitals", 'mean("pulse_bpm")', EACH_INTERVAL, '"chair"'),
        )
        .thresholds(thresholds.of(protocol, "pulse_bpm"))
        .thresholds_style(_LINES),
        _chart(
            "Perfusion index",
            "Lowest perfusion index of each interval. Below 0.3 % the oximeter has little to go by.",
            units.Percent,
            over_time("vitals", 'min("pi_pct")', EACH_INTERVAL, '"chair"'),
        ),
        _chart(
            "Signal quality",
            "Lowest quality of the oximeter's signal in each interval; measured also while there is no value.",
            units.Percent,
            over_time("vitals", 'min("sqi_pct")', EACH_INTERVAL, '"chair"'),
        )
        .min(0)
        .max(100),
    ]


def _cuff(protocol: Protocol) -> list[timeseries.Panel | table_panel.Panel]:
    return [
        _chart(
            "Blood pressure",
            "Each cuff measurement: systolic, mean and diastolic. Points, because nothing is known between them. "
            f"Lines: systolic limits of the protocol “{protocol.title}”.",
            MMHG,
            over_time(
                "cuff",
                '"sys_mmhg" AS "systolic", "map_mmhg" AS "mean", "dia_mmhg" AS "diastolic"',
                '"chair"',
                alias="$tag_chair $col",
            ),
        )
        .draw_style(GraphDrawStyle.POINTS)
        .show_points(VisibilityMode.ALWAYS)
        .thresholds(thresholds.of(protocol, "sys_mmhg"))
        .thresholds_style(_LINES),
        _table(
            "Cuff measurements",
            "The last hundred, with those that failed and why.",
            table(
                "cuff",
                '"chair", "sys_mmhg" AS "systolic", "dia_mmhg" AS "diastolic", "map_mmhg" AS "mean", '
                '"pulse_bpm" AS "pulse", "quality", "reason"',
                latest=100,
            ),
        ),
    ]


def _alarms() -> list[timeseries.Panel | statetimeline.Panel | table_panel.Panel]:
    return [
        _timeline(
            "Alarms",
            "Each rule's condition from one change to the next; the last one runs to the end of the range.",
            CONDITIONS,
            over_time("alarm", '"state"', '"chair"', '"rule"', alias="$tag_chair $tag_rule"),
        ),
        _table(
            "Alarm log",
            "The last two hundred changes of alarms: what changed, why, and who acknowledged.",
            table(
                "alarm",
                '"chair", "rule", "priority", "what", "reason", "value", "limit", "who", "session"',
                latest=200,
            ),
        ),
        _chart(
            "Alarms raised",
            "How many alarms began in each interval, by priority: the load on those who must answer them.",
            units.Short,
            over_time(
                "alarm",
                'count("id")',
                EACH_INTERVAL,
                '"priority"',
                where=f"{CHAIR} AND \"what\" = 'raised'",
                alias="$tag_priority",
            ),
        )
        .draw_style(GraphDrawStyle.BARS)
        .fill_opacity(60),
    ]


def _readiness() -> list[statetimeline.Panel | table_panel.Panel]:
    return [
        _timeline(
            "Readiness",
            "Each discharge criterion. Missing data is unknown, and unknown is not ready. Staff decide.",
            VERDICTS,
            over_time("readiness", '"score"', '"chair"', '"criterion"', alias="$tag_chair $tag_criterion"),
        ),
        _table(
            "Readiness, last word",
            "The newest verdict on each criterion in the range, with its reason.",
            last_of_each("readiness", 'last("verdict") AS "verdict", "detail"', '"chair"', '"criterion"'),
        ),
        _table(
            "Sessions",
            "What staff did, and who.",
            table("session", '"chair", "what", "who", "session"', latest=100),
        ),
    ]


def _machinery() -> list[timeseries.Panel | table_panel.Panel]:
    return [
        _chart(
            "Records stored each minute",
            "Vitals records in the database by sensor time; 60 is complete. Records that arrived late count too.",
            PER_MINUTE,
            over_time("vitals", 'count("sqi_pct")', "time(1m)", '"chair"'),
        ),
        _table(
            "Boards",
            "What each board said of itself at its last start in the range. It says nothing of now.",
            last_of_each(
                "device",
                'last("firmware") AS "firmware", "calibration", "faults", "reset_cause", "dropped"',
                '"chair"',
                '"device"',
            ),
        ),
        _chart(
            "Gateway",
            "Messages received and duplicates dropped since the gateway's start; a fall to zero is a restart.",
            units.Short,
            over_time(
                "gateway",
                'max("received") AS "received", max("duplicates") AS "duplicates"',
                EACH_INTERVAL,
                where=SITE,
                alias="$col",
            ),
        ),
    ]


_LINES = GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)


def _chart(title: str, description: str, unit: str, query: InfluxQl) -> timeseries.Panel:
    panel = timeseries.Panel().title(title).description(description).unit(unit)
    return panel.datasource(SOURCE).span(HALF).height(8).with_target(query)


def _timeline(title: str, description: str, words: dict[str, tuple[str, str]], query: InfluxQl) -> statetimeline.Panel:
    """States as bars; `words` gives each stored number its text and colour."""
    results = {
        number: ValueMappingResult(text=word, color=colour, index=index)
        for index, (number, (word, colour)) in enumerate(words.items())
    }
    mappings: list[ValueMapping] = [ValueMap(options=results)]
    panel = statetimeline.Panel().title(title).description(description).mappings(mappings)
    return panel.datasource(SOURCE).span(HALF).height(9).with_target(query)


def _table(title: str, description: str, query: InfluxQl) -> table_panel.Panel:
    panel = table_panel.Panel().title(title).description(description)
    return panel.datasource(SOURCE).span(HALF).height(9).with_target(query)


def _choice(name: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).query(query).datasource(SOURCE).multi(True).include_all(True)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def rendered() -> dict[Path, str]:
    """Each generated file with its text."""
    board = chairs(protocols.load_all()[PROTOCOL]).build()
    for number, panel in enumerate(board.panels or [], start=1):
        if isinstance(panel, Panel):
            panel.id_val = number
    document = json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
    return {DASHBOARDS / "chairside-chairs.json": document + "\n"}


if __name__ == "__main__":
    sys.exit(generated.settle(rendered(), "grafana.build"))
