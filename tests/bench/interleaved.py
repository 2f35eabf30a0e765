"""Two ways of doing the same, compared within one run: round by round in turn, so that a busy machine slows both."""

import statistics
from collections.abc import Callable
from time import perf_counter

ROUNDS = 15


def ratio(slow: Callable[[], object], fast: Callable[[], object], rounds: int = ROUNDS) -> float:
    """How many times longer `slow` takes than `fast`: the median over the rounds."""
    return statistics.median(_seconds(slow) / _seconds(fast) for _ in range(rounds))


def _seconds(work: Callable[[], object]) -> float:
    began_s = perf_counter()
    work()
    return perf_counter() - began_s
