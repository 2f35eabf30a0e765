"""A replay as one picture (SVG): values with the limits that judged them, and when each alarm was present.

Every value is there, at most a lowest and a highest for each point of width; a line is broken where there was none.
Colours are those of the lamps, and each level has its mark (*, **, ***) too, for who does not see colours.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape

from gateway import wire
from gateway.core.chair_state import CuffRead, VitalsRead
from gateway.core.protocol import RANK, Protocol
from gateway.replay import report, times
from gateway.replay.play import Episode, Result
from gateway.replay.recording import Recording

WIDTH, LEFT, RIGHT = 1000.0, 58.0, 66.0
LANE, ROW = 120.0, 17.0
LEVELS = {"low": "#19a7b8", "medium": "#d9a400", "high": "#cf2233"}
INK, FAINT, GRID = "#22303c", "#6d7a86", "#e7ebef"
STEPS_S = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)
GAP_S = 3.5
Points = list[tuple[float, float]]


class Lane(NamedTuple):
    name: str
    fields: tuple[str, ...]
    colour: str
    least: float
    """The axis shows at least so much from bottom to top."""


LANES = (
    Lane("SpO2, %", ("spo2_pct",), "#1f5fae", 12.0),
    Lane("pulse, /min", ("pulse_bpm",), "#1b7f4d", 40.0),
    Lane("pressure, mmHg", ("sys_mmhg", "dia_mmhg", "map_mmhg"), "#7a3e9d", 60.0),
)


class Sheet:
    """The growing picture; `y` is where the next part begins."""

    def __init__(self, from_s: float, to_s: float) -> None:
        self.from_s, self.to_s = from_s, max(to_s, from_s + 1)
        self.y = 68.0
        self.parts: list[str] = []

    def x(self, at_s: float) -> float:
        share = (min(max(at_s, self.from_s), self.to_s) - self.from_s) / (self.to_s - self.from_s)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def text(self, x: float, y: float, words: str, *, size: int = 11, fill: str = INK, anchor: str = "start") -> None:
        how = f'font-size="{size}" fill="{fill}" text-anchor="{anchor}"'
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {how}>{escape(words)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str, extra: str = "") -> None:
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{extra}/>')

    def box(self, from_s: float, to_s: float, y: float, height: float, fill: str, title: str, extra: str = "") -> None:
        x, width = self.x(from_s), max(2.0, self.x(to_s) - self.x(from_s))
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"{extra}>'
            f"<title>{escape(title)}</title></rect>"
        )


def svg(recording: Recording, protocol: Protocol, results: list[Result]) -> str:
    """The whole picture as text. `protocol` is that of the first result: its limits and alarms stand at the values."""
    values = _values(recording)
    first = results[0]
    sheet = Sheet(_begins_s(recording), _begins_s(recording) + first.hours * 3600)
    alarms = "1 alarm" if len(first.alarms) == 1 else f"{len(first.alarms)} alarms"
    sheet.text(LEFT, 24, f"{recording.name} under {first.protocol}", size=16)
    said = f"{alarms} in {times.lasted(first.hours * 3600)}, {first.load_per_hour:.1f} an hour"
    sheet.text(LEFT, 42, said, size=12, fill=FAINT)
    for lane in LANES:
        if any(values.get(field) for field in lane.fields):
            _lane(sheet, lane, values, protocol, first)
    for result in results:
        _rows(sheet, result)
    _time_axis(sheet, recording)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {sheet.y:.0f}" '
        f'font-family="system-ui, sans-serif" role="img"><title>{escape(recording.name)}</title>'
        f'<rect width="{WIDTH:g}" height="{sheet.y:.0f}" fill="#ffffff"/>\n' + "\n".join(sheet.parts) + "\n</svg>\n"
    )


def _begins_s(recording: Recording) -> float:
    return (recording.from_ms - recording.zero_ms) / 1000


def _values(recording: Recording) -> dict[str, Points]:
    """By field: the good values at their sensor's times."""
    found: dict[str, Points] = {}
    for _, event in recording.events:
        if not isinstance(event, VitalsRead | CuffRead) or event.record.quality != "good":
            continue
        fields = ("spo2_pct", "pulse_bpm") if isinstance(event.record, wire.Vitals) else LANES[2].fields
        for field in fields:
            if isinstance(value := getattr(event.record, field), float):
                found.setdefault(field, []).append(((event.at_mono_ms - recording.zero_ms) / 1000, value))
    return {field: sorted(points) for field, points in found.items()}


