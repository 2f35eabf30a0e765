"""The demo's first seconds: the embedded broker takes whoever comes, and the first record of every board is seen."""

import socket
import sys
from pathlib import Path

from gateway_process import Client
from servers import Server, wait_until

from gateway import wire
from simulators.demo.run import begin
from simulators.demo.stack import SITE, Stack
from simulators.demo.watch import Watch


class Embedded(Server):
    name = "embedded"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "simulators.demo.broker", str(self.port)]

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def test_the_embedded_broker_tells_a_client_what_it_asked_for(make_server):
    """What is retained for others is not for it: a board must not be told another board's orders."""
    broker = make_server(Embedded)
    with Client(broker.port, "a/#") as other:
        other.say("a/1", b"x", retain=True)
        with Client(broker.port, "b/#") as client:
            client.say("b/1", b"y")
            wait_until(lambda: client.arrived, "its own message")
            assert [message.topic for message in client.arrived] == ["b/1"]


def test_the_embedded_broker_keeps_who_comes_while_others_subscribe(make_server):
    """Twenty come at once, each asks for something else, and each is answered."""
    broker = make_server(Embedded)
    with Client(broker.port, "a/#", "b/#") as other:
        other.say("a/1", b"x", retain=True)
        sockets = [socket.create_connection(("127.0.0.1", broker.port), timeout=30) for _ in range(20)]
        for number, connection in enumerate(sockets):
            connection.sendall(_hello(number))
        for connection in sockets:
            heard = b""
            while not heard.endswith(SUBACK):
                part = connection.recv(4096)
                assert part, "the broker closed the connection"
                heard += part
            connection.close()


SUBACK = b"\x90\x03\x00\x01\x00"


def _hello(number: int) -> bytes:
    """CONNECT and SUBSCRIBE (MQTT 3.1.1, chapter 3) of one client."""
    name, topic = f"c{number:02}".encode(), f"topic/{number:02}".encode()
    connect = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2) + name
    subscribe = b"\x00\x01" + len(topic).to_bytes(2) + topic + b"\x00"
    return bytes([0x10, len(connect)]) + connect + bytes([0x82, len(subscribe)]) + subscribe


def test_the_first_record_of_every_board_is_seen_on_the_screen(tmp_path: Path):
    """Boards are switched on when the gateway judges and the screen listens: nobody's first reading is only shown with
    the second."""
    with Stack(tmp_path / "stack") as stack:
        watch = Watch(SITE, stack.broker, lambda _: None)
        try:
            begin(stack, watch)
        finally:
            watch.close()
        for board in stack.boards.values():
            first = next(m for m in board.published if m.topic == wire.device_topic(board.device, "vitals"))
            record = wire.decode(first.payload, wire.Vitals)
            assert watch.shown_ms[(board.device, record.boot)][0][0] == record.seq
