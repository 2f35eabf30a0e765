"""A run as one picture (SVG): vitals, pressures, phases, alarms, readiness, and what staff and faults did.

Written by hand: a chart of five lanes needs lines, boxes and words, and no library has to be kept for them. Colours of
alarms are those of the lamps; each has its mark (*, **, ***) too, for who does not see colours.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from xml.sax.saxutils import escape

from simulators.clinic import units
from simulators.clinic.log import Entry
from simulators.clinic.run import Run

WIDTH, LEFT, RIGHT = 1000.0, 64.0, 16.0
LEVELS = {"low": ("#19a7b8", "*"), "medium": ("#d9a400", "**"), "high": ("#cf2233", "***")}
PHASES = {"before": "#e8ecef", "dosing": "#d7e3f4", "recovery": "#e0efe0"}
STATES = {"NOT_READY": "#e8ecef", "CRITERIA_MET": "#a9d8a4", "SIGNED_OFF": "#6fbf68", "DISCHARGED": "#3f9a44"}
INK, FAINT = "#22303c", "#8b98a5"
TICKS_S = (10, 30, 60, 120, 300, 600, 900, 1800)
GAP_S = 3.0


class _Sheet:
    """The growing picture; `y` is where the next lane begins."""

    def __init__(self, end_s: float) -> None:
        self.end_s = end_s
        self.y = 0.0
        self.parts: list[str] = []

    def x(self, at_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(at_s, self.end_s) / self.end_s

    def text(self, x: float, y: float, words: str, *, size: int = 11, fill: str = INK, anchor: str = "start") -> None:
        how = f'font-size="{size}" fill="{fill}" text-anchor="{anchor}"'
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {how}>{escape(words)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = FAINT, extra: str = "") -> None:
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{extra}/>')

    def box(self, from_s: float, to_s: float, y: float, height: float, fill: str, title: str = "") -> None:
        x, width = self.x(from_s), max(1.5, self.x(to_s) - self.x(from_s))
        inner = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}">{inner}</rect>'
        )

    def curve(self, points: Iterable[tuple[float, float]], stroke: str, extra: str = "") -> None:
        """Points of (x, y); at most one for each pixel is kept unless it moves up or down."""
        kept: list[tuple[float, float]] = []
        for x, y in points:
            if len(kept) < 2 or x - kept[-1][0] >= 1.0 or abs(y - kept[-1][1]) >= 1.0:
                kept.append((x, y))
        if len(kept) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in kept)
            self.parts.append(f'<polyline points="{path}" fill="none" stroke="{stroke}"{extra}/>')


def svg(run: Run) -> str:
    """The whole picture as text, the same for the same run."""
    sheet = _Sheet(run.scenario.duration_s)
    sheet.text(LEFT, 22, run.scenario.title, size=16)
    sheet.text(WIDTH - RIGHT, 22, f"simulated, protocol {run.protocol.id}, seed {run.seed}", fill=FAINT, anchor="end")
    sheet.y = 36
    _marks(sheet, run.log.of("staff", "fault", "patient", "button"))
    top = sheet.y
    _phases(sheet, run.log.of("phase"))
    _values(sheet, run, "SpO2 %", "spo2_pct", "#1f5fae", (60, 100), 100.0)
    _values(sheet, run, "pulse /min", "pulse_bpm", "#1b7f4d", (30, 190), 70.0)
    _pressures(sheet, run)
    _alarms(sheet, run)
    _readiness(sheet, run.log.of("readiness"))
    _time_axis(sheet, top)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {sheet.y:g}" '
        f'font-family="system-ui, sans-serif" role="img">'
        f"<title>{escape(run.scenario.title)}</title>"
        f'<rect width="{WIDTH:g}" height="{sheet.y:g}" fill="#ffffff"/>'
    )
    return head + "\n" + "\n".join(sheet.parts) + "\n</svg>\n"


def _spans(entries: list[Entry]) -> Iterable[tuple[Entry, Entry | None]]:
    """Each entry with the one that ends it; the last goes on to the end."""
    return itertools.zip_longest(entries, entries[1:])


def _marks(sheet: _Sheet, entries: list[Entry]) -> None:
    """What people and faults did, each as a word over its time; close ones go down a row."""
    rows = [-1000.0, -1000.0, -1000.0, -1000.0]
    for entry in entries:
        x = sheet.x(entry["at_ms"] / 1000)
        words = _words(entry)
        anchor, start = ("start", x) if x < WIDTH * 0.8 else ("end", x - 6.2 * len(words))
        row = next((i for i, free in enumerate(rows) if start >= free), len(rows) - 1)
        rows[row] = start + 6.2 * len(words) + 12
        y = sheet.y + 12 * row + 8
        sheet.text(x + (3 if anchor == "start" else -3), y, words, size=10, fill=INK, anchor=anchor)
        sheet.line(x, y - 8, x, sheet.y + 50, "#c3ccd4")
    sheet.y += 54


def _words(entry: Entry) -> str:
    if entry["kind"] == "staff":
        return str(entry["what"]) + ("" if entry["ok"] else " (refused)")
    if entry["kind"] == "fault":
        return f"{entry['what']} {entry['state']}"
    if entry["kind"] == "button":
        return f"button: {entry['what']}"
    if "event" in entry or "drug" in entry:
        return str(entry.get("event") or f"{entry['drug']} {entry.get('dose', '')}".strip())
    names = {"spo2_pct": "SpO2", "pulse_bpm": "pulse", "sys_mmhg": "systolic", "perfusion_pct": "perfusion"}
    return ", ".join(f"{names[name]} to {entry[name]:g}" for name in names if name in entry) or "the patient changes"


def _phases(sheet: _Sheet, entries: list[Entry]) -> None:
    for entry, after in _spans(entries):
        from_s = entry["at_ms"] / 1000
        to_s = after["at_ms"] / 1000 if after else sheet.end_s
        sheet.box(from_s, to_s, sheet.y, 14, PHASES.get(str(entry["what"]), "#ffffff"), f"phase: {entry['what']}")
        if sheet.x(to_s) - sheet.x(from_s) > 50:
            sheet.text(sheet.x(from_s) + 4, sheet.y + 11, str(entry["what"]), size=10)
    sheet.text(LEFT - 6, sheet.y + 11, "phase", size=10, fill=FAINT, anchor="end")
    sheet.y += 20


def _scale(sheet: _Sheet, name: str, low: float, high: float, height: float, steps: int = 4) -> None:
    for step in range(steps + 1):
        value = low + (high - low) * step / steps
        y = sheet.y + height * (1 - step / steps)
        sheet.line(LEFT, y, WIDTH - RIGHT, y, "#eef1f4")
        sheet.text(LEFT - 6, y + 4, f"{value:g}", size=10, fill=FAINT, anchor="end")
    sheet.text(LEFT + 4, sheet.y + 11, name, size=10, fill=FAINT)


def _values(
    sheet: _Sheet, run: Run, name: str, field: str, colour: str, scale: tuple[float, float], height: float
) -> None:
    """Readings in colour, broken where there is none; the patient's true value thin and grey behind them."""
    low, high = scale
    _scale(sheet, name, low, high, height)

    def point(entry: Entry, at_s: float) -> tuple[float, float]:
        share = (min(high, max(low, entry[field])) - low) / (high - low)
        return sheet.x(at_s), sheet.y + height * (1 - share)

    sheet.curve([point(e, e["at_ms"] / 1000) for e in run.log.of("truth")], "#b9c3cc", ' stroke-width="1"')
    stretch: list[tuple[float, float]] = []
    last_s = -100.0
    for entry in run.log.of("vitals"):
        if field not in entry or entry.get("late"):
            continue
        at_s = entry["at_ms"] / 1000
        if at_s - last_s > GAP_S:
            sheet.curve(stretch, colour, ' stroke-width="1.6"')
            stretch = []
        stretch.append(point(entry, at_s))
        last_s = at_s
    sheet.curve(stretch, colour, ' stroke-width="1.6"')
    sheet.y += height + 14


