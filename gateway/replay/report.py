"""What a replay found, for people and for programs."""

import json
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from gateway.core.protocol import RANK
from gateway.replay.play import Result

MARKS = {"low": "*", "medium": "**", "high": "***"}


def as_json(result: Result) -> dict[str, Any]:
    alarms = [msgspec.to_builtins(episode) for episode in result.alarms]
    for alarm in alarms:
        del alarm["in_level_ms"]
    return {
        "protocol": result.protocol,
        "hours": round(result.hours, 4),
        "alarms": alarms,
        "load_per_hour": round(result.load_per_hour, 3),
        "minutes_in_alarm": result.minutes_in_alarm(),
        "not_judged": result.not_judged,
    }


def text(console: Console, results: list[Result]) -> None:
    """A table of alarms for each protocol; with two, what differs between them."""
    for result in results:
        table = Table(
            "raised", "lasted", "level", "rule", "value", "limit",
            title=f"{result.protocol}: {len(result.alarms)} alarms in {result.hours:.2f} h, "
            f"{result.load_per_hour:.1f} an hour",
            title_justify="left",
        )  # fmt: skip
        for alarm in result.alarms:
            lasted = "to the end" if alarm.cleared_s is None else _clock(alarm.cleared_s - alarm.raised_s)
            table.add_row(
                _clock(alarm.raised_s), lasted, f"{MARKS[alarm.level]} {alarm.level}", alarm.rule,
                _number(alarm.value), _number(alarm.limit),
            )  # fmt: skip
        console.print(table)
        if result.not_judged:
            console.print(f"Not judged, for the recording says nothing of it: {', '.join(result.not_judged)}")
    minutes = Table("rule", "level", *(f"{result.protocol}, min" for result in results), title="Minutes in alarm")
    by_protocol = [result.minutes_in_alarm() for result in results]
    found = {(rule, level) for one in by_protocol for rule, levels in one.items() for level in levels}
    for rule, level in sorted(found, key=lambda pair: (pair[0], RANK[pair[1]])):
        minutes.add_row(rule, level, *(f"{one.get(rule, {}).get(level, 0.0):.1f}" for one in by_protocol))
    console.print(minutes)
    if len(results) == 2:
        before, after = results
        console.print(
            f"{after.protocol} beside {before.protocol}: {len(after.alarms) - len(before.alarms):+d} alarms, "
            f"{after.load_per_hour - before.load_per_hour:+.1f} an hour"
        )


def write_json(console: Console, results: list[Result]) -> None:
    document = as_json(results[0])
    if len(results) == 2:
        document["compared"] = as_json(results[1])
    console.file.write(json.dumps(document, indent=1) + "\n")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
