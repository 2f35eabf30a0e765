"""Sets of sequence numbers as sorted, disjoint, inclusive ranges: what was accepted, what is durable, what an ack
may cover. Boards send in order, so there are rarely more than a handful."""

Ranges = tuple[tuple[int, int], ...]


def contains(ranges: Ranges, seq: int) -> bool:
    return any(first <= seq <= last for first, last in reversed(ranges))


def with_seq(ranges: Ranges, seq: int) -> Ranges:
    """`ranges` and `seq`. The common case, the next number, touches only the last range."""
    if ranges and ranges[-1][1] == seq - 1:
        return (*ranges[:-1], (ranges[-1][0], seq))
    if contains(ranges, seq):
        return ranges
    merged: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, (seq, seq)]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def from_base(ranges: Ranges, base: int) -> Ranges:
    """What remains at and above `base`; below it the board holds nothing that could be asked for again."""
    return tuple((max(first, base), last) for first, last in ranges if last >= base)


def covered(ranges: Ranges, base: int, have_max: int) -> tuple[int, Ranges]:
    """For an ack: the last seq of the unbroken run from `base` (or base - 1), and at most `have_max` ranges above."""
    held = from_base(ranges, base)
    if held and held[0][0] == base:
        return held[0][1], held[1 : 1 + have_max]
    return base - 1, held[:have_max]


def missing(ranges: Ranges, base: int) -> int:
    """How many between `base` and the highest are not there."""
    held = from_base(ranges, base)
    return held[-1][1] - base + 1 - sum(last - first + 1 for first, last in held) if held else 0
