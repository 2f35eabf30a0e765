"""A recorded cuff pressure: where in it the deflation is, and what the firmware's oscillometry makes of that.

A deflation begins where the pressure has turned from rising to falling and ends where it rises again (the bulb was
squeezed once more), falls faster than any bleed valve lets it (the dump), reaches the floor, or the recording ends.
Where there are several, the one that covers most pressure is taken; if it has no values, the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulators.analyse import micropython
from simulators.analyse.recording import Recording, RecordingError, Samples, bridged, moving_mean
from simulators.analyse.resample import resample

RATE_HZ = 50  # the cuff's supervisor reads the sensor each 20 ms
SLOW_S = 1.0  # over which the beats are averaged away
RISE_MMHG = 8.0  # more than beats leave in the slow pressure: somebody pumps
SPAN_MMHG_MIN = 25.0
HIGHEST_MMHG = (40.0, 400.0)
FLOOR_MMHG = 20.0
DUMP_MMHG_PER_S = 16.0
DUMP_S = 1.6
DUMP_SHARE = 0.25  # of the pressure, in that time: a valve lets more go where it is higher
TURN_S = 0.4  # the corner where pumping ends
ZERO_MMHG_MAX = 10.0  # beyond it the cuff was not empty, or nobody knows
ZERO_QUIET_MMHG = 0.7
ZERO_S = 1.0
TRIED_MAX = 4
HOLE_S_MAX = 1.5  # more than a beat; the board itself gives up after 150 ms


@dataclass(frozen=True)
class Pressure:
    """Pressure each 20 ms, zero taken off; NaN where no sample was taken. `deflations` are index ranges, best first."""

    mmhg: Samples
    deflations: list[tuple[int, int]]
    notes: list[str]


@dataclass(frozen=True)
class Measurement:
    """What the firmware says of the samples from `begin` to `end`."""

    begin: int
    end: int
    said: dict[str, Any]

    def result(self) -> dict[str, Any]:
        """Every key each time, None where there is no value."""
        reason = self.said.get("reason")
        keys = ("sys_mmhg", "dia_mmhg", "map_mmhg", "pulse_bpm")
        values = {key: self.said.get(key) if reason is None else None for key in keys}
        return values | {"quality": self.said.get("sqi_pct", 0), "reason": reason}


def condition(recording: Recording, name: str) -> Pressure:
    """The recording on the firmware's grid, and the deflations in it. Raises RecordingError."""
    columns, there = resample(recording, RATE_HZ)
    notes = list(recording.notes)
    mmhg = columns[name]
    whole = bridged(mmhg)
    zero = _zero(mmhg)
    if abs(zero) >= 0.1:
        notes.append(f"zero is {zero:.1f} mmHg, taken off")
    highest = float(np.nanmax(mmhg)) - zero
    low, high = HIGHEST_MMHG
    if not low <= highest <= high:
        raise RecordingError(
            f"column {name!r} reaches {round(highest, 2):g}; a cuff in mmHg reaches {low:g} to {high:g}; 1 kPa is 7.5"
        )
    mmhg, whole = mmhg - zero, whole - zero
    slow = moving_mean(whole, round(SLOW_S * RATE_HZ))
    deflations = _deflations(whole, slow)
    if not deflations:
        raise RecordingError(
            f"column {name!r} has no deflation: nowhere does it fall by {SPAN_MMHG_MIN:g} mmHg at less than "
            f"{DUMP_MMHG_PER_S:g} mmHg/s"
        )
    if len(deflations) > 1:
        notes.append(f"{len(deflations)} deflations, the one that covers most is taken")
    if not there.all():
        notes.append(f"{np.count_nonzero(~there) / RATE_HZ:.1f} s without samples")
    return Pressure(mmhg, deflations, notes)


def measure(pressure: Pressure, ratios: list[float] | None) -> Measurement:
    """The firmware's answer to the first deflation that has one, or to the one that covers most why it has none.

    `ratios` (systolic, diastolic) are a board's; None: those that it starts from.
    """
    tried = []
    for begin, end in pressure.deflations[:TRIED_MAX]:
        samples = pressure.mmhg[begin:end]
        (said,) = micropython.run(micropython.CUFF, samples.astype("<f4").tobytes(), ratios)
        if _longest_hole_s(samples) > HOLE_S_MAX:
            said = {"reason": "sensor_silent", "envelope": said.get("envelope", [])}
        tried.append(Measurement(begin, end, said))
        if "reason" not in said:
            return tried[-1]
    return tried[0]


def _longest_hole_s(mmhg: Samples) -> float:
    there = np.flatnonzero(np.isfinite(mmhg))
    return float(np.max(np.diff(there), initial=1) - 1) / RATE_HZ


def _zero(mmhg: Samples) -> float:
    """What the sensor says of an empty cuff: the lowest stretch that stays still for a second, if it is near zero."""
    count = round(ZERO_S * RATE_HZ)
    if len(mmhg) < count:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(mmhg, count)[:: count // 4]
    quiet = np.ptp(windows, axis=1) <= ZERO_QUIET_MMHG  # never with a NaN in it
    lowest = float(np.min(np.mean(windows[quiet], axis=1), initial=np.inf))
    return lowest if abs(lowest) <= ZERO_MMHG_MAX else 0.0


def _deflations(mmhg: Samples, slow: Samples) -> list[tuple[int, int]]:
    """Ranges of falling pressure, the one that covers most first."""
    turn = round(TURN_S * RATE_HZ)
    slope = np.gradient(moving_mean(slow, turn)) * RATE_HZ
    found = []
    for top, bottom in _falls(slow):
        begin = top
        while begin < bottom and slope[begin] > -0.3:
            begin += 1
        fast = slope < -DUMP_MMHG_PER_S
        # The first moments after pumping may be fast: the bladder settles.
        while begin < bottom and fast[begin : begin + turn].any():
            begin += 1
        floor = np.flatnonzero(slow[begin:bottom] < FLOOR_MMHG)
        end = _dump(mmhg, begin, begin + int(floor[0]) if len(floor) else bottom)
        if end > begin and mmhg[begin] - mmhg[end - 1] >= SPAN_MMHG_MIN:
            found.append((begin, end))
    return sorted(found, key=lambda fall: mmhg[fall[1] - 1] - mmhg[fall[0]])


def _dump(mmhg: Samples, begin: int, end: int) -> int:
    """Where the valve is opened, or `end`: from there the pressure falls fast, for longer than a beat or a knock."""
    long = round(DUMP_S * RATE_HZ)
    ahead = mmhg[np.minimum(np.arange(begin, end) + long, len(mmhg) - 1)]
    falls = np.flatnonzero(mmhg[begin:end] - ahead > np.maximum(DUMP_S * DUMP_MMHG_PER_S, DUMP_SHARE * mmhg[begin:end]))
    if not len(falls):
        return end
    # The knee: farthest above the chord.
    first = begin + int(falls[0])
    part = mmhg[first : first + long]
    return first + int(np.argmax(part - np.linspace(part[0], part[-1], len(part))))


def _falls(slow: Samples) -> list[tuple[int, int]]:
    """(top, bottom) of each fall; a rise by RISE_MMHG ends one."""
    falls = []
    top = low = 0
    falling = False
    for i, value in enumerate(slow):
        if falling:
            if value < slow[low]:
                low = i
            elif value > slow[low] + RISE_MMHG:
                falls.append((top, low))
                falling, top = False, i
        elif value > slow[top]:
            top = i
        elif value < slow[top] - RISE_MMHG:
            falling, low = True, i
    if falling:
        falls.append((top, low + 1))
    return falls
