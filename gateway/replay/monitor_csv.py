"""A CSV of any monitor, read as rows: what its cells mean, or where and why it cannot be read.

    time_s                           seconds, or a time of day (23:59:58), or a date with a time (ISO 8601)
    spo2_pct, pulse_bpm              of these those that there are; a cell may be empty
    sys_mmhg, dia_mmhg, map_mmhg

Separated by commas, semicolons or tabs; with the last two a number may have a decimal comma. A cell that is empty, that
says nan, n/a, none, null or only dashes or question marks, and a zero, which is how monitors write that there is none,
is no value. Cells of one time belong together. Times rise; those of a day may pass midnight.
"""

import codecs
import csv
import math
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from gateway.replay.recording import RecordingError

VITALS = ("spo2_pct", "pulse_bpm")
PRESSURES = ("sys_mmhg", "dia_mmhg", "map_mmhg")
RANGES = dict.fromkeys(PRESSURES, (0.0, 400.0)) | {"spo2_pct": (0.0, 100.0), "pulse_bpm": (0.0, 300.0)}
DAY_S = 86_400.0
NOTHING = re.compile(r"[-?*.]*|nan|n/?a|null|none", re.IGNORECASE)
OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?")


class Row(Struct, frozen=True, kw_only=True):
    time_s: float
    values: dict[str, float]


class Sheet(Struct, frozen=True, kw_only=True):
    rows: list[Row]
    notes: tuple[str, ...]


def read(path: Path) -> Sheet:
    """Raises RecordingError, OSError."""
    lines = _text(path).splitlines()
    separator, skip = _separator(path, lines)
    reader = csv.reader(lines[skip:], delimiter=separator, strict=True)
    try:
        cells = [(skip + reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise RecordingError(f"{path} line {skip + reader.line_num}: {error}") from None
    columns = _columns(path, cells[0][1])
    rows: list[Row] = []
    notes = Counter[str]()
    day_s = 0.0
    for number, row in cells[1:]:
        where = f"{path} line {number}"
        if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
            raise RecordingError(f"{where}: {len(row)} cells, must be {len(columns)} as in the first line")
        named = dict(zip(columns, (_plain(cell, separator) for cell in row), strict=False))
        time_s = _seconds(where, named.get("time_s", ""), named) + day_s
        if rows and rows[-1].time_s - time_s > DAY_S / 2 and rows[-1].time_s - day_s <= DAY_S:
            notes["times of day that pass midnight"] += 1
            day_s, time_s = day_s + DAY_S, time_s + DAY_S
        values = _values(where, named, notes)
        if rows and time_s == rows[-1].time_s:
            rows[-1] = _merged(where, rows[-1], values)
            continue
        if rows and time_s < rows[-1].time_s:
            before = f"{rows[-1].time_s:.15g}"
            raise RecordingError(f"{where}: time_s is {time_s:.15g}, must be over {before} of the row before")
        rows.append(Row(time_s=time_s, values=values))
    if not any(row.values for row in rows):
        what = f"no value in any of {', '.join((*VITALS, *PRESSURES))}" if rows else "no rows"
        raise RecordingError(f"{path}: {what}; the columns are {', '.join(columns)}")
    unread = [column for column in columns if column not in RANGES and column != "time_s"]
    told = [f"{name}: {count}" for name, count in notes.items()]
    return Sheet(rows=rows, notes=(*told, *([f"columns not read: {', '.join(unread)}"] if unread else [])))


def _text(path: Path) -> str:
    raw = path.read_bytes()
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not text in UTF-8 (byte {error.start}); export it as CSV in UTF-8") from None
    if "\0" in text:
        raise RecordingError(f"{path}: not text: it holds zero bytes")
    return text


def _separator(path: Path, lines: list[str]) -> tuple[str, int]:
    """What separates cells, and how many lines stand before the names of the columns."""
    skip = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    if skip < len(lines) and (told := re.fullmatch(r"\s*sep=(.)\s*", lines[skip])):
        return told[1], skip + 1
    header = lines[skip] if skip < len(lines) else ""
    if not header:
        raise RecordingError(f"{path}: no rows: the file is empty")
    return max(";\t,", key=header.count), skip


def _columns(path: Path, header: list[str]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    while columns and not columns[-1]:
        columns.pop()
    if "time_s" not in columns:
        raise RecordingError(f"{path}: no column time_s; found {', '.join(columns) or 'nothing'}")
    for name in ("time_s", *RANGES):
        if columns.count(name) > 1:
            raise RecordingError(f"{path}: the column {name} stands twice")
    return columns


def _plain(cell: str, separator: str) -> str:
    cell = cell.strip()
    return re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", cell) if separator != "," else cell


def _seconds(where: str, text: str, cells: dict[str, str]) -> float:
    if not text:
        raise RecordingError(f"{where}: time_s is empty")
    if of_day := OF_DAY.fullmatch(text):
        return int(of_day[1]) * 3600 + int(of_day[2]) * 60 + float(of_day[3] or 0)
    if (number := _number(text)) is not None:
        return number
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise RecordingError(
            f"{where}: time_s is {text!r}, must be seconds, a time of day or an ISO date with a time"
        ) from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _values(where: str, cells: dict[str, str], notes: Counter[str]) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, (low, high) in RANGES.items():
        text = cells.get(name, "")
        if NOTHING.fullmatch(text):
            continue
        value = _number(text)
        if value is None:
            raise RecordingError(f"{where}: {name} is {text!r}, must be a number or empty")
        if value == 0:
            notes[f"zeros of {name}, read as no value"] += 1
        elif not low <= value <= high:
            raise RecordingError(
                f"{where}: {name} is {value:g}, allowed are {low:g} to {high:g}; leave the cell empty if there is none"
            )
        elif name == "spo2_pct" and value <= 1:
            raise RecordingError(f"{where}: spo2_pct is {value:g}, which looks like a fraction; percent is needed")
        else:
            values[name] = value
    return values


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _merged(where: str, row: Row, values: dict[str, float]) -> Row:
    for name in row.values.keys() & values.keys():
        if row.values[name] != values[name]:
            raise RecordingError(
                f"{where}: {name} is {values[name]:g}, and {row.values[name]:g} in another row of the same time_s"
                f" {row.time_s:.15g}"
            )
    return Row(time_s=row.time_s, values=row.values | values)
