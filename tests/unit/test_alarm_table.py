"""Every cell of the alarm table: in this state of an alarm this event leads there, for a whole chair.

The states are the five conditions, and beside them what level, acknowledgement, audio, escalation and suppression make
of those that are present. The events are what readings, time, people, the protocol and the machine can do. The cells
stand in alarm_cells.toml: condition, level, signal and transitions.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from alarm_chair import BAND, HIGH, INSIDE, MEDIUM, SPO2, Chair
from core_helpers import BOARD
from msgspec.structs import replace

from gateway import wire
from gateway.core import seating
from gateway.core.alarm import CONDITIONS
from gateway.core.alarm_table import MOVES, NEVER, STAYS, TABLE
from gateway.core.chair import fitted
from gateway.core.chair_state import ChairState, Staff, Tick
from gateway.core.protocol import Tier

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "how-an-alarm-lives.md"
PHASES = ("before", "dosing")


def in_session(chair: Chair) -> None:
    chair.starts()
    chair.good(INSIDE)


def pending(chair: Chair) -> None:
    in_session(chair)
    chair.good(MEDIUM)


def medium(chair: Chair) -> None:
    pending(chair)
    chair.happens(Tick(), 10)


def high(chair: Chair) -> None:
    in_session(chair)
    chair.good(HIGH)


def clearing(chair: Chair) -> None:
    medium(chair)
    chair.good(INSIDE)


def clearing_high(chair: Chair) -> None:
    high(chair)
    chair.good(INSIDE)


def latched(chair: Chair) -> None:
    high(chair)
    chair.good(INSIDE, INSIDE, after_s=4)


def then(before: Callable[[Chair], None], action: wire.Action) -> Callable[[Chair], None]:
    def reach(chair: Chair) -> None:
        before(chair)
        chair.does(action)

    return reach


def escalated(chair: Chair) -> None:
    medium(chair)
    chair.happens(Tick(), 60)


def suppressed_pending(chair: Chair) -> None:
    in_session(chair)
    chair.does(wire.Away(minutes=10))
    chair.good(MEDIUM)


ACKNOWLEDGE, PAUSE, OFF, ON = wire.Acknowledge(), wire.PauseAudio(), wire.AudioOff(on=True), wire.AudioOff(on=False)
STATES: dict[str, Callable[[Chair], None]] = {
    "normal": in_session,
    "pending": pending,
    "pending, away": suppressed_pending,
    "active medium": medium,
    "active medium, acknowledged": then(medium, ACKNOWLEDGE),
    "active medium, paused": then(medium, PAUSE),
    "active medium, off": then(medium, OFF),
    "active medium, escalated": escalated,
    "active medium, suppressed": then(medium, wire.Away(minutes=10)),
    "active high": high,
    "active high, acknowledged": then(high, ACKNOWLEDGE),
    "clearing medium": clearing,
    "clearing high": clearing_high,
    "clearing high, acknowledged": then(clearing_high, ACKNOWLEDGE),
    "latched": latched,
}


def limits_change(chair: Chair) -> None:
    """The clinic lowers both limits and restarts."""
    low = (Tier(level="medium", below=70, delay_s=10), Tier(level="high", below=60))
    chair.rule = replace(chair.rule, tiers=low)
    restarts(chair)


def phase_changes(chair: Chair) -> None:
    """To one in which the rule is not judged."""
    chair.rule = replace(chair.rule, phases=PHASES)
    chair.does(wire.Dose(what="first"))
    chair.does(wire.Dose(what="end"))


def session_starts(chair: Chair) -> None:
    """The one before it ended; the rule is judged without a session too."""
    chair.rule = replace(chair.rule, always=True)
    chair.does(wire.Abort(reason="a test"))
    chair.starts()


def board_is_swapped(chair: Chair) -> None:
    swap = Staff(do=wire.Do(id="swap-0001", session="", who="A. Nurse", action=wire.Swap(device="cb-000002")))
    chair.state, told = seating.swapped(chair.plan, chair.state, swap, BOARD, "cb-000002", chair.now_ms)
    chair.told += told
    chair.happens(Tick(), 0)


def restarts(chair: Chair) -> None:
    """What the journal has is what was there."""
    kept = msgspec.json.decode(msgspec.json.encode(chair.state), type=ChairState)
    assert kept == chair.state
    chair.state = fitted(kept)
    chair.happens(Tick(), 1)


EVENTS: dict[str, Callable[[Chair], None]] = {
    "good inside": lambda chair: chair.good(INSIDE),
    "good inside for clear_s": lambda chair: chair.good(INSIDE, INSIDE, after_s=3),
    "good within the margin": lambda chair: chair.good(BAND),
    "good beyond medium": lambda chair: chair.good(MEDIUM),
    "good beyond high": lambda chair: chair.good(HIGH),
    "back from high to medium": lambda chair: chair.good(MEDIUM, MEDIUM, after_s=3),
    "bad": lambda chair: chair.reads(quality="motion"),
    "good, absent": lambda chair: chair.reads(quality="good", pulse_bpm=70.0),
    "tick": lambda chair: chair.happens(Tick()),
    "tick past the delay": lambda chair: chair.happens(Tick(), 11),
    "tick past escalation": lambda chair: chair.happens(Tick(), 61),
    "tick past the pause": lambda chair: chair.happens(Tick(), 121),
    "tick past the suppression": lambda chair: chair.happens(Tick(), 301),
    "suppress on": lambda chair: chair.does(wire.Away(minutes=10)),
    "suppress off": lambda chair: chair.does(wire.Back()),
    "acknowledge": lambda chair: chair.does(ACKNOWLEDGE),
    "pause": lambda chair: chair.does(PAUSE),
    "audio off": lambda chair: chair.does(OFF),
    "audio on": lambda chair: chair.does(ON),
    "limits change": limits_change,
    "phase changes": phase_changes,
    "session ends": lambda chair: chair.does(wire.Abort(reason="a test")),
    "session starts": session_starts,
    "board swapped": board_is_swapped,
    "restart": restarts,
}


def cell(state: str, event: str) -> str:
    chair = Chair(SPO2)
    STATES[state](chair)
    chair.told = []
    before = chair.said()
    EVENTS[event](chair)
    after = chair.said()
    return "=" if after == before else after


CELLS = tomllib.loads((Path(__file__).parent / "alarm_cells.toml").read_text(encoding="utf-8"))


def test_the_table_has_a_cell_for_every_state_and_event() -> None:
    """Once each: nothing is left to chance, and every condition is among the states."""
    assert set(CELLS) == set(STATES)
    assert {state.partition(" ")[0].rstrip(",") for state in STATES} == set(CONDITIONS)
    for cells in CELLS.values():
        changing = [event for event in cells if event != "nothing"]
        assert sorted([*changing, *cells["nothing"]]) == sorted(EVENTS)


@pytest.mark.parametrize("state", STATES)
def test_what_each_event_makes_of_a_state(state: str) -> None:
    """In this state each event leads to this condition, level, signal and these transitions."""
    expected = {event: CELLS[state].get(event, "=") for event in EVENTS}
    assert {event: cell(state, event) for event in EVENTS} == expected


def test_the_page_shows_the_table_of_the_code() -> None:
    """Row for row: what people read is what decides."""
    rows = [f"| `{event}` | {' | '.join(moves)} |" for event, moves in TABLE.items()]
    assert "\n".join(rows) in PAGE.read_text(encoding="utf-8")


def test_every_word_of_the_table_is_a_move() -> None:
    """And every move stands in the table, and is explained on the page."""
    words = {move for moves in TABLE.values() for move in moves} - {STAYS, NEVER}
    assert words == set(MOVES)
    page = PAGE.read_text(encoding="utf-8")
    assert not [word for word in words if f"| **{word}** |" not in page]
