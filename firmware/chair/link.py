"""The way to the gateway: joins the Wi-Fi, keeps a broker connected, and empties the outbox into it.

Nothing here can hold up a measurement: readings go into the outbox, and this takes them from there. Joining, name
lookup and connecting block the board for a second or two, so none begins while there is air in the cuff.

Waiting is progress. Without a link for a minute the radio is switched off and on, each minute; without one for half an
hour the board restarts, never while a session runs, and takes its outbox along through the flash.
"""

import asyncio
import os

from chair import mqtt, wire
from chair.day import Day
from chair.names import Names
from micropython import const

_BACKOFF_MS_MIN = const(500)
_BACKOFF_MS_MAX = const(5000)
_JOIN_MS_MAX = const(15000)
_RADIO_MS = const(60000)
_RESTART_MS = const(1800000)
_WAITING_MAX = const(8)
_RESEND_MS = const(200)  # five a second
_STATUS_MS = const(60000)
_TIME_MS = const(3600000)
_TIME_AGAIN_MS = const(60000)


class Link:
    """`app` offers
    `take(leaf, payload, retained)` for what arrives,
    `may_block()`, whether connecting is safe now, `may_restart()`, whether nobody needs the board now,
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
        self._tls = None
        if config.tls:
            from chair.tls import Tls  # some kilobytes of heap, for those who need it

            self._tls = Tls(config.mqtt_host, app.may_block)
        login = (config.mqtt_user, config.mqtt_password)
        self._client = mqtt.Client(config.device, self._arrived, login, self._tls and self._tls.secure)
        self._names = Names(board, config, clock)
        self._day = Day(board, config, clock, self._names, app.may_block)
        self._new_record = asyncio.Event()
        self._told = None  # the condition that the status told last, and when
        self._told_ms = 0
        self._waiting = []  # (leaf, payload) of what is no record
        self._lost_ms = None
        # Since when there is no link; and since when it is waited for before the radio or the board starts again.
        self._without_ms = self._radio_ms = self._restart_ms = clock.up_ms()
        self._trouble = ""  # why there is no link
        outbox.restore()
        self.conn = 0
        self.up = False

    def add(self, kind, body):
        """A record for the gateway: kept, and sent at once when the link is up."""
        self._outbox.add(kind, body)
        self._new_record.set()

    def reply(self, id, reason):
        """Answer a command, if the link holds that long."""
        self.tell("reply", wire.reply(self._boot, id, reason))

    def tell(self, leaf, payload):
        """Publish what is no record, soon or never."""
        if len(self._waiting) < _WAITING_MAX:
            self._waiting.append((leaf, payload))

    @property
    def shaking_hands(self):
        """A TLS handshake may stop the program at any moment: no measurement may begin."""
        return self._tls is not None and self._tls.busy

    async def run(self):
        """For ever: connect, live while it lasts, wait a little longer after each failure."""
        backoff_ms = _BACKOFF_MS_MIN
        while True:
            try:
                await self._join()
                address = self._names.broker(self._clock.up_ms() - self._without_ms)
                if self._tls and self._day.utc_ms is None:
                    await self._day.begin()
                self.conn += 1
                await self._client.connect(address, self._topic("status"), wire.will(self._boot, self.conn))
                backoff_ms = _BACKOFF_MS_MIN
                await self._client.run(self._greet)
            except OSError as fault:
                self._down(fault)
            # Between half and all of it, so that a ward of boards does not come back in one moment.
            await asyncio.sleep_ms(backoff_ms // 2 + backoff_ms * os.urandom(1)[0] // 512)
            backoff_ms = min(2 * backoff_ms, _BACKOFF_MS_MAX)
            self._consider_restart()

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
                while self._waiting:
                    leaf, payload = self._waiting.pop(0)
                    await self._client.publish(self._topic(leaf), payload, 1 if leaf == "reply" else 0)
                if self._app.condition() != self._told or now_ms - self._told_ms > _STATUS_MS:
                    await self._tell_status()
            except OSError:
                pass  # the reader has been told, and `run` starts again

    async def _emptied(self):
        while not self._app.may_block():
            await asyncio.sleep_ms(100)

    async def _join(self):
        await self._emptied()
        now_ms = self._clock.up_ms()
        if now_ms - self._radio_ms >= _RADIO_MS:
            self._radio_ms = now_ms
            self._board.restart_radio()
        if self._board.joined():
            return
        self._board.join(self._config.wifi_ssid, self._config.wifi_password)
        for _ in range(_JOIN_MS_MAX // 100):
            await asyncio.sleep_ms(100)
            if self._board.joined():
                await self._emptied()  # a measurement may have begun meanwhile
                return
        raise OSError("Wi-Fi not joined within %d ms" % _JOIN_MS_MAX)

    def _consider_restart(self):
        now_ms = self._clock.up_ms()
        if now_ms - self._restart_ms < _RESTART_MS or not self._app.may_restart():
            return
        self._restart_ms = now_ms  # a flash that cannot hold the outbox is not tried again soon
        self._app.link_event("restart", self._trouble, (now_ms - self._without_ms) // 1000)
        if self._outbox.save():
            self._board.reset()

    # ---- connected -----------------------------------------------------------------------------------------

    async def _greet(self):
        await self._client.subscribe(((self._topic("ack"), 0), (self._topic("annunciate"), 1), (self._topic("cmd"), 1)))
        self._waiting.clear()
        await self._tell_status()
        now_ms = self._clock.up_ms()
        self._outbox.link_up(now_ms)
        self.up = True
        self._app.link_up()
        if self._lost_ms is not None:
            self._app.link_event("restored", "", (now_ms - self._lost_ms) / 1000)
            self._lost_ms = None
        self._trouble = ""
        self._day.proved()
        while True:
            # First now, then each hour.
            known = await self._day.ask()
            self._outbox.utc_ms = self._day.utc_ms
            await asyncio.sleep_ms(_TIME_MS if known else _TIME_AGAIN_MS)

    def _down(self, fault):
        text = str(fault)
        if self.up:
            self.up = False
            self._lost_ms = self._without_ms = self._radio_ms = self._restart_ms = self._clock.up_ms()
            self._app.link_event("lost", text, None)
        elif isinstance(fault, mqtt.Refused) and text != self._trouble:
            self._app.link_event("refused", text, None)
        if text != self._trouble:
            self._trouble = text
            print("chairside: no link:", text)

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
