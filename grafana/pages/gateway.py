"""*Gateway*: how late, how full, how far behind."""

from grafana_foundation_sdk.builders import dashboard, timeseries
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.panels import chart, page, sums, table
from grafana.queries import CHAIR, EACH_BEAT, EACH_INTERVAL, EACH_MINUTE, MINUTES, SITE, over_time
from grafana.queries import table as rows


def build(_protocol: Protocol) -> dashboard.Dashboard:
    def own(title: str, description: str, unit: str, what: str) -> timeseries.Panel:
        query = over_time("gateway", what, EACH_INTERVAL, where=SITE, alias="$col")
        return chart(title, description, unit, query, each=EACH_BEAT)

    return page(
        "gateway",
        "gateway",
        "Latencies, queues, refusals, and how far the database lags behind.",
        [
            chart(
                "Sensor to gateway",
                "How old live vitals were when the gateway judged them. Each chair's minutes have a half, a 95 % and a "
                "slowest: drawn is the median of the halves, the 95th percentile of the 95 %, and the slowest of all.",
                units.Milliseconds,
                over_time(
                    MINUTES,
                    'percentile("delay_p50_ms", 50) AS "half", percentile("delay_p95_ms", 95) AS "95 %", '
                    'max("delay_ms") AS "slowest"',
                    EACH_INTERVAL,
                    where=CHAIR,
                    alias="$col",
                ),
                each=EACH_MINUTE,
            ),
            chart(
                "Condition to alarm",
                "From the first reading over a limit to the alarm, the rule's own delay included; the longest.",
                units.Milliseconds,
                over_time("alarm", 'max("condition_delay_ms")', "time(1h)", '"rule"', alias="$tag_rule"),
            ),
            table(
                "Alarms of the whole site",
                "What struck many chairs at once or the gateway itself, newest first. It stands with no chair.",
                rows(
                    "alarm",
                    '"rule", "priority", "what", "reason", "value", "limit", "who"',
                    where=f"{SITE} AND \"chair\" = ''",
                    latest=100,
                ),
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
            sums(
                "Quarantine",
                "Rows that the database will not take: the highest count in the range. Each is in the journal.",
                rows("gateway", 'max("sink_quarantined") AS "rows"', '"site"', where=SITE),
            ),
        ],
        begin="now-6h",
    )
