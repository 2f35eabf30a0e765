"""The whole firmware, unmodified, in virtual time: what it measures, keeps, obeys and shows."""

import json
import random
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from chair_board import Chair, topic
from unix_port import FIRMWARE

from gateway import wire

HEAP_BYTES = 256 * 1024  # objects are twice as large here as on the board


def test_it_measures_a_patient_once_a_second(tmp_path: Path) -> None:
    """After settling every second brings a good reading of the patient, fresh, with rising seq and time."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(60)
    vitals = chair.all("vitals")
    assert len(vitals) >= 60
    assert all(b["up_ms"] - a["up_ms"] in range(950, 1051) for a, b in pairwise(vitals))
    assert all(v["age_ms"] <= 150 for v in vitals)
    assert {v["quality"] for v in vitals[:3]} == {"settling"}
    assert {v["quality"] for v in vitals[15:]} == {"good"}
    last = vitals[-1]
    assert abs(last["spo2_pct"] - chair.world.patient.at("spo2_pct", 60)) < 4
    assert abs(last["pulse_bpm"] - chair.world.patient.at("pulse_bpm", 60)) < 3
    assert last["base"] >= last["seq"] - 3  # acknowledged records are gone
    chair.board.stop()


def test_nothing_is_lost_over_an_outage(tmp_path: Path) -> None:
    """Two minutes without a broker: every record arrives, those of the outage late, five a second at most."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(10)
    chair.board.peer.drop(refuse=True)
    chair.gateway = False
    chair.board.run_for(120)
    chair.board.peer.up = True
    chair.board.run_until(lambda: len(chair.all("status")) >= 2, within_s=10)
    chair.gateway = True
    chair.run(60)
    records = chair.records()
    assert {r["seq"] for r in records} == set(range(1, max(r["seq"] for r in records) + 1))
    late = [p for p in chair.board.published if b'"late":true' in p.payload]
    assert len(late) >= 115
    assert all(b.at_us - a.at_us >= 190_000 for a, b in pairwise(late))
    first = [p.topic.rsplit("/", 1)[1] for p in late[:5]]
    assert first[0] == "event"  # that the link was lost comes before the vitals of the outage
    assert records[-1]["base"] >= records[-1]["seq"] - 3
    assert chair.all("status")[-1]["dropped"] == 0
    chair.board.stop()


def test_what_is_lost_on_the_way_is_sent_again(tmp_path: Path) -> None:
    """A fifth of the records vanish behind the board's back, without a reconnect: each arrives in the end."""
    chance = random.Random(5)
    chair = Chair(tmp_path)
    chair.loses = lambda data: b'"seq":' in data and chance.random() < 0.2
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(120)
    chair.loses = lambda data: False
    chair.run(15)
    seqs = [r["seq"] for r in chair.records()]
    assert set(seqs) == set(range(1, max(seqs) + 1))
    assert len(chair.opened_s) == 1
    sent = sum(b'"seq":' in write for write in chair.writes)
    assert sent < 1.5 * max(seqs)  # and what had arrived is hardly ever sent twice
    chair.board.stop()


def test_a_command_from_before_the_outage_does_not_move_the_pump(tmp_path: Path) -> None:
    """It arrives after the reconnect, expired; and a repeat of one that was obeyed is not obeyed again."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(3)
    old = {"id": "m-1", "kind": "measure", "session": "s-1", "boot": chair.boot}
    old["valid_until_up_ms"] = chair.up_ms + 5000
    chair.board.peer.drop(refuse=True)
    chair.board.run_for(7)
    chair.board.peer.up = True
    chair.board.run_until(lambda: len(chair.all("status")) >= 2, within_s=10)
    chair.tell("cmd", old, qos=1)
    chair.run(30)
    assert [(r["id"], r["result"], r["reason"]) for r in chair.all("reply")] == [("m-1", "refused", "expired")]
    assert not chair.pumped()
    chair.board.stop()


def test_a_retained_command_does_not_move_the_pump(tmp_path: Path) -> None:
    """However it came to be retained, it is history."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(2)
    command = {"v": 1, "id": "m-1", "kind": "measure", "session": "s-1", "boot": chair.boot}
    command["valid_until_up_ms"] = chair.up_ms + 5900
    chair.board.peer.retained[topic("cmd")] = json.dumps(command).encode()
    chair.board.peer.drop()
    chair.board.run_until(lambda: len(chair.all("status")) >= 2, within_s=4)
    chair.run(10)
    assert not chair.pumped()
    assert chair.all("reply") == []
    chair.board.stop()


