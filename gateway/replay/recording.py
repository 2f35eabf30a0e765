"""Reads a recording: a CSV of any monitor, or the event log of a simulated stay.

    CSV     time_s, and of spo2_pct, pulse_bpm, sys_mmhg, dia_mmhg, map_mmhg those that there are; cells may be empty
    .jsonl  what `chairside sim record` writes: the board's own readings with their qualities

A row of a CSV stands for the time until the next row, for one and a half cadences at most: after that the monitor was
silent. A row whose saturation and pulse are empty is a reading without a value, not silence. A pressure that stays the
same from row to row is one measurement, unless rows are a minute apart or more.
"""

import csv
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

from gateway import wire
from gateway.core.chair_state import CuffRead, Happening, VitalsRead

CADENCE_S = (1.0, 300.0)
HELD_CADENCES = 1.5
PRESSURE_ROWS_APART_S = 60.0
VITALS = ("spo2_pct", "pulse_bpm")
PRESSURES = ("sys_mmhg", "dia_mmhg", "map_mmhg")
RANGES = dict.fromkeys(PRESSURES, (0.0, 400.0)) | {"spo2_pct": (0.0, 100.0), "pulse_bpm": (0.0, 300.0)}
BOOT = "0" * 16


class RecordingError(ValueError):
    """A recording that cannot be read: names the file, the line or column, what was found and what is needed."""


class Recording(Struct, frozen=True, kw_only=True):
    """Readings with their times in ms from the first; `measures` are those that it can tell anything about."""

    name: str
    events: list[tuple[int, Happening]]
    ends_ms: int
    began_s: float
    """The recording's own time of the first reading."""
    measures: frozenset[str]


class Row(Struct, frozen=True, kw_only=True):
    time_s: float
    values: dict[str, float]


def read(path: Path, cadence_s: float | None = None) -> Recording:
    """Raises RecordingError."""
    try:
        if path.suffix == ".jsonl":
            return _from_log(path)
        return _from_csv(path, cadence_s)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: {error}") from None


# ---- CSV --------------------------------------------------------------------------------------------------


def _from_csv(path: Path, cadence_s: float | None) -> Recording:
    rows = _rows(path)
    there = {name for row in rows for name in row.values}
    if not there:
        raise RecordingError(f"{path}: no value in any of {', '.join((*VITALS, *PRESSURES))}")
    cadence_s = cadence_s or _cadence_s(rows)
    low_s, high_s = CADENCE_S
    if not low_s <= cadence_s <= high_s:
        raise RecordingError(
            f"{path}: the cadence is {cadence_s:g} s, allowed are {low_s:g} to {high_s:g} s; see --cadence-s"
        )
    measures = set(there)
    if "spo2_pct" in there:
        measures.add("unwatched_s")
    if there & set(VITALS):
        measures |= {"vitals_age_s", "poor_signal"}
    began_s = rows[0].time_s
    held_s = HELD_CADENCES * cadence_s
    return Recording(
        name=path.name,
        events=sorted(
            itertools.chain(_vitals(rows, there, held_s), _pressures(rows)),
            key=lambda timed: timed[0],
        ),
        ends_ms=round((rows[-1].time_s - began_s + cadence_s) * 1000),
        began_s=began_s,
        measures=frozenset(measures),
    )


def _rows(path: Path) -> list[Row]:
    rows: list[Row] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if "time_s" not in columns:
            raise RecordingError(f"{path}: no column time_s; found {', '.join(columns) or 'nothing'}")
        for cells in reader:
            where = f"{path} line {reader.line_num}"
            time_s = _number(where, "time_s", cells["time_s"])
            if time_s is None:
                raise RecordingError(f"{where}: time_s is empty")
            if rows and time_s <= rows[-1].time_s:
                raise RecordingError(
                    f"{where}: time_s is {time_s:g}, must be over {rows[-1].time_s:g} of the row before"
                )
            values: dict[str, float] = {}
            for name, (low, high) in RANGES.items():
                value = _number(where, name, cells.get(name))
                if value is None:
                    continue
                if not low <= value <= high:
                    raise RecordingError(f"{where}: {name} is {value:g}, allowed are {low:g} to {high:g}")
                values[name] = value
            rows.append(Row(time_s=time_s, values=values))
    if not rows:
        raise RecordingError(f"{path}: no rows")
    return rows


def _number(where: str, name: str, cell: str | None) -> float | None:
    text = (cell or "").strip()
    if not text or text.lower() == "nan":
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RecordingError(f"{where}: {name} is {text!r}, must be a number or empty")
    return number


