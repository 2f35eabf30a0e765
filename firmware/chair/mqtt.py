"""MQTT 3.1.1 client for asyncio: as much of it as a chair needs, every wait bounded.

    client = Client(device, host, port, handler)        # handler(topic, payload, retained)
    await client.connect(will_topic, will_payload)       # OSError when it cannot
    await client.run(greet)                              # reads until the link dies, then raises OSError

`greet`, an async function, runs beside the reader and may use, as any task may while the link lives:

    await client.subscribe([(topic, qos), ...])
    await client.publish(topic, payload, qos, retain)

One packet is one write: a packet in pieces meets Nagle's algorithm and the peer's delayed ack, 40 ms each. The
session is clean, so nothing published while we were away is delivered later by the broker. A link that leaves a
PINGREQ, or a QoS 1 publish, unanswered for 5 s is dead: every failure closes the socket and is an OSError.

Limits: QoS 2 is not spoken; an incoming packet over `bytes_max` is read over and counted in `oversized`; at most
four QoS 1 messages are under way.
"""

import asyncio
import errno
import socket
import struct

KEEPALIVE_S = 10
_PING_MS = 5000
_ANSWER_MS = 5000
_LOOK_UP_EVERY = 8  # failed connects, some 30 s
_IN_FLIGHT_MAX = 4
_SKIP_BYTES = 256

_CONNACK = 0x20
_PUBLISH = 0x30
_PUBACK = 0x40
_SUBACK = 0x90
_PINGRESP = 0xD0


class MqttFault(OSError):
    """The link is dead or the peer broke the protocol; the text says how."""


