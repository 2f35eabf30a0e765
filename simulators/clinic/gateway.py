"""The gateway in virtual time: the real `gateway.engine.Engine` behind a modelled network and journal.

What `gateway/mqtt.py` does with sockets and threads is done here on the agenda: each message and each tick at its own
virtual time, one after the other. The engine is not told that time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway import wire
from gateway.core.outputs import Health, Output, Publish, RecordId, Refusal, Row, Snapshot
from gateway.engine import Engine
from simulators.agenda import Agenda
from simulators.clinic import known, twin
from simulators.clinic.invariants import Watch
from simulators.clinic.journal import VirtualJournal

TICK_US = 100_000
HOST_BOOT = "virtual"
STAFF = {"nurse-1": "nurse", "nurse-2": "nurse", "physician-1": "physician", "lead-1": "lead"}
"""Who works here, and as what."""
TWIN_MS, TWIN_EACH_MS = 8_000, 40_000
"""How long a twin is heard, and how long there is none."""
# The computer has run for a while before the board is switched on; its clock shows a Monday morning.
MONOTONIC_MS = 3_600_000
UTC_MS = 1_767_603_600_000


class VirtualGateway:
    """One site with one chair. `publish` takes what the engine publishes while it is connected; `note` is told of
    what the log should show: a kind and its fields."""

    def __init__(
        self,
        agenda: Agenda,
        *,
        site: str,
        chair: str,
        device: str,
        protocol: str,
        publish: Callable[[str, bytes, Publish], None],
        note: Callable[..., None],
    ) -> None:
        self.agenda = agenda
        self.connected = False
        self.utc_step_ms = 0
        self.has_clock = True
        self.engine: Engine | None = None
        self.refused: list[Refusal] = []
        self.watch: Watch | None = None
        self._site, self._chair, self._device = site, chair, device
        others = dict(known.by_name())
        self.protocol = others[protocol]
        # The first protocol is the one that judges an empty chair.
        self.protocols = {protocol: others.pop(protocol), **others}
        self._publish = publish
        self._note = note
        self._journal = VirtualJournal(agenda, self._committed)
        self._runs = 0
        self._twin: Engine | None = None
        self._twin_until_ms = MONOTONIC_MS

    @property
    def duplicates(self) -> int:
        """Records that this run of the gateway had heard before."""
        return self.engine.intake.duplicates if self.engine is not None else 0

    def start(self) -> None:
        """Start the process: it comes back with what the journal has, and connects."""
        self._runs += 1
        self.engine = self._engine(dict(self._journal.snapshots), self._journal.ranges())
        self._note("gateway", what="started", run=self.engine.run)
        if self.watch:
            self.watch.started(self._now_us() // 1000)
        run = self._runs
        # As the process does: the first tick comes before the broker has answered.
        self._tick(run)
        self.agenda.every(TICK_US, lambda: self._tick(run), self._now_us() + TICK_US)
        self.connect()

    def crash(self) -> None:
        """`kill -9`: memory is gone, and what the journal had not committed."""
        self.engine = self._twin = None
        self.connected = False
        self._journal.crash()
        self._note("gateway", what="crashed")
        if self.watch:
            self.watch.crashed(self._now_us() // 1000)

    def connect(self) -> None:
        """The broker takes the connection: everything retained is said again."""
        if self.engine is not None and not self.connected:
            self.connected = True
            self._carry_out(self.engine.connected(self._now_ms(), self._utc_ms()))

    def disconnect(self) -> None:
        self.connected = False
        if self.watch:
            self.watch.away()

    def message(self, topic: str, payload: bytes, retained: bool = False) -> None:
        """A message of a board or a screen arrives; a gateway that is away never hears of it."""
        if self.engine is not None and self.connected:
            if self.watch:
                self.watch.heard(topic, payload, self._now_us() // 1000)
            now_ms, utc_ms = self._now_ms(), self._utc_ms()
            self._carry_out(self._judged(lambda engine: engine.message(topic, payload, retained, now_ms, utc_ms)))

    def _tick(self, run: int) -> bool:
        if self.engine is None or run != self._runs:
            return False
        now_ms, utc_ms = self._now_ms(), self._utc_ms()
        health = Health(utc_trusted=self.has_clock)
        outputs = self._judged(lambda engine: engine.tick(now_ms, utc_ms, health))
        self._carry_out(outputs)
        if now_ms > self._twin_until_ms:
            self._twin = None
            if now_ms > self._twin_until_ms + TWIN_EACH_MS and twin.kept_whole(outputs):
                self._twin, self._twin_until_ms = self._engine(*self._journal.whole()), now_ms + TWIN_MS
        return True

    def _judged(self, act: Callable[[Engine], list[Output]]) -> list[Output]:
        """What the engine makes of something; its twin must make the same of it."""
        assert self.engine is not None
        outputs = act(self.engine)
        if self._twin is not None:
            why = twin.differs(outputs, act(self._twin))
            if why and self.watch:
                self.watch.broken("crash_loses_nothing", "twin", why)
                self._twin = None
        return outputs

    def _engine(self, snapshots: dict[str, bytes], have: dict[str, dict[str, list[tuple[int, int]]]]) -> Engine:
        chairs = {self._chair: self._device}
        now_ms, utc_ms = self._now_ms(), self._utc_ms()
        name = f"run-{self._runs}"
        return Engine(
            self._site,
            chairs,
            self.protocols,
            name,
            snapshots,
            have,
            now_ms=now_ms,
            utc_ms=utc_ms,
            host_boot=HOST_BOOT,
            utc_trusted=self.has_clock,
            roles=STAFF,
        )

    def _carry_out(self, outputs: list[Output]) -> None:
        written: list[Row | Snapshot | Publish] = []
        if self.watch:
            self.watch.refused(outputs)
        for output in outputs:
            if isinstance(output, Refusal):
                self.refused.append(output)
                self._note("refused", topic=output.topic, what=output.kind, detail=output.detail)
            elif isinstance(output, Publish) and not output.durable:
                self._say(output)
            else:
                written.append(output)
        if written:
            self._journal.put(self._now_us(), written)

    def _committed(self, records: list[RecordId], published: list[Publish]) -> None:
        if self.engine is not None:
            for engine in filter(None, (self.engine, self._twin)):
                engine.durable(records)
            for publish in published:
                self._say(publish)

    def _say(self, publish: Publish) -> None:
        if self.connected:
            if self.watch:
                self.watch.said(publish.message, self._now_us() // 1000)
            payload = b"" if publish.message is None else wire.encode(publish.message)
            self._publish(publish.topic, payload, publish)

    def _now_us(self) -> int:
        assert self.agenda.acting_us is not None
        return self.agenda.acting_us

    def _now_ms(self) -> int:
        return MONOTONIC_MS + self._now_us() // 1000

    def _utc_ms(self) -> int:
        # Without a battery and a network the day is the first of 1970.
        return (UTC_MS if self.has_clock else 0) + self.utc_step_ms + self._now_us() // 1000
