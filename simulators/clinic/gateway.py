"""The gateway in virtual time: the real `gateway.engine.Engine` behind a modelled network and journal.

What `gateway/mqtt.py` does with sockets and threads is done here on the agenda: each message and each tick at its own
virtual time, one after the other. The engine is not told that time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway import protocols, wire
from gateway.core.outputs import Health, Output, Publish, RecordId, Refusal, Row, Snapshot
from gateway.engine import Engine
from simulators.agenda import Agenda
from simulators.clinic.journal import VirtualJournal

TICK_US = 100_000
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
        self._site, self._chair, self._device = site, chair, device
        known = protocols.load_all()
        self.protocol = known[protocol]
        # The first protocol is the one that judges an empty chair.
        self._protocols = {protocol: known.pop(protocol), **known}
        self._publish = publish
        self._note = note
        self._journal = VirtualJournal(agenda, self._committed)
        self._runs = 0

    @property
    def duplicates(self) -> int:
        """Records that this run of the gateway had heard before."""
        return self.engine.duplicates if self.engine is not None else 0

    def start(self) -> None:
        """Start the process: it comes back with what the journal has, and connects."""
        self._runs += 1
        self.engine = Engine(
            self._site,
            {self._chair: self._device},
            self._protocols,
            f"run-{self._runs}",
            dict(self._journal.snapshots),
            self._journal.ranges(),
            now_ms=self._now_ms(),
            utc_ms=self._utc_ms(),
        )
        self._note("gateway", what="started", run=self.engine.run)
        run = self._runs
        self.agenda.every(TICK_US, lambda: self._tick(run), self._now_us() + TICK_US)
        self.connect()

    def crash(self) -> None:
        """`kill -9`: memory is gone, and what the journal had not committed."""
        self.engine = None
        self.connected = False
        self._journal.crash()
        self._note("gateway", what="crashed")

    def connect(self) -> None:
        """The broker takes the connection: everything retained is said again."""
        if self.engine is not None and not self.connected:
            self.connected = True
            self._carry_out(self.engine.connected(self._now_ms(), self._utc_ms()))

    def disconnect(self) -> None:
        self.connected = False

    def message(self, topic: str, payload: bytes, retained: bool = False) -> None:
        """A message of a board or a screen arrives; a gateway that is away never hears of it."""
        if self.engine is not None and self.connected:
            self._carry_out(self.engine.message(topic, payload, retained, self._now_ms(), self._utc_ms()))

    def _tick(self, run: int) -> bool:
        if self.engine is None or run != self._runs:
            return False
        self._carry_out(self.engine.tick(self._now_ms(), self._utc_ms(), Health()))
        return True

    def _carry_out(self, outputs: list[Output]) -> None:
        written: list[Row | Snapshot | Publish] = []
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
            self.engine.durable(records)
            for publish in published:
                self._say(publish)

    def _say(self, publish: Publish) -> None:
        if self.connected:
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
