"""An arm that will not lie still: what its muscles take of the cuff's room."""

import random
from collections.abc import Callable
from math import sin

SPELL_S = 0.6


def restless(seed: int, ml: float) -> Callable[[float], float]:
    """Volume over time: spells of another strength and pace each, in no rhythm that could be a heart's."""

    def muscle_ml(t: float) -> float:
        chance = random.Random(f"{seed} {int(t / SPELL_S)}")
        return chance.uniform(-ml, ml) + chance.uniform(0.0, ml) * sin(chance.uniform(4.0, 25.0) * t)

    return muscle_ml
