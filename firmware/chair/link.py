"""The way to the gateway: joins the Wi-Fi, keeps a broker connected, and empties the outbox into it.

Nothing here can hold up a measurement: readings go into the outbox, and this takes them from there. Joining, name
lookup and connecting block the board for a second or two, so none begins while there is air in the cuff.
"""

import asyncio
import os

from chair import mqtt, wire

_BACKOFF_MS_MIN = 500
_BACKOFF_MS_MAX = 5000
_JOIN_MS_MAX = 15000
_RESEND_MS = 200  # five a second
_STATUS_MS = 60000


class Link:
    """`app` offers
    `take(leaf, payload, retained)` for what arrives,
    `may_block()`, whether connecting is safe now,
    `condition()`, what must be told as soon as it changes, and `status()`, the whole of it,
    `link_up()` and `link_event(name, detail, value)`.
    """

    def __init__(self, board, config, boot, outbox, clock, app):
        self._board = board
        self._config = config
        self._boot = boot
        self._outbox = outbox
        self._clock = clock
        self._app = app
        self._client = mqtt.Client(config.device, config.mqtt_host, config.mqtt_port, self._arrived)
        self._new_record = asyncio.Event()
        self._told = None  # the condition that the status told last, and when
        self._told_ms = 0
        self._replies = []
        self._lost_ms = None
        self.conn = 0
        self.up = False

    def add(self, kind, body):
        """A record for the gateway: kept, and sent at once when the link is up."""
        self._outbox.add(kind, body)
        self._new_record.set()

    def reply(self, id, reason):
        """Answer a command, if the link holds that long."""
        if len(self._replies) < 8:
            self._replies.append(wire.reply(self._boot, id, reason))

    async def run(self):
        """For ever: connect, live while it lasts, wait a little longer after each failure."""
        backoff_ms = _BACKOFF_MS_MIN
        while True:
            try:
                await self._join()
                self.conn += 1
                await self._client.connect(self._topic("status"), wire.will(self._boot, self.conn))
                backoff_ms = _BACKOFF_MS_MIN
                await self._client.run(self._greet)
            except OSError as fault:
                self._down(fault)
            # Between half and all of it, so that a ward of boards does not come back in one moment.
            await asyncio.sleep_ms(backoff_ms // 2 + backoff_ms * os.urandom(1)[0] // 512)
            backoff_ms = min(2 * backoff_ms, _BACKOFF_MS_MAX)

    async def send(self):
        """For ever: publish each new record the moment it is made."""
        while True:
            await self._new_record.wait()
            self._new_record.clear()
            while self.up:
                record = self._outbox.live(self._clock.up_ms())
                if record is None:
                    break
                await self._publish_record(record)

    async def tend(self):
        """For ever: send again what is not covered, and tell the status when it changes and once a minute."""
        while True:
            await asyncio.sleep_ms(_RESEND_MS)
            if not self.up:
                continue
            record = self._outbox.due(self._clock.up_ms())
            if record is not None:
                await self._publish_record(record)
            now_ms = self._clock.up_ms()
            try:
                while self._replies:
                    await self._client.publish(self._topic("reply"), self._replies.pop(0), 1)
                if self._app.condition() != self._told or now_ms - self._told_ms > _STATUS_MS:
                    await self._tell_status()
            except OSError:
                pass  # the reader has been told, and `run` starts again

    async def _join(self):
        while not self._app.may_block():
            await asyncio.sleep_ms(100)
        if self._board.joined():
            return
        self._board.join(self._config.wifi_ssid, self._config.wifi_password)
        for _ in range(_JOIN_MS_MAX // 100):
            await asyncio.sleep_ms(100)
            if self._board.joined():
                while not self._app.may_block():  # a measurement may have begun meanwhile
                    await asyncio.sleep_ms(100)
                return
        raise OSError("Wi-Fi not joined within %d ms" % _JOIN_MS_MAX)

    async def _greet(self):
        await self._client.subscribe(((self._topic("ack"), 0), (self._topic("annunciate"), 1), (self._topic("cmd"), 1)))
        self._replies.clear()
        await self._tell_status()
        now_ms = self._clock.up_ms()
        self._outbox.link_up(now_ms)
        self.up = True
        self._app.link_up()
        if self._lost_ms is not None:
            self._app.link_event("restored", "", (now_ms - self._lost_ms) / 1000)
            self._lost_ms = None

    def _down(self, fault):
        if self.up:
            self.up = False
            self._lost_ms = self._clock.up_ms()
            self._app.link_event("lost", str(fault), None)

    async def _tell_status(self):
        self._told = self._app.condition()
        self._told_ms = self._clock.up_ms()
        status = wire.status(self._boot, self.conn, self._app.status())
        await self._client.publish(self._topic("status"), status, qos=1, retain=True)

    async def _publish_record(self, record):
        kind, payload = record
        try:
            await self._client.publish(self._topic(wire.RECORD_LEAF[kind]), payload)
        except OSError:
            pass  # it counts as sent, and is due again after the reconnect; the reader has been told

    def _arrived(self, topic, payload, retained):
        self._app.take(topic[topic.rfind("/") + 1 :], payload, retained)

    def _topic(self, leaf):
        return wire.topic(self._config.device, leaf)
