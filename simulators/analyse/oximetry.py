"""A recording of red and infrared as the board's converter would have given it, and the firmware's readings of it.

Why the answer is the firmware's. Saturation needs the ratio of ratios and the perfusion index: both are quotients of
pulse to steady light, so that one factor, the same for both colours and the whole recording, changes neither. The
factor brings the light to where the board's LED current brings it. The grid of 100 samples/s holds all that the
firmware looks at (0.5-6 Hz). What the recording's converter clipped is handed on as clipped, and where samples are
missing the firmware is told how many.

What no factor can give back is the steady light of a recording that was AC-coupled or shifted: then there is no
perfusion index and no ratio, and only the pulse rate is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.analyse import micropython
from simulators.analyse.recording import Recording, RecordingError, Samples
from simulators.analyse.resample import resample

RATE_HZ = 100
COUNTS_MAX = 262143  # the board's converter: 18 bit
LEVEL_RAW = 100_000.0  # where the LED current puts the infrared of a finger
LEVELS_LIKE_OURS_RAW = (30_000.0, 200_000.0)
HIGHEST_RAW = 250_000.0
LOST_MAX = 31  # where the chip's counter of lost samples ends
SWING_MAX = 0.25  # of the level: no finger pulses by more than a fifth of its light
ANY_RATIO = 0.6
SWING_AC = 0.02  # what an AC-coupled pulse is drawn up to, so that its rate can be found
FULL_SCALES = {2**bits - 1 for bits in range(8, 33)}  # unsigned, and signed with a bit less
CLIPPED_MIN = 3  # samples: a light that only just reached the end once is not cut
FLAT_S = 0.1
EDGE = 10  # samples over which an edge is measured: 0.1 s
SECONDS_MIN = 2


@dataclass(frozen=True)
class Light:
    """Counts for the firmware, 100 a second; `there` is false where no sample was taken."""

    red: NDArray[np.int32]
    ir: NDArray[np.int32]
    there: NDArray[np.bool_]
    refused: str  # "", or why there is no saturation: one_colour, ac_coupled (then no perfusion index either)
    notes: list[str]


def condition(recording: Recording, red: str, ir: str) -> Light:
    """The recording as the board's converter would have given it. Raises RecordingError."""
    columns, there = resample(recording, RATE_HZ)
    seconds = np.count_nonzero(there) / RATE_HZ
    if seconds < SECONDS_MIN:
        raise RecordingError(f"there are samples for {seconds:.1f} s; the first value needs some 8 s")
    for name, samples in recording.columns.items():
        if np.ptp(samples) == 0:
            raise RecordingError(f"column {name!r} is {samples[0]:g} throughout; a finger's light never stands still")
    notes = list(recording.notes)
    red_light, ir_light, refused = _light(columns[red][there], columns[ir][there], red == ir, notes)
    factor = _factor(red_light, ir_light)
    if factor != 1.0 and refused != "ac_coupled":
        notes.append(f"both colours times {factor:.4g}")
    clipped = {name: _clipped(recording, name)[: len(there)] for name in recording.columns}
    for name, where in clipped.items():
        if where.any():
            notes.append(f"column {name!r} is clipped for {np.count_nonzero(where) / RATE_HZ:.1f} s")
    holes = _holes(there)
    if len(holes):
        notes.append(f"{len(holes)} holes, {np.count_nonzero(~there) / RATE_HZ:.1f} s without samples")
    return Light(
        _counts(red_light * factor, there, clipped[red]),
        _counts(ir_light * factor, there, clipped[ir]),
        there,
        refused,
        notes,
    )


def _light(red: Samples, ir: Samples, one_colour: bool, notes: list[str]) -> tuple[Samples, Samples, str]:
    """Red and infrared on a level, and what has to be refused because it is not their own."""
    if np.median(red) < 0 and np.median(ir) < 0:
        notes.append("all light is negative: taken with the other sign")
        red, ir = -red, -ir
    refused = ""
    if one_colour:
        refused = "one_colour"
        notes.append("red and infrared are one column: no ratio, no saturation")
    if any(level <= 0 or _pulsation(x) > SWING_MAX * level for x, level in ((red, _level(red)), (ir, _level(ir)))):
        refused = "ac_coupled"
        notes.append("AC-coupled or shifted (the pulse is too large for its level): only the pulse is told")
        turned = -1.0 if _rises_steepest(ir) else 1.0
        red, ir = _with_level(turned * red), _with_level(turned * ir)
    if refused:
        # The firmware is to judge the pulse, and not to stumble over a ratio that has no meaning.
        red = _level(red) * (np.maximum(red, 1e-9) / _level(red)) ** ANY_RATIO
    return red, ir, refused


