"""What a database needs before the first row: itself, how long it keeps rows, and a copy of the vitals by the minute.

The copy is what a page reads over ranges of more than a day: the lowest saturation and signal of each minute, the mean
pulse, the gravest level, how late records were, and how many there were. InfluxDB 1 makes it by a continuous query that
looks back two hours, so that resent records count; InfluxDB 2 by a task. What comes later is copied when it has come.
Everything here may be said again and again.

Dashboards ask the measurement `resolution` which of the two to read for a range of so many milliseconds.
"""

from gateway.line_protocol import line

COPY = "minutes"
"""Retention policy of the copy; in InfluxDB 2 a bucket of its own that is mapped to this name."""
RAW = "autogen"
TASK = f"chairside {COPY}"
RAW_RANGE_MS_MAX = 86_400_000
EVERY, LOOK_BACK = "5m", "2h"
"""Two hours of twenty chairs are a third of a second of work on a PC: too much for each minute of a Pi."""
LATE_S = 3_600
"""From this age on a row may come too late for what looks back."""
SINCE_START_S = 7 * 86_400
"""So much is copied again at each start: one that was killed while late rows came does not know of them."""
_KEPT = {
    "min": ("spo2_pct", "pi_pct", "sqi_pct"),
    "max": ("rank", "delay_ms"),
    "mean": ("pulse_bpm", "resp_bpm"),
}
_DELAYS = {"delay_p50_ms": 50, "delay_p95_ms": 95}
"""Percentiles of `delay_ms` by name: over a day of twenty chairs they take seconds to find."""


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
    # Rows go by whole shards, and the server refuses a duration that is shorter than its usual shard of a week.
    duration = f"{keep_days}d SHARD DURATION {min(keep_days, 7)}d" if keep_days else "INF"
    return [
        f"CREATE DATABASE {named}",
        f'ALTER RETENTION POLICY "{RAW}" ON {named} DURATION {duration}',
        f'CREATE RETENTION POLICY "{COPY}" ON {named} DURATION INF REPLICATION 1',
        # One of an older version is in the way of a new one, and has nothing that the new one does not make again.
        f'DROP CONTINUOUS QUERY "vitals_{COPY}" ON {named}',
        f'CREATE CONTINUOUS QUERY "vitals_{COPY}" ON {named} RESAMPLE EVERY {EVERY} FOR {LOOK_BACK} BEGIN {copy} END',
    ]


def copied(database: str, within: str = "") -> str:
    """The statement that makes the copy, of the rows `within` a time."""
    named = quoted(database)
    fields = [f'{function}("{name}") AS "{name}"' for function, names in _KEPT.items() for name in names]
    fields += [f'percentile("delay_ms", {percent}) AS "{name}"' for name, percent in _DELAYS.items()]
    fields.append('count("sqi_pct") AS "records"')
    where = f" WHERE {within}" if within else ""
    return (
        f'SELECT {", ".join(fields)} INTO {named}."{COPY}"."vitals" FROM {named}."{RAW}"."vitals"{where}'
        " GROUP BY time(1m), *"
    )


def task(bucket: str, copy_bucket: str) -> str:
    """The task for InfluxDB 2."""
    return f'option task = {{name: "{TASK}", every: {EVERY}}}\n\n' + flux(bucket, copy_bucket, f"-{LOOK_BACK}")


def flux(bucket: str, copy_bucket: str, begin: str, end: str = "now()") -> str:
    """For InfluxDB 2: the same minutes, from `begin` to `end`, times of Flux."""
    parts = [f'minute(name: "{name}", by: {function})' for function, names in _KEPT.items() for name in names]
    parts += [f'delay(share: {percent / 100}, as: "{name}")' for name, percent in _DELAYS.items()]
    return f"""of = (name) => from(bucket: {_text(bucket)})
    |> range(start: {begin}, stop: {end})
    |> filter(fn: (r) => r._measurement == "vitals" and r._field == name)

minute = (name, by) => of(name: name)
    |> aggregateWindow(every: 1m, fn: by, createEmpty: false, timeSrc: "_start")

delay = (share, as) => of(name: "delay_ms")
    |> aggregateWindow(
        every: 1m,
        fn: (column, tables=<-) => tables |> quantile(q: share, column: column),
        createEmpty: false,
        timeSrc: "_start",
    )
    |> set(key: "_field", value: as)

records = minute(name: "sqi_pct", by: count)
    |> toFloat()
    |> set(key: "_field", value: "records")

union(
    tables: [
        {f",{chr(10)}        ".join([*parts, "records"])},
    ],
)
    |> to(bucket: {_text(copy_bucket)})
"""


def quoted(name: str) -> str:
    """An InfluxQL identifier."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
