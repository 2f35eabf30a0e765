"""The loop: messages in, the engine's decisions out, in one thread that waits for nothing else.

No disk and no HTTP here: rows go to the journal's queue, and its commits come back through a socket pair. A message
that may only go once it is durable waits here for its position in the journal.

Each connection has a client of its own. paho keeps what was under way and sends it again after a reconnect; an old
alarm state or command must never arrive as if it were new, so what a lost connection had not delivered dies with it,
and the engine says everything retained again.
"""

import contextlib
import random
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from gateway.broker.client import has_pending, secure
from gateway.clock import monotonic_ms, utc_ms, utc_trusted
from gateway.config import MqttConfig
from gateway.core.outputs import Health, Output, Publish, Refusal, Row, Snapshot
from gateway.engine import Engine
from gateway.journal import Journal
from gateway.log import OncePerMinute
from gateway.wire import encode

TICK_MS = 100
KEEPALIVE_S = 5
CONNECT_S_MAX = 1.0
RECONNECT_S_MIN, RECONNECT_S_MAX = 0.2, 2.0
CONNACK_MS_MAX = 5_000
OWN_TOPICS_MS = 5_000
"""So long after a connect the broker may take to deliver what it retains of ours."""
IN_FLIGHT_MAX = 1_000
UNSENT_MAX = 1_000
"""A broker that lets so many packets wait reads no more: the connection is given up rather than fed from the past."""
READ_BURST_MAX = 200
"""Packets read before the clock is looked at again."""
DEFERRED_MAX = 1_000
TICK_FAILURES_MAX = 30

log = structlog.get_logger(part="mqtt")


class Wake:
    """Lets other threads end the loop's wait."""

    def __init__(self) -> None:
        self._out, self._in = socket.socketpair()
        self._out.setblocking(False)
        self._in.setblocking(False)

    def set(self) -> None:
        # Enough wakes may be waiting already, or the loop may have ended.
        with contextlib.suppress(OSError):
            self._in.send(b"w")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._out.recv(4096)

    def fileno(self) -> int:
        return self._out.fileno()

    def close(self) -> None:
        self._out.close()
        self._in.close()


