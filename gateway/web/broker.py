"""The web process's connection to the broker: one thread that owns the client.

What arrives is stamped with this process's monotonic time in that thread and handed to the event loop through
a bounded inbox. What is to be sent while there is no connection is dropped, and every connection starts with
a new client: paho would keep both and deliver a staff action long after its screen had given up.
"""

import asyncio
import contextlib
import os
import queue
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from gateway.broker.client import secure
from gateway.clock import monotonic_ms
from gateway.config import MqttConfig
from gateway.wire import chair_topic, gateway_topic

INBOX_MAX = 8192
OUTBOX_MAX = 256
LOOP_S = 0.05
"""The longest that an outgoing message waits for its turn."""
RECONNECT_S = 1.0
KEEPALIVE_S = 5

log = structlog.get_logger()
Arrived = tuple[str, bytes, bool, int]
"""Topic, payload, retained, and when it was received in monotonic ms."""


class Broker:
    """`arrived` and `connected` are called in the event loop."""

    def __init__(
        self,
        config: MqttConfig,
        site: str,
        loop: asyncio.AbstractEventLoop,
        arrived: Callable[[Arrived], None],
        connected: Callable[[bool], None],
    ) -> None:
        self.dropped = 0
        self._config, self._loop, self._arrived, self._connected = config, loop, arrived, connected
        self._topics = [
            (chair_topic(site, "+", "state"), 0),
            (gateway_topic(site), 1),
            (gateway_topic(site, "done"), 1),
        ]
        self._topics += [(chair_topic(site, "+", leaf), 1) for leaf in ("alarm", "done")]
        self._inbox: deque[Arrived] = deque()
        self._outbox: queue.Queue[tuple[str, bytes]] = queue.Queue(OUTBOX_MAX)
        self._up = self._stopping = False
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(timeout=5)

    def publish(self, topic: str, payload: bytes) -> None:
        """With QoS 1, or not at all."""
        if self._up:
            with contextlib.suppress(queue.Full):  # who wants an answer repeats
                self._outbox.put_nowait((topic, payload))

    def _run(self) -> None:
        try:
            self._keep_connected()
        finally:
            if not self._stopping:  # a bug: without its ears this process must be started again
                os.kill(os.getpid(), signal.SIGTERM)

    def _keep_connected(self) -> None:
        while not self._stopping:
            client = self._client()
            try:
                secure(client, self._config)
                client.connect(self._config.host, self._config.port, KEEPALIVE_S)
                while not self._stopping and client.loop(LOOP_S) == mqtt.MQTT_ERR_SUCCESS:
                    self._send(client)
                client.disconnect()
            except OSError as error:
                log.warning("broker unreachable", host=self._config.host, error=str(error))
            self._set_up(False)
            if not self._stopping:
                time.sleep(RECONNECT_S)

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if self._config.user:
            client.username_pw_set(self._config.user, self._config.password)
        client.on_socket_open = _without_delay
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _: Any) -> None:
        if reason.is_failure:
            log.warning("broker refused the connection", reason=str(reason))
            return
        client.subscribe(self._topics)
        self._set_up(True)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if len(self._inbox) >= INBOX_MAX:
            self._inbox.popleft()
            self.dropped += 1
        self._inbox.append((message.topic, bytes(message.payload), message.retain, monotonic_ms()))
        self._soon(self._drain)

    def _drain(self) -> None:
        while self._inbox:
            self._arrived(self._inbox.popleft())

    def _send(self, client: mqtt.Client) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                client.publish(*self._outbox.get_nowait(), qos=1)

    def _set_up(self, up: bool) -> None:
        if up != self._up:
            log.info("broker connected" if up else "broker lost", host=self._config.host)
            self._up = up
            self._soon(self._connected, up)
        if not up:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._outbox.get_nowait()

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *arguments)


def _without_delay(_client: mqtt.Client, _data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
