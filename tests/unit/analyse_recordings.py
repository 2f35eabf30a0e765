"""Recordings that are not of our simulator: written after published shapes, with the truth known.

Cuff. A hand-pumped cuff on a dial or logger: bulb strokes, a hand valve of 1-9 mmHg/s that slows as the pressure falls
and wavers, a dump below diastolic. The envelope is a two-sided Gaussian, the common model of oscillometric
envelopes; its width puts a chosen ratio of the maximum at the true pressures. The wave in the cuff has a steep rise and
a long fall, unlike the one of simulators/world/artery.py.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    sys_mmhg: float = 120.0
    dia_mmhg: float = 80.0
    pulse_bpm: float = 70.0
    ratios: tuple[float, float] = (0.5, 0.75)
    map_share: float = 0.40
    peak_mmhg: float = 2.5


def envelope(arm: Arm, mmhg: Samples) -> Samples:
    """Peak to trough of a beat at each cuff pressure."""
    middle = arm.dia_mmhg + arm.map_share * (arm.sys_mmhg - arm.dia_mmhg)
    above = (arm.sys_mmhg - middle) / np.sqrt(-2 * np.log(arm.ratios[0]))
    below = (middle - arm.dia_mmhg) / np.sqrt(-2 * np.log(arm.ratios[1]))
    away = mmhg - middle
    return np.asarray(arm.peak_mmhg * np.exp(-0.5 * (away / np.where(away > 0, above, below)) ** 2))


def beat(cycles: Samples) -> Samples:
    """One beat in the cuff, 0 to 1: up in a sixth of it, down exponentially."""
    phase = cycles % 1.0
    up = 0.5 - 0.5 * np.cos(np.pi * np.minimum(phase / 0.16, 1.0))
    down = np.exp(-np.maximum(phase - 0.16, 0.0) / 0.22)
    return np.asarray(np.where(phase < 0.16, up, down) - phase * np.exp(-0.84 / 0.22))


def cuff(
    arm: Arm,
    *,
    mmhg_per_s: float = 3.0,
    rate_hz: float = 100.0,
    top_mmhg: float | None = None,
    end_mmhg: float | None = None,
    zero_mmhg: float = 0.0,
    noise_mmhg: float = 0.05,
    resolution_mmhg: float = 0.02,
    top_up: tuple[float, float] | None = None,
    bumps: int = 0,
    waver: float = 0.2,
    inflation: bool = True,
    dump: bool = True,
    seed: int = 1,
) -> tuple[Samples, Samples]:
    """(seconds, mmHg). `top_up`: at this pressure the bulb brings it to that one. `bumps`: the arm moves as often."""
    chance = np.random.default_rng(seed)
    dt = 0.002
    top = arm.sys_mmhg + 30 if top_mmhg is None else top_mmhg
    end = arm.dia_mmhg - 20 if end_mmhg is None else end_mmhg
    base: list[float] = [0.0] * round(2 / dt) if inflation else []

    def pump(mmhg: float, to_mmhg: float) -> float:
        while mmhg < to_mmhg:
            stroke = min(22.0, to_mmhg - mmhg + 1)
            base.extend(mmhg + stroke * (0.5 - 0.5 * np.cos(np.pi * np.arange(0, 1, dt / 0.35))))
            mmhg += stroke
            base.extend([mmhg] * round(0.25 / dt))
        return mmhg

    mmhg = pump(0.0, top) if inflation else top
    base.extend([mmhg] * round(0.6 / dt) if inflation else [])
    middle, wander = (top + end) / 2, 0.0
    topped = top_up is None
    while mmhg > end:
        if not topped and top_up and mmhg < top_up[0]:
            mmhg = pump(mmhg, top_up[1])
            topped = True
        wander += dt * (-wander / 2.0) + waver * np.sqrt(dt) * chance.normal()
        mmhg -= dt * mmhg_per_s * np.sqrt(max(mmhg, 1) / middle) * max(0.15, 1 + wander)
        base.append(mmhg)
    if dump:
        base.extend(mmhg * np.exp(-np.arange(0, 6, dt) / 0.7))
        base.extend([base[-1]] * round(1.5 / dt))
    slow = np.asarray(base)
    t = np.arange(len(slow)) * dt
    bpm = arm.pulse_bpm * (1 + 0.03 * np.sin(2 * np.pi * 0.25 * t))
    waves = envelope(arm, slow) * (beat(np.cumsum(bpm / 60) * dt) - 0.4)
    for _ in range(bumps):
        at = chance.uniform(t[-1] * 0.3, t[-1] * 0.8)
        waves += chance.uniform(3, 8) * np.exp(-(((t - at) / chance.uniform(0.1, 0.4)) ** 2)) * np.sign(chance.normal())
    seconds = np.arange(0, t[-1], 1 / rate_hz)
    out = np.interp(seconds, t, slow + waves) + zero_mmhg + chance.normal(0, noise_mmhg, len(seconds))
    return seconds, np.round(out / resolution_mmhg) * resolution_mmhg


def write(path: Path, separator: str = ",", **columns: Samples) -> Path:
    """A table with a header."""
    rows = np.column_stack(list(columns.values()))
    lines = [separator.join(columns), *(separator.join(f"{value:.10g}" for value in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Finger:
    """Light through a finger: what pulses, and what else moves. Shares and PI in percent of the steady light."""

    ratio: float = 0.6
    pulse_bpm: float = 72.0
    pi_pct: float = 2.0
    resp_bpm: float = 15.0
    breath_pct: float = 0.4  # of the level
    modulation: float = 0.0  # of the pulse by the breath
    wander_pct: float = 0.0  # slow drift
    variability: float = 0.03  # of the beats


def volume(cycles: Samples) -> Samples:
    """Blood volume of one beat, 0 to 1: a log-normal wave and its echo."""
    phase = np.maximum(cycles % 1.0, 1e-6)

    def wave(at: float, width: float) -> Samples:
        return np.asarray(np.exp(-0.5 * (np.log(phase / at) / width) ** 2))

    return np.asarray((wave(0.22, 0.42) + 0.35 * wave(0.52, 0.22)) / 1.05)


def finger(
    body: Finger,
    seconds: float,
    *,
    rate_hz: float = 100.0,
    ir_level: float = 100_000.0,
    red_level: float = 70_000.0,
    noise_pct: float = 0.01,
    step: float = 1.0,
    jitter: float = 0.0,
    seed: int = 1,
) -> tuple[Samples, Samples, Samples]:
    """(seconds, red, infrared). `noise_pct` of the level; `step`: of the converter; `jitter`: share of the period."""
    chance = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    t = np.sort(t + chance.uniform(-jitter, jitter, len(t)) / rate_hz)
    breath = np.sin(2 * np.pi * body.resp_bpm / 60 * t)
    # Beats vary with the breath and by a slow wave, as a heart's do.
    cycles = body.pulse_bpm / 60 * t + body.variability * body.pulse_bpm / 60 * (
        np.cos(2 * np.pi * body.resp_bpm / 60 * t) / (2 * np.pi * body.resp_bpm / 60)
        + np.cos(2 * np.pi * 0.1 * t) / (2 * np.pi * 0.1)
    )
    pulse = body.pi_pct / 100 * volume(cycles) * (1 + body.modulation * breath)
    slow = body.breath_pct / 200 * breath + body.wander_pct / 100 * (
        np.sin(2 * np.pi * 0.05 * t + 1) + 0.5 * np.sin(2 * np.pi * 0.013 * t)
    )
    red = red_level * np.exp(-body.ratio * pulse + 0.9 * slow)
    ir = ir_level * np.exp(-pulse + slow)
    out = [np.round((x + chance.normal(0, noise_pct / 100 * x)) / step) * step for x in (red, ir)]
    return t - t[0], out[0], out[1]
