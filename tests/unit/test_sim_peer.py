"""The virtual board's MQTT peer and the packets that it shares with the wire tap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import mqtt_packets as mqtt
from simulators.peer import CLOSED, DATA, OPENED, REFUSED, Peer

CONNECT = mqtt.packet(mqtt.CONNECT, b"\0\x04MQTT\x04\x02\0\x3c\0\x04cb-1")
SUBSCRIBE = mqtt.packet(mqtt.SUBSCRIBE, b"\0\x05\0\x03a/+\x01\0\x01#\x00", flags=2)


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_a_stream_is_cut_into_packets_however_it_arrives(payloads: list[bytes], chunk: int) -> None:
    """Any split of the bytes gives the same packets, lengths of one and of two bytes alike."""
    data = b"".join(mqtt.publish("a/b", payload, qos=1, packet_id=7) for payload in payloads)
    stream = mqtt.Stream()
    got = []
    for start in range(0, len(data), chunk):
        for kind, flags, body in stream.feed(data[start : start + chunk]):
            assert kind == mqtt.PUBLISH
            got.append(mqtt.read_publish(0, flags, body))
    assert [(p.topic, p.payload, p.qos, p.packet_id) for p in got] == [("a/b", p, 1, 7) for p in payloads]


def test_an_endless_length_is_refused() -> None:
    """A remaining length of five bytes is not MQTT."""
    with pytest.raises(ValueError, match="remaining length"):
        mqtt.Stream().feed(b"\x30\xff\xff\xff\xff\x01")


@pytest.mark.parametrize(
    ("pattern", "topic", "matches"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("#", "a", True),
        ("a/b", "a", False),
        ("+/b", "a/c", False),
    ],
)
def test_filters(pattern: str, topic: str, matches: bool) -> None:
    """+ is one level, # is the rest."""
    assert mqtt.topic_matches(pattern, topic) == matches


class Clocked:
    """A peer with a clock that the test moves, and one open connection."""

    def __init__(self) -> None:
        self.now_us = 0
        self.peer = Peer(lambda: self.now_us)
        self.peer.open(1)
        self.peer.receive(1, CONNECT)

    def arrived(self) -> list[tuple[bytes, bytes]]:
        self.now_us += 10_000
        return [(event.kind, event.data) for event in self.peer.take(self.now_us)]


def test_answers_take_their_time() -> None:
    """Nothing arrives before the latency is over; then it comes in order."""
    clocked = Clocked()
    assert clocked.peer.take(clocked.peer.latency_us - 1) == []
    assert clocked.peer.next_us() == clocked.peer.latency_us
    assert clocked.arrived() == [(OPENED, b""), (DATA, b"\x20\x02\0\0")]


def test_subscriptions_and_qos() -> None:
    """The board gets what it subscribed to, at most with the QoS that it asked for, retained ones with the flag."""
    clocked = Clocked()
    clocked.peer.publish("a/kept", b"old", retain=True)
    clocked.arrived()
    clocked.peer.receive(1, SUBSCRIBE)
    clocked.peer.publish("a/x", b"1", qos=1)
    clocked.peer.publish("z", b"2", qos=1)
    data = b"".join(data for _, data in clocked.arrived())
    packets = mqtt.Stream().feed(data)
    assert packets[0] == (mqtt.SUBACK, 0, b"\0\x05\x01\x00")
    messages = [mqtt.read_publish(0, flags, body) for _, flags, body in packets[1:]]
    assert [(m.topic, m.payload, m.qos, m.retain) for m in messages] == [
        ("a/kept", b"old", 0, True),
        ("a/x", b"1", 1, False),
        ("z", b"2", 0, False),
    ]


def test_what_the_board_publishes_is_kept_and_acknowledged() -> None:
    """Each PUBLISH is kept with its time; QoS 1 gets its PUBACK; PINGREQ its answer."""
    clocked = Clocked()
    clocked.arrived()
    clocked.peer.receive(1, mqtt.publish("a", b"x") + mqtt.publish("b", b"y", qos=1, packet_id=9))
    clocked.peer.receive(1, mqtt.packet(mqtt.PINGREQ))
    assert [(p.at_us, p.topic) for p in clocked.peer.published] == [(10_000, "a"), (10_000, "b")]
    assert clocked.arrived() == [(DATA, b"\x40\x02\0\x09"), (DATA, b"\xd0\0")]


def test_a_peer_that_dies_closes_and_refuses() -> None:
    """drop() closes the connection; with refuse, the next one is refused until it is up again."""
    clocked = Clocked()
    clocked.arrived()
    clocked.peer.drop(refuse=True)
    assert not clocked.peer.connected
    clocked.peer.open(2)
    assert clocked.arrived() == [(CLOSED, b""), (REFUSED, b"")]
    clocked.peer.up = True
    clocked.peer.open(3)
    assert clocked.arrived() == [(OPENED, b"")]


def test_a_board_without_power_is_forgotten() -> None:
    """reset() leaves nothing on its way and no connection."""
    clocked = Clocked()
    clocked.peer.reset()
    assert clocked.peer.next_us() is None
    assert not clocked.peer.connected
