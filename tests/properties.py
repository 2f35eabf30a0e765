"""How properties are tried: with the same examples in every run, so that a red run is about the change; or, with
`--hypothesis-profile=search`, with thirty times as many at random, to find what nobody has seen."""

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

TIMES = 30

BUSY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}

settings.register_profile("same", derandomize=True, **BUSY)
settings.register_profile("search", settings.get_profile("default"), max_examples=100 * TIMES, **BUSY)
settings.load_profile("same")

_from_our_modules = providers._get_local_constants


def _constants() -> providers.Constants:
    """Hypothesis takes numbers and words from those of our modules that are imported. A search may; else a new number
    in one module would change the examples of every test."""
    return providers.Constants() if settings().derandomize else _from_our_modules()


providers._get_local_constants = _constants


def examples(count: int) -> int:
    """`count`, or in a search so many times more."""
    return count * settings().max_examples // 100
