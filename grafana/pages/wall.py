"""*Wall*: every chair on one page, for a screen in an office; the gateway's own wall page is the live one."""

from grafana_foundation_sdk.builders import dashboard, stat
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.panels import (
    FULL,
    LEVELS,
    MMHG,
    PER_MINUTE,
    Panel,
    aged,
    chart,
    coloured,
    in_unit,
    linked,
    page,
    table,
    with_limits,
)
from grafana.queries import CHAIR, EACH_INTERVAL, EACH_VITALS, LIVE, POINTS_OF_MANY_MAX, VITALS, of, over_time
from grafana.queries import table as rows
from grafana.tiles import limited, tile, worded

CUFF_LIVE = "time > now() - 30m"
"""In recovery the cuff measures each quarter of an hour: what is older may be of the patient before."""


def build(protocol: Protocol) -> dashboard.Dashboard:
    return page(
        "wall",
        "wall",
        "Every chair of the site at a glance, as far as the database has it. `?kiosk` in the address fills a screen.",
        [_tiles(protocol), _alarms(), _last_vitals(), _last_cuff(), _saturation(protocol)],
        begin="now-1h",
        refresh="5s",
    )


def _tiles(protocol: Protocol) -> stat.Panel:
    return tile(
        "The chair's gravest alarm, saturation and pulse, on the colours of levels and limits. Only of records "
        "less than 15 s old: grey is not measured just now, and says nothing of the patient.",
        rows(
            "vitals",
            'last("rank") AS "level", "spo2_pct" AS "SpO2", "pulse_bpm" AS "pulse"',
            '"chair"',
            where=f"{CHAIR} AND {LIVE}",
        ),
        {
            "level": [worded(LEVELS)],
            "SpO2": limited(protocol, "spo2_pct", units.Percent),
            "pulse": limited(protocol, "pulse_bpm", PER_MINUTE),
        },
    )


def _alarms() -> Panel:
    latest = rows("alarm", 'last("state") AS "state", "rank", "reason", "value", "limit"', '"chair"', '"rule"')
    present = table(
        "Alarms in the record",
        "Alarms of the last day whose last change says that they go on, or are latched, with the time of that change.",
        of(
            latest,
            '"state", "rank" AS "level", "reason", "value", "limit"',
            "\"state\" != 'normal'",
            '"chair"',
            '"rule"',
        ),
        span=FULL,
    )
    return linked(coloured(present.time_from("24h"), "level", LEVELS), "chair", "chair")


def _last_vitals() -> Panel:
    panel = table(
        "Last vitals",
        "Of each chair with vitals in the range the last record: how old it is, its signal, why it has no value if it "
        "has none, and whether somebody sat there.",
        rows("vitals", 'last("sqi_pct") AS "signal", "quality", "seat"', '"chair"'),
    ).no_value("--")
    return linked(in_unit(aged(panel), "signal", units.Percent), "chair", "chair")


def _last_cuff() -> Panel:
    panel = table(
        "Last cuff measurements",
        "Of each chair what the cuff measured last, in the last half hour only, and how long ago.",
        rows(
            "cuff",
            'last("sys_mmhg") AS "systolic", "dia_mmhg" AS "diastolic"',
            '"chair"',
            where=f"{CHAIR} AND {CUFF_LIVE}",
        ),
    ).no_value("--")
    return linked(in_unit(in_unit(aged(panel), "systolic", MMHG), "diastolic", MMHG), "chair", "chair")


def _saturation(protocol: Protocol) -> Panel:
    lines = chart(
        "Oxygen saturation",
        f"Lowest SpO2 of each interval. Lines: limits of the protocol “{protocol.title}”.",
        units.Percent,
        over_time(VITALS, 'min("spo2_pct")', EACH_INTERVAL, '"chair"'),
        span=FULL,
        each=EACH_VITALS,
    )
    return with_limits(lines.min(60).max(100).max_data_points(POINTS_OF_MANY_MAX), protocol, "spo2_pct")
