"""What was recorded, as the happenings that `core.chair.step` judges, whatever it came from."""

from collections.abc import Callable, Iterable

from msgspec import Struct

from gateway import wire
from gateway.core.chair_state import ChairState, Happening, Reported, Staff
from gateway.core.recovery import WasOff

REPLAY_MS = -1
"""A recording without a session of its own gets one that begins before its first reading."""


class RecordingError(ValueError):
    """A recording that cannot be read: names the file, the line or column, what was found and what is needed."""


class Restarted(Struct, frozen=True, kw_only=True):
    """The gateway was away since `since_ms` and came back. `off`: its computer too."""

    since_ms: int
    off: WasOff | None = None


class Reseated(Struct, frozen=True, kw_only=True):
    """A patient who went to another chair, or a chair that got another board.

    `target` is what stood at the other chair, under the protocol that judges without a session; None: the recording
    stays with the chair that was left. `status` is the last that the other board said."""

    asked: Staff
    target: Callable[[str], ChairState] | None = None
    status: Reported | None = None


class Ended(Struct, frozen=True, kw_only=True):
    """Nothing was recorded after this. `away_since_ms`: the gateway did not run at this moment."""

    away_since_ms: int | None = None


Timed = tuple[int, Happening | Restarted | Reseated | Ended]


class Recording(Struct, frozen=True, kw_only=True):
    """`events` come in the order in which the gateway took them in, can be gone through again, and end with `Ended`.

    Their times are milliseconds of one clock that runs on; `zero_ms` is its reading at the recording's own time 0.
    """

    name: str
    events: Iterable[Timed]
    zero_ms: int
    from_ms: int
    """Alarms count from here; what comes before tells what stood already."""
    measures: frozenset[str] | None = None
    """Those that it can tell anything about; None: all."""
    state: Callable[[str], ChairState] = lambda idle: ChairState(idle_protocol=idle)
    """What stood when it began, under the protocol that judges without a session."""
    protocol: str = ""
    """The protocol of the recorded session, and its `content_hash`; empty where there was none."""
    protocol_hash: str = ""
    told: Iterable[tuple[int, wire.AlarmTransition]] = ()
    """What the gateway itself said of alarms, where that was recorded."""
    notes: tuple[str, ...] = ()
    """What a reader must know of how it was read."""


def session_for(protocol: str) -> Staff:
    """The session of a recording that has none."""
    start = wire.Start(protocol=protocol, alias="replay")
    return Staff(do=wire.Do(id="replay-start", session="", who="replay", action=start))
