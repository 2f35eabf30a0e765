"""An MQTT 3.1.1 client on asyncio, small enough that one core drives a thousand: one packet is one write.

The session is clean, so nothing published while we were away is delivered later. A link that leaves a QoS 1
publication or a ping unanswered for `ANSWER_S` is dead, like one whose broker reads no more.
"""

import asyncio
from collections.abc import Callable

from simulators import mqtt_packets as packets
from simulators.mqtt_packets import Published, Stream

KEEPALIVE_S = 10
ANSWER_S = 5.0
UNSENT_BYTES_MAX = 262_144
Filters = tuple[tuple[str, int], ...]


class Connection(asyncio.Protocol):
    """One connection, made by `loop.create_connection`. `on_up` is called when the broker has granted the
    subscriptions, `on_message` for each publication, `on_down` once when the link is gone."""

    def __init__(
        self,
        client_id: str,
        filters: Filters,
        on_message: Callable[[Published], None],
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        will: tuple[str, bytes] | None = None,
        login: tuple[str, str] = ("", ""),
    ) -> None:
        self.up = False
        self._client_id, self._filters, self._will, self._login = client_id, filters, will, login
        self._on_message, self._on_up, self._on_down = on_message, on_up, on_down
        self._loop = asyncio.get_running_loop()
        self._stream = Stream()
        self._packet_id = 1
        self._waiting: dict[int, float] = {}
        self._ping_s: float | None = None
        self._transport: asyncio.Transport | None = None

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Hand it to the socket now. A link that takes nothing any more is given up."""
        transport = self._transport
        if transport is None:
            return
        if qos:
            self._packet_id = self._packet_id % 65_535 + 1
            self._waiting[self._packet_id] = self._loop.time()
        transport.write(packets.publish(topic, payload, qos=qos, retain=retain, packet_id=self._packet_id))
        if transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.drop()

    def tend(self) -> None:
        """To be called each second or so: pings, and gives up a link that does not answer."""
        now_s = self._loop.time()
        oldest_s = min(self._waiting.values(), default=now_s)
        if now_s - oldest_s > ANSWER_S or (self._ping_s is not None and now_s - self._ping_s > ANSWER_S):
            self.drop()
        elif self._ping_s is None and self._transport is not None:
            self._ping_s = now_s
            self._transport.write(packets.packet(packets.PINGREQ))

    def drop(self) -> None:
        """End without a word, so that the broker says the will."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """A clean end, after what was written has gone."""
        if self._transport is not None:
            self._transport.write(packets.packet(packets.DISCONNECT))
            self._transport.close()

    # ---- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_connect(self._client_id, self._will, self._login))

    def data_received(self, data: bytes) -> None:
        for kind, flags, body in self._stream.feed(data):
            if kind == packets.PUBLISH:
                message = packets.read_publish(0, flags, body)
                if message.qos and self._transport is not None:
                    self._transport.write(packets.packet(packets.PUBACK, message.packet_id.to_bytes(2, "big")))
                self._on_message(message)
            elif kind == packets.PUBACK:
                self._waiting.pop(int.from_bytes(body[:2], "big"), None)
            elif kind == packets.PINGRESP:
                self._ping_s = None
            elif kind == packets.CONNACK:
                self._greeted(body[1])
            elif kind == packets.SUBACK:
                self.up = True
                self._on_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self.up, self._transport = False, None
        self._on_down()

    def _greeted(self, code: int) -> None:
        if code != 0 or self._transport is None:
            self.drop()
            return
        body = self._packet_id.to_bytes(2, "big") + b"".join(_text(name) + bytes([qos]) for name, qos in self._filters)
        self._transport.write(packets.packet(packets.SUBSCRIBE, body, flags=2))


def _connect(client_id: str, will: tuple[str, bytes] | None, login: tuple[str, str]) -> bytes:
    flags, payload = 0x02, _text(client_id)
    if will is not None:
        flags |= 0x04 | 0x08 | 0x20  # a will with QoS 1, retained
        payload += _text(will[0]) + len(will[1]).to_bytes(2, "big") + will[1]
    user, password = login
    if user:
        flags |= 0xC0
        payload += _text(user) + _text(password)
    head = _text("MQTT") + bytes([4, flags]) + KEEPALIVE_S.to_bytes(2, "big")
    return packets.packet(packets.CONNECT, head + payload)


def _text(words: str) -> bytes:
    return len(words.encode()).to_bytes(2, "big") + words.encode()
