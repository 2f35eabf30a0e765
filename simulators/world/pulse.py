"""The shape of one heart beat, from 0 to 1: blood volume in the finger, and pressure in the artery."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

# A shape takes heart cycles since the start (phase is the fraction) and answers 0..1.
Shape = Callable[[float], float]

POINTS = 512


def _table(bumps: Sequence[tuple[float, float, float]]) -> list[float]:
    """Sum of bumps (centre, width, height) on the circle of one beat, scaled to run from 0 to 1 exactly."""
    phase = np.arange(POINTS) / POINTS
    total = np.zeros(POINTS)
    for centre, width, height in bumps:
        distance = (phase - centre + 0.5) % 1.0 - 0.5
        total += height * np.exp(-0.5 * (distance / width) ** 2)
    total = (total - total.min()) / (total.max() - total.min())
    return [float(value) for value in total]


def _periodic(table: Sequence[float]) -> Shape:
    def shape(cycles: float) -> float:
        position = cycles % 1.0 * POINTS
        i = int(position) % POINTS
        return table[i] + (table[(i + 1) % POINTS] - table[i]) * (position - math.floor(position))

    return shape


# Steep systolic wave, then the dicrotic wave as a shoulder, as textbooks draw them.
finger_volume: Shape = _periodic(_table([(0.22, 0.085, 1.0), (0.45, 0.13, 0.45), (0.65, 0.12, 0.12)]))
artery_pressure: Shape = _periodic(_table([(0.17, 0.075, 1.0), (0.32, 0.11, 0.62), (0.52, 0.14, 0.42)]))


def recorded(samples: Sequence[float], beat_starts: Sequence[int]) -> Shape:
    """Play a real recording beat by beat at whatever pulse rate the patient has; every beat is used.

    `beat_starts` are indices into `samples`; the recording repeats after its last whole beat.
    """
    signal = np.asarray(samples, dtype=float)
    signal = (signal - signal.min()) / (signal.max() - signal.min())
    starts = [int(start) for start in beat_starts]
    positions = np.arange(len(signal))
    beats = len(starts) - 1

    def shape(cycles: float) -> float:
        beat = int(cycles) % beats
        start, end = starts[beat], starts[beat + 1]
        return float(np.interp(start + (cycles % 1.0) * (end - start), positions, signal))

    return shape
