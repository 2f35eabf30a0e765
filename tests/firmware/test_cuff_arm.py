"""The cuff in the whole firmware: what is repeated, what a button does, what waits for it."""

from pathlib import Path
from typing import Any

import pytest
from chair_board import Chair
from restless import restless

LIMITS = {"spo2_low_pct": 80.0, "pulse_low_bpm": 30, "pulse_high_bpm": 190, "sys_low_mmhg": 70, "sys_high_mmhg": 150}


def began(tmp_path: Path, **options: Any) -> Chair:
    """A chair with a session, and its gateway."""
    chair = Chair(tmp_path, **options)
    chair.gateway = True
    chair.board.run_until(lambda: bool(chair.records()), within_s=15)
    chair.run(2)
    return chair


def triggers(chair: Chair) -> list[tuple[str, str | None]]:
    return [(cuff["trigger"], cuff.get("reason")) for cuff in chair.all("cuff")]


def move(chair: Chair) -> None:
    """The arm moves so that no pulse can be told."""
    chair.world.cuff.muscle_ml = restless(1, 0.7)


def starts_s(chair: Chair) -> list[float]:
    """When the pump began, strokes of one measurement counted once."""
    found: list[float] = []
    for at, name, level in chair.world.output_log:
        if name == "pump" and level and (not found or at - found[-1] > 100):
            found.append(at)
    return found


def test_a_measurement_that_motion_spoilt_is_repeated_once(tmp_path: Path) -> None:
    """Both records are told, the second as a repeat at least 30 s after the first; then there is an end."""
    chair = began(tmp_path)
    move(chair)
    chair.command("measure", "m-1")
    chair.run(330)
    told = triggers(chair)
    assert [trigger for trigger, _ in told] == ["command", "repeat"]
    assert all(reason for _, reason in told)
    first, second = chair.all("cuff")
    assert second["up_ms"] - second["duration_ms"] - first["up_ms"] >= 29_000
    chair.board.stop()


def test_a_repeat_may_succeed(tmp_path: Path) -> None:
    """The arm has come to rest: the repeat is good, and nothing follows."""
    chair = began(tmp_path)
    move(chair)
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: bool(chair.all("cuff")), within_s=180)
    chair.world.cuff.muscle_ml = lambda t: 0.0
    chair.run(150)
    assert [(cuff["trigger"], cuff["quality"]) for cuff in chair.all("cuff")] == [
        ("command", "failed"),
        ("repeat", "good"),
    ]
    chair.board.stop()


def test_a_repeat_begins_higher(tmp_path: Path) -> None:
    """330/220: at 160 mmHg there may be no pulse to be seen, so the repeat starts at 200, and finds it above range."""
    chair = began(tmp_path, seed=1)
    chair.world.reseed(1)
    chair.world.patient.set(sys_mmhg=330, dia_mmhg=220)
    chair.command("measure", "m-1")
    chair.run(300)
    assert [cuff["quality"] for cuff in chair.all("cuff")] == ["failed"] * len(chair.all("cuff"))
    assert triggers(chair)[-1][1] == "above_range"
    chair.board.stop()


@pytest.mark.parametrize("fault", ["leak", "button", "above_range", "abort", "no session"])
def test_what_the_board_opened_or_a_person_stopped_is_not_repeated(tmp_path: Path, fault: str) -> None:
    """One record with its reason and no second inflation; nor is a spoilt one repeated when the session is over."""
    chair = began(tmp_path)
    if fault == "leak":
        chair.world.cuff.leak_size = 60.0
    elif fault == "above_range":
        chair.world.patient.set(sys_mmhg=290, dia_mmhg=170)
    elif fault == "no session":
        move(chair)
    chair.command("measure", "m-1")
    if fault in ("button", "abort"):
        chair.board.run_until(lambda: chair.pressure_mmhg() > 60, within_s=20)
        if fault == "abort":
            chair.command("abort", "a-1")
        else:
            chair.world.press("button_acknowledge")
    elif fault == "no session":
        chair.board.run_until(chair.pumped, within_s=20)
        chair.annunciate["session"] = ""
    for _ in range(240):
        chair.run(1)
        if chair.all("cuff"):
            break
    chair.run(60)
    found = triggers(chair)
    assert len(found) == 1
    assert fault == "no session" or found[0][1] == ("aborted" if fault == "abort" else fault)
    chair.board.stop()


