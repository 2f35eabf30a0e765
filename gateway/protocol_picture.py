"""A protocol as one picture (SVG): its phases, when the cuff measures and what staff are asked, the limits of each
measure as bands, and what must be so before somebody leaves.

Written by hand: a chart of lanes needs lines, boxes and words, and no library has to be kept for them. Colours are
those of the lamps, each with its mark (*, **, ***). Time is to scale; how long dosing lasts is up to the patient, here
it is four cuff intervals.
"""

import textwrap
from collections.abc import Iterator
from xml.sax.saxutils import escape

from gateway.core.protocol import PHASES, RANK, Criterion, Elapsed, Hold, Phase, Protocol, Quiet, Rule, content_hash
from gateway.protocol_files import ranges, words

WIDTH, LEFT, RIGHT = 1240.0, 285.0, 370.0
INK, FAINT, PAPER = "#22303c", "#8b98a5", "#ffffff"
PHASE_FILL = {"before": "#e8ecef", "dosing": "#d7e3f4", "recovery": "#e0efe0"}
LEVEL_FILL = {"low": "#19a7b8", "medium": "#d9a400", "high": "#cf2233"}
BAND_FILL = {"low": "#c6e9ed", "medium": "#f6e6b3", "high": "#f2b9bf"}
ROW, LETTERS = 21.0, 62
NAMES = {
    "spo2_pct": "SpO2",
    "pulse_bpm": "Pulse",
    "resp_bpm": "Breathing",
    "sys_mmhg": "Systolic",
    "dia_mmhg": "Diastolic",
    "map_mmhg": "Mean pressure",
    "sys_rise_mmhg": "Systolic over baseline",
    "dia_rise_mmhg": "Diastolic over baseline",
}
TICKS_S = (30, 60, 300, 600, 900, 1800, 3600)


def draw(protocol: Protocol) -> str:
    """The picture as SVG text."""
    sheet = _Sheet(protocol)
    sheet.text(16, 30, protocol.title, size=20, weight="bold")
    sheet.text(16, 50, protocol.notice, fill=FAINT)
    sheet.text(WIDTH - 16, 30, f"{protocol.id}  {content_hash(protocol)}", anchor="end", fill=FAINT)
    legend = "▲ cuff   ◆ question   * low   ** medium   *** high"
    sheet.text(WIDTH - 16, 84, legend, anchor="end", size=11, fill=FAINT)
    sheet.y = 68
    _phases(sheet)
    _marks(sheet)
    for measure in dict.fromkeys(rule.measure for rule in protocol.rules if rule.measure in ranges.ORDINARY):
        _lane(sheet, measure, [rule for rule in protocol.rules if rule.measure == measure])
    _criteria(sheet)
    _watched(sheet)
    return sheet.done()


