"""Two ways of doing the same, compared within one run: round by round in turn, so that a busy machine slows both."""

import gc
from collections.abc import Callable
from time import perf_counter

ROUNDS = 25


def ratio(slow: Callable[[], object], fast: Callable[[], object], rounds: int = ROUNDS) -> float:
    """How many times longer `slow` takes than `fast`: of each the best round, which the machine disturbed least."""
    gc.disable()  # a collection would fall on one of the two, and be as long as the tests before have left garbage
    try:
        pairs = [(_seconds(slow), _seconds(fast)) for _ in range(rounds)]
    finally:
        gc.enable()
    return min(seconds for seconds, _ in pairs) / min(seconds for _, seconds in pairs)


def _seconds(work: Callable[[], object]) -> float:
    began_s = perf_counter()
    work()
    return perf_counter() - began_s
