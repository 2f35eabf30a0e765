"""*Wall*: every chair on one page, for a screen in an office; the gateway's own wall page is the live one."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.panels import FULL, LEVELS, chart, coloured, in_unit, joined, page, table, with_limits
from grafana.queries import CHAIR, EACH_INTERVAL, LIVE, VITALS, of, over_time
from grafana.queries import table as rows

STATES = {
    "NOT_READY": ("not ready", "transparent"),
    "CRITERIA_MET": ("criteria met", "#2f6f4f"),
    "SIGNED_OFF": ("signed off", "#1f60c4"),
    "DISCHARGED": ("discharged", "transparent"),
}


def build(protocol: Protocol) -> dashboard.Dashboard:
    chairs = joined(
        table(
            "Chairs",
            "A row for each chair with a record in the range. Level, saturation and pulse only if they are less than "
            "15 s old: an empty cell was not measured just now. The cuff's numbers are the last ones, with their time.",
            rows("vitals", 'last("sqi_pct") AS "seen"', '"chair"', ref="A"),
            rows(
                "vitals",
                'last("rank") AS "level", "spo2_pct" AS "SpO2", "pulse_bpm" AS "pulse", "quality" AS "signal"',
                '"chair"',
                where=f"{CHAIR} AND {LIVE}",
                ref="B",
            ),
            rows("cuff", 'last("sys_mmhg") AS "systolic", "dia_mmhg" AS "diastolic"', '"chair"', ref="C"),
            rows(
                "readiness",
                'last("state") AS "readiness"',
                '"chair"',
                where=f"{CHAIR} AND \"criterion\" = 'overall'",
                ref="D",
            ),
            span=FULL,
            height=14,
        ),
        "chair",
        hidden=("seen", "Time 2", "Time 4"),
        names={"Time 1": "last record", "Time 3": "cuff at"},
    )
    chairs = coloured(coloured(chairs, "level", LEVELS), "readiness", STATES).no_value("--")
    chairs = in_unit(in_unit(chairs, "SpO2", units.Percent), "pulse", "suffix: /min")
    for column in ("systolic", "diastolic"):
        chairs = in_unit(chairs, column, "suffix: mmHg")
    for column in ("last record", "cuff at"):
        chairs = in_unit(chairs, column, "dateTimeFromNow")
    latest = rows("alarm", 'last("state") AS "state", "rank", "reason", "value", "limit"', '"chair"', '"rule"')
    present = table(
        "Alarms in the record",
        "Alarms whose last change in the range says that they go on, or are latched.",
        of(
            latest,
            '"state", "rank" AS "level", "reason", "value", "limit"',
            "\"state\" != 'normal'",
            '"chair"',
            '"rule"',
        ),
        span=FULL,
    )
    return page(
        "wall",
        "wall",
        "Every chair of the site at a glance, as far as the database has it.",
        [
            chairs,
            coloured(present, "level", LEVELS),
            with_limits(
                chart(
                    "Oxygen saturation",
                    f"Lowest SpO2 of each interval. Lines: limits of the protocol “{protocol.title}”.",
                    units.Percent,
                    over_time(VITALS, 'min("spo2_pct")', EACH_INTERVAL, '"chair"'),
                    span=FULL,
                )
                .min(60)
                .max(100),
                protocol,
                "spo2_pct",
            ),
        ],
        begin="now-1h",
        refresh="5s",
    )