def _cadence_s(rows: list[Row]) -> float:
    """What most rows are apart; the finest that a display has, for a single row."""
    apart_s = [later.time_s - row.time_s for row, later in itertools.pairwise(rows)]
    return max(CADENCE_S[0], median(apart_s)) if apart_s else CADENCE_S[0]


def _vitals(rows: list[Row], there: set[str], held_s: float) -> Iterator[tuple[int, Happening]]:
    """One reading a second while a row stands, as a board would send it."""
    if not there & set(VITALS):
        return
    began_s = rows[0].time_s
    seq = 0
    for row, later in itertools.zip_longest(rows, rows[1:]):
        until_s = row.time_s + held_s if later is None else min(later.time_s, row.time_s + held_s)
        values: dict[str, Any] = {name: row.values[name] for name in VITALS if name in row.values}
        for second in range(math.ceil(until_s - row.time_s)):
            at_ms = round((row.time_s - began_s + second) * 1000)
            seq += 1
            record = wire.Vitals(
                boot=BOOT, seq=seq, base=seq, up_ms=at_ms,
                quality="good" if values else "sensor_fault", sqi_pct=100 if values else 0, **values,
            )  # fmt: skip
            yield at_ms, VitalsRead(record=record, at_mono_ms=at_ms, delay_ms=0)


def _pressures(rows: list[Row]) -> Iterator[tuple[int, Happening]]:
    began_s = rows[0].time_s
    before: dict[str, Any] = {}
    before_s = -math.inf
    seq = 1 << 40  # apart from those of the vitals
    for row in rows:
        values: dict[str, Any] = {name: row.values[name] for name in PRESSURES if name in row.values}
        apart_s, before_s = row.time_s - before_s, row.time_s
        if values and (values != before or apart_s >= PRESSURE_ROWS_APART_S):
            at_ms = round((row.time_s - began_s) * 1000)
            seq += 1
            record = wire.Cuff(
                boot=BOOT, seq=seq, base=seq, up_ms=at_ms, quality="good", trigger="schedule", **values
            )  # fmt: skip
            yield at_ms, CuffRead(record=record, at_mono_ms=at_ms, delay_ms=0)
        before = values


# ---- the log of a simulated stay --------------------------------------------------------------------------


def _from_log(path: Path) -> Recording:
    events: list[tuple[int, Happening]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError("not an object")
            happening = _happening(entry)
        except (ValueError, KeyError, msgspec.ValidationError) as error:
            raise RecordingError(f"{path} line {number}: not a line of a simulated stay: {error}") from None
        if happening is not None:
            events.append(happening)
    if not events:
        raise RecordingError(f"{path}: holds no vitals and no cuff measurement")
    # A reading that was resent came late, and the log has it where it came; here each counts at its own time.
    events.sort(key=lambda timed: timed[0])
    first_ms = events[0][0]
    return Recording(
        name=path.name,
        events=[(at_ms - first_ms, _moved(happening, first_ms)) for at_ms, happening in events],
        ends_ms=events[-1][0] - first_ms + 1000,
        began_s=first_ms / 1000,
        measures=frozenset(
            (*VITALS, *PRESSURES, "below_range", "above_range", "cuff_failures", "vitals_age_s", "unwatched_s")
        ) | {"finger_off", "poor_signal"},
    )  # fmt: skip


def _happening(entry: dict[str, Any]) -> tuple[int, Happening] | None:
    kind = entry.get("kind")
    if kind not in ("vitals", "cuff") or entry.get("late"):
        return None
    at_ms = int(entry["at_ms"]) - int(entry.get("age_ms", 0))
    record: dict[str, Any] = {"v": 1, "boot": BOOT, "base": 1, "up_ms": max(0, at_ms)}
    fields = {name: value for name, value in entry.items() if name not in ("kind", "at_ms", "age_ms")}
    if kind == "vitals":
        vitals = msgspec.convert({"sqi_pct": 100} | record | fields, wire.Vitals)
        return at_ms, VitalsRead(record=vitals, at_mono_ms=at_ms, delay_ms=0)
    cuff = msgspec.convert(record | fields, wire.Cuff)
    return at_ms, CuffRead(record=cuff, at_mono_ms=at_ms, delay_ms=0)


def _moved(happening: Happening, by_ms: int) -> Happening:
    assert isinstance(happening, VitalsRead | CuffRead)
    return msgspec.structs.replace(happening, at_mono_ms=happening.at_mono_ms - by_ms)
