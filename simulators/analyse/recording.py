"""A recording out of a text table (CSV): times and the columns that were asked for, as they are in the file.

Comma, semicolon or tab between cells; a decimal comma where the comma does not separate; UTF-8 with or without its
mark, UTF-16, Latin-1; lines above the header and one line of units below it are passed over. A file without header has
its columns by number, from 1. An empty cell, `nan`, `-`, `null` is a sample that is missing; other words are an error.

Time is in s, ms, us or ns, a clock (1:02:03.5) or a date. The unit need not be told: rates of 20 to 1000 samples/s
span a factor of 50, the units one of 1000, so that only one of them fits.
"""

from __future__ import annotations

import csv
import io
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

RATE_HZ_MIN, RATE_HZ_MAX = 20.0, 1000.0
RATE_MARGIN = 1.05
BYTES_MAX = 2_000_000_000
HEADER_LINES_MAX = 100
SEPARATORS = ("\t", ";", ",")
MISSING = {"", "nan", "na", "n/a", "null", "none", "-", "--", "inf", "-inf", "+inf"}
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
STEPS_HOLE = 1.5  # of the usual step: from here on a sample is missing; more where the steps vary by themselves
STEPS_HOLE_MAX = 3.5


class RecordingError(ValueError):
    """The file cannot be used; one sentence with file, column, what was found and what is allowed."""


@dataclass(frozen=True)
class Recording:
    """`t_s` rises from 0; a step of more than `hole_s` is a hole where samples are missing."""

    t_s: Samples
    columns: dict[str, Samples]
    rate_hz: float
    hole_s: float
    notes: list[str] = field(default_factory=list)

    def segments(self) -> list[slice]:
        """The stretches without a hole."""
        breaks = np.flatnonzero(np.diff(self.t_s) > self.hole_s) + 1
        edges = [0, *(int(at) for at in breaks), len(self.t_s)]
        return [slice(begin, end) for begin, end in pairwise(edges)]


def read(path: Path, columns: Sequence[str], time: str | None, rate_hz: float | None) -> Recording:
    """The recording; either `time` (a column) or `rate_hz` tells when its samples were taken. Raises RecordingError."""
    if rate_hz is not None and not RATE_HZ_MIN <= rate_hz <= RATE_HZ_MAX:
        raise RecordingError(f"--rate-hz is {rate_hz:g}; allowed are {RATE_HZ_MIN:g} to {RATE_HZ_MAX:g} samples/s")
    lines = _text(path).splitlines()
    wanted = [*dict.fromkeys(columns), *([time] if time else [])]
    header, separator, places = _header(path, lines, wanted)
    table = _table(path, lines, header, separator, {name: places[name] for name in wanted}, time)
    values = {name: np.frombuffer(table[name]) for name in columns}
    for name, samples in values.items():
        if not np.isfinite(samples).any():
            raise RecordingError(f"{path}: column {name!r} holds no number")
    notes: list[str] = []
    if rate_hz is not None:
        t_s = np.arange(len(next(iter(values.values())))) / rate_hz
    else:
        stamps = np.frombuffer(table[str(time)])
        t_s, notes = _times(path, str(time), stamps, dated=bool(table["dated"]))
    there = np.all([np.isfinite(samples) for samples in values.values()], axis=0)
    if np.count_nonzero(there) < 2:
        raise RecordingError(f"{path}: no two lines have a number in each of {', '.join(values)}")
    missing = int(len(there) - np.count_nonzero(there))
    if missing:
        notes.append(f"{missing} lines without a number in each column, left out")
    t_s = t_s[there] - t_s[there][0]
    values = {name: samples[there] for name, samples in values.items()}
    rate, hole_s = _pace(t_s)
    return Recording(t_s, values, rate_hz or rate, hole_s, notes)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > BYTES_MAX:
            raise RecordingError(f"{path} has over {BYTES_MAX / 1e9:g} GB; cut it")
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if "\0" in text:
        raise RecordingError(f"{path} is not a text table; export the recording as CSV")
    if not text.strip():
        raise RecordingError(f"{path} is empty")
    return text


