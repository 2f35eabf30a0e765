"""The unmodified firmware without its gateway, in virtual time: what people see, hear and can still rely on."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chair_board import Chair, topic

LIMITS = {
    "spo2_low_pct": 85.0, "pulse_low_bpm": 40.0, "pulse_high_bpm": 140.0, "sys_low_mmhg": 70.0, "sys_high_mmhg": 220.0,
}  # fmt: skip
STRICT = LIMITS | {"spo2_low_pct": 99.5}  # no patient of these tests reaches it


def chair_with_gateway(folder: Path, **annunciate: Any) -> Chair:
    """A board that measures well beside a gateway, with a session."""
    chair = Chair(folder)
    chair.annunciate |= {"limits": LIMITS} | annunciate
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(17)
    return chair


def gateway_dies(chair: Chair) -> float:
    """Returns the time of its last word."""
    chair.gateway = False
    return chair.board.now_s() - 1


def power_cycle_alone(chair: Chair) -> float:
    """The board restarts where no broker answers. Returns when."""
    chair.gateway = False
    chair.board.peer.drop(refuse=True)
    chair.board.peer.retained.clear()
    chair.board.cut_power()
    chair.board.restore_power()
    return chair.board.now_s()


def broker_returns(chair: Chair) -> None:
    seen = len(chair.all("status"))
    chair.board.peer.up = True
    chair.board.run_until(lambda: len(chair.all("status")) > seen, within_s=20)


def events(chair: Chair, kind: str) -> list[dict[str, Any]]:
    return [event for event in chair.all("event") if event["kind"] == kind]


def lit(chair: Chair, name: str, from_s: float, to_s: float = 1e9) -> list[float]:
    """When the line was switched on."""
    return [at for at, line, level in chair.world.output_log if line == name and level and from_s <= at < to_s]


def watch(chair: Chair, seconds: float, what: Callable[[Chair], bool]) -> list[bool]:
    """Looked at ten times a second."""
    seen = []
    for _ in range(round(seconds * 10)):
        chair.board.run_for(0.1)
        seen.append(what(chair))
    return seen


def sounds(chair: Chair) -> bool:
    return chair.world.output("sounder") > 0


def red(chair: Chair) -> bool:
    return chair.world.output("lamp_red") > 0


# ---- silence --------------------------------------------------------------------------------------------------


def test_a_dead_gateway_is_seen_after_3_s_and_heard_after_30(tmp_path: Path) -> None:
    """Yellow and cyan in turn, then the medium burst: three pulses, every 15 s. Before it, nothing."""
    chair = chair_with_gateway(tmp_path)
    last_s = gateway_dies(chair)
    chair.board.run_for(70)
    seen = lit(chair, "lamp_yellow", last_s)
    assert last_s + 2.9 <= seen[0] <= last_s + 3.2
    assert 0.4 <= (len(seen) - 1) / (seen[-1] - seen[0]) <= 0.8
    between = lit(chair, "lamp_cyan", last_s + 3.2)
    assert all(any(a < c < b for c in between) for a, b in pairwise(seen))
    heard = lit(chair, "sounder", last_s)
    assert last_s + 29.9 <= heard[0] <= last_s + 30.2
    bursts = [at for at in heard if not any(at - 2 < other < at for other in heard)]
    assert len(bursts) == 3
    assert all(sum(at <= other < at + 2 for other in heard) == 3 for at in bursts)
    chair.board.stop()


def test_acknowledge_pauses_a_board_alone_and_a_new_alarm_ends_the_pause(tmp_path: Path) -> None:
    """Quiet for 120 s and no longer; but 30 s after the finger has fallen out of the probe it is red and sounds."""
    chair = chair_with_gateway(tmp_path)
    gateway_dies(chair)
    chair.board.run_for(31)
    chair.world.press("button_acknowledge")
    chair.board.run_for(0.3)
    chair.world.press("button_acknowledge", down=False)
    pressed_s = chair.board.now_s()
    chair.board.run_for(125)
    resumed_s = lit(chair, "sounder", pressed_s)[0]
    assert 119 <= resumed_s - pressed_s <= 121
    chair.world.press("button_acknowledge")
    chair.board.run_for(0.3)
    chair.world.press("button_acknowledge", down=False)
    chair.world.patient.set(finger_on=0)
    off_s = chair.board.now_s()
    chair.board.run_for(45)
    sounded_s = lit(chair, "sounder", off_s)[0]
    assert 25 <= sounded_s - off_s <= 40
    assert lit(chair, "lamp_red", off_s)[0] <= sounded_s
    assert [(e["name"], e["limit"], e["unit"]) for e in events(chair, "local_alarm")] == [("no_reading", 30, "s")]
    chair.board.stop()


def test_alone_a_crossed_limit_sounds_at_once(tmp_path: Path) -> None:
    """Within a turn of the panel after the reading that crossed it: red, and the first pulse of the high burst."""
    chair = chair_with_gateway(tmp_path)
    gateway_dies(chair)
    chair.board.run_for(5)
    chair.world.patient.set(spo2_pct=80.0)
    fell_s = chair.board.now_s()
    chair.board.run_for(20)
    (alarm,) = events(chair, "local_alarm")
    assert (alarm["name"], alarm["limit"], alarm.get("value", 0) < 85) == ("spo2_low", 85.0, True)
    crossed = next(v for v in chair.all("vitals") if v.get("spo2_pct", 100) < 85)
    assert crossed["up_ms"] <= alarm["up_ms"] <= crossed["up_ms"] + 20
    heard_s, red_s = lit(chair, "sounder", fell_s)[0], lit(chair, "lamp_red", fell_s)[0]
    began_s = min(p.at_us / 1e6 - json.loads(p.payload)["up_ms"] / 1000 for p in chair.board.published[:10])
    assert 0 <= heard_s - began_s - alarm["up_ms"] / 1000 <= 0.1
    assert abs(red_s - heard_s) <= 0.05
    chair.board.stop()


def test_a_measurement_on_the_same_arm_is_no_missing_reading(tmp_path: Path) -> None:
    """Alone with cuff and probe on one arm: the schedule measures, and that sounds for nothing."""
    chair = Chair(tmp_path, same_limb=True)
    chair.annunciate |= {"limits": LIMITS, "cuff_interval_s": 180, "cuff_next_s": 30}
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(17)
    gateway_dies(chair)
    chair.board.run_for(290)
    assert {"cuff_hold"} <= {v["quality"] for v in chair.all("vitals")}
    assert len(chair.all("cuff")) == 2
    assert events(chair, "local_alarm") == []
    assert not lit(chair, "lamp_red", 3)
    chair.board.stop()


# ---- restarts -------------------------------------------------------------------------------------------------


def test_a_restart_beside_a_dead_gateway_goes_on_with_session_limits_and_schedule(tmp_path: Path) -> None:
    """From flash alone: lamp at once, the stored limit judges, the cuff inflates each interval, all is told later."""
    chair = chair_with_gateway(tmp_path, limits=STRICT, cuff_interval_s=180, cuff_next_s=170)
    chair.annunciate["cuff_next_s"] = 150
    chair.run(1)
    began_s = power_cycle_alone(chair)
    chair.board.run_for(2)
    assert lit(chair, "lamp_yellow", began_s)
    assert not lit(chair, "lamp_red", began_s)  # no self-test of the lamps beside a patient
    chair.board.run_for(28)
    assert lit(chair, "lamp_red", began_s)  # the first good reading is below the stored limit
    chair.board.run_for(400)
    inflations = [at for at in lit(chair, "pump", began_s) if at - began_s > 1]
    first, second = inflations[0] - began_s, inflations[-1] - began_s
    assert 175 <= first <= 185
    assert 355 <= second <= 367
    broker_returns(chair)
    chair.annunciate["session"] = "s-1"
    chair.gateway = True
    chair.run(30)
    assert [event["name"] for event in events(chair, "local_alarm")] == ["spo2_low"]
    results = [c for c in chair.all("cuff") if c["boot"] == chair.boot]
    assert len({c["seq"] for c in results}) == 2
    assert {(c["quality"], c["trigger"]) for c in results} == {("good", "schedule")}
    chair.board.stop()


def test_a_board_that_restarts_again_and_again_does_not_pump(tmp_path: Path) -> None:
    """Its supply sags each minute: the arm is not squeezed at every start."""
    chair = chair_with_gateway(tmp_path, cuff_interval_s=300, cuff_next_s=280)
    for _ in range(4):
        power_cycle_alone(chair)
        chair.board.run_for(60)
    assert not chair.pumped()
    chair.board.stop()


def test_a_session_that_the_gateway_ended_does_not_come_back(tmp_path: Path) -> None:
    """Power fails in the second of its end; neither flash nor what an old broker kept brings it back."""
    chair = chair_with_gateway(tmp_path, cuff_interval_s=60, cuff_next_s=50)
    old = {"v": 1, "run": "g", "beat": chair.beat} | chair.annunciate
    chair.annunciate |= {"session": "", "cuff_interval_s": 0}
    del chair.annunciate["cuff_next_s"]
    chair.run(1)
    began_s = power_cycle_alone(chair)
    chair.board.run_for(130)
    broker_returns(chair)
    for run in ("g", "before"):
        message = json.dumps(old | {"run": run}).encode()
        chair.board.peer.retained[topic("annunciate")] = message
        seen = len(chair.all("status"))
        chair.board.peer.drop()
        chair.board.run_until(lambda n=seen: len(chair.all("status")) > n, within_s=10)  # type: ignore[misc]
        chair.board.run_for(100)
    assert not chair.pumped()
    assert not lit(chair, "lamp_yellow", began_s + 2)  # after the self-test
    assert not lit(chair, "sounder", began_s + 2)
    chair.board.stop()


def test_a_live_gateway_replaces_what_flash_knew(tmp_path: Path) -> None:
    """After the restart another patient sits there: the gateway's session and limits count, and are kept."""
    chair = chair_with_gateway(tmp_path, limits=STRICT)
    power_cycle_alone(chair)
    chair.board.run_for(25)
    assert any(watch(chair, 1, red))
    broker_returns(chair)
    chair.annunciate |= {"session": "s-2", "limits": LIMITS}
    chair.gateway = True
    chair.run(3)
    assert not any(watch(chair, 1, red))
    began_s = power_cycle_alone(chair)
    chair.board.run_for(29)
    assert lit(chair, "lamp_yellow", began_s)
    assert not lit(chair, "lamp_red", began_s)
    assert '"s-2"' in (tmp_path / "flash" / "session.a").read_text()
    chair.board.stop()


