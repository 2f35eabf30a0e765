"""Buttons, seat and battery, as the unmodified firmware finds them in virtual time."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chair_board import Chair
from unix_port import run

from simulators.world.chair import ChairWorld, UnknownPin
from simulators.world.patient import Patient


def board(folder: Path, **settings: Any) -> Chair:
    chair = Chair(folder, settings=settings)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(5)
    return chair


def presses(chair: Chair) -> list[str]:
    return [event["name"] for event in chair.all("event") if event["kind"] == "button"]


def faults(chair: Chair) -> Any:
    return chair.all("status")[-1]["faults"]


# ---- buttons --------------------------------------------------------------------------------------------------


def test_a_contact_that_bounces_is_one_press(tmp_path: Path) -> None:
    """Four flanks in 20 ms at each end of a press of half a second: one call."""
    chair = board(tmp_path)
    for down in (True, False):
        for flank in (down, not down, down, not down, down):
            chair.world.press("button_call", flank)
            chair.board.run_for(0.004)
        chair.run(1)
    assert presses(chair) == ["call"]
    chair.board.stop()


def test_a_short_press_is_a_press_and_a_spike_is_none(tmp_path: Path) -> None:
    """A tenth of a second calls; a disturbance of 2 ms does not."""
    chair = board(tmp_path)
    for _ in range(20):
        chair.world.press("button_call")
        chair.board.run_for(0.002)
        chair.world.press("button_call", down=False)
        chair.board.run_for(0.0735)
    assert presses(chair) == []
    chair.world.press("button_call")
    chair.board.run_for(0.1)
    chair.world.press("button_call", down=False)
    chair.run(1)
    assert presses(chair) == ["call"]
    chair.board.stop()


@pytest.mark.parametrize("button", ["button_call", "button_acknowledge"])
def test_a_button_that_is_held_for_30_s_is_a_fault(tmp_path: Path, button: str) -> None:
    """It was one press; from then on it is told that it calls nobody, until it is let go."""
    chair = board(tmp_path)
    chair.world.press(button)
    chair.run(29)
    assert faults(chair) == []
    chair.run(3)
    assert faults(chair) == ["button_stuck"]
    chair.world.press(button, down=False)
    chair.run(2)
    assert faults(chair) == []
    assert presses(chair) == [button.removeprefix("button_")]
    assert [e["name"] for e in chair.all("event") if e["kind"] == "fault"] == ["button_stuck"]
    chair.board.stop()


def test_a_stuck_acknowledge_button_does_not_keep_a_board_quiet(tmp_path: Path) -> None:
    """One press pauses a board alone once: 120 s later it sounds, although the button is still down."""
    chair = board(tmp_path)
    chair.gateway = False
    chair.board.run_for(5)
    chair.world.press("button_acknowledge")
    chair.board.run_for(115)
    heard = [at for at, name, level in chair.world.output_log if name == "sounder" and level and at > 9]
    assert heard == []
    chair.board.run_for(25)
    assert chair.board.now_s() - 30 < max(at for at, name, level in chair.world.output_log if name == "sounder")
    chair.board.stop()


def test_a_call_beside_a_dead_gateway_sounds_at_the_chair_and_is_told_later(tmp_path: Path) -> None:
    """Without a session too; the acknowledge button ends it."""
    chair = Chair(tmp_path)
    chair.board.peer.up = False
    chair.board.run_for(10)
    chair.world.press("button_call")
    chair.board.run_for(0.3)
    chair.world.press("button_call", down=False)
    chair.board.run_for(20)
    heard = [at for at, name, level in chair.world.output_log if name == "sounder" and level and at > 10]
    assert len(heard) == 6  # two medium bursts
    chair.world.press("button_acknowledge")
    chair.board.run_for(0.3)
    chair.world.press("button_acknowledge", down=False)
    quiet_s = chair.board.now_s()
    chair.board.run_for(150)
    assert not [at for at, name, level in chair.world.output_log if name == "sounder" and level and at > quiet_s]
    chair.board.peer.up = True
    chair.gateway = True
    chair.run(30)
    assert presses(chair) == ["call", "acknowledge"]
    chair.board.stop()


# ---- seat -----------------------------------------------------------------------------------------------------


def seats(chair: Chair, state: str, seconds: float = 3) -> Any:
    """What the vitals say, a while after the seat changed."""
    chair.world.sit(state)
    chair.run(seconds)
    return chair.all("vitals")[-1].get("seat")


def test_the_seat_is_occupied_empty_or_unknown(tmp_path: Path) -> None:
    """A broken or a crushed cable is neither: both contacts open, or both closed, is no state of a seat."""
    chair = board(tmp_path, seat_sensor=True)
    assert chair.all("vitals")[0].get("seat") is None
    assert chair.all("vitals")[-1]["seat"] == "occupied"
    assert seats(chair, "empty") == "empty"
    assert seats(chair, "broken") is None
    assert seats(chair, "occupied") == "occupied"
    assert seats(chair, "crushed") is None
    chair.board.stop()


def test_a_patient_who_moves_does_not_leave(tmp_path: Path) -> None:
    """Half a second off the cushion changes nothing; a contact that chatters for long is unknown."""
    chair = board(tmp_path, seat_sensor=True)
    seen = set()
    for _ in range(8):
        chair.world.sit("empty")
        chair.board.run_for(0.5)
        chair.world.sit("occupied")
        chair.run(2)
        seen.add(chair.all("vitals")[-1].get("seat"))
    assert seen == {"occupied"}
    for _ in range(14):
        chair.world.sit("empty")
        chair.board.run_for(0.5)
        chair.world.sit("occupied")
        chair.board.run_for(0.5)
    assert chair.all("vitals")[-1].get("seat") is None
    assert seats(chair, "occupied") == "occupied"
    chair.board.stop()


def test_without_a_sensor_the_seat_is_not_told(tmp_path: Path) -> None:
    """Nothing is connected to its lines: they say nothing."""
    chair = board(tmp_path)
    assert seats(chair, "empty") is None
    chair.board.stop()


# ---- battery --------------------------------------------------------------------------------------------------


def test_the_battery_is_measured_where_it_is_fitted(tmp_path: Path) -> None:
    """By the curve of board.toml within two points; without one nothing is told, and nothing is wrong."""
    chair = board(tmp_path, battery=True)
    assert abs(chair.all("status")[-1]["battery_pct"] - 83) <= 2  # at 4.0 V
    chair.board.stop()
    chair = board(tmp_path)
    chair.world.battery_v = 0.0
    chair.run(70)
    assert "battery_pct" not in chair.all("status")[-1]
    assert faults(chair) == []
    chair.board.stop()


def test_a_low_battery_is_a_fault_until_it_has_charged(tmp_path: Path) -> None:
    """Under 20 %, but not for the dip of one inflation; over again only from 25 %."""
    chair = board(tmp_path, battery=True)
    chair.world.battery_v = 3.4
    chair.run(5)
    chair.world.battery_v = 4.0
    chair.run(30)
    assert faults(chair) == []
    for volts, seconds, low in ((3.5, 80, True), (3.64, 60, True), (3.8, 30, False)):  # 8, 22 and 55 %
        chair.world.battery_v = volts
        chair.run(seconds)
        assert faults(chair) == (["battery_low"] if low else []), volts
    chair.board.stop()


def test_a_broken_line_is_not_an_empty_and_not_a_full_battery(tmp_path: Path) -> None:
    """No voltage that a cell has: no per cent, a fault of its own, and a battery that was low stays so."""
    chair = board(tmp_path, battery=True)
    chair.world.battery_v = 3.0
    chair.run(40)
    for volts in (0.0, 5.5):
        chair.world.battery_v = volts
        chair.run(70)
        assert faults(chair) == ["battery_low", "battery_sensor"]
        assert "battery_pct" not in chair.all("status")[-1]
    chair.world.battery_v = 4.1
    chair.run(70)
    assert faults(chair) == []
    chair.board.stop()


CHARGE = """
from chair.battery import charge_pct
result = [charge_pct(2.6 + 0.01 * i) for i in range(180)]
"""


def test_charge_rises_with_the_voltage() -> None:
    """From 0 to 100 % without a step down or a jump."""
    charge = run(CHARGE)
    assert (charge[0], charge[-1]) == (0, 100)
    assert all(0 <= b - a <= 3 for a, b in pairwise(charge))


def test_a_line_that_is_not_analogue_has_no_voltage() -> None:
    """The board plan says which lines the converter may read."""

    world = ChairWorld(Patient())
    assert abs(world.read_adc_v(world.plan.gpio("battery")) - 2.0) < 0.05
    with pytest.raises(UnknownPin):
        world.read_adc_v(world.plan.gpio("button_call"))