def _cells(line: str, separator: str) -> list[str]:
    row: list[str] = next(csv.reader([line], delimiter=separator), [])
    return [cell.strip(" \t'\"") for cell in row]


def _header(path: Path, lines: list[str], wanted: list[str]) -> tuple[int, str, dict[str, int]]:
    """(lines up to the first sample, separator, where each wanted column stands)."""
    most: tuple[list[str], str] = ([], ",")
    for number, line in enumerate(lines[:HEADER_LINES_MAX]):
        for separator in SEPARATORS:
            cells = _cells(line, separator)
            if all(name in cells for name in wanted):
                for name in wanted:
                    if cells.count(name) > 1:
                        raise RecordingError(f"{path} has {cells.count(name)} columns {name!r}; name them apart")
                return number + 1, separator, {name: cells.index(name) for name in wanted}
            if len(cells) > max(len(most[0]), 1):
                most = (cells, separator)
    cells, separator = most if most[0] else ([lines[0].strip()], ",")
    numbers = [number for number, line in enumerate(lines[:HEADER_LINES_MAX]) if _is_samples(line, separator)]
    named = all(name.isdecimal() for name in wanted)
    if numbers and named and all(1 <= int(name) <= len(_cells(lines[numbers[0]], separator)) for name in wanted):
        return numbers[0], separator, {name: int(name) - 1 for name in wanted}
    missing = [name for name in wanted if name not in cells]
    if cells and _is_samples(separator.join(cells), separator):
        raise RecordingError(
            f"{path} has no header with {', '.join(map(repr, missing))}; name its columns by number, 1 to {len(cells)}"
        )
    raise RecordingError(f"{path} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, cells))}")


def _is_samples(line: str, separator: str) -> bool:
    """Whether a line without header holds numbers only."""
    cells = _cells(line, separator)
    try:
        return bool(cells) and all(math.isfinite(_number(cell, separator)) or cell == "" for cell in cells)
    except ValueError:
        return False


def _number(cell: str, separator: str) -> float:
    """NaN for a missing sample; ValueError for a word."""
    if cell.lower() in MISSING:
        return math.nan
    return float(cell.replace(",", ".") if separator != "," else cell)


def _moment(cell: str, separator: str) -> float:
    """Seconds of a clock or a date; ValueError for a word."""
    hours, _, rest = cell.rpartition(" ")[2].partition(":")
    if hours.isdecimal() and ":" in rest and "-" not in cell:
        minutes, _, seconds = rest.partition(":")
        return int(hours) * 3600 + int(minutes) * 60 + _number(seconds, separator)
    moment = datetime.fromisoformat(cell)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _table(
    path: Path, lines: list[str], header: int, separator: str, places: dict[str, int], time: str | None
) -> dict[str, array[float]]:
    """The samples of each column, and whether time is a clock or a date (`dated`)."""
    table = {name: array("d") for name in places}
    dated = False
    reader = csv.reader(io.StringIO("\n".join(lines[header:])), delimiter=separator)
    needed = max(places.values())
    for number, row in enumerate(reader, start=header + 1):
        if not any(row):
            continue
        row.extend([""] * (needed + 1 - len(row)))
        found: dict[str, float] = {}
        wrong = ""
        for name, place in places.items():
            cell = row[place].strip(" \t'\"")
            try:
                found[name] = _number(cell, separator)
            except ValueError:
                try:
                    found[name] = _moment(cell, separator) if name == time else math.nan
                    dated = dated or name == time
                    wrong = wrong or ("" if name == time else f"{cell!r} in column {name!r}")
                except ValueError:
                    wrong = f"{cell!r} in column {name!r}"
        if wrong:
            if number == header + 1 and not any(math.isfinite(value) for value in found.values()):
                continue  # a line of units
            raise RecordingError(f"{path} line {number}: {wrong} is no number; leave it empty if nothing was measured")
        if time is not None and not math.isfinite(found[time]):
            continue  # nobody knows when
        for name, value in found.items():
            table[name].append(value if math.isfinite(value) else math.nan)
    if not table[next(iter(places))]:
        raise RecordingError(f"{path} has a header but no samples")
    table["dated"] = array("d", [1.0] if dated else [])
    return table