def _pressures(sheet: _Sheet, run: Run) -> None:
    low, high, height = 40.0, 220.0, 90.0
    _scale(sheet, "pressure mmHg (bar: measured, x: failed)", low, high, height, 3)

    def y(mmhg: float) -> float:
        return sheet.y + height * (1 - (min(high, max(low, mmhg)) - low) / (high - low))

    for field in ("sys_mmhg", "dia_mmhg"):
        truth = [(sheet.x(e["at_ms"] / 1000), y(e[field])) for e in run.log.of("truth")]
        sheet.curve(truth, "#b9c3cc", ' stroke-width="1"')
    for cuff in run.log.of("cuff"):
        x = sheet.x(cuff["at_ms"] / 1000)
        if cuff["quality"] == "good" and "sys_mmhg" in cuff:
            sheet.line(x, y(cuff["sys_mmhg"]), x, y(cuff["dia_mmhg"]), "#7a3e9d", ' stroke-width="4"')
        else:
            sheet.text(x, sheet.y + height - 4, f"x {cuff.get('reason', '')}", size=10, fill="#7a3e9d", anchor="middle")
    sheet.y += height + 14


def _alarms(sheet: _Sheet, run: Run) -> None:
    """One row for each rule that rang: its level while it was present, hatched thin while latched."""
    spoken = list(dict.fromkeys(e["rule"] for e in run.log.of("alarm")))
    reasons = {rule.id: rule.reason for rule in run.protocol.rules}
    sheet.text(LEFT - 6, sheet.y + 11, "alarms", size=10, fill=FAINT, anchor="end")
    if not spoken:
        sheet.text(LEFT + 4, sheet.y + 11, "none", size=10, fill=FAINT)
        sheet.y += 16
    for rule in spoken:
        of_rule = [e for e in run.log.of("alarm") if e["rule"] == rule]
        for entry, after in _spans(of_rule):
            from_s = entry["at_ms"] / 1000
            to_s = after["at_ms"] / 1000 if after else sheet.end_s
            colour, mark = LEVELS[entry["level"]]
            if entry["condition"] in ("active", "clearing"):
                sheet.box(from_s, to_s, sheet.y, 12, colour, f"{mark} {entry['reason']}: {entry['what']}")
            elif entry["condition"] == "latched":
                sheet.box(from_s, to_s, sheet.y + 5, 2, colour, f"{entry['reason']}: over, not yet acknowledged")
        first = of_rule[0]["at_ms"] / 1000
        mark = max((LEVELS[e["level"]][1] for e in of_rule), key=len)
        words = f"{mark} {reasons.get(rule, rule)}"
        if sheet.x(first) > WIDTH * 0.45:
            sheet.text(sheet.x(first) - 5, sheet.y + 10, words, size=10, anchor="end")
        else:
            over = max(e["at_ms"] / 1000 if e["condition"] == "normal" else sheet.end_s for e in of_rule[-1:])
            x = sheet.x(over) + 5 if sheet.x(over) < WIDTH * 0.7 else sheet.x(first) + 5
            sheet.text(x, sheet.y + 10, words, size=10)
        sheet.y += 16
    sheet.y += 6


