"""Arms for the cuff's bench: a heart that may stumble, an artery, muscles that move, and a board that measures.

The heart is drawn beat by beat: seconds of its beginning and length, systolic and diastolic pressure. Everything
comes from one seed.
"""

import json
import math
import os
import random
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.plan import ROOT
from simulators.process import find_micropython
from simulators.world.artery import TYPICAL, Artery
from simulators.world.pneumatics import Cuff
from simulators.world.pulse import artery_pressure

SECONDS_MAX = 240
TICK_MS = 20
COUNT_MMHG = 0.0174  # of the converter
SCRIPT = Path(__file__).resolve().parents[1] / "firmware" / "scripts" / "cuff_pipe.py"

Curve = Callable[[float], float]


def still(t: float) -> float:
    return 0.0


@dataclass(frozen=True)
class Board:
    """What differs from board to board, and its calibration."""

    seed: int
    cuff_size: str = "normal"
    gain: float = 1.0  # of the pressure sensor, after its own calibration
    noise_mmhg: float = 0.03
    calibration: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """One arm for one measurement. `rhythm` is sinus, fibrillation, extrasystoles or missed."""

    seed: int
    sys_mmhg: float
    dia_mmhg: float
    pulse_bpm: float
    rhythm: str = "sinus"
    artery: Artery = TYPICAL
    muscle_ml: Curve = still
    pressing_mmhg: Curve = still  # what straining adds to the arterial pressure
    leak_size: float = 0.0
    hole_every_s: float = 0.0  # the processor is away for 0.4 s


def heart(arm: Arm) -> Curve:
    """The arterial pressure of an arm over time: breathing moves it by 2 mmHg, and each beat stands a little off."""
    chance = random.Random(arm.seed * 7919 + 1)
    normal_s = 60.0 / arm.pulse_bpm
    breath_s = chance.uniform(3.0, 5.0)
    begins, beats = [0.0], []
    early = False
    while begins[-1] < SECONDS_MAX:
        t = begins[-1]
        length_s = normal_s * (1.0 + chance.gauss(0.0, 0.02) + 0.03 * math.sin(2 * math.pi * t / breath_s))
        wave = 2.0 * math.sin(2 * math.pi * t / breath_s)
        sys, dia = arm.sys_mmhg + wave + chance.gauss(0.0, 0.7), arm.dia_mmhg + 0.7 * wave
        pulse = sys - dia
        if arm.rhythm == "fibrillation":
            length_s = normal_s * min(1.7, max(0.55, chance.gauss(1.0, 0.2)))
            # A long filling makes the next beat strong; here the mean over beats stays.
            before_s = beats[-1][0] if beats else normal_s
            sys += 0.35 * pulse * (before_s / normal_s - 1.0)
            dia -= 0.10 * pulse * (before_s / normal_s - 1.0)
        elif arm.rhythm == "extrasystoles":
            if early:
                # The early beat is weak, the pause after it long, and the next one strong.
                length_s, sys, early = 1.4 * normal_s, sys - 0.45 * pulse, False
            elif chance.random() < 0.10:
                length_s, early = 0.6 * normal_s, True
        elif arm.rhythm == "missed" and chance.random() < 0.08:
            length_s *= 2.0
        beats.append((length_s, sys, dia))
        begins.append(t + length_s)

    def mmhg(t: float) -> float:
        i = min(max(bisect_right(begins, t) - 1, 0), len(beats) - 1)
        length_s, sys, dia = beats[i]
        phase = (t - begins[i]) / length_s
        # From this beat's diastolic to the next one's, without a step.
        dia += (beats[min(i + 1, len(beats) - 1)][2] - dia) * phase
        return dia + (sys - dia) * artery_pressure(min(phase, 0.9999)) + arm.pressing_mmhg(t)

    return mmhg


def bursts(seed: int, sizes_ml: tuple[float, float], lasts_s: tuple[float, float], every_s: float) -> Curve:
    """Movements of an arm: now and then a stretch of trembling between 0.7 and 6 Hz, or a short knock."""
    chance = random.Random(seed * 7919 + 2)
    found = []
    t = chance.uniform(8.0, 8.0 + every_s)
    while t < SECONDS_MAX:
        length_s = chance.uniform(*lasts_s)
        size_ml = chance.uniform(*sizes_ml)
        tones = [
            (chance.uniform(0.7, 6.0), chance.uniform(0.0, 2 * math.pi), chance.uniform(0.3, 1.0)) for _ in range(4)
        ]
        found.append((t, length_s, size_ml, tones))
        t += length_s + chance.expovariate(1.0 / every_s)

    def ml(t: float) -> float:
        for begin_s, length_s, size_ml, tones in found:
            if begin_s <= t < begin_s + length_s:
                swell = math.sin(math.pi * (t - begin_s) / length_s)
                return size_ml * swell * sum(a * math.sin(2 * math.pi * f * t + p) for f, p, a in tones) / 2.0
        return 0.0

    return ml


def pushes(seed: int, size: tuple[float, float], lasts_s: tuple[float, float], every_s: float) -> Curve:
    """Half sines now and then: a knock against the cuff in ml, a cough in mmHg."""
    chance = random.Random(seed * 7919 + 5)
    found = []
    t = chance.uniform(8.0, 8.0 + every_s)
    while t < SECONDS_MAX:
        length_s = chance.uniform(*lasts_s)
        found.append((t, length_s, chance.uniform(*size)))
        t += length_s + chance.expovariate(1.0 / every_s)

    def value(t: float) -> float:
        for begin_s, length_s, high in found:
            if begin_s <= t < begin_s + length_s:
                return high * math.sin(math.pi * (t - begin_s) / length_s)
        return 0.0

    return value


def measure(board: Board, arm: Arm) -> dict[str, Any]:
    """One measurement by the firmware's own cuff on MicroPython; its result, with the highest pressure."""
    chance = random.Random(arm.seed * 7919 + 3)
    cuff = Cuff(heart(arm), board.cuff_size, arm.artery)
    cuff.muscle_ml = arm.muscle_ml
    cuff.leak_size = arm.leak_size
    process = subprocess.Popen(
        [find_micropython(), str(SCRIPT)],
        env=os.environ | {"MICROPYPATH": f"{ROOT / 'firmware'}:.frozen"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin
    assert process.stdout
    t, hole_s = 0.0, arm.hole_every_s or math.inf
    with process:
        process.stdin.write(json.dumps(board.calibration) + "\n")
        while t < SECONDS_MAX:
            passed_ms = TICK_MS
            if t >= hole_s:
                passed_ms = 400
                hole_s = t + arm.hole_every_s * chance.uniform(0.7, 1.3)
            t += passed_ms / 1000
            shown = cuff.pressure_mmhg(t) * board.gain + chance.gauss(0.0, board.noise_mmhg)
            process.stdin.write(f"{passed_ms} {round(shown / COUNT_MMHG) * COUNT_MMHG:.4f}\n")
            answer = process.stdout.readline()
            if answer.startswith("{"):
                return json.loads(answer) | {"mmhg_max": cuff.facts.pressure_mmhg_max}
            pump, closed, bleed = answer.split()
            cuff.control(t, pump_on=pump == "1", dump_open=closed == "0", bleed=float(bleed))
        process.kill()
    raise AssertionError(f"no result within {SECONDS_MAX} s: {arm}")