def test_the_flash_is_written_when_something_changes_and_else_never(tmp_path: Path) -> None:
    """Minutes of messages leave the file as it was; a new interval is in it within a second."""
    chair = chair_with_gateway(tmp_path, cuff_interval_s=600)
    file = tmp_path / "flash" / "session.a"
    first = file.stat().st_mtime_ns
    chair.run(120)
    assert file.stat().st_mtime_ns == first
    chair.annunciate["cuff_interval_s"] = 900
    chair.run(1)
    assert file.stat().st_mtime_ns != first
    assert '"interval_s": 900' in file.read_text()
    chair.board.stop()


@pytest.mark.long
def test_an_hour_alone_writes_the_flash_once(tmp_path: Path) -> None:
    """Beside a gateway nothing after the first message; alone, with the cuff at work, once at the hour's end."""
    chair = chair_with_gateway(tmp_path, cuff_interval_s=900)
    file = tmp_path / "flash" / "session.a"

    def writes(seconds: int) -> int:
        seen = [file.stat().st_mtime_ns]
        for _ in range(seconds):
            chair.run(1)
            seen.append(file.stat().st_mtime_ns)
        return sum(before != after for before, after in pairwise(seen))

    assert writes(1200) == 0
    chair.annunciate["cuff_next_s"] = 900
    chair.run(1)
    chair.gateway = False
    assert writes(3610) == 1
    assert len({c["seq"] for c in chair.all("cuff")}) == 3
    chair.board.stop()


def test_a_full_flash_is_a_fault_and_never_keeps_an_old_session(tmp_path: Path) -> None:
    """The session ends while nothing can be written: the status says so, and a restart knows of none."""
    chair = chair_with_gateway(tmp_path)
    chair.board.flash_full = True
    chair.annunciate["session"] = ""
    chair.run(2)
    assert chair.all("status")[-1]["faults"] == ["memory"]
    assert [event["name"] for event in events(chair, "fault")] == ["memory"]
    began_s = power_cycle_alone(chair)
    chair.board.run_for(40)
    assert not lit(chair, "sounder", began_s + 2)
    chair.board.flash_full = False
    broker_returns(chair)
    chair.gateway = True
    chair.annunciate["session"] = "s-2"
    chair.run(12)
    assert chair.all("status")[-1]["faults"] == []
    assert '"s-2"' in (tmp_path / "flash" / "session.a").read_text()
    chair.board.stop()
