"""The other end of a virtual board's socket: a minimal MQTT 3.1.1 broker for one client, in virtual time, and a time
server (SNTP, RFC 4330) on the same machine.

It keeps what the board published with its time, and lets a test publish to the board, refuse it, drop it, or be
`silent` to it: then nothing passes and nobody is told. Answers arrive after `latency_us`, in order. Not a broker: no
sessions, no queueing, one board.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators import mqtt_packets as mqtt
from simulators.mqtt_packets import Published

OPENED, REFUSED, DATA, CLOSED = b"o", b"r", b"d", b"c"
DATAGRAM = 128
"""Sockets from this number on are not streams."""
NTP_PORT = 123
FROM_1900_S = 2_208_988_800
UTC_MS = 1_767_603_600_000
"""When time begins: a Monday morning."""


@dataclass(frozen=True)
class Event:
    """Something that reaches the board's socket at a time."""

    at_us: int
    socket: int
    kind: bytes
    data: bytes = b""


@dataclass
class _Connection:
    stream: mqtt.Stream = field(default_factory=mqtt.Stream)
    filters: list[tuple[str, int]] = field(default_factory=list)
    connected: bool = False


class Peer:
    """`now_us` gives virtual time; `on_publish` is called for each PUBLISH of the board."""

    def __init__(self, now_us: Callable[[], int], on_publish: Callable[[Published], None] | None = None) -> None:
        self.now_us = now_us
        self.on_publish = on_publish
        self.up = True
        self.silent = False
        self.latency_us = 1500
        self.refusal = 0  # the code of CONNACK: 5 is "not authorised"
        self.utc_ms: int | None = UTC_MS  # at time zero; None: there is no time server
        self.published: list[Published] = []
        self.connects: list[bytes] = []
        self.retained: dict[str, bytes] = {}
        self._connections: dict[int, _Connection] = {}
        self._events: list[Event] = []
        self._packet_id = 0
        self._last_us: dict[int, int] = {}

    # --- the test's side

    @property
    def connected(self) -> bool:
        return any(connection.connected for connection in self._connections.values())

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Send to the board if it subscribed; `retain` also keeps it for a later subscription."""
        if retain:
            self.retained[topic] = payload
        for number, connection in self._connections.items():
            self._forward(number, connection, topic, payload, qos, retained=False)

    def drop(self, *, refuse: bool = False) -> None:
        """Close every connection, as a dying broker does; with `refuse` also refuse new ones until `up`."""
        self.up = self.up and not refuse
        for number in list(self._connections):
            self._queue(number, CLOSED)
        self._connections.clear()

    # --- the conductor's side

    def open(self, number: int) -> None:
        self._forget(number)
        if self.up and not self.silent:
            self._connections[number] = _Connection()
        self._queue(number, OPENED if self.up else REFUSED)

    def close(self, number: int) -> None:
        self._connections.pop(number, None)
        self._forget(number)

    def receive(self, number: int, data: bytes) -> None:
        if number >= DATAGRAM:
            self._tell_time(number, int.from_bytes(data[:2], "little"), data[2:])
            return
        connection = self._connections.get(number)
        if connection is None or self.silent:
            return  # lost, or written before the board noticed that the peer is gone
        for kind, flags, body in connection.stream.feed(data):
            self._packet(number, connection, kind, flags, body)

    def reset(self) -> None:
        """The board lost its power: its sockets are gone without a word."""
        self._connections.clear()
        self._events.clear()
        self._last_us.clear()

    def next_us(self) -> int | None:
        return self._events[0].at_us if self._events else None

    def take(self, now_us: int) -> list[Event]:
        """Events that are due, in the order they were queued."""
        if not self._events or self._events[0].at_us > now_us:
            return []
        due = [event for event in self._events if event.at_us <= now_us]
        del self._events[: len(due)]
        return due

    def _forget(self, number: int) -> None:
        """A socket is gone, or its number is another's now: what was on its way to it reaches nobody."""
        self._events = [event for event in self._events if event.socket != number]
        self._last_us.pop(number, None)

    def _packet(self, number: int, connection: _Connection, kind: int, flags: int, body: bytes) -> None:
        if kind == mqtt.CONNECT:
            self.connects.append(body)
            connection.connected = not self.refusal
            self._send(number, mqtt.packet(mqtt.CONNACK, bytes([0, self.refusal])))
            if self.refusal:
                self._queue(number, CLOSED)
        elif kind == mqtt.PUBLISH:
            message = mqtt.read_publish(self.now_us(), flags, body)
            self.published.append(message)
            if message.qos:
                self._send(number, mqtt.packet(mqtt.PUBACK, message.packet_id.to_bytes(2, "big")))
            if self.on_publish:
                self.on_publish(message)
        elif kind == mqtt.SUBSCRIBE:
            packet_id, filters = mqtt.read_subscribe(body)
            connection.filters += filters
            granted = bytes(min(qos, 1) for _, qos in filters)
            self._send(number, mqtt.packet(mqtt.SUBACK, packet_id.to_bytes(2, "big") + granted))
            for topic, payload in self.retained.items():
                if any(mqtt.topic_matches(pattern, topic) for pattern, _ in filters):
                    self._forward(number, connection, topic, payload, 0, retained=True)
        elif kind == mqtt.PINGREQ:
            self._send(number, mqtt.packet(mqtt.PINGRESP))
        elif kind == mqtt.DISCONNECT:
            connection.connected = False
        elif kind != mqtt.PUBACK:
            raise ValueError(f"the board sent an MQTT packet of type {kind}")

    def _tell_time(self, number: int, port: int, query: bytes) -> None:
        if port == NTP_PORT and self.utc_ms is not None:
            us = (self.utc_ms + FROM_1900_S * 1000) * 1000 + self.now_us() + self.latency_us // 2
            stamp = struct.pack("!II", us // 1_000_000 % 2**32, us % 1_000_000 * 2**32 // 1_000_000)
            # Leap 0, version 4, server; stratum 2; the query's own stamp; received and sent in one moment.
            self._queue(number, DATA, bytes([0x24, 2]) + bytes(22) + query[40:48] + stamp + stamp)

    def _forward(
        self, number: int, connection: _Connection, topic: str, payload: bytes, qos: int, *, retained: bool
    ) -> None:
        granted = [limit for pattern, limit in connection.filters if mqtt.topic_matches(pattern, topic)]
        if granted:
            self._packet_id = self._packet_id % 65535 + 1
            qos = min(qos, max(granted))
            self._send(number, mqtt.publish(topic, payload, qos=qos, retain=retained, packet_id=self._packet_id))

    def _send(self, number: int, data: bytes) -> None:
        self._queue(number, DATA, data)

    def _queue(self, number: int, kind: bytes, data: bytes = b"") -> None:
        if self.silent:
            return
        # One connection's bytes never overtake each other, also when the way becomes shorter.
        at_us = max(self._last_us.get(number, 0), self.now_us() + self.latency_us)
        self._last_us[number] = at_us
        bisect.insort(self._events, Event(at_us, number, kind, data), key=lambda event: event.at_us)
