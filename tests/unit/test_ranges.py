"""Ranges are a set of numbers, whatever the order they come in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.core import ranges

seqs = st.lists(st.integers(1, 60), max_size=80)
bases = st.integers(1, 70)


def of(numbers: list[int]) -> ranges.Ranges:
    made: ranges.Ranges = ()
    for number in numbers:
        made = ranges.with_seq(made, number)
    return made


@given(seqs)
def test_ranges_hold_what_was_put_and_nothing_else(numbers: list[int]) -> None:
    """Any order, any repetition."""
    made = of(numbers)
    assert {number for number in range(62) if ranges.contains(made, number)} == set(numbers)


@given(seqs)
def test_ranges_are_sorted_and_as_few_as_possible(numbers: list[int]) -> None:
    """Neighbours are joined, so that an ack has room for real gaps only."""
    for (first, last), (next_first, _) in pairwise(of(numbers)):
        assert first <= last < next_first - 1


@given(seqs, bases, st.integers(0, 16))
def test_what_an_ack_covers_was_put(numbers: list[int], base: int, have_max: int) -> None:
    """Every number from the base to `upto`, and in the ranges, is one that was put; never more ranges than allowed."""
    upto, have = ranges.covered(of(numbers), base, have_max)
    said = {*range(base, upto + 1), *(n for first, last in have for n in range(first, last + 1))}
    assert said <= set(numbers)
    assert len(have) <= have_max
    assert upto >= base - 1
    assert upto + 1 not in numbers


@given(seqs, bases)
def test_missing_counts_the_holes_below_the_highest(numbers: list[int], base: int) -> None:
    """What is below the base was given up or is durable: no gap."""
    highest = max(numbers, default=0)
    assert ranges.missing(of(numbers), base) == len(set(range(base, highest + 1)) - set(numbers))