def _lane(sheet: Sheet, lane: Lane, values: dict[str, Points], protocol: Protocol, result: Result) -> None:
    rules = [rule for rule in protocol.rules if rule.measure in lane.fields and rule.id not in result.not_judged]
    there = [value for field in lane.fields for _, value in values.get(field, [])]
    near = [tier.limit for rule in rules for tier in rule.tiers if min(there) - 30 <= tier.limit <= max(there) + 30]
    low, high = min([*there, *near]), max([*there, *near])
    spare = max(0.08 * (high - low), (lane.least - (high - low)) / 2)
    low, high = low - spare, min(high + spare, 100.5) if lane.fields == ("spo2_pct",) else high + spare

    def y(value: float) -> float:
        return sheet.y + LANE * (1 - (value - low) / (high - low))

    for alarm in result.alarms:
        if alarm.rule in [rule.id for rule in rules]:
            for level, from_s, to_s in alarm.spans:
                sheet.box(from_s, to_s, sheet.y, LANE, LEVELS[level], _title(alarm), ' fill-opacity="0.13"')
    for value in _round_values(low, high):
        sheet.line(LEFT, y(value), WIDTH - RIGHT, y(value), GRID)
        sheet.text(LEFT - 6, y(value) + 4, f"{value:g}", size=10, fill=FAINT, anchor="end")
    taken: list[float] = []
    limits = [(rule, tier) for rule in rules for tier in rule.tiers]
    for rule, tier in sorted(limits, key=lambda limit: -RANK[limit[1].level]):
        if low <= tier.limit <= high:
            sheet.line(LEFT, y(tier.limit), WIDTH - RIGHT, y(tier.limit), LEVELS[tier.level], ' stroke-dasharray="5 4"')
            if all(abs(y(tier.limit) - other) >= 11 for other in taken):
                taken.append(y(tier.limit))
                which = f"{rule.measure.partition('_')[0]} " if len(lane.fields) > 1 else ""
                words = f"{which}{tier.limit:g} {report.MARKS[tier.level]}"
                sheet.text(WIDTH - RIGHT + 5, y(tier.limit) + 4, words, size=10, fill=INK)
    if "sys_mmhg" in lane.fields:
        _pressures(sheet, lane, values, y)
    else:
        for stretch in _stretches(values[lane.fields[0]]):
            _curve(sheet, [(sheet.x(at_s), y(value)) for at_s, value in stretch], lane.colour)
    sheet.text(LEFT, sheet.y - 4, lane.name, size=11, fill=lane.colour)
    sheet.y += LANE + 26


def _pressures(sheet: Sheet, lane: Lane, values: dict[str, Points], y: Callable[[float], float]) -> None:
    """Each measurement as a bar from systolic to diastolic, with a mark at the mean."""
    by_time: dict[float, dict[str, float]] = {}
    for field in lane.fields:
        for at_s, value in values.get(field, []):
            by_time.setdefault(at_s, {})[field] = value
    for at_s, found in by_time.items():
        x, ends = sheet.x(at_s), list(found.values())
        sheet.line(x, y(max(ends)), x, y(min(ends)), lane.colour, ' stroke-width="3" stroke-linecap="round"')
        for value in ends:
            sheet.line(x - 4, y(value), x + 4, y(value), lane.colour, ' stroke-width="1.5"')


def _stretches(points: Points) -> Iterator[Points]:
    stretch: Points = []
    for at_s, value in points:
        if stretch and at_s - stretch[-1][0] > GAP_S:
            yield stretch
            stretch = []
        stretch.append((at_s, value))
    if stretch:
        yield stretch


