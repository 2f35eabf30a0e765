"""A TCP proxy before the broker that loses a share of what boards publish with QoS 0, as bad Wi-Fi would.

Everything else passes unchanged. Which packets are lost follows from the seed, the board's name and the number of its
packet, not from timing.
"""

import random
import socket
import threading
from collections import Counter
from contextlib import suppress

from simulators import mqtt_packets as mqtt


class LossyProxy:
    """Use as a context manager; boards connect to `port`. `lost` and `passed` count the QoS 0 packets by board."""

    def __init__(self, broker_port: int, loss: float, seed: int) -> None:
        self.lost: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()
        self._broker_port = broker_port
        self._loss = loss
        self._seed = seed
        self._chances: dict[str, random.Random] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._ended = False

    def __enter__(self) -> "LossyProxy":
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        for sock in [self._listener, *self._open]:
            _close(sock)

    def _accept(self) -> None:
        while not self._ended:
            try:
                board, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker_port), timeout=10)
            except OSError:
                board.close()  # no broker behind us: the board sees what it would see without us
                continue
            for sock in (board, broker):
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [board, broker]
            for pump in (self._to_broker, self._to_board):
                threading.Thread(target=pump, args=(board, broker), name="proxy", daemon=True).start()

    def _to_board(self, board: socket.socket, broker: socket.socket) -> None:
        with suppress(OSError):
            while data := broker.recv(65536):
                board.sendall(data)
        _close(board)
        _close(broker)

    def _to_broker(self, board: socket.socket, broker: socket.socket) -> None:
        stream, name = mqtt.Stream(), ""
        with suppress(OSError):
            while data := board.recv(65536):
                for kind, flags, body in stream.feed(data):
                    if kind == mqtt.CONNECT:
                        name = _client_of(body)
                    if kind == mqtt.PUBLISH and flags & 0b110 == 0 and self._is_lost(name):
                        self.lost[name] += 1
                        continue
                    self.passed[name] += kind == mqtt.PUBLISH and flags & 0b110 == 0
                    broker.sendall(mqtt.packet(kind, body, flags))
        _close(board)
        _close(broker)

    def _is_lost(self, name: str) -> bool:
        return self._chances.setdefault(name, random.Random(f"{self._seed} {name}")).random() < self._loss


def _client_of(connect: bytes) -> str:
    """The client id of a CONNECT: after protocol name, level, flags and keepalive."""
    at = 2 + int.from_bytes(connect[:2], "big") + 4
    return connect[at + 2 : at + 2 + int.from_bytes(connect[at : at + 2], "big")].decode()


def _close(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        sock.close()
