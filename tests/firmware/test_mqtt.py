"""The board's MQTT client over a real run of the firmware: whole packets, bounded waits, and always back."""

import json
import struct
from itertools import pairwise
from pathlib import Path

from chair_board import Chair, topic

from simulators import mqtt_packets as mqtt


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


def test_a_silent_broker_is_left_and_tried_again(tmp_path: Path) -> None:
    """A connection that is open but dead: no PINGRESP for 5 s, and a new connection is made."""
    chair = Chair(tmp_path)
    chair.board.run_for(3)
    chair.board.peer.latency_us = 10**12
    chair.board.run_for(11)
    assert len(chair.opened_s) > 1
    chair.board.peer.latency_us = 1500
    chair.board.run_until(lambda: len(chair.all("status")) == 2, within_s=20)
    chair.board.stop()
    assert len(chair.board.resets) == 1


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