def test_a_measurement_is_commanded_once_and_answered(tmp_path: Path) -> None:
    """Accepted, repeated, busy, aborted: each command has its answer, and only the first moves the pump."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(2)
    chair.command("measure", "m-1")
    chair.run(1)
    chair.command("measure", "m-1")
    chair.command("measure", "m-2")
    chair.run(1)
    chair.command("measure", "m-3", session="s-9")
    chair.run(80)
    answers = [(r["id"], r["result"], r.get("reason")) for r in chair.all("reply")]
    assert answers == [
        ("m-1", "accepted", None), ("m-1", "refused", "repeated"), ("m-2", "refused", "busy"),
        ("m-3", "refused", "session"),
    ]  # fmt: skip
    result = chair.all("cuff")
    assert len(result) == 1
    assert (result[0]["quality"], result[0]["trigger"]) == ("good", "command")
    patient = chair.world.patient
    assert abs(result[0]["sys_mmhg"] - patient.at("sys_mmhg", 20)) < 15
    phases = [v.get("cuff", "idle") for v in chair.all("vitals")]
    assert {"inflating", "deflating"} <= set(phases)
    assert all(("cuff_mmhg" in v) == (v.get("cuff", "idle") != "idle") for v in chair.all("vitals"))
    chair.command("measure", "m-4")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 60, within_s=20)
    chair.command("abort", "a-1")
    chair.run(15)
    assert chair.pressure_mmhg() < 15
    assert chair.all("cuff")[-1]["reason"] == "aborted"
    chair.board.stop()


def test_the_board_measures_when_the_gateways_countdown_ends_and_goes_on_alone(tmp_path: Path) -> None:
    """One measurement by the gateway's time; then the gateway falls silent and the interval goes on."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.annunciate |= {"cuff_interval_s": 180, "cuff_next_s": 10}
    for _ in range(70):
        chair.run(1)
        done = bool(chair.all("cuff"))
        chair.annunciate["cuff_next_s"] = 120 if done else max(0, int(chair.annunciate["cuff_next_s"]) - 1)
    assert [c["trigger"] for c in chair.all("cuff")] == ["schedule"]
    chair.gateway = False
    chair.run(120 + 180 + 70)
    assert len(chair.all("cuff")) == 3
    chair.board.stop()


def test_no_connection_is_begun_while_there_is_air_in_the_cuff(tmp_path: Path) -> None:
    """Connecting blocks the board: the link that breaks during a measurement waits for its end."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(2)
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 100, within_s=20)
    before = len(chair.opened_s)
    chair.board.peer.drop()
    while chair.pressure_mmhg() > 16:
        assert len(chair.opened_s) == before
        chair.board.run_for(0.5)
    chair.board.run_until(lambda: len(chair.opened_s) > before, within_s=10)
    chair.board.stop()


@pytest.mark.parametrize("same_limb", [True, False])
def test_a_cuff_on_the_same_arm_holds_the_oximeter(tmp_path: Path, same_limb: bool) -> None:
    """While it runs the reading is `cuff_hold` without a value, at most 60 s; on the other arm it goes on."""
    chair = Chair(tmp_path, same_limb=same_limb)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(15)
    chair.command("measure", "m-1")
    chair.run(75)
    held = [v for v in chair.all("vitals") if v["quality"] == "cuff_hold"]
    assert (10 < len(held) <= 61) == same_limb
    assert all("spo2_pct" not in v for v in held)
    chair.board.stop()


def test_a_missing_oximeter_is_a_fault_and_comes_back(tmp_path: Path) -> None:
    """Told in status, event and quality; the cuff works on; found again within seconds, without a restart."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(15)
    address = chair.world.plan.oximeter_address
    chip = chair.world.bus.chips.pop(address)
    chair.run(5)
    assert chair.all("vitals")[-1]["quality"] == "sensor_fault"
    assert "spo2_pct" not in chair.all("vitals")[-1]
    assert chair.all("status")[-1]["faults"] == ["oximeter"]
    assert [e["name"] for e in chair.all("event") if e["kind"] == "fault"] == ["oximeter"]
    chair.command("measure", "m-1")
    chair.run(60)
    assert chair.all("cuff")[-1]["quality"] == "good"
    chair.world.bus.chips[address] = chip
    chair.run(20)
    assert chair.all("vitals")[-1]["quality"] == "good"
    assert chair.all("status")[-1]["faults"] == []
    assert len(chair.board.resets) == 1
    chair.board.stop()


def test_a_missing_pressure_converter_is_a_fault_and_the_finger_goes_on(tmp_path: Path) -> None:
    """No converter at power-on: no cuff, a named fault, good vitals; it is found when it answers."""
    chair = Chair(tmp_path)
    address = chair.world.plan.pressure_adc_address
    chip = chair.world.bus.chips.pop(address)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(15)
    assert chair.all("vitals")[-1]["quality"] == "good"
    assert chair.all("vitals")[-1]["cuff"] == "fault"
    assert chair.all("status")[-1]["faults"] == ["pressure_adc"]
    chair.command("measure", "m-1")
    chair.run(2)
    assert chair.all("reply")[-1]["reason"] == "fault"
    chair.world.bus.chips[address] = chip
    chair.run(8)
    assert chair.all("status")[-1]["faults"] == []
    assert not chair.pumped()
    chair.board.stop()