class Loop:
    """`run` until `stop`, which any thread or signal may call."""

    def __init__(
        self,
        mqtt: MqttConfig,
        engine: Engine,
        journal: Journal,
        wake: Wake,
        shell_health: Callable[[], Health],
        *,
        own_topics: Sequence[str] = (),
        in_flight_max: int = IN_FLIGHT_MAX,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` is set by the journal after each commit. `shell_health` tells of the sink. `own_topics` are left
        once the broker has delivered what it retains of them. `alive` is called after each good tick."""
        self._mqtt = mqtt
        self._engine = engine
        self._journal = journal
        self._wake = wake
        self._shell_health, self._alive = shell_health, alive
        self._client: paho.Client | None = None
        self._connected = False
        self._inbox: list[paho.MQTTMessage] = []
        self._deferred: deque[tuple[float, Publish]] = deque()
        self._durable_position = 0
        self._dropped = {"mqtt": 0, "deferred": 0}
        self._once = OncePerMinute()
        self._jitter = random.Random()
        self._reconnect_s = RECONNECT_S_MIN
        self._connect_due_ms = 0
        self._connack_due_ms = 0
        self._own_topics_due_ms: int | None = None
        self._own_topics = list(own_topics)
        self._last_subscription: int | None = None
        self._in_flight_max = in_flight_max
        self._tick_due_ms = 0
        self._tick_failures = 0
        self._stop = False

    def stop(self) -> None:
        self._stop = True
        self._wake.set()

    def run(self) -> None:
        """Raises what a tick raised if ticks fail for 3 s on end: then only a new start can help."""
        while not self._stop:
            now_ms = monotonic_ms()
            if self._client is None and now_ms >= self._connect_due_ms:
                self._connect(now_ms)
            self._wait(max(0, self._tick_due_ms - monotonic_ms()))
            now_ms = monotonic_ms()
            if now_ms >= self._tick_due_ms:
                # Ticks that were missed are not made up: the engine counts time, not ticks.
                self._tick_due_ms = now_ms + TICK_MS
                self._tick(now_ms)
        self._farewell()

    # ---- the connection -----------------------------------------------------------------------------------------

    def _connect(self, now_ms: int) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, clean_session=True, reconnect_on_failure=False)
        client.connect_timeout = CONNECT_S_MAX
        client.max_inflight_messages_set(self._in_flight_max)
        client.max_queued_messages_set(self._in_flight_max)
        if self._mqtt.user:
            client.username_pw_set(self._mqtt.user, self._mqtt.password)
        will = self._engine.will()
        assert will.message is not None
        client.will_set(will.topic, encode(will.message), will.qos, will.retain)
        client.on_socket_open = _without_delay
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self._reconnect_s = min(self._reconnect_s * 2, RECONNECT_S_MAX)
        self._connect_due_ms = now_ms + int(1000 * self._reconnect_s * self._jitter.uniform(0.5, 1.0))
        self._connack_due_ms = now_ms + CONNACK_MS_MAX
        try:
            secure(client, self._mqtt)
            client.connect(self._mqtt.host, self._mqtt.port, KEEPALIVE_S)
        except (OSError, paho.WebsocketConnectionError) as error:
            self._say_no_broker(str(error))
            return
        self._client = client

    def _on_connect(
        self, client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            self._say_no_broker(f"it refuses us: {reason}")
            return
        # The broker takes one subscription after the other: once it has taken the second, it has said what it keeps of
        # the first. Our last word of before is heard so before we say anything in its place.
        everything = self._engine.subscriptions()
        for part in (True, False):
            if topics := [(topic, qos) for topic, qos in everything if (topic in self._own_topics) == part]:
                _, self._last_subscription = client.subscribe(topics)

    def _on_subscribe(
        self, _client: paho.Client, _data: object, mid: int, _reasons: object, _properties: object
    ) -> None:
        if mid == self._last_subscription and not self._connected:
            self._own_topics_due_ms = monotonic_ms() + OWN_TOPICS_MS if self._own_topics else None
            self._connected = True

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        # Handled after loop_read: from inside a callback paho would only queue what we publish.
        self._inbox.append(message)

    def _say_no_broker(self, why: str) -> None:
        if self._once.say("no broker", monotonic_ms()) is not None:
            log.error(
                f"no MQTT broker at {self._mqtt.host}:{self._mqtt.port}, trying again for ever: start one there "
                "(sudo systemctl start mosquitto), or name another by [mqtt] url or CHAIRSIDE_MQTT_URL",
                why=why,
            )

    def _disconnected(self, why: str) -> None:
        if self._connected:
            log.error("connection to the broker lost", host=self._mqtt.host, port=self._mqtt.port, why=why)
        if self._client is not None and (sock := self._client.socket()) is not None:
            sock.close()
        self._client = None
        self._connected = False
        self._inbox.clear()

    def _farewell(self) -> None:
        """Says what the will would say: a clean end sends no will."""
        if self._client is not None and self._connected:
            self._publish(self._engine.will())
            self._client.disconnect()
            deadline_ms = monotonic_ms() + 500
            while self._client.want_write() and monotonic_ms() < deadline_ms:
                self._client.loop_write()
        self._connected = False
        self._disconnected("")

    # ---- waiting ------------------------------------------------------------------------------------------------

    def _wait(self, wait_ms: int) -> None:
        """Until something comes, at most `wait_ms`; then handle what came."""
        sock = self._client.socket() if self._client is not None else None
        reading: list[Wake | paho.SocketLike] = [self._wake] if sock is None else [self._wake, sock]
        writing = [sock] if sock is not None and self._client is not None and self._client.want_write() else []
        readable, writable, _ = select.select(reading, writing, [], wait_ms / 1000)
        if self._wake in readable:
            self._wake.clear()
            self._committed()
        if writable and self._client is not None:
            self._after(self._client.loop_write())
        if sock in readable:
            self._read()
        if self._client is not None:
            self._after(self._client.loop_misc())
        if self._client is not None and not self._connected and monotonic_ms() > self._connack_due_ms:
            self._say_no_broker("it took the connection and does not answer")
            self._disconnected("no answer")

    def _read(self) -> None:
        for _ in range(READ_BURST_MAX):
            if self._client is None or (sock := self._client.socket()) is None:
                return
            was_connected = self._connected
            code = self._client.loop_read()
            messages, self._inbox = (self._inbox, []) if self._connected else ([], self._inbox)
            for message in messages:
                self._handle(message)
            if self._connected and not was_connected:
                self._say_all()
            self._after(code)
            if self._client is None or not (has_pending(sock) or select.select([sock], [], [], 0)[0]):
                return

    def _after(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or (self._client is not None and self._client.socket() is None):
            self._disconnected(paho.error_string(code))

    # ---- the engine ---------------------------------------------------------------------------------------------

    def _say_all(self) -> None:
        self._reconnect_s = RECONNECT_S_MIN
        log.info("connected to the broker", host=self._mqtt.host, port=self._mqtt.port)
        try:
            self._carry_out(self._engine.connected(monotonic_ms(), utc_ms()))
        except Exception as error:
            # The ticks say the same within a second, and end the process if they fail too.
            log.error("error after connecting", exc_info=error)

    def _handle(self, message: paho.MQTTMessage) -> None:
        """An error in one message is counted and logged, and the next one is handled."""
        topic = ""
        try:
            topic = message.topic
            payload = bytes(message.payload)
            self._carry_out(self._engine.message(topic, payload, message.retain, monotonic_ms(), utc_ms()))
        except Exception as error:
            self._engine.refused["internal"] = self._engine.refused.get("internal", 0) + 1
            if (kept_back := self._once.say("internal", monotonic_ms())) is not None:
                log.error("error in handling a message", topic=topic, kept_back=kept_back, exc_info=error)

    def _tick(self, now_ms: int) -> None:
        if self._own_topics_due_ms is not None and now_ms >= self._own_topics_due_ms and self._connected:
            self._own_topics_due_ms = None
            assert self._client is not None
            self._client.unsubscribe(self._own_topics)
        try:
            self._carry_out(self._engine.tick(now_ms, utc_ms(), self._health(now_ms)))
            self._tick_failures = 0
            self._alive()
        except Exception as error:
            self._tick_failures += 1
            if (kept_back := self._once.say("tick", now_ms)) is not None:
                log.error("error in a tick", kept_back=kept_back, exc_info=error)
            if self._tick_failures >= TICK_FAILURES_MAX:
                raise

    def _committed(self) -> None:
        committed = self._journal.take()
        self._durable_position = committed.position
        self._engine.durable(committed.records)
        while self._deferred and self._deferred[0][0] <= self._durable_position:
            self._publish(self._deferred.popleft()[1])

    def _health(self, now_ms: int) -> Health:
        shell = self._shell_health()
        journal, since_ms = self._journal.condition(now_ms)
        return Health(
            queued=shell.queued
            | {"deferred": len(self._deferred), "journal": self._journal.queued(), "mqtt": self._unsent()},
            dropped=shell.dropped | self._dropped | {"journal": self._journal.dropped()},
            sink=shell.sink,
            sink_lag_s=shell.sink_lag_s,
            sink_quarantined=shell.sink_quarantined,
            journal_ok=self._journal.is_well(now_ms),
            journal=journal,
            journal_since_mono_ms=since_ms,
            utc_trusted=utc_trusted(),
        )

    # ---- outputs ------------------------------------------------------------------------------------------------

    def _carry_out(self, outputs: list[Output]) -> None:
        """Publish at once and in order what need not be durable, write the rest down, and keep what waits for it."""
        entries = [output for output in outputs if isinstance(output, Row | Snapshot)]
        try:
            for output in outputs:
                if isinstance(output, Publish) and not output.durable:
                    self._publish(output)
                elif isinstance(output, Refusal):
                    self._log_refusal(output)
        finally:  # what the engine decided is written down even if it cannot be said
            position: float = self._journal.put(entries) if entries else self._journal.position()
        for output in outputs:
            if isinstance(output, Publish) and output.durable:
                self._defer(position, output)

    def _defer(self, position: float, publish: Publish) -> None:
        if position <= self._durable_position:
            self._publish(publish)
        elif position == float("inf") or len(self._deferred) >= DEFERRED_MAX:
            # Its row was lost, or the disk has been away for long: never said is better than said and not kept.
            self._dropped["deferred"] += 1
        else:
            self._deferred.append((position, publish))

    def _publish(self, publish: Publish) -> None:
        """Hand it to the socket now or never. Without a connection it is dropped; what is retained is said again after
        the next connect, the rest is counted."""
        if self._client is None or not self._connected:
            self._dropped["mqtt"] += not publish.retain
            return
        payload = b"" if publish.message is None else encode(publish.message)
        done = self._client.publish(publish.topic, payload, publish.qos, publish.retain)
        if done.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._dropped["mqtt"] += 1
        if done.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE or self._unsent() > self._unsent_max():
            self._disconnected("the broker takes nothing any more")
        elif self._client.socket() is None:
            self._disconnected(paho.error_string(done.rc))

    def _unsent_max(self) -> int:
        return UNSENT_MAX * self._in_flight_max // IN_FLIGHT_MAX

    def _unsent(self) -> int:
        """Packets that the socket has not taken yet. paho bounds only those with QoS 1."""
        return 0 if self._client is None else len(self._client._out_packet)

    def _log_refusal(self, refusal: Refusal) -> None:
        if (kept_back := self._once.say(f"refused {refusal.kind}", monotonic_ms())) is not None:
            log.warning("message refused", topic=refusal.topic, reason=refusal.detail, kept_back=kept_back)


def _without_delay(_client: paho.Client, _data: object, sock: object) -> None:
    """A small packet goes at once; with Nagle's algorithm it may wait 40 ms for an acknowledgement."""
    assert isinstance(sock, socket.socket)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