def _times(path: Path, name: str, stamps: Samples, *, dated: bool) -> tuple[Samples, list[str]]:
    """Seconds, strictly rising, out of what the column says."""
    steps = np.diff(stamps)
    back = np.flatnonzero(steps < 0)
    if len(back):
        at = int(back[0])
        raise RecordingError(
            f"{path}: column {name!r} goes back, from {stamps[at]:.10g} to {stamps[at + 1]:.10g} at sample {at + 2}; "
            "the lines must be in the order of time"
        )
    if not np.any(steps > 0):
        raise RecordingError(f"{path}: column {name!r} never moves; give --rate-hz instead")
    # Where several samples share a stamp, the clock is coarser than they are.
    step = float(np.median(steps[steps > 0])) * np.count_nonzero(steps) / len(steps)
    fits = {
        unit: size
        for unit, size in ({"s": 1.0} if dated else UNITS).items()
        if RATE_HZ_MIN / RATE_MARGIN <= 1 / (step * size) <= RATE_HZ_MAX * RATE_MARGIN
    }
    if not fits:
        raise RecordingError(
            f"{path}: column {name!r} rises by {step:.4g} from line to line, {1 / step:.4g} samples/s if these are "
            f"seconds; allowed are {RATE_HZ_MIN:g} to {RATE_HZ_MAX:g} samples/s, in s, ms, us or ns"
        )
    (unit, size), *_ = fits.items()
    t_s = (stamps - stamps[0]) * size
    notes = [] if unit == "s" else [f"column {name!r} is in {unit}"]
    shared = int(np.count_nonzero(steps == 0))
    if shared:
        t_s = _spread(t_s)
        notes.append(f"{shared} samples share the time of the one before; evened out")
    return t_s, notes


def _spread(t_s: Samples) -> Samples:
    """Times of a clock that is coarser than the samples: evened out over a second, stretch by stretch."""
    tick = float(np.median(np.diff(np.unique(t_s))))
    spread = t_s.copy()
    edges = [0, *(np.flatnonzero(np.diff(t_s) > STEPS_HOLE_MAX * tick) + 1), len(t_s)]
    for begin, end in pairwise(edges):
        part = t_s[begin:end]
        if len(part) < 3:
            continue
        places = np.arange(len(part), dtype=float)
        line = np.polyval(np.polyfit(places, part, 1), places)
        beside = moving_mean(part - line, round(max(1.0, 4 * tick) * len(part) / (part[-1] - part[0] + tick)))
        spread[begin:end] = line + beside
    return np.maximum.accumulate(spread + 1e-9 * np.arange(len(spread)))


def moving_mean(x: Samples, samples: int) -> Samples:
    """Mean over `samples` around each one, over fewer at the ends."""
    half = max(1, samples // 2)
    sums = np.concatenate([[0.0], np.cumsum(x)])
    places = np.arange(len(x))
    begin, end = np.maximum(places - half, 0), np.minimum(places + half + 1, len(x))
    return np.asarray((sums[end] - sums[begin]) / (end - begin))


def bridged(x: Samples) -> Samples:
    """With straight lines over what is NaN: to find one's way in, never to read from."""
    places, there = np.arange(len(x)), np.isfinite(x)
    return np.asarray(np.interp(places, places[there], x[there])) if there.any() else np.zeros(len(x))


def _pace(t_s: Samples) -> tuple[float, float]:
    """(samples/s, step from which on samples are missing)."""
    steps = np.diff(t_s)
    usual = float(np.median(steps))
    vary = 1.5 * float(np.median(np.abs(steps - usual))) / usual
    close = steps[steps < STEPS_HOLE_MAX * usual]
    return 1 / float(np.mean(close)), usual * min(STEPS_HOLE + 4 * vary, STEPS_HOLE_MAX)
