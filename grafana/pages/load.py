"""*Alarm load*: how often it sounds, for whom, and what came of it. Speed without a look at this trades one harm for
another: 80 to 99 % of monitor alarms ask for nothing."""

from grafana_foundation_sdk.builders import dashboard, stat
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.panels import HALF, bars, chart, divided, figure, page, table
from grafana.queries import CHAIR, MINUTES, over_time
from grafana.queries import table as rows

RAISED = f"{CHAIR} AND \"what\" = 'raised'"
ENDED = f"{CHAIR} AND (\"what\" = 'cleared' OR \"what\" = 'latched')"
ACKNOWLEDGED = f"{CHAIR} AND \"what\" = 'acknowledged'"


def per_chair_hour(level: str) -> stat.Panel:
    """Alarms of a level over the hours of records that the chairs have, by the copy of each minute."""
    panel = figure(
        f"{level.capitalize()} alarms per chair-hour",
        f"Alarms of level {level} that were raised, over the hours of records of the chosen chairs.",
        units.Short,
        rows("alarm", 'count("rank") AS "alarms"', where=f"{RAISED} AND \"priority\" = '{level}'", ref="A"),
        rows(MINUTES, 'sum("records") / 3600 AS "hours"', ref="B"),
    )
    return divided(panel.no_value("none").decimals(2), "alarms", "hours", "per chair-hour")


def build(_protocol: Protocol) -> dashboard.Dashboard:
    return page(
        "load",
        "alarm load",
        "Alarms for each chair and hour, by rule and level; who answered and when; what cleared by itself.",
        [
            *(per_chair_hour(level) for level in ("high", "medium", "low")),
            bars(
                chart(
                    "Alarms raised",
                    "How many alarms began in each interval, by priority.",
                    units.Short,
                    over_time("alarm", 'count("id")', "time(1h)", '"priority"', where=RAISED, alias="$tag_priority"),
                    span=HALF,
                )
            ),
            chart(
                "Share that cleared by itself",
                "Of the alarms that ended in each day: the share that nobody had acknowledged.",
                units.PercentUnit,
                over_time(
                    "alarm", '1 - mean("attended")', "time(1d)", '"priority"', where=ENDED, alias="$tag_priority"
                ),
            )
            .min(0)
            .max(1),
            table(
                "By rule and level",
                "How many were raised in the range.",
                rows("alarm", 'count("id") AS "raised"', '"rule"', '"priority"', where=RAISED),
            ),
            table(
                "How they ended",
                "By rule: how many ended, how long they lasted at the median, the share that was acknowledged.",
                rows(
                    "alarm",
                    'count("attended") AS "ended", median("lasted_ms") / 1000 AS "lasted s", '
                    'mean("attended") AS "attended"',
                    '"rule"',
                    where=ENDED,
                ),
            ),
            table(
                "Time to acknowledge",
                "Seconds from the raise to the acknowledgement, by level: how many, the median, nine of ten.",
                rows(
                    "alarm",
                    'count("id") AS "acknowledged", median("lasted_ms") / 1000 AS "median s", '
                    'percentile("lasted_ms", 90) / 1000 AS "90 % within s"',
                    '"priority"',
                    where=ACKNOWLEDGED,
                ),
            ),
            table(
                "By chair",
                "How many were raised at each chair, by level.",
                rows("alarm", 'count("id") AS "raised"', '"chair"', '"priority"', where=RAISED),
            ),
        ],
        begin="now-7d",
        refresh="5m",
    )
