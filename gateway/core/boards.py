"""Which board stands at which chair: the configuration says so, and a swap changes it until the configuration does.

A swap is kept with what was configured then; a chair that is configured anew has its configured board.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

FORMER_MAX = 8
PLACES_MAX = 4
"""Of one board: more than what an outbox holds can be of."""


class Swapped(Struct, frozen=True, kw_only=True):
    configured: str
    board: str


class Former(Struct, frozen=True, kw_only=True):
    """A board that was swapped out: what it still holds was measured at this chair, until then, and from its patient
    then since they sat there. That stays true of it at another chair."""

    chair: str
    session: str
    since_mono_ms: int
    until_mono_ms: int
    before: "Former | None" = None
    """Where it was swapped out before that."""


class Boards(Struct, frozen=True, kw_only=True):
    swapped: dict[str, Swapped] = {}
    former: dict[str, Former] = {}


def at_chairs(configured: Mapping[str, str], spares: Iterable[str], kept: Boards) -> dict[str, str]:
    """The board of each chair. Swaps that no longer fit together are left out, all of them."""
    known = {*configured.values(), *spares}
    boards = dict(configured)
    for chair, swap in kept.swapped.items():
        if configured.get(chair) == swap.configured and swap.board in known:
            boards[chair] = swap.board
    return boards if len(set(boards.values())) == len(boards) else dict(configured)


def why_not(boards: Mapping[str, str], known: Iterable[str], chair: str, board: str) -> str:
    """Why this board cannot come to this chair, or nothing."""
    at = next((name for name, other in boards.items() if other == board), None)
    if at == chair:
        return f"{board} is the board of this chair"
    if at is not None:
        return f"{board} is at {at}"
    free = sorted(set(known) - set(boards.values()))
    if board not in free:
        return f"{board} is not a board of this site; free are {', '.join(free) or 'none'}"
    return ""


def swap(kept: Boards, configured: Mapping[str, str], before: str, after: str, left: Former) -> Boards:
    """After `before` made place for `after`."""
    left = replace(left, before=_newest(kept.former.get(before), PLACES_MAX - 1))
    swapped = {**kept.swapped, left.chair: Swapped(configured=configured[left.chair], board=after)}
    former = {board: one for board, one in kept.former.items() if board != before}
    newest = list({**former, before: left}.items())[-FORMER_MAX:]
    return replace(kept, swapped=swapped, former=dict(newest))


def formerly(kept: Boards, board: str, at_ms: int) -> Former | None:
    """Where a board stood then, if that is not its place of today."""
    found, one = None, kept.former.get(board)
    while one is not None and at_ms < one.until_mono_ms:
        found, one = one, one.before
    return found


def _newest(one: Former | None, places: int) -> Former | None:
    if one is None or places == 0:
        return None
    return replace(one, before=_newest(one.before, places - 1))