class _Sheet:
    """The growing picture; `y` is where the next lane begins, `spans_s` when each phase begins and ends."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol, self.y = protocol, 0.0
        self.parts: list[str] = []
        begin_s, self.spans_s = 0.0, {}
        for phase, length_s in _lengths_s(protocol).items():
            self.spans_s[phase] = (begin_s, begin_s + length_s)
            begin_s += length_s
        self.end_s = begin_s

    def x(self, at_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(at_s, self.end_s) / self.end_s

    def text(self, x: float, y: float, text: str, *, size: int = 12, fill: str = INK, anchor: str = "start",
             weight: str = "normal") -> None:  # fmt: skip
        how = f'font-size="{size}" fill="{fill}" text-anchor="{anchor}" font-weight="{weight}"'
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {how}>{escape(text)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = FAINT, extra: str = "") -> None:
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{extra}/>')

    def box(self, x: float, y: float, width: float, height: float, fill: str, extra: str = "") -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"{extra}/>'
        )

    def shape(self, x: float, y: float, sign: str, fill: str = INK) -> None:
        """A triangle for the cuff, a diamond for a question."""
        points = {"cuff": ((-4, 4), (4, 4), (0, -5)), "ask": ((-5, 0), (0, -5), (5, 0), (0, 5))}[sign]
        at = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points)
        self.parts.append(f'<polygon points="{at}" fill="{fill}"/>')

    def heading(self, text: str) -> None:
        self.y += 26
        self.text(16, self.y, text, size=13, weight="bold")
        self.y += 8

    def done(self) -> str:
        height = self.y + 20
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" width="{WIDTH:.0f}" '
            f'height="{height:.0f}" font-family="Helvetica, Arial, sans-serif">'
        )
        paper = f'<rect width="{WIDTH:.0f}" height="{height:.0f}" fill="{PAPER}"/>'
        return "\n".join([head, paper, *self.parts, "</svg>"]) + "\n"


def _lengths_s(protocol: Protocol) -> dict[Phase, float]:
    """As long as it takes to show the schedule, and in recovery every clock that runs."""
    waits = [_wait_s(one) for one in protocol.criteria]
    asked = [one.after_s for one in protocol.observations if "recovery" in one.phases]
    recovery_s = 1.08 * max([*waits, *asked, 2 * protocol.cuff.recovery_s, 60])
    interval_s = protocol.cuff.dosing_s or protocol.cuff.recovery_s or protocol.cuff.before_s
    dosing_s = 4 * interval_s
    before_s = max(2 * protocol.cuff.before_s, 0.1 * (dosing_s + recovery_s))
    return {"before": before_s, "dosing": dosing_s, "recovery": recovery_s}


def _wait_s(one: Criterion) -> float:
    match one:
        case Elapsed():
            return one.at_least_s
        case Hold():
            return one.hold_s
        case Quiet():
            return one.for_s
    return 0.0


def _phases(sheet: _Sheet) -> None:
    for phase, (begin_s, end_s) in sheet.spans_s.items():
        x, width = sheet.x(begin_s), sheet.x(end_s) - sheet.x(begin_s)
        sheet.box(x, sheet.y, width, 24, PHASE_FILL[phase])
        sheet.text(x + width / 2, sheet.y + 16, phase, anchor="middle", weight="bold")
        _ticks(sheet, begin_s, end_s)
    for words_, at_s in (("first dose", sheet.spans_s["dosing"][0]), ("end of the dose", sheet.spans_s["recovery"][0])):
        sheet.line(sheet.x(at_s), sheet.y - 4, sheet.x(at_s), sheet.y + 42, INK)
        sheet.text(sheet.x(at_s) + 3, sheet.y + 53, words_, size=10)
    sheet.y += 58


def _ticks(sheet: _Sheet, begin_s: float, end_s: float) -> None:
    """Minutes of the phase, so far apart that they can be read."""
    wide_s = 46 * sheet.end_s / (WIDTH - LEFT - RIGHT)
    step_s = next((step for step in TICKS_S if step >= wide_s), 2 * TICKS_S[-1])
    for number in range(int((end_s - begin_s) / step_s) + 1):
        x = sheet.x(begin_s + number * step_s)
        sheet.line(x, sheet.y + 24, x, sheet.y + 29)
        if number and sheet.x(end_s) - x > 18:
            sheet.text(x, sheet.y + 40, words.span(number * step_s), size=10, anchor="middle", fill=FAINT)


def _marks(sheet: _Sheet) -> None:
    """When the cuff measures, and what staff are asked."""
    cuff = words.cuff(sheet.protocol)
    line_y = _row(sheet, "Cuff", ", ".join(f"{phase} {cuff[phase]}" for phase in PHASES).replace("every ", ""))
    for phase in PHASES:
        begin_s, end_s = sheet.spans_s[phase]
        for at_s in _times_s(begin_s, end_s, 0 if phase == "before" else sheet.protocol.cuff.interval_s(phase),
                             sheet.protocol.cuff.interval_s(phase)):  # fmt: skip
            sheet.shape(sheet.x(at_s), line_y, "cuff")
    for one in sheet.protocol.observations:
        first = f"{words.span(one.after_s)} into {' and '.join(one.phases)}" if one.after_s else "at once"
        line_y = _row(sheet, one.label, first + (f", then every {words.span(one.every_s)}" if one.every_s else ""))
        for phase in one.phases:
            begin_s, end_s = sheet.spans_s[phase]
            for at_s in _times_s(begin_s, end_s, one.after_s, one.every_s):
                sheet.shape(sheet.x(at_s), line_y, "ask", "#5b6f9e")


def _times_s(begin_s: float, end_s: float, after_s: float, every_s: float) -> Iterator[float]:
    at_s = begin_s + after_s
    while at_s < end_s:
        yield at_s
        if every_s == 0:
            return
        at_s += every_s


def _row(sheet: _Sheet, name: str, right: str) -> float:
    """A name, a line, and words, which may take several lines; returns where the line is."""
    sheet.y += ROW
    line_y = sheet.y - 6
    sheet.text(LEFT - 10, sheet.y - 2, name, anchor="end")
    sheet.line(LEFT, sheet.y - 6, WIDTH - RIGHT, sheet.y - 6, "#e3e7ea")
    for number, line in enumerate(textwrap.wrap(right, LETTERS)):
        sheet.y += 14 * (number > 0)
        sheet.text(WIDTH - RIGHT + 10, sheet.y - 2, line, size=11, fill=FAINT)
    return line_y


def _lane(sheet: _Sheet, measure: str, rules: list[Rule]) -> None:
    """The limits of one measure: what is inside stays white; the graver, the further out."""
    limits = [(rule, tier, tier.limits[0][1]) for rule in rules for tier in rule.tiers]
    limits.sort(key=lambda one: RANK[one[1].level])
    low, high = _scale(measure, [limit for _, _, limit in limits])
    lane = max(44.0, 13.0 * len(limits) + 10)
    top, bottom = sheet.y + 16, sheet.y + 16 + lane

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    for rule, tier, limit in limits:
        for phase in rule.phases:
            x, to_x = (sheet.x(at_s) for at_s in sheet.spans_s[phase])
            from_y, to_y = (y(limit), bottom) if tier.below is not None else (top, y(limit))
            sheet.box(x, from_y, to_x - x, to_y - from_y, BAND_FILL[tier.level])
            sheet.line(x, y(limit), to_x, y(limit), LEVEL_FILL[tier.level])
    sheet.box(LEFT, top, WIDTH - LEFT - RIGHT, lane, "none", f' stroke="{FAINT}"')
    sheet.text(LEFT - 10, top + lane / 2, NAMES.get(measure, measure), anchor="end", weight="bold")
    unit = next((rule.unit for rule in rules if rule.unit), "")
    sheet.text(LEFT - 10, top + lane / 2 + 15, unit, anchor="end", size=11, fill=FAINT)
    named = [(y(limit), rule, tier.level) for rule, tier, limit in limits]
    _limit_words(sheet, sorted(named, key=lambda one: one[0]), bottom)
    sheet.y = bottom


def _limit_words(sheet: _Sheet, limits: list[tuple[float, Rule, str]], bottom: float) -> None:
    """Each limit in words beside its line, moved apart where they are close."""
    places = [at_y + 4 for at_y, _, _ in limits]
    for number in range(1, len(places)):
        places[number] = max(places[number], places[number - 1] + 13)
    over = max(0.0, places[-1] - (bottom + 6))
    for place, (at_y, rule, level) in zip(places, limits, strict=True):
        only = "" if set(rule.phases) == set(PHASES) else f", {' and '.join(rule.phases)} only"
        x = WIDTH - RIGHT
        sheet.line(x, at_y, x + 8, place - over - 4, LEVEL_FILL[level])
        sheet.text(x + 11, place - over, f"{words.MARKS[level]} {words.levels(rule)[level]}{only}", size=11)


def _scale(measure: str, limits: list[float]) -> tuple[float, float]:
    values = [*limits, ranges.ORDINARY[measure]]
    room = 0.2 * (max(values) - min(values)) or 10
    low, high = ranges.of_measure(measure)
    return max(low, min(values) - room), min(high, max(values) + room)


def _criteria(sheet: _Sheet) -> None:
    sheet.heading("Ready to leave when")
    begins_s = {"first_dose": sheet.spans_s["dosing"][0], "last_dose": sheet.spans_s["dosing"][0],
                "dose_end": sheet.spans_s["recovery"][0]}  # fmt: skip
    for one in sheet.protocol.criteria:
        line_y = _row(sheet, one.label, words.criterion(one))
        begin_s = begins_s.get(getattr(one, "since", None) or "", 0.0)
        begin_s = begins_s["dose_end"] if isinstance(one, Quiet) else begin_s
        x = sheet.x(begin_s)
        if wait_s := _wait_s(one):
            sheet.box(x, line_y - 6, sheet.x(begin_s + wait_s) - x, 11, "#6fbf68", ' rx="3"')
        else:
            sheet.box(x, line_y - 3, WIDTH - RIGHT - x, 5, "#cfe6cc", ' rx="2"')


def _watched(sheet: _Sheet) -> None:
    """The rules that have no lane, in three columns."""
    rules = [rule for rule in sheet.protocol.rules if rule.measure not in ranges.ORDINARY]
    sheet.heading("Also watched")
    wide = (WIDTH - 32) / 3
    lines = -(-len(rules) // 3)
    for number, rule in enumerate(rules):
        x, y = 16 + wide * (number // lines), sheet.y + 18 + 17 * (number % lines)
        for place, level in enumerate(words.levels(rule)):
            sheet.box(x + 9 * place, y - 9, 7, 10, LEVEL_FILL[level])
        limits = ", ".join(f"{words.MARKS[level]} {limit}" for level, limit in words.levels(rule).items())
        sheet.text(x + 22, y, f"{rule.reason} ({limits})", size=10)
    sheet.y += 18 + 17 * lines
