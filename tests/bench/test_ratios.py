"""What was chosen for speed is still faster. Each assertion keeps a margin of two to what was seen."""

import json
import socket
import struct
from collections.abc import Callable
from itertools import pairwise

from influxdb_client import Point, WritePrecision
from interleaved import ratio
from servers import Mosquitto

from gateway import protocols, wire
from gateway.asyncapi import EXAMPLES
from gateway.engine import Engine
from gateway.line_protocol import line
from simulators import mqtt_packets as mqtt

REPEAT = 500
VITALS = next(example for example in EXAMPLES if isinstance(example, wire.Vitals))
PAYLOAD = wire.encode(VITALS)
TAGS = {"site": "clinic", "chair": "bay-3", "device": "cb-7f3a21"}
FIELDS: dict[str, float | str] = {"spo2_pct": 96.4, "pulse_bpm": 71.0, "quality": "good", "session": "s-41"}
TIME_NS = 1_772_352_118_400_000_000


def repeated(work: Callable[[], object], times: int = REPEAT) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            work()

    return run


def test_a_line_by_hand_costs_no_more_than_the_clients_point() -> None:
    """Line protocol of our own, which every line of InfluxDB takes, is no burden: it was 1.5 times as fast."""

    def point() -> str:
        body = {"measurement": "vitals", "tags": TAGS, "fields": FIELDS, "time": TIME_NS}
        return str(Point.from_dict(body, WritePrecision.NS).to_line_protocol())

    times = ratio(repeated(point), repeated(lambda: line("vitals", TAGS, FIELDS, TIME_NS)))
    print(f"a Point of influxdb_client against a line by hand: {times:.1f} times")
    assert times > 0.75


def test_checked_decoding_beats_unchecked_json() -> None:
    """The reason for msgspec: a decoded and checked message costs less than `json.loads` without any check."""
    times = ratio(repeated(lambda: json.loads(PAYLOAD)), repeated(lambda: wire.decode(PAYLOAD, wire.Vitals)))
    print(f"json.loads against wire.decode: {times:.1f} times")
    assert times > 1


def test_a_message_costs_the_same_in_a_large_clinic() -> None:
    """The loop's work for one message does not grow with the number of chairs."""
    times = ratio(a_second_of_messages(60), a_second_of_messages(6))
    print(f"a message among 60 chairs against one among 6: {times:.1f} times")
    assert times < 2.6


def a_second_of_messages(chairs: int) -> Callable[[], None]:
    """Sixty messages, one second on, whatever the number of chairs."""
    places = {f"bay-{number}": f"cb-{number:06d}" for number in range(chairs)}
    engine = Engine("clinic", places, protocols.load_all(), "run", {}, {}, now_ms=0, utc_ms=1_772_352_000_000)
    second = iter(range(1, 10_000))

    def hear() -> None:
        at_s = next(second)
        for number in range(60):
            board = f"cb-{number % chairs:06d}"
            seq, up_ms = at_s * 100 + number, at_s * 1_000 + number
            vitals = wire.Vitals(
                boot="0f1e2d3c4b5a6978", seq=seq, base=seq, up_ms=up_ms, quality="good", sqi_pct=95, spo2_pct=97
            )
            engine.message(
                wire.device_topic(board, "vitals"), wire.encode(vitals), False, up_ms, 1_772_352_000_000 + up_ms
            )

    return hear


def test_one_packet_in_one_write_beats_pieces(mosquitto: Mosquitto) -> None:
    """The reason for one write a packet: in pieces, Nagle's algorithm waits for the peer's delayed acknowledgement."""
    with socket.create_connection(("127.0.0.1", mosquitto.port), timeout=10) as broker:
        broker.sendall(mqtt.packet(mqtt.CONNECT, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x05bench"))
        assert read(broker, 4)[0] == mqtt.CONNACK << 4
        numbers = iter(range(1, 60_000))

        def publish(pieces: bool) -> None:
            number = next(numbers)
            whole = mqtt.publish("bench/writes", PAYLOAD, qos=1, packet_id=number)
            cuts = (0, 1, 4, 16, len(whole)) if pieces else (0, len(whole))
            for begin, end in pairwise(cuts):
                broker.sendall(whole[begin:end])
            assert read(broker, 4) == mqtt.packet(mqtt.PUBACK, struct.pack("!H", number))

        times = ratio(repeated(lambda: publish(True), 3), repeated(lambda: publish(False), 3))
    print(f"a QoS 1 publish in four writes against one in one: {times:.1f} times")
    assert times > 5


def read(source: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = source.recv(count - len(got))
        assert more, "the broker closed the connection"
        got += more
    return got