def _counts(samples: Samples, there: NDArray[np.bool_], clipped: NDArray[np.bool_]) -> NDArray[np.int32]:
    whole = np.full(len(there), -1, np.int32)
    whole[there] = np.clip(np.round(samples), 0, COUNTS_MAX - 1)
    whole[there & clipped] = COUNTS_MAX
    return whole


def readings(light: Light, calibration: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One reading for each second, by the firmware; every key each time, None where there is no value."""
    pairs = np.column_stack([light.red, light.ir]).astype("<i4")
    pairs[~light.there] = (-1, 0)
    for begin, length in _holes(light.there):
        pairs[begin, 1] = length
    for second, said in enumerate(micropython.run(micropython.OXIMETRY, pairs.tobytes(), calibration), start=1):
        found = said
        reason = None if found["quality"] == "good" else found["quality"]
        if light.refused:
            kept = ("pi_pct", "pulse_bpm", "resp_bpm", "sqi_pct")[light.refused == "ac_coupled" :]
            found = {name: found.get(name) for name in kept}
            reason = reason or light.refused
        yield {
            "t_s": second,
            "spo2_pct": found.get("spo2_pct"),
            "pulse_bpm": found.get("pulse_bpm"),
            "pi_pct": found.get("pi_pct"),
            "resp_bpm": found.get("resp_bpm"),
            "ratio": found.get("ratio"),
            "quality": found["sqi_pct"],
            "reason": reason,
        }


def _pulsation(samples: Samples) -> float:
    """Usual peak to trough of 2 s."""
    pieces = samples[: len(samples) // (2 * RATE_HZ) * 2 * RATE_HZ].reshape(-1, 2 * RATE_HZ)
    return float(np.median(np.percentile(pieces, 97, axis=1) - np.percentile(pieces, 3, axis=1)))


def _level(samples: Samples) -> float:
    """Median of the lit part: what lies under half of the brightest is a probe without a finger."""
    lit = samples[samples > np.percentile(samples, 95) / 2]
    return float(np.median(lit)) if len(lit) else 0.0


def _with_level(samples: Samples) -> Samples:
    """A pulse of the usual size on a level of its own."""
    waves = (samples - np.median(samples)) / max(_pulsation(samples), 1e-12)
    return np.asarray(LEVEL_RAW * np.exp(np.clip(SWING_AC * waves, -0.5, 0.5)))


def _rises_steepest(samples: Samples) -> bool:
    """Whether the wave stands on its head: what blood does to light in one beat begins with the steepest fall."""
    steps = samples[EDGE:] - samples[:-EDGE]
    falls, rises = np.percentile(steps, [1, 99])
    return bool(rises > -falls)


def _factor(red: Samples, ir: Samples) -> float:
    """One for both colours; 1 where the counts are already like the board's."""
    level = _level(ir)
    low, high = LEVELS_LIKE_OURS_RAW
    highest = float(max(np.percentile(red, 99), np.percentile(ir, 99)))
    if low <= level <= high and highest < COUNTS_MAX:
        return 1.0
    return float(min(LEVEL_RAW / level, HIGHEST_RAW / highest))


def _clipped(recording: Recording, name: str) -> NDArray[np.bool_]:
    """Grid points beside samples at the end of their converter: a full-scale code, or a summit flat for 100 ms."""
    samples = recording.columns[name]
    highest = float(np.max(samples))
    at_end = samples == highest
    if np.count_nonzero(at_end) < CLIPPED_MIN:
        at_end[:] = False
    if highest not in FULL_SCALES:
        steps = np.abs(np.diff(samples))
        fine = np.ptp(samples) > 200 * float(np.min(steps[steps > 0], initial=np.inf))
        flat = max(3, round(FLAT_S * recording.rate_hz))
        runs = np.convolve(at_end, np.ones(flat), "same") >= flat - 0.5
        at_end &= fine & np.convolve(runs, np.ones(flat), "same").astype(bool)
    points = np.zeros(int((recording.t_s[-1] + 1 / recording.rate_hz) * RATE_HZ) + 2, np.bool_)
    places = recording.t_s[at_end] * RATE_HZ
    points[np.floor(places).astype(int)] = True
    points[np.ceil(places).astype(int)] = True
    return points


def _holes(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(begin, length) of each stretch without samples; one longer than the chip can count is `LOST_MAX` long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], there, [True]]).astype(np.int8)))
    begin, end = edges[::2], edges[1::2]
    return np.column_stack([begin, np.minimum(end - begin, LOST_MAX)]).astype(np.int64)
