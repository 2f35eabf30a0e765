"""What a replay found, for people and for programs."""

import json
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from gateway.core.protocol import RANK
from gateway.replay import times
from gateway.replay.play import Episode, Result
from gateway.replay.recording import Recording

MARKS = {"low": "*", "medium": "**", "high": "***"}
COLOURS = {"low": "cyan", "medium": "yellow", "high": "red"}
FIELDS = ("rule", "level", "raised_s", "cleared_s", "value", "limit", "reason")


class Told(Struct, frozen=True, kw_only=True):
    """The recording, what each protocol makes of it, and where the first differs from what was recorded."""

    recording: Recording
    results: list[Result]
    differs: list[str] | None = None
    """None: nothing was recorded to compare with."""


def as_json(result: Result) -> dict[str, Any]:
    return {
        "alarms": [{name: getattr(alarm, name) for name in FIELDS} for alarm in result.alarms],
        "load_per_hour": round(result.load_per_hour, 3),
        "minutes_in_alarm": result.minutes_in_alarm(),
    }


def write_json(console: Console, told: Told) -> None:
    document = as_json(told.results[0])
    if len(told.results) == 2:
        document["compared"] = {"protocol": told.results[1].protocol, **as_json(told.results[1])}
    console.file.write(json.dumps(document, indent=1) + "\n")


def text(console: Console, told: Told) -> None:
    """A table of alarms for each protocol; with two, what differs between them."""
    for result in told.results:
        console.print(_alarms(told.recording, result))
    console.print(_minutes(told.results))
    if len(told.results) == 2:
        before, after = told.results
        console.print(
            f"{after.protocol} beside {before.protocol}: {len(after.alarms) - len(before.alarms):+d} alarms, "
            f"{after.load_per_hour - before.load_per_hour:+.1f} an hour."
        )
    for words in notes(told):
        console.print(words, highlight=False)


def notes(told: Told) -> list[str]:
    """How the recording was read, and what it could not answer."""
    said = [f"{note}." for note in told.recording.notes]
    if told.differs is not None:
        said.append("The replay differs from the record: " + "; ".join(told.differs) + "." if told.differs else
                    "The replay agrees with what the gateway recorded.")  # fmt: skip
    elif told.recording.protocol:
        said.append(f"The stay was judged by other numbers than these ({told.recording.protocol}).")
    for unjudged in dict.fromkeys(", ".join(result.not_judged) for result in told.results if result.not_judged):
        said.append(f"Not judged, for the recording says nothing of it: {unjudged}.")
    return said


def _alarms(recording: Recording, result: Result) -> Table:
    alarms = "1 alarm" if len(result.alarms) == 1 else f"{len(result.alarms)} alarms"
    table = Table(
        title=f"{recording.name} under {result.protocol}: {alarms} in {times.lasted(result.hours * 3600)}, "
        f"{result.load_per_hour:.1f} an hour",
        title_justify="left",
    )
    for column in ("raised", "lasted", "level", "why", "value", "limit"):
        table.add_column(column, justify="right" if column in ("raised", "lasted", "value", "limit") else "left")
    for alarm in result.alarms:
        table.add_row(
            when(recording, alarm.raised_s),
            "to the end" if alarm.cleared_s is None else times.lasted(alarm.cleared_s - alarm.raised_s),
            f"[{COLOURS[alarm.level]}]{MARKS[alarm.level]} {alarm.level}[/]",
            f"{alarm.reason} [dim]({alarm.rule})[/]",
            _number(alarm.value, alarm),
            _number(alarm.limit, alarm),
        )
    return table


def _minutes(results: list[Result]) -> Table:
    table = Table(title="Minutes in alarm", title_justify="left")
    table.add_column("rule")
    table.add_column("level")
    for result in results:
        table.add_column(result.protocol, justify="right")
    by_protocol = [result.minutes_in_alarm() for result in results]
    found = {(rule, level) for one in by_protocol for rule, levels in one.items() for level in levels}
    for rule, level in sorted(found, key=lambda pair: (pair[0], RANK[pair[1]])):
        minutes = (f"{one.get(rule, {}).get(level, 0.0):.1f}" for one in by_protocol)
        table.add_row(rule, f"[{COLOURS[level]}]{level}[/]", *minutes)
    return table


def when(recording: Recording, at_s: float) -> str:
    """A journal's time of day, or the time since a recording's own zero."""
    if recording.measures is None:
        return times.clock(recording.zero_ms + round(at_s * 1000))
    minutes, rest = divmod(round(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _number(value: float | None, alarm: Episode) -> str:
    return "" if value is None else f"{value:.4g} {alarm.unit}".strip()
