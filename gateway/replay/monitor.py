"""The rows of a monitor as readings of a board: one a second, each for as long as it may stand.

A row stands until the next, for one and a half cadences at most: after that the monitor was silent. A row without a
saturation and a pulse is a reading without a value, not silence. A column that has a value only every few rows has its
own cadence. A row of pressures alone, between two others, is a measurement and takes nothing away. A pressure that
stays the same from row to row is one measurement, unless rows are a minute apart or more.
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from gateway import wire
from gateway.core.chair_state import CuffRead, VitalsRead
from gateway.replay import monitor_csv
from gateway.replay.monitor_csv import PRESSURES, VITALS, Row
from gateway.replay.recording import Ended, Recording, RecordingError, Timed

CADENCE_S = (1.0, 300.0)
HELD_CADENCES = 1.5
PRESSURE_ROWS_APART_S = 60.0
BOOT = "0" * 16
FOLLOWS = {
    "spo2_pct": ("unwatched_s", "spo2_fall_pct"),
    "pulse_bpm": ("pulse_fall_bpm", "pulse_rise_bpm"),
}
"""What can be told of a column beside its own value."""


def read(path: Path, cadence_s: float | None) -> Recording:
    """Raises RecordingError, OSError."""
    sheet = monitor_csv.read(path)
    rows = sheet.rows
    declared, cadence_s = cadence_s is not None, cadence_s or _cadence_s([row.time_s for row in rows])
    low_s, high_s = CADENCE_S
    if not low_s <= cadence_s <= high_s:
        raise RecordingError(
            f"{path}: the cadence is {cadence_s:g} s, allowed are {low_s:g} to {high_s:g} s; see --cadence-s"
        )
    there = {name for row in rows for name in row.values}
    own_s = {name: cadence_s if declared else _own_cadence_s(rows, name, cadence_s) for name in there}
    measures = there.union(*(FOLLOWS.get(name, ()) for name in there))
    if there & set(VITALS):
        measures |= {"vitals_age_s", "poor_signal"}
    began_s = rows[0].time_s
    ends_ms = round((rows[-1].time_s - began_s + cadence_s) * 1000)
    events: list[Timed] = [*_vitals(rows, cadence_s, own_s, declared), *_pressures(rows)]
    return Recording(
        name=path.name,
        events=[*sorted(events, key=lambda timed: timed[0]), (ends_ms, Ended())],
        zero_ms=round(-began_s * 1000),
        from_ms=0,
        measures=frozenset(measures),
        notes=(*sheet.notes, *_stands(own_s, cadence_s)),
    )


def _cadence_s(times_s: list[float]) -> float:
    """What most are apart; the finest that a display has, for a single one."""
    apart_s = [later - before for before, later in itertools.pairwise(times_s)]
    return max(CADENCE_S[0], median(apart_s)) if apart_s else CADENCE_S[0]


def _own_cadence_s(rows: list[Row], name: str, cadence_s: float) -> float:
    return min(CADENCE_S[1], max(cadence_s, _cadence_s([row.time_s for row in rows if name in row.values])))


def _is_sparse(own_s: float, cadence_s: float) -> bool:
    return own_s > HELD_CADENCES * cadence_s


def _stands(own_s: dict[str, float], cadence_s: float) -> list[str]:
    sparse = [name for name in VITALS if name in own_s and _is_sparse(own_s[name], cadence_s)]
    return [f"{name} has a value every {own_s[name]:g} s, each stands until the next" for name in sparse]


def _vitals(rows: list[Row], cadence_s: float, own_s: dict[str, float], declared: bool) -> Iterator[Timed]:
    """One reading a second while a row stands, as a board would send it."""
    names = [name for name in VITALS if name in own_s]
    if not names:
        return
    sparse = [name for name in names if declared or _is_sparse(own_s[name], cadence_s)]
    last: dict[str, tuple[float, float]] = {}
    seq = 0
    kept = _of_vitals(rows, cadence_s)
    for row, later in itertools.zip_longest(kept, kept[1:]):
        stands_s = row.time_s + HELD_CADENCES * cadence_s
        until_s = stands_s if later is None else min(later.time_s, stands_s)
        last |= {name: (row.time_s, row.values[name]) for name in names if name in row.values}
        for second in range(max(1, math.ceil(until_s - row.time_s))):
            at_s = row.time_s + second
            values: dict[str, Any] = {name: row.values[name] for name in names if name in row.values}
            for name in sparse:
                if name in last and at_s - last[name][0] <= HELD_CADENCES * own_s[name]:
                    values[name] = last[name][1]
            at_ms = round((at_s - rows[0].time_s) * 1000)
            seq += 1
            record = wire.Vitals(
                boot=BOOT, seq=seq, base=seq, up_ms=at_ms,
                quality="good" if values else "sensor_fault", sqi_pct=100 if values else 0, **values,
            )  # fmt: skip
            yield at_ms, VitalsRead(record=record, at_mono_ms=at_ms, delay_ms=0)


def _of_vitals(rows: list[Row], cadence_s: float) -> list[Row]:
    """Without the rows of a measurement that came in between."""
    kept: list[Row] = []
    for row in rows:
        between = bool(kept) and row.time_s - kept[-1].time_s < 0.75 * cadence_s
        if not (between and row.values and not row.values.keys() & set(VITALS)):
            kept.append(row)
    return kept


def _pressures(rows: list[Row]) -> Iterator[Timed]:
    before: dict[str, Any] = {}
    before_s = -math.inf
    seq = 1 << 40  # apart from those of the vitals
    for row in rows:
        values: dict[str, Any] = {name: row.values[name] for name in PRESSURES if name in row.values}
        apart_s, before_s = row.time_s - before_s, row.time_s
        if values and (values != before or apart_s >= PRESSURE_ROWS_APART_S):
            at_ms = round((row.time_s - rows[0].time_s) * 1000)
            seq += 1
            record = wire.Cuff(
                boot=BOOT, seq=seq, base=seq, up_ms=at_ms, quality="good", trigger="schedule", **values
            )  # fmt: skip
            yield at_ms, CuffRead(record=record, at_mono_ms=at_ms, delay_ms=0)
        before = values