def _curve(sheet: Sheet, points: Points, stroke: str) -> None:
    columns: dict[int, list[float]] = {}
    for x, y in points:
        columns.setdefault(int(x), []).append(y)
    path = [(x, y) for x, ys in columns.items() for y in dict.fromkeys((ys[0], min(ys), max(ys), ys[-1]))]
    if len(path) == 1:
        path.append((path[0][0] + 1, path[0][1]))
    drawn = " ".join(f"{x:.0f},{y:.1f}" for x, y in path)
    sheet.parts.append(f'<polyline points="{drawn}" fill="none" stroke="{stroke}" stroke-width="1.5"/>')


def _rows(sheet: Sheet, result: Result) -> None:
    """One row for each rule that raised."""
    sheet.text(LEFT, sheet.y, f"alarms under {result.protocol}" + ("" if result.alarms else ": none"), size=11)
    sheet.y += 7
    for rule in dict.fromkeys(alarm.rule for alarm in result.alarms):
        of_rule = [alarm for alarm in result.alarms if alarm.rule == rule]
        sheet.line(LEFT, sheet.y + ROW / 2, WIDTH - RIGHT, sheet.y + ROW / 2, GRID)
        for alarm in of_rule:
            for level, from_s, to_s in alarm.spans:
                sheet.box(from_s, to_s, sheet.y + 3, ROW - 6, LEVELS[level], _title(alarm))
        _named(sheet, of_rule)
        sheet.y += ROW
    sheet.y += 20


def _named(sheet: Sheet, alarms: list[Episode]) -> None:
    """The rule's reason beside its alarms, on the side that has room."""
    gravest = max((alarm.level for alarm in alarms), key=RANK.__getitem__)
    count = f" ({len(alarms)} times)" if len(alarms) > 1 else ""
    words = f"{report.MARKS[gravest]} {alarms[0].reason}{count}"
    spans = [span for alarm in alarms for span in alarm.spans]
    first, last = (sheet.x(min(s[1] for s in spans)), sheet.x(max(s[2] for s in spans))) if spans else (LEFT, LEFT)
    wide = 5.4 * len(words)
    x = last + 5 if last + wide < WIDTH - 8 else first - 5 - wide if first - wide > LEFT else first + 4
    halo = ' paint-order="stroke" stroke="#ffffff" stroke-width="3"'
    sheet.parts.append(
        f'<text x="{x:.1f}" y="{sheet.y + ROW - 5:.1f}" font-size="10" fill="{INK}"{halo}>{escape(words)}</text>'
    )


def _title(alarm: Episode) -> str:
    value = "" if alarm.value is None else f", {alarm.value:.4g} {alarm.unit}, limit {alarm.limit:g}"
    return f"{report.MARKS[alarm.level]} {alarm.reason} ({alarm.rule}){value}"


def _round_values(low: float, high: float) -> Iterable[float]:
    step = next(s for s in (1, 2, 5, 10, 20, 25, 50, 100, 200) if (high - low) / s <= 7)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _time_axis(sheet: Sheet, recording: Recording) -> None:
    step_s = next((s for s in STEPS_S if (sheet.to_s - sheet.from_s) / s <= 10), STEPS_S[-1])
    behind: list[str] = []
    # Round times of the day, where there is one.
    off_s = recording.zero_ms / 1000 % step_s if recording.measures is None else 0.0
    at_s = math.ceil((sheet.from_s + off_s) / step_s) * step_s - off_s
    while at_s <= sheet.to_s:
        x = f"{sheet.x(at_s):.1f}"
        behind.append(f'<line x1="{x}" y1="58" x2="{x}" y2="{sheet.y - 12:.1f}" stroke="{GRID}"/>')
        sheet.text(
            sheet.x(at_s),
            sheet.y,
            report.when(recording, at_s).removesuffix(".0"),
            size=10,
            fill=FAINT,
            anchor="middle",
        )
        at_s += step_s
    sheet.parts[:0] = behind
    sheet.y += 14