@pytest.mark.parametrize("button", ["button_acknowledge", "button_call"])
def test_a_button_opens_the_cuff_within_a_tick_of_the_timer(tmp_path: Path, button: str) -> None:
    """The pump stops and the valve opens within 40 ms of the press; the button's own event is told as always."""
    chair = began(tmp_path)
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 60, within_s=20)
    pressed_s = chair.board.now_s()
    chair.world.press(button)
    chair.run(10)
    opened_s = [at for at, name, level in chair.world.output_log if name == "dump_valve" and not level][-1]
    assert 0 <= opened_s - pressed_s <= 0.04
    assert chair.pressure_mmhg() < 15
    assert triggers(chair) == [("command", "button")]
    assert [e["name"] for e in chair.all("event") if e["kind"] == "button"] == [button.removeprefix("button_")]
    chair.board.stop()


def test_a_button_that_is_jammed_does_not_keep_the_cuff_from_measuring(tmp_path: Path) -> None:
    """Only a press stops a measurement, not a button that was down before."""
    chair = began(tmp_path)
    chair.world.press("button_call")
    chair.run(2)
    chair.command("measure", "m-1")
    chair.run(75)
    assert triggers(chair) == [("command", None)]
    chair.board.stop()


def test_alone_a_pressure_over_its_limit_is_repeated_after_two_minutes(tmp_path: Path) -> None:
    """The gateway is gone, the patient at 170/100: the scheduled measurement has a repeat, which has none."""
    chair = Chair(tmp_path)
    chair.world.patient.set(sys_mmhg=172, dia_mmhg=104)
    chair.annunciate |= {"limits": LIMITS, "cuff_interval_s": 600, "cuff_next_s": 20}
    chair.gateway = True
    chair.board.run_until(lambda: bool(chair.records()), within_s=15)
    chair.run(2)
    chair.gateway = False
    chair.run(420)
    assert triggers(chair) == [("schedule", None), ("repeat", None)]
    first_s, second_s = starts_s(chair)
    ended_s = first_s + chair.all("cuff")[0]["duration_ms"] / 1000
    assert second_s - ended_s == pytest.approx(120, abs=5)
    chair.board.stop()


def test_beside_a_gateway_the_gateway_orders_the_repeat(tmp_path: Path) -> None:
    """The same pressure, the gateway there and silent about it: one measurement."""
    chair = began(tmp_path)
    chair.world.patient.set(sys_mmhg=172, dia_mmhg=104)
    chair.annunciate["limits"] = LIMITS
    chair.run(2)
    chair.command("measure", "m-1")
    chair.run(240)
    assert triggers(chair) == [("command", None)]
    chair.board.stop()


def test_a_stuck_dump_valve_is_told(tmp_path: Path) -> None:
    """The measurement is good, and the board's status and an event name the valve."""
    chair = began(tmp_path)
    chair.world.cuff.dump_stuck_shut = True
    chair.command("measure", "m-1")
    chair.run(90)
    assert [cuff["quality"] for cuff in chair.all("cuff")] == ["good"]
    assert chair.all("status")[-1]["faults"] == ["cuff_dump_valve_stuck"]
    assert "cuff_dump_valve_stuck" in [e["name"] for e in chair.all("event") if e["kind"] == "fault"]
    chair.board.stop()


def test_a_bus_that_is_stuck_does_not_stop_the_program(tmp_path: Path) -> None:
    """Every transfer takes its timeout: the board opens the cuff, says why, and goes on without a restart."""
    chair = began(tmp_path)
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 60, within_s=20)
    chair.world.bus.stuck = True
    chair.run(40)
    assert triggers(chair) == [("command", "sensor_silent")]
    assert "cuff_sensor_silent" in chair.all("status")[-1]["faults"]
    assert len(chair.board.resets) == 1
    chair.board.stop()


def test_no_link_is_begun_above_15_mmhg_and_a_broken_cuff_does_not_silence_the_board(tmp_path: Path) -> None:
    """The link breaks while the dump valve is stuck: it is made again only when the slow way has emptied the cuff;
    and beside a cuff whose sensor has drifted, which will never read empty, it is made all the same.
    """
    chair = began(tmp_path)
    chair.world.cuff.dump_stuck_shut = True
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 120, within_s=20)
    before = len(chair.opened_s)
    chair.board.peer.drop()
    while chair.pressure_mmhg() > 16:
        assert len(chair.opened_s) == before
        chair.board.run_for(0.5)
    chair.board.run_until(lambda: len(chair.opened_s) > before, within_s=15)
    chair.run(3)
    chair.world.sensor_drift_mmhg = 40.0
    chair.run(40)
    before = len(chair.opened_s)
    chair.board.peer.drop()
    chair.board.run_until(lambda: len(chair.opened_s) > before, within_s=15)
    chair.board.stop()
