"""The board's MQTT client over a real run of the firmware: whole packets, bounded waits, and always back."""

import json
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from chair_board import Chair, topic

from simulators import mqtt_packets as mqtt
from simulators.conductor import HARD_RESET


def test_one_packet_is_one_write(tmp_path: Path) -> None:
    """Connect, subscribe, records, acknowledgements and pings: each write is one whole packet."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(20)
    chair.board.stop()
    kinds = set()
    for write in chair.writes:
        packets = list(mqtt.Stream().feed(write))
        assert len(packets) == 1, write
        kinds.add(packets[0][0])
    assert {mqtt.CONNECT, mqtt.SUBSCRIBE, mqtt.PUBLISH, mqtt.PUBACK, mqtt.PINGREQ} <= kinds


def test_the_will_is_retained_and_names_this_connection(tmp_path: Path) -> None:
    """Will and birth carry the same boot and conn; the session is clean; a reconnect counts conn up."""
    chair = Chair(tmp_path)
    chair.board.run_for(3)
    chair.board.peer.drop()
    chair.board.run_for(10)
    chair.board.stop()
    births = chair.all("status")
    assert [birth["conn"] for birth in births] == [1, 2]
    for body, birth in zip(chair.board.peer.connects, births, strict=True):
        assert body[:8] == b"\x00\x04MQTT\x04\x2e"  # level 4; will, retained, QoS 1, clean session
        rest = body[10:]
        fields = []
        while rest:
            length = struct.unpack("!H", rest[:2])[0]
            fields.append(rest[2 : 2 + length])
            rest = rest[2 + length :]
        assert fields[0] == b"cb-000001"
        assert fields[1].decode() == topic("status")
        assert json.loads(fields[2]) == {"v": 1, "boot": birth["boot"], "conn": birth["conn"], "online": False}


def test_a_login_is_sent_and_its_refusal_is_told_once_and_recorded(tmp_path: Path) -> None:
    """User and password stand in CONNECT; a broker that refuses them is named on the console and, as soon as somebody
    can be told, in the record; the board keeps trying."""
    chair = Chair(tmp_path, settings={"mqtt_user": "cb-000001", "mqtt_password": "a secret"})
    chair.board.peer.refusal = 5
    chair.board.run_for(30)
    assert len(chair.board.peer.connects) > 3
    assert not chair.all("status")
    for connect in chair.board.peer.connects:
        assert connect[7] == 0xEE
        assert connect.endswith(b"\x00\x09cb-000001\x00\x08a secret")
    chair.board.peer.refusal = 0
    chair.gateway = True
    chair.run(20)
    events = [e for e in chair.all("event") if e["kind"] == "link" and e["name"] == "refused"]
    assert len({e["seq"] for e in events}) == 1
    assert events[0]["detail"] == "the broker refuses the login (mqtt_user, mqtt_password), code 5"
    chair.board.stop()
    assert chair.board.log_path.read_text().count("chairside: no link: the broker refuses the login") == 1


def test_a_silent_broker_is_left_after_five_seconds_and_tried_again(tmp_path: Path) -> None:
    """A connection that is open but dead: nothing is heard for 5 s, and a new connection is made."""
    chair = Chair(tmp_path)
    chair.board.run_for(3)
    chair.board.peer.silent = True
    chair.board.run_for(4.4)
    assert len(chair.opened_s) == 1
    chair.board.run_for(3)
    assert len(chair.opened_s) > 1
    chair.board.peer.silent = False
    chair.board.run_until(lambda: len(chair.all("status")) == 2, within_s=20)
    chair.board.stop()
    assert len(chair.board.resets) == 1


def test_a_dead_gateway_behind_a_living_broker_is_not_the_links_trouble(tmp_path: Path) -> None:
    """No annunciate and no ack for two minutes, but the broker answers: the connection stays."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(5)
    chair.gateway = False
    chair.board.run_for(120)
    chair.board.stop()
    assert (len(chair.opened_s), len(chair.all("status"))) == (1, len(chair.all("status")))
    assert {status["conn"] for status in chair.all("status")} == {1}


def test_messages_alone_are_life(tmp_path: Path) -> None:
    """A broker that is slow to answer pings, but brings the gateway's word each second, is not left."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.loses = lambda data: data[0] >> 4 == mqtt.PINGREQ
    chair.run(60)
    chair.board.stop()
    assert len(chair.opened_s) == 1


def test_a_name_that_nobody_knows_is_seldom_asked_for(tmp_path: Path) -> None:
    """Each question stops the board for 14 s: one in half a minute, no restart, and the readings between them go on.
    When a name server answers, the board connects."""
    chair = Chair(tmp_path, broker=("gateway.example", 1883))
    chair.board.names_answer = False
    chair.board.run_for(180)
    assert chair.board.resets == [1]
    assert not chair.opened_s
    assert "no address for mqtt_host gateway.example" in chair.board.log_path.read_text()
    chair.board.names_answer = True
    chair.board.run_until(lambda: bool(chair.all("status")), within_s=60)
    chair.gateway = True
    chair.run(60)
    chair.board.stop()
    made = sorted({vitals["up_ms"] for vitals in chair.all("vitals") if vitals["up_ms"] < 180_000})
    gaps_ms = [after - before for before, after in pairwise(made) if after - before > 2000]
    assert 3 <= len(gaps_ms) <= 5
    assert max(gaps_ms) < 16_000


def test_an_old_address_serves_while_no_name_server_answers(tmp_path: Path) -> None:
    """A link that breaks while names cannot be found is made again at once, without asking."""
    chair = Chair(tmp_path, broker=("gateway.example", 1883))
    chair.board.run_for(5)
    chair.board.names_answer = False
    chair.board.peer.drop()
    chair.board.run_until(lambda: len(chair.all("status")) == 2, within_s=3)
    chair.board.stop()


def test_a_radio_that_hangs_is_switched_off_and_on_after_a_minute(tmp_path: Path) -> None:
    """It joins nothing any more, as boards do that never come back: a minute later the link is there again, and the
    board did not restart."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(5)
    chair.world.wifi_up = 2  # type: ignore[assignment]  # see shims/network.py
    chair.board.peer.silent = True
    chair.board.run_for(30)
    chair.board.peer.silent = False
    chair.board.run_for(20)
    assert len(chair.all("status")) == 1
    chair.board.run_until(lambda: len(chair.all("status")) >= 2, within_s=60)
    chair.board.stop()
    assert chair.board.resets == [1]


