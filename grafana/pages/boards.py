"""*Boards*: what a biomedical engineer looks at in the morning."""

from grafana_foundation_sdk.builders import dashboard, timeseries
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.panels import FULL, PER_MINUTE, chart, page, points, table
from grafana.queries import CHAIR, EACH_INTERVAL, EACH_MINUTE, MINUTES, POINTS_OF_MANY_MAX, over_time
from grafana.queries import table as rows

BY_BOARD = "$tag_chair $tag_device"
STATUS = f"{CHAIR} AND \"kind\" = 'status'"


def build(_protocol: Protocol) -> dashboard.Dashboard:
    def trend(title: str, description: str, unit: str, field: str) -> timeseries.Panel:
        what = over_time("device", field, '"chair"', '"device"', where=STATUS, alias=BY_BOARD)
        return points(chart(title, description, unit, what))

    return page(
        "boards",
        "boards",
        "Version, calibration, radio, memory, losses and restarts of each board.",
        [
            table(
                "Boards",
                "What each board said of itself last in the range. It says nothing of now.",
                rows(
                    "device",
                    'last("firmware") AS "firmware", "calibration", "calibrated_on", "faults", "reset_cause", '
                    '"rssi_dbm", "heap_free_bytes", "dropped"',
                    '"chair"',
                    '"device"',
                    where=STATUS,
                ),
                span=FULL,
            ),
            chart(
                "Records stored each minute",
                "Vitals records by sensor time; 60 is complete. Records that arrived late count too.",
                PER_MINUTE,
                over_time(MINUTES, 'mean("records")', EACH_INTERVAL, '"chair"'),
                each=EACH_MINUTE,
            ).max_data_points(POINTS_OF_MANY_MAX),
            trend("Radio", "Signal strength at each status.", units.DecibelMilliWatt, '"rssi_dbm"'),
            trend("Free memory", "Free heap of the board at each status.", units.BytesSI, '"heap_free_bytes"'),
            trend("Dropped records", "Records that the outbox gave up since its start.", units.Short, '"dropped"'),
            table(
                "Starts",
                "Each boot of a board, newest first, and what caused it.",
                rows(
                    "device",
                    '"chair", "device", "name" AS "cause", "detail", "boot"',
                    where=f"{CHAIR} AND \"kind\" = 'start'",
                    latest=100,
                ),
            ),
            table(
                "Faults and links",
                "What boards reported of themselves, newest first.",
                rows(
                    "device",
                    '"chair", "device", "kind", "name", "detail", "value", "unit"',
                    where=f"{CHAIR} AND (\"kind\" = 'fault' OR \"kind\" = 'link' OR \"kind\" = 'update')",
                    latest=100,
                ),
            ),
        ],
        begin="now-24h",
        refresh="1m",
    )
