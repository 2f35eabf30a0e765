"""Many boards on their connections in one event loop, and when each of them speaks.

Every board has its own moment in the period, as boards that were switched on one by one have. A moment that was missed
is not made up for: the rate held is what was really made.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Coroutine

from gateway import wire
from simulators.fleet.board import Board, Said
from simulators.fleet.connection import Connection
from simulators.fleet.ledger import Ledger
from simulators.fleet.site import Address
from simulators.mqtt_packets import Published

CONNECTING_MAX = 20
TEND_S = 0.2
SLICES = 20
PING_EVERY = 20
"""Rounds of tending between two pings."""
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.5, 5.0


def now_ms() -> float:
    return time.monotonic_ns() / 1e6


class Bed:
    """One board with the connection it has now."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.link: Connection | None = None
        self.next_s = 0.0
        self.reconnects = 0
        self.backoff_s = BACKOFF_S_MIN
        device = board.device
        self.topics = {leaf: wire.device_topic(device, leaf) for leaf in wire.BOARD_TOPICS}
        self.filters = tuple((wire.device_topic(device, leaf), qos) for leaf, qos in _LISTENS)

    @property
    def up(self) -> bool:
        return self.link is not None and self.link.up


_LISTENS = (("ack", 0), ("annunciate", 1), ("cmd", 1))


class Ward:
    """`connect`, `speak`, then `leave`."""

    def __init__(self, boards: list[Board], rate_hz: float, broker: Address, ledger: Ledger) -> None:
        self.beds = [Bed(board) for board in boards]
        self._period_s = 1 / rate_hz
        self._broker, self._ledger = broker, ledger
        self._chance = random.Random(len(boards))
        self._connecting = asyncio.Semaphore(CONNECTING_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = False

    async def connect(self, within_s: float) -> None:
        """Raises TimeoutError if the broker did not take every board."""
        for bed in self.beds:
            self._later(self._join(bed))
        async with asyncio.timeout(within_s):
            while not all(bed.up for bed in self.beds):
                await asyncio.sleep(0.05)

    def speak(self) -> None:
        """From now on vitals at the rate, each board at its own moment."""
        loop = asyncio.get_running_loop()
        for number, bed in enumerate(self.beds):
            bed.next_s = loop.time() + self._period_s * (number / len(self.beds))
            loop.call_at(bed.next_s, self._reading, bed)
        self._later(self._tend())

    def leave(self) -> None:
        """Go without a word: the broker says the wills, and nobody takes these chairs for watched."""
        self._leaving = True
        for task in self._tasks:
            task.cancel()
        for bed in self.beds:
            if bed.link is not None:
                bed.link.drop()

    # ---- speaking -----------------------------------------------------------------------------------------------

    def _reading(self, bed: Bed) -> None:
        if self._leaving:
            return
        record = bed.board.vitals(int(now_ms()))
        self._ledger.note(bed.board.device, "vitals", record.seq)
        self._send_new(bed)
        loop = asyncio.get_running_loop()
        due_s = bed.next_s + self._period_s
        # After a pause, no burst to catch up.
        bed.next_s = max(due_s, loop.time() + self._period_s / 2)
        self._ledger.skip(bed.next_s - due_s)
        loop.call_at(bed.next_s, self._reading, bed)

    def _send_new(self, bed: Bed) -> None:
        if bed.up:
            for said in bed.board.live(int(now_ms())):
                self._say(bed, said)

    def _say(self, bed: Bed, said: Said) -> None:
        payload = wire.encode(said.message)
        if isinstance(said.message, wire.Record):
            self._ledger.sent(bed.board.device, said.message, now_ms())
        if bed.link is not None:
            bed.link.publish(bed.topics[said.leaf], payload, said.qos, said.retain)

    async def _tend(self) -> None:
        rounds = 0
        while True:
            for first in range(SLICES):
                for bed in self.beds[first::SLICES]:
                    self._tend_one(bed, ping=rounds % PING_EVERY == 0)
                await asyncio.sleep(TEND_S / SLICES)
            rounds += 1

    def _tend_one(self, bed: Bed, *, ping: bool) -> None:
        at_ms = int(now_ms())
        cuff = bed.board.passed(at_ms)
        if cuff is not None:
            self._ledger.note(bed.board.device, "cuff", cuff.seq)
        self._send_new(bed)
        if bed.up:
            for said in bed.board.due(at_ms):
                self._say(bed, said)
        if ping and bed.link is not None:
            bed.link.tend()

    # ---- connections --------------------------------------------------------------------------------------------

    async def _join(self, bed: Bed) -> None:
        """Until it is connected."""
        while not self._leaving:
            async with self._connecting:
                done = asyncio.get_running_loop().create_future()
                with contextlib.suppress(OSError):
                    await self._open(bed, done)
                    await done
                if bed.up:
                    bed.backoff_s = BACKOFF_S_MIN
                    return
            await asyncio.sleep(bed.backoff_s * self._chance.uniform(0.5, 1))
            bed.backoff_s = min(2 * bed.backoff_s, BACKOFF_S_MAX)

    async def _open(self, bed: Bed, done: asyncio.Future[None]) -> None:
        """`done` is set when the board is greeted, or refused."""

        def decided() -> None:
            if not done.done():
                done.set_result(None)

        def up() -> None:
            self._say(bed, bed.board.connected(int(now_ms())))
            decided()

        def down() -> None:
            lost = done.done() and not self._leaving
            decided()
            if lost:
                bed.reconnects += 1
                self._later(self._join(bed))

        def took(message: Published) -> None:
            leaf = message.topic[message.topic.rfind("/") + 1 :]
            at_ms = now_ms()
            covered = bed.board.take(leaf, message.payload, message.retain, int(at_ms))
            if covered:
                self._ledger.acked(bed.board.device, covered, at_ms)

        will = (bed.topics["status"], bed.board.will())
        broker = self._broker
        link = Connection(bed.board.device, bed.filters, took, up, down, will, (broker.user, broker.password))
        bed.link = link
        await asyncio.get_running_loop().create_connection(lambda: link, broker.host, broker.port)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