@pytest.mark.long
def test_without_a_link_the_board_restarts_each_half_hour_and_loses_nothing(tmp_path: Path) -> None:
    """No session and no broker for 65 minutes: two restarts, no more; what the outbox held, as far as it reaches back,
    comes under the boot that made it."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.annunciate["session"] = ""
    chair.board.run_for(3)
    chair.run(20)
    first = chair.boot
    chair.board.peer.drop(refuse=True)
    chair.gateway = False
    chair.board.run_for(65 * 60)
    assert chair.board.resets == [1, HARD_RESET, HARD_RESET]
    chair.board.peer.up = True
    chair.gateway = True
    chair.run(400)
    chair.board.stop()
    assert chair.board.resets == [1, HARD_RESET, HARD_RESET]
    seqs: dict[str, set[int]] = {}
    for record in chair.records():
        seqs.setdefault(record["boot"], set()).add(record["seq"])
    assert len(seqs) == 3
    assert next(iter(seqs)) == first
    middle = next(boot for boot in seqs if boot not in (first, chair.boot))
    assert all(record["late"] for record in chair.records(boot=middle))
    restarts = [e for e in chair.all("event") if e["kind"] == "link" and e["name"] == "restart"]
    assert {e["boot"] for e in restarts} == set(seqs) - {chair.boot}
    assert all(29 * 60 <= e["value"] <= 32 * 60 for e in restarts)
    # The restart is the last that a boot records: what of all before it did not come is counted.
    lost = sum(max(seqs[e["boot"]]) - len(seqs[e["boot"]]) for e in {e["boot"]: e for e in restarts}.values())
    dropped = chair.all("status")[-1]["dropped"]
    assert dropped >= lost > 0
    assert seqs[middle] >= set(range(max(seqs[middle]) - 400, max(seqs[middle]) + 1))
    print(f"{lost} records did not come, {dropped} are counted")


@pytest.mark.long
def test_link_trouble_never_restarts_a_board_with_a_session(tmp_path: Path) -> None:
    """The same outage with a patient in the chair: the board stays up and keeps measuring."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(20)
    chair.board.peer.drop(refuse=True)
    chair.gateway = False
    chair.board.run_for(65 * 60)
    chair.board.stop()
    assert chair.board.resets == [1]


def test_a_refused_connection_is_tried_again_within_five_seconds_for_ever(tmp_path: Path) -> None:
    """Backoff from half a second to five, spread by chance; the samples go on meanwhile."""
    chair = Chair(tmp_path)
    chair.board.run_for(3)
    chair.board.peer.drop(refuse=True)
    chair.board.run_for(120)
    gaps = [b - a for a, b in pairwise(chair.opened_s[1:])]
    assert len(gaps) >= 20
    assert max(gaps) < 5.5
    assert gaps[0] < 1.5
    assert len({round(gap, 2) for gap in gaps}) > 5
    chair.board.peer.up = True
    chair.gateway = True
    chair.board.run_until(lambda: len(chair.all("status")) == 2, within_s=10)
    chair.run(40)
    chair.board.stop()
    assert {r["seq"] for r in chair.records()} >= set(range(1, 150))


def test_an_oversized_message_is_read_over(tmp_path: Path) -> None:
    """It changes nothing, and the next good one is handled on the same connection."""
    chair = Chair(tmp_path)
    chair.board.run_for(3)
    chair.board.peer.publish(topic("annunciate"), b"x" * 9000, qos=1)
    chair.annunciate["level"] = "low"
    chair.speak()
    chair.board.run_for(1)
    assert chair.world.output("lamp_cyan") == 1
    assert chair.world.output("lamp_yellow") == 0
    chair.board.stop()
    assert len(chair.opened_s) == 1


def test_nonsense_in_place_of_a_message_changes_nothing(tmp_path: Path) -> None:
    """Malformed, unknown version and wrong type are passed over on every topic."""
    chair = Chair(tmp_path)
    chair.board.run_for(3)
    for leaf in ("ack", "annunciate", "cmd"):
        for payload in (b"", b"{", b"\xff\xfe", b"[1,2]", b'{"v":2}', b'{"v":1}', b"null"):
            chair.board.peer.publish(topic(leaf), payload, qos=1)
    chair.annunciate["level"] = "low"
    chair.speak()
    chair.board.run_for(2)
    assert chair.world.output("lamp_cyan") == 1
    chair.board.stop()
    assert (len(chair.opened_s), len(chair.board.resets)) == (1, 1)
