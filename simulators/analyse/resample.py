"""Samples of any rate onto the firmware's even grid: band-limited, holes left open.

Each point of the grid is the mean of the samples around it under a windowed sinc that ends at half of the lower of both
rates. The weights sum to one at every point, so that a steady level, a hundred times the pulse, comes through exactly;
uneven steps weigh by the time that they stand for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.analyse.recording import Recording, Samples

BAND = 0.9  # of half the lower rate
CROSSINGS = 6.0  # of the sinc on either side
AT_ONCE = 1 << 22  # weights held in memory


def resample(recording: Recording, rate_hz: int) -> tuple[dict[str, Samples], NDArray[np.bool_]]:
    """The columns at 0, 1/rate_hz, 2/rate_hz ... s, and where there is a value; elsewhere they are NaN."""
    period_s = 1 / recording.rate_hz  # for which each sample stands
    grid_s = np.arange(round((recording.t_s[-1] + period_s) * rate_hz)) / rate_hz
    out = {name: np.full(len(grid_s), np.nan) for name in recording.columns}
    for part in recording.segments():
        t_s = recording.t_s[part]
        begin, end = np.searchsorted(grid_s, [t_s[0] - 1e-6, t_s[-1] + period_s - 1e-6])
        if len(t_s) < 2:
            continue
        columns = {name: samples[part] for name, samples in recording.columns.items()}
        for name, samples in _onto(grid_s[begin:end], t_s, columns, min(recording.rate_hz, rate_hz)).items():
            out[name][begin:end] = samples
    return out, np.isfinite(next(iter(out.values())))


def _onto(grid_s: Samples, t_s: Samples, columns: dict[str, Samples], rate_hz: float) -> dict[str, Samples]:
    cut_hz = BAND * rate_hz / 2
    reach_s = CROSSINGS / (2 * cut_hz)
    first = np.searchsorted(t_s, grid_s - reach_s)
    count = int(np.max(np.searchsorted(t_s, grid_s + reach_s) - first, initial=1))
    stands_s = np.gradient(t_s)
    out = {name: np.empty(len(grid_s)) for name in columns}
    for begin in range(0, len(grid_s), max(1, AT_ONCE // count)):
        some = slice(begin, begin + max(1, AT_ONCE // count))
        index = np.minimum(first[some, None] + np.arange(count), len(t_s) - 1)
        away = (t_s[index] - grid_s[some, None]) / reach_s
        inside = (np.abs(away) < 1) & (first[some, None] + np.arange(count) < len(t_s))
        weight = np.where(inside, np.sinc(CROSSINGS * away) * np.cos(np.pi / 2 * away) ** 2 * stands_s[index], 0.0)
        weight /= np.sum(weight, axis=1, keepdims=True)
        for name, samples in columns.items():
            out[name][some] = np.einsum("ij,ij->i", weight, samples[index])
    return out
