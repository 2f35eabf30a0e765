"""MQTT 3.1.1 client for asyncio: as much of it as a chair needs, every wait bounded.

    client = Client(device, handler, login, secure)      # handler(topic, payload, retained)
    await client.connect(address, will_topic, will)      # OSError when it cannot
    await client.run(greet)                              # reads until the link dies, then raises OSError

`greet`, an async function, runs beside the reader and may use, as any task may while the link lives:

    await client.subscribe([(topic, qos), ...])
    await client.publish(topic, payload, qos, retain)

One packet is one write: a packet in pieces meets Nagle's algorithm and the peer's delayed ack, 40 ms each. The
session is clean, so nothing published while we were away is delivered later by the broker. A link on which nothing
arrives for 5 s, neither the answer to a PINGREQ nor a message, is dead; so is one that leaves a QoS 1 publish
unanswered that long. A gateway that died behind a living broker is not the link's trouble. Every failure closes the
socket and is an OSError.

Limits: QoS 2 is not spoken; an incoming packet over `bytes_max` is read over and counted in `oversized`; at most
four QoS 1 messages are under way.
"""

import asyncio
import errno
import socket
import struct
from asyncio import core  # type: ignore[attr-defined]

from micropython import const

_KEEPALIVE_S = const(10)
_ANSWER_MS = const(5000)
_LOOK_MS = const(500)  # how often silence is counted
_PING_LOOKS = const(4)
_DEAD_LOOKS = const(10)
_IN_FLIGHT_MAX = const(4)
_SKIP_BYTES = const(256)

_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_SUBACK = const(0x90)


class MqttFault(OSError):
    """The link is dead or the peer broke the protocol; the text says how."""


class Refused(MqttFault):
    """Broker or board does not accept the other; trying again will not help, somebody must see to it."""


class Client:
    """One broker, reconnected by calling `connect` again. `login` is (user, password), the user empty for none.
    `secure(sock, packet)`, if given, puts TLS on a connected socket: see chair/tls.py."""

    def __init__(self, device, handler, login=("", ""), secure=None, bytes_max=2304):
        self._device = device
        self._handler = handler
        self._login = login
        self._secure = secure
        self._bytes_max = bytes_max
        self._stream = None
        self._lock = asyncio.Lock()
        self._answer = asyncio.Event()
        self._waiting = set()  # packet ids without their PUBACK or SUBACK
        self._packet_id = 0
        # Counted in looks, so that a pause of the whole program is not taken for the broker's silence.
        self._silent_looks = 0
        self._reader = None  # the task in `run`
        self._fault = None  # what `run` is to end with
        self.oversized = 0

    async def connect(self, address, will_topic, will):
        """Connect and log in, within 15 s, and with TLS 10 s more once it may begin. The will is retained, QoS 1."""
        self.close()
        self._waiting.clear()
        self._fault = None
        self._silent_looks = 0
        self._lock = asyncio.Lock()  # a writer that was cancelled may have left the old one locked
        sock = socket.socket()
        self._stream = asyncio.StreamWriter(sock)
        try:
            sock.setblocking(False)
            try:
                sock.connect(address)
            except OSError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
            _no_delay(sock)
            packet = _connect_packet(self._device, self._login, will_topic, will)
            await asyncio.wait_for_ms(_connected(sock), 2 * _ANSWER_MS)
            if self._secure:
                self._stream = asyncio.StreamWriter(await self._secure(sock, packet))
            else:
                await self._write(packet)
            kind, body = await asyncio.wait_for_ms(self._receive(), _ANSWER_MS)
            if kind != _CONNACK or len(body) != 2:
                raise MqttFault("no CONNACK")
            if body[1] in (4, 5):
                raise Refused("the broker refuses the login (mqtt_user, mqtt_password), code %d" % body[1])
            if body[1] != 0:
                raise Refused("the broker refuses the connection, code %d" % body[1])
        except MqttFault:
            self.close()
            raise
        except (OSError, EOFError, asyncio.TimeoutError) as error:
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
        watch = asyncio.create_task(self._watch())
        greeting = asyncio.create_task(self._beside(greet))
        try:
            while True:
                kind, body = await self._receive()
                self._silent_looks = 0
                if kind & 0xF0 == _PUBLISH:
                    await self._deliver(kind, body)
                elif kind in (_PUBACK, _SUBACK) and len(body) >= 2:
                    if kind == _SUBACK and 0x80 in body[2:]:
                        raise MqttFault("subscription refused")
                    self._waiting.discard(body[0] << 8 | body[1])
                    self._answer.set()
        except asyncio.CancelledError:
            if self._fault is None:
                raise
            raise self._fault
        except EOFError:
            raise MqttFault("closed by the broker")
        finally:
            self._reader = None
            watch.cancel()
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

    async def _watch(self):
        """Ask for a sign of life every 2 s, and end the link when there was none of any kind for 5 s."""
        looks = 0
        try:
            while True:
                await asyncio.sleep_ms(_LOOK_MS)
                self._silent_looks += 1
                if self._silent_looks >= _DEAD_LOOKS:
                    self._fail("nothing heard for %d ms" % (_DEAD_LOOKS * _LOOK_MS))
                looks += 1
                if looks % _PING_LOOKS == 0:
                    await self._write(b"\xc0\x00")
        except OSError:
            pass  # the reader has been told

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


def _connected(sock):
    """To be awaited: writing to a socket that is not connected yet fails on some ports."""
    yield core._io_queue.queue_write(sock)


def _connect_packet(device, login, will_topic, will):
    user, password = login
    flags = 0x2E | (0xC0 if user else 0)  # clean session, will retained at QoS 1, user name and password
    body = b"\x00\x04MQTT\x04" + struct.pack("!BH", flags, _KEEPALIVE_S) + _text(device) + _text(will_topic)
    rest = _text(user) + _text(password) if user else b""
    return _packet(0x10, body, struct.pack("!H", len(will)), will, rest)


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
