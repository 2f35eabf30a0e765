"""The few MQTT 3.1.1 packets (OASIS 2014) that a board and its peer exchange: cut, read and built."""

from __future__ import annotations

from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = (
    1,
    2,
    3,
    4,
    8,
    9,
    12,
    13,
    14,
)


@dataclass(frozen=True)
class Published:
    """One PUBLISH and when the board sent it (microseconds of its mode's clock)."""

    at_us: int
    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int = 0


class Stream:
    """Bytes in, whole packets out: (type, flags, body)."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        self._buffer += data
        packets = []
        while (packet := self._cut()) is not None:
            packets.append(packet)
        return packets

    def _cut(self) -> tuple[int, int, bytes] | None:
        length, shift = 0, 0
        for i in range(1, 5):
            if i >= len(self._buffer):
                return None
            length |= (self._buffer[i] & 0x7F) << shift
            shift += 7
            if not self._buffer[i] & 0x80:
                break
        else:
            raise ValueError("a remaining length of more than four bytes")
        start = i + 1
        if len(self._buffer) < start + length:
            return None
        first = self._buffer[0]
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return first >> 4, first & 0x0F, body


def read_publish(at_us: int, flags: int, body: bytes) -> Published:
    topic_end = 2 + int.from_bytes(body[:2], "big")
    qos = flags >> 1 & 3
    packet_id = int.from_bytes(body[topic_end : topic_end + 2], "big") if qos else 0
    payload = body[topic_end + (2 if qos else 0) :]
    return Published(at_us, body[2:topic_end].decode(), payload, qos, bool(flags & 1), packet_id)


def read_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """Packet id and (filter, qos) pairs."""
    filters = []
    i = 2
    while i < len(body):
        end = i + 2 + int.from_bytes(body[i : i + 2], "big")
        filters.append((body[i + 2 : end].decode(), body[end]))
        i = end + 1
    return int.from_bytes(body[:2], "big"), filters


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    length = len(body)
    head = bytearray([kind << 4 | flags])
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(head) + body


def publish(topic: str, payload: bytes, *, qos: int = 0, retain: bool = False, packet_id: int = 0) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (packet_id.to_bytes(2, "big") if qos else b"") + payload
    return packet(PUBLISH, body, flags=qos << 1 | int(retain))


def topic_matches(pattern: str, topic: str) -> bool:
    """MQTT filter against topic, with + and #."""
    parts, levels = pattern.split("/"), topic.split("/")
    for i, part in enumerate(parts):
        if part == "#":
            return True
        if i >= len(levels) or part not in ("+", levels[i]):
            return False
    return len(parts) == len(levels)
