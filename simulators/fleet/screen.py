"""What a display sees of the fleet, and a member of staff who begins and ends the sessions."""

import asyncio
import secrets
import time

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway import wire
from simulators.fleet.connection import Connection
from simulators.fleet.ledger import Ledger
from simulators.fleet.site import PROTOCOL, Address
from simulators.mqtt_packets import Published

NURSE = "fleet"
REPEAT_S = 3.0
AT_ONCE_MAX = 50


class _Vitals(Struct):
    boot: str
    seq: int


class _State(Struct):
    """Of a state only what is counted: a thousand a second are read."""

    device: str
    session: str
    vitals: _Vitals | UnsetType = UNSET


_state = msgspec.json.Decoder(_State)


class Screen:
    """`connect`, then `begin` the sessions of all chairs, and `end` those it began."""

    def __init__(self, site: str, broker: Address, ledger: Ledger) -> None:
        self.states = 0
        self.heartbeat: wire.Heartbeat | None = None
        self.queued_max: dict[str, int] = {}
        self.alarms: list[tuple[float, wire.AlarmTransition]] = []
        self._site, self._broker, self._ledger = site, broker, ledger
        self._sessions: dict[str, str] = {}
        self._began: dict[str, str] = {}
        self._done: dict[str, asyncio.Future[wire.Done]] = {}
        self._alive = asyncio.Event()
        self._up = asyncio.Event()
        self._link: Connection | None = None
        self._limit = asyncio.Semaphore(AT_ONCE_MAX)

    @property
    def lost(self) -> bool:
        """Is the connection gone? What was not seen then would be taken for missing."""
        return self._link is None or not self._link.up

    async def connect(self, within_s: float) -> None:
        """Until a gateway is seen alive. Raises TimeoutError or OSError."""
        filters = (
            (wire.gateway_topic(self._site), 0),
            *(
                (wire.chair_topic(self._site, "+", leaf), qos)
                for leaf, qos in (("state", 0), ("alarm", 1), ("done", 1))
            ),
        )
        name = f"fleet-screen-{secrets.token_hex(4)}"
        login = (self._broker.user, self._broker.password)
        link = self._link = Connection(name, filters, self._took, self._up.set, lambda: None, login=login)
        async with asyncio.timeout(within_s):
            await asyncio.get_running_loop().create_connection(lambda: link, self._broker.host, self._broker.port)
            await self._up.wait()
            await self._alive.wait()

    def tend(self) -> None:
        if self._link is not None:
            self._link.tend()

    def close(self) -> None:
        if self._link is not None:
            self._link.close()

    async def begin(self, chairs: list[str], pressures: dict[str, tuple[float, float]], within_s: float) -> None:
        """A session in each chair, and its first dose. Raises TimeoutError, or RuntimeError with the gateway's word."""

        async def one(chair: str) -> None:
            sys_mmhg, dia_mmhg = pressures[chair]
            start = wire.Start(protocol=PROTOCOL, alias="load", baseline_sys_mmhg=sys_mmhg, baseline_dia_mmhg=dia_mmhg)
            if not self._sessions.get(chair):
                self._began[chair] = self._sessions[chair] = (await self._act(chair, start)).session
                await self._act(chair, wire.Dose(what="first"))

        async with asyncio.timeout(within_s):
            await asyncio.gather(*(one(chair) for chair in chairs))

    async def end(self, within_s: float) -> None:
        """End the sessions it began. Raises like `begin`."""
        async with asyncio.timeout(within_s):
            await asyncio.gather(*(self._act(chair, wire.Abort(reason="end of the load")) for chair in self._began))

    async def _act(self, chair: str, action: wire.Action) -> wire.Done:
        """Say it until it is answered."""
        session = self._began.get(chair, "")
        do = wire.Do(id=secrets.token_hex(12), session=session, who=NURSE, action=action)
        async with self._limit:
            answer = self._done[do.id] = asyncio.get_running_loop().create_future()
            while not answer.done():
                if self._link is not None:
                    self._link.publish(wire.chair_topic(self._site, chair, "do"), wire.encode(do), qos=1)
                await asyncio.wait([answer], timeout=REPEAT_S)
        done = self._done.pop(do.id).result()
        if not done.ok:
            raise RuntimeError(f"{chair}: the gateway refuses: {done.reason}")
        return done

    def _took(self, message: Published) -> None:
        leaf = message.topic[message.topic.rfind("/") + 1 :]
        now_ms = time.monotonic_ns() / 1e6
        if leaf == "state" and message.payload:
            self._showed(message, now_ms)
        elif leaf == "gateway":
            beat = wire.decode(message.payload, wire.Heartbeat)
            if beat.online and not message.retain:
                self.heartbeat = beat
                self._alive.set()
                self.queued_max = {name: max(n, self.queued_max.get(name, 0)) for name, n in beat.queued.items()}
        elif leaf == "alarm":
            self.alarms.append((now_ms, wire.decode(message.payload, wire.AlarmTransition)))
        elif leaf == "done":
            done = wire.decode(message.payload, wire.Done)
            answer = self._done.get(done.id)
            if answer is not None and not answer.done():
                answer.set_result(done)

    def _showed(self, message: Published, now_ms: float) -> None:
        state = _state.decode(message.payload)
        chair = message.topic.split("/")[-2]
        self._sessions[chair] = state.session
        if message.retain:
            return
        self.states += self._ledger.open
        if state.vitals is not UNSET:
            assert isinstance(state.vitals, _Vitals)
            self._ledger.shown(state.device, state.vitals.boot, state.vitals.seq, now_ms)
