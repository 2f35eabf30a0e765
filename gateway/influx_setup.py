"""What a database needs before the first row: itself, how long it keeps rows, and a copy of the vitals by the minute.

The copy is what a page reads over ranges of more than a day: the lowest saturation and signal of each minute, the mean
pulse, the gravest level, and how many records there were. InfluxDB 1 makes it by a continuous query that looks back two
hours, so that resent records count; InfluxDB 2 by a task. Everything here may be said again and again.

Dashboards ask the measurement `resolution` which of the two to read for a range of so many milliseconds.
"""

from gateway.line_protocol import line

COPY = "minutes"
"""Retention policy of the copy; in InfluxDB 2 a bucket of its own that is mapped to this name."""
RAW = "autogen"
RAW_RANGE_MS_MAX = 86_400_000
LOOK_BACK = "2h"
_KEPT = {
    "min": ("spo2_pct", "pi_pct", "sqi_pct"),
    "max": ("rank", "delay_ms"),
    "mean": ("pulse_bpm", "resp_bpm"),
}


def resolution_lines() -> list[str]:
    """Which copy answers for which width of range."""
    steps = [(RAW, 0, RAW_RANGE_MS_MAX), (COPY, RAW_RANGE_MS_MAX, 10**15)]
    return [
        line("resolution", {}, {"copy": name, "from_ms": float(begin), "to_ms": float(end)}, number)
        for number, (name, begin, end) in enumerate(steps, start=1)
    ]


def influxql(database: str, keep_days: int) -> list[str]:
    """For InfluxDB 1. `keep_days` 0 keeps rows for ever; the copy is always kept."""
    named, copy = quoted(database), copied(database)
    duration = f"{keep_days}d" if keep_days else "INF"
    return [
        f"CREATE DATABASE {named}",
        f'ALTER RETENTION POLICY "{RAW}" ON {named} DURATION {duration}',
        f'CREATE RETENTION POLICY "{COPY}" ON {named} DURATION INF REPLICATION 1',
        f'CREATE CONTINUOUS QUERY "vitals_{COPY}" ON {named} RESAMPLE EVERY 1m FOR {LOOK_BACK} BEGIN {copy} END',
    ]


def copied(database: str, within: str = "") -> str:
    """The statement that makes the copy, of the rows `within` a time."""
    named = quoted(database)
    fields = [f'{function}("{name}") AS "{name}"' for function, names in _KEPT.items() for name in names]
    fields.append('count("sqi_pct") AS "records"')
    where = f" WHERE {within}" if within else ""
    return (
        f'SELECT {", ".join(fields)} INTO {named}."{COPY}"."vitals" FROM {named}."{RAW}"."vitals"{where}'
        " GROUP BY time(1m), *"
    )


def flux(bucket: str, copy_bucket: str) -> str:
    """The task for InfluxDB 2: the same minutes."""
    parts = [
        f"minutes(names: [{', '.join(_text(name) for name in names)}], by: {function})"
        for function, names in _KEPT.items()
    ]
    return f"""option task = {{name: "chairside {COPY}", every: 1m}}

vitals = from(bucket: {_text(bucket)})
    |> range(start: -{LOOK_BACK})
    |> filter(fn: (r) => r._measurement == "vitals")

minutes = (names, by) => vitals
    |> filter(fn: (r) => contains(value: r._field, set: names))
    |> aggregateWindow(every: 1m, fn: by, createEmpty: false, timeSrc: "_start")

records = vitals
    |> filter(fn: (r) => r._field == "sqi_pct")
    |> aggregateWindow(every: 1m, fn: count, createEmpty: false, timeSrc: "_start")
    |> map(fn: (r) => ({{r with _field: "records", _value: float(v: r._value)}}))

union(tables: [{", ".join(parts)}, records])
    |> to(bucket: {_text(copy_bucket)})
"""


def quoted(name: str) -> str:
    """An InfluxQL identifier."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