def _readiness(sheet: _Sheet, entries: list[Entry]) -> None:
    """The state as a band, and under it how many criteria are missing."""
    sheet.text(LEFT - 6, sheet.y + 11, "ready", size=10, fill=FAINT, anchor="end")
    for entry, after in _spans(entries):
        if entry["state"] not in STATES:
            continue
        from_s = entry["at_ms"] / 1000
        to_s = after["at_ms"] / 1000 if after else sheet.end_s
        missing = "; ".join(entry["missing"])
        sheet.box(from_s, to_s, sheet.y, 14, STATES[entry["state"]], f"{entry['state']} {missing}")
        words = entry["state"] if not entry["missing"] else f"{len(entry['missing'])} missing"
        if sheet.x(to_s) - sheet.x(from_s) > 6.5 * len(words):
            sheet.text(sheet.x(from_s) + 4, sheet.y + 11, words, size=10)
    sheet.y += 20


def _time_axis(sheet: _Sheet, top: float) -> None:
    behind: list[str] = []
    step = next((s for s in TICKS_S if sheet.end_s / s <= 13), 3600)
    at_s = 0.0
    while at_s <= sheet.end_s:
        x = f"{sheet.x(at_s):.1f}"
        behind.append(f'<line x1="{x}" y1="{top:.1f}" x2="{x}" y2="{sheet.y:.1f}" stroke="#eef1f4"/>')
        anchor = "middle" if at_s < 0.97 * sheet.end_s else "end"
        sheet.text(sheet.x(at_s), sheet.y + 12, units.clock(at_s), size=10, fill=FAINT, anchor=anchor)
        at_s += step
    sheet.parts[:0] = behind
    sheet.y += 20