class Client:
    """One broker, reconnected by calling `connect` again."""

    def __init__(self, device, host, port, handler, bytes_max=2304):
        self._device = device
        self._host = host
        self._port = port
        self._handler = handler
        self._bytes_max = bytes_max
        self._address = None
        self._stream = None
        self._lock = asyncio.Lock()
        self._answer = asyncio.Event()
        self._waiting = set()  # packet ids without their PUBACK or SUBACK
        self._packet_id = 0
        self._ping_answered = True
        self._reader = None  # the task in `run`
        self._fault = None  # what `run` is to end with
        self._failures = 0  # connects that failed since the board started
        self.oversized = 0

    async def connect(self, will_topic, will_payload):
        """Connect and log in, within 15 s. The will is retained, QoS 1."""
        self.close()
        if self._address is None:
            self._address = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)[0][-1]
        self._waiting.clear()
        self._fault = None
        self._ping_answered = True
        self._lock = asyncio.Lock()  # a writer that was cancelled may have left the old one locked
        sock = socket.socket()
        self._stream = asyncio.StreamWriter(sock)
        try:
            sock.setblocking(False)
            try:
                sock.connect(self._address)
            except OSError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
            _no_delay(sock)
            # Handed over unsent, so that drain first waits for the connection: writing earlier fails on some ports.
            self._stream.out_buf = _connect_packet(self._device, will_topic, will_payload)  # type: ignore[attr-defined]
            await asyncio.wait_for_ms(self._stream.drain(), 2 * _ANSWER_MS)
            kind, body = await asyncio.wait_for_ms(self._receive(), _ANSWER_MS)
            if kind != _CONNACK or len(body) != 2:
                raise MqttFault("no CONNACK")
            if body[1] != 0:
                raise MqttFault("broker refused the connection, code %d" % body[1])
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            self._failures += 1
            if self._failures % _LOOK_UP_EVERY == 0:
                self._address = None  # it may have moved, but to ask blocks the board for a second
            self._fail("connect: %r" % error)

    async def subscribe(self, filters):
        """Subscribe to [(filter, qos)] and wait until the broker has said yes."""
        packet_id = self._next_id()
        body = struct.pack("!H", packet_id)
        for topic, qos in filters:
            body += _text(topic) + bytes((qos,))
        await self._acknowledged(_packet(0x82, body), packet_id)

    async def publish(self, topic, payload, qos=0, retain=False):
        """Returns when written (QoS 0) or acknowledged by the broker (QoS 1)."""
        head = _text(topic)
        if qos == 0:
            await self._write(_packet(_PUBLISH | retain, head, payload))
            return
        if len(self._waiting) >= _IN_FLIGHT_MAX:
            self._fail("too many messages without acknowledgement")
        packet_id = self._next_id()
        head += struct.pack("!H", packet_id)
        await self._acknowledged(_packet(_PUBLISH | 0x02 | retain, head, payload), packet_id)

    async def run(self, greet):
        """Deliver what arrives and keep the link alive; raises OSError when it is dead."""
        self._reader = asyncio.current_task()
        ping = asyncio.create_task(self._ping())
        greeting = asyncio.create_task(self._beside(greet))
        try:
            while True:
                kind, body = await self._receive()
                if kind & 0xF0 == _PUBLISH:
                    await self._deliver(kind, body)
                elif kind in (_PUBACK, _SUBACK) and len(body) >= 2:
                    if kind == _SUBACK and 0x80 in body[2:]:
                        raise MqttFault("subscription refused")
                    self._waiting.discard(body[0] << 8 | body[1])
                    self._answer.set()
                elif kind == _PINGRESP:
                    self._ping_answered = True
        except asyncio.CancelledError:
            if self._fault is None:
                raise
            raise self._fault
        except EOFError:
            raise MqttFault("closed by the broker")
        finally:
            self._reader = None
            ping.cancel()
            greeting.cancel()
            self.close()

    def close(self):
        """Drop the connection without DISCONNECT, so that the broker publishes the will."""
        stream, self._stream = self._stream, None
        if stream:
            stream.s.close()

    def _fail(self, text):
        """Raise MqttFault, and have the reader close the socket: closed under a waiting reader, it would be missed."""
        reader = self._reader
        if reader is None:
            self.close()
        elif reader is not asyncio.current_task():
            self._tell_reader(MqttFault(text))
        raise MqttFault(text)

    def _tell_reader(self, error):
        """End `run` with `error`; the first one counts."""
        if self._reader and self._fault is None:
            self._fault = error
            self._reader.cancel()

    async def _deliver(self, kind, body):
        qos = kind >> 1 & 3
        end = 2 + (body[0] << 8 | body[1]) if len(body) >= 2 else 0
        start = end + 2 if qos else end
        if qos == 2 or end == 0 or start > len(body):
            raise MqttFault("PUBLISH not understood")
        try:
            topic = str(body[2:end], "utf-8")
        except UnicodeError:
            raise MqttFault("topic is not UTF-8")
        self._handler(topic, body[start:], bool(kind & 1))
        if qos:
            await self._write(_packet(_PUBACK, body[end:start]))

    async def _beside(self, work):
        try:
            await work()
        except Exception as error:  # noqa: BLE001  (the link must not live on half greeted)
            self._tell_reader(error)

    async def _ping(self):
        while True:
            await asyncio.sleep_ms(_PING_MS)
            try:
                if not self._ping_answered:
                    self._fail("no PINGRESP within %d ms" % _PING_MS)
                self._ping_answered = False
                await self._write(b"\xc0\x00")
            except OSError:
                return  # the reader has been told

    async def _acknowledged(self, packet, packet_id):
        self._waiting.add(packet_id)
        await self._write(packet)
        try:
            await asyncio.wait_for_ms(self._until_answered(packet_id), _ANSWER_MS)
        except asyncio.TimeoutError:
            self._fail("packet %d not acknowledged" % packet_id)

    async def _until_answered(self, packet_id):
        while packet_id in self._waiting:
            self._answer.clear()
            await self._answer.wait()

    async def _write(self, packet):
        async with self._lock:
            if self._stream is None or self._fault:
                raise MqttFault("not connected")
            try:
                self._stream.write(packet)
                await asyncio.wait_for_ms(self._stream.drain(), _ANSWER_MS)
            except (OSError, asyncio.TimeoutError) as error:
                self._fail("write: %r" % error)

    async def _receive(self):
        """(first byte, body) of the next packet that fits."""
        while True:
            kind = (await self._exactly(1))[0]
            length = 0
            for shift in (0, 7, 14, 21):
                byte = (await self._exactly(1))[0]
                length |= (byte & 0x7F) << shift
                if not byte & 0x80:
                    break
            else:
                raise MqttFault("length not understood")
            if length <= self._bytes_max:
                return kind, await self._exactly(length)
            self.oversized += 1
            while length:
                length -= len(await self._exactly(min(length, _SKIP_BYTES)))

    async def _exactly(self, count):
        return await self._stream.readexactly(count)

    def _next_id(self):
        self._packet_id = self._packet_id % 65535 + 1
        return self._packet_id


def _connect_packet(device, will_topic, will_payload):
    # Clean session, will retained at QoS 1.
    body = b"\x00\x04MQTT\x04\x2e" + struct.pack("!H", KEEPALIVE_S) + _text(device)
    return _packet(0x10, body + _text(will_topic), struct.pack("!H", len(will_payload)), will_payload)


def _packet(kind, *parts):
    length = sum(len(part) for part in parts)
    packet = bytearray((kind,))
    while True:
        packet.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            break
    for part in parts:
        packet.extend(part)
    return packet


def _text(text):
    raw = text.encode()
    return struct.pack("!H", len(raw)) + raw


def _no_delay(sock):
    try:
        sock.setsockopt(getattr(socket, "IPPROTO_TCP", 6), getattr(socket, "TCP_NODELAY", 1), 1)
    except OSError:
        pass  # a port without it: one write for each packet is what we can do