def test_the_call_button_is_an_event_once(tmp_path: Path) -> None:
    """Held for two seconds it is one call."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.world.press("button_call")
    chair.run(2)
    chair.world.press("button_call", down=False)
    chair.run(2)
    assert [e["name"] for e in chair.all("event") if e["kind"] == "button"] == ["call"]
    chair.board.stop()


def test_alone_it_judges_by_its_own_limits_and_tells_afterwards(tmp_path: Path) -> None:
    """The link dies, the patient desaturates: red lamp and sounder at once, and the event when the link is back."""
    chair = Chair(tmp_path)
    chair.gateway = True
    limits = {
        "spo2_low_pct": 99.5,
        "pulse_low_bpm": 30,
        "pulse_high_bpm": 190,
        "sys_low_mmhg": 70,
        "sys_high_mmhg": 220,
    }
    chair.annunciate["limits"] = limits
    chair.board.run_for(3)
    chair.run(20)
    assert chair.world.output("lamp_red") == 0
    chair.board.peer.drop(refuse=True)
    chair.gateway = False
    chair.board.run_for(10)
    shown = {name for at, name, level in chair.world.output_log if level and at > 23}
    assert {"lamp_red", "sounder"} <= shown
    chair.board.peer.up = True
    chair.board.run_until(lambda: len(chair.all("status")) >= 2, within_s=10)
    chair.gateway = True
    chair.run(5)
    alarms = [e for e in chair.all("event") if e["kind"] == "local_alarm"]
    assert [(e["name"], e["limit"], e["unit"], e["late"]) for e in alarms] == [("spo2_low", 99.5, "%", True)]
    chair.board.stop()


def test_time_goes_on_when_the_ticks_wrap(tmp_path: Path) -> None:
    """The ESP32's ticks wrap after 12.4 days: `up_ms` rises second by second through it, and the cuff is safe."""
    chair = Chair(tmp_path, ticks_start_ms=(1 << 30) - 30_000)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(15)
    chair.command("measure", "m-1")
    chair.run(75)
    vitals = chair.all("vitals")
    assert all(b["up_ms"] - a["up_ms"] in range(950, 1051) for a, b in pairwise(vitals))
    assert vitals[-1]["quality"] == "good"
    assert chair.all("cuff")[-1]["quality"] == "good"
    chair.board.stop()


def test_it_runs_in_a_small_heap_through_an_outage_and_a_measurement(tmp_path: Path) -> None:
    """256 KB on the unix port: ten minutes of outage, a measurement, the recovery, no restart, and some to spare: a
    measurement still succeeds with 24 KB less."""
    chair = Chair(tmp_path, heap_bytes=HEAP_BYTES)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(10)
    chair.command("measure", "m-1")
    chair.run(60)
    chair.board.peer.drop(refuse=True)
    chair.gateway = False
    chair.board.run_for(600)
    chair.board.peer.up = True
    chair.board.run_until(lambda: len(chair.all("status")) >= 2, within_s=10)
    chair.gateway = True
    chair.run(180)
    seqs = {r["seq"] for r in chair.records()}
    assert seqs == set(range(1, max(seqs) + 1))
    status = chair.all("status")[-1]
    assert status["dropped"] == 0
    assert status["heap_free_bytes"] > 40 * 1024
    assert chair.board.resets == [1]
    chair.board.stop()


def test_the_pleth_travels_on_request(tmp_path: Path) -> None:
    """For half a minute after a command, one second of it in each message, and no longer; nothing of it is a record."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.run(12)
    assert not chair.all("waveform")
    chair.command("waveform", "w-1")
    chair.run(40)
    seconds = [wire.decode(json.dumps(each).encode(), wire.Waveform) for each in chair.all("waveform")]
    assert 28 <= len(seconds) <= 31
    assert all(each.rate_hz == len(each.ir) == 25 for each in seconds)
    assert max(max(each.ir) for each in seconds) > 100
    assert all("seq" not in each for each in chair.all("waveform"))
    chair.board.stop()


def test_no_measurement_begins_during_a_handshake(tmp_path: Path) -> None:
    """A handshake stops the program for seconds: an order meanwhile is answered with busy, and the schedule waits."""
    copy = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, copy)
    link = copy / "chair" / "link.py"
    text = link.read_text()
    old = "        return self._tls is not None and self._tls.busy\n"
    assert old in text
    link.write_text(text.replace(old, "        return self._clock.up_ms() < 20000\n"))
    chair = Chair(tmp_path, firmware_dir=copy)
    chair.gateway = True
    chair.annunciate |= {"cuff_interval_s": 300, "cuff_next_s": 0}
    chair.run(10)
    chair.command("measure", "m-1")
    chair.run(5)
    assert chair.all("reply")[-1] == chair.all("reply")[-1] | {"result": "refused", "reason": "busy"}
    assert not chair.pumped()
    chair.run(15)
    assert chair.pumped()
    chair.board.kill()
