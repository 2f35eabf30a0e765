"""*Alarm load*: how often it sounds, for whom, and what came of it. Speed without a look at this trades one harm for
another: 80 to 99 % of monitor alarms ask for nothing."""

from grafana_foundation_sdk.builders import dashboard, stat
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.panels import HALF, bars, chart, figure, found, page, sums
from grafana.queries import CHAIR, MINUTES, over_time
from grafana.queries import table as rows

RAISED = f"{CHAIR} AND \"what\" = 'raised'"
ENDED = f"{CHAIR} AND (\"what\" = 'cleared' OR \"what\" = 'latched')"
ACKNOWLEDGED = f"{CHAIR} AND \"what\" = 'acknowledged'"


HOURS = f'SELECT sum("records") / 3600 AS "hours" FROM {MINUTES} WHERE {CHAIR} AND $timeFilter'
"""Hours of records that the chosen chairs have in the range. A variable, because InfluxQL cannot divide across
measurements."""
PER_CHAIR_HOUR = 'count("rank") / $hours AS "per chair-hour"'


def per_chair_hour(level: str) -> stat.Panel:
    panel = figure(
        f"{level.capitalize()} alarms per chair-hour",
        f"Alarms of level {level} that were raised, over the hours of records of the chosen chairs.",
        units.Short,
        rows("alarm", PER_CHAIR_HOUR, where=f"{RAISED} AND \"priority\" = '{level}'"),
    )
    return panel.no_value("none").decimals(2)


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
            bars(
                chart(
                    "Share that cleared by itself",
                    "Of the alarms that ended in each day (UTC): the share that nobody had acknowledged.",
                    units.PercentUnit,
                    over_time(
                        "alarm", '1 - mean("attended")', "time(1d)", '"priority"', where=ENDED, alias="$tag_priority"
                    ),
                )
            )
            .min(0)
            .max(1),
            sums(
                "By rule and level",
                "How many were raised in the range, and over the hours of records of the chosen chairs.",
                rows("alarm", f'count("id") AS "raised", {PER_CHAIR_HOUR}', '"rule"', '"priority"', where=RAISED),
            ),
            sums(
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
            sums(
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
            sums(
                "By chair",
                "How many were raised at each chair, by level.",
                rows("alarm", 'count("id") AS "raised"', '"chair"', '"priority"', where=RAISED),
            ),
        ],
        begin="now-7d",
        refresh="5m",
        variables=[found("hours", HOURS)],
    )
