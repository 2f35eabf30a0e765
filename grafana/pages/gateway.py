"""*Gateway*: how late, how full, how far behind."""

from grafana_foundation_sdk.builders import dashboard, timeseries
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.panels import chart, page, table
from grafana.queries import CHAIR, EACH_INTERVAL, SITE, over_time
from grafana.queries import table as rows


def build(_protocol: Protocol) -> dashboard.Dashboard:
    def own(title: str, description: str, unit: str, what: str) -> timeseries.Panel:
        return chart(title, description, unit, over_time("gateway", what, EACH_INTERVAL, where=SITE, alias="$col"))

    return page(
        "gateway",
        "gateway",
        "Latencies, queues, refusals, and how far the database lags behind.",
        [
            chart(
                "Sensor to gateway",
                "How old live vitals were when the gateway judged them: half, 95 % and 99 % of each interval.",
                units.Milliseconds,
                over_time(
                    "vitals",
                    'percentile("delay_ms", 50) AS "p50", percentile("delay_ms", 95) AS "p95", '
                    'percentile("delay_ms", 99) AS "p99"',
                    EACH_INTERVAL,
                    where=CHAIR,
                    alias="$col",
                ),
            ),
            chart(
                "Condition to alarm",
                "From the first reading over a limit to the alarm, the rule's own delay included; the longest.",
                units.Milliseconds,
                over_time("alarm", 'max("condition_delay_ms")', "time(1h)", '"rule"', alias="$tag_rule"),
            ),
            own(
                "Messages",
                "Received from boards and duplicates among them since the start; a fall to zero is a restart.",
                units.Short,
                'max("received") AS "received", max("duplicates") AS "duplicates"',
            ),
            own(
                "Refused and dropped",
                "Messages that did not fit the contract, and what full queues gave up, since the start.",
                units.Short,
                'max("refused") AS "refused", max("dropped") AS "dropped", max("gaps") AS "gaps"',
            ),
            own(
                "Queues",
                "Entries that wait for the disk, at most.",
                units.Short,
                'max("queued") AS "queued"',
            ),
            own(
                "Database lag",
                "Age of the oldest row that the database has not taken yet. It is written when it is over.",
                units.Seconds,
                'max("sink_lag_s") AS "lag"',
            ),
            own(
                "Boards online",
                "Boards with a live record in the last five seconds.",
                units.Short,
                'min("devices_online") AS "boards"',
            ),
            table(
                "Quarantine",
                "Rows that the database will not take: the highest count in the range. Each is in the journal.",
                rows("gateway", 'max("sink_quarantined") AS "rows"', '"site"', where=SITE),
            ),
        ],
        begin="now-6h",
    )
