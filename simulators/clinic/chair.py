"""One chair in virtual time: the unmodified firmware and the gateway's engine in one deterministic order.

    with Chair("demo", folder, seed=1) as chair:
        chair.act("start", wire.Start(protocol="demo", alias="Aspen"), at_s=10)
        chair.run_for(300)
        chair.log.text()

The board publishes, its message travels, the engine judges; what the engine says travels back. Everything that
happens stands in the log. The board is switched on at time zero.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from gateway import wire
from gateway.core.outputs import Publish
from simulators.agenda import Agenda
from simulators.clinic.gateway import VirtualGateway
from simulators.clinic.log import Log
from simulators.clinic.network import Network
from simulators.clinic.notes import Notes
from simulators.conductor import SimBoard
from simulators.mqtt_packets import Published
from simulators.plan import ROOT
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

SITE, CHAIR, DEVICE = "clinic", "bay-1", "cb-000001"
CALIBRATION = ROOT / "simulators" / "demo" / "boards" / f"{DEVICE}.json"
PARTS = 1
"""The board of that calibration: its parts are the same in every run, only noise and chance have the run's seed."""
FITTED = {"seat_sensor": True, "battery": True}
RECONNECT_US = 1_000_000
REPEAT_US = 1_000_000


class Chair:
    """Use as a context manager: it runs a MicroPython process."""

    def __init__(
        self,
        protocol: str,
        folder: Path,
        *,
        seed: int = 1,
        patient: Patient | None = None,
        same_limb: bool = False,
        ticks_start_ms: int = 0,
        ticks_ppm: int = 0,
    ) -> None:
        self.agenda = Agenda()
        self.log = Log()
        self.patient = patient or Patient()
        self.world = ChairWorld(self.patient, PARTS, same_limb=same_limb)
        self.world.reseed(seed)
        self.network = Network(self.agenda, seed)
        self.board = SimBoard(
            DEVICE,
            self.world,
            folder / DEVICE,
            broker=("gateway.clinic.example", 1883),
            calibration=json.loads(CALIBRATION.read_text()),
            same_limb=same_limb,
            settings=FITTED,
            ticks_start_ms=ticks_start_ms,
            ticks_ppm=ticks_ppm,
            seed=seed,
            agenda=self.agenda,
            on_publish=self._from_board,
        )
        self.notes = Notes(self.log, self.board, lambda: self.board.now_us)
        self.note = self.notes.note
        self.gateway = VirtualGateway(
            self.agenda,
            site=SITE,
            chair=CHAIR,
            device=DEVICE,
            protocol=protocol,
            publish=self._from_gateway,
            note=self.note,
        )
        self._status: bytes = b""
        self._broker_up = True
        self._deeds = 0
        self.brownouts: object = None

    def __enter__(self) -> Chair:
        self.agenda.at(0, self.gateway.start)
        self.board.start()
        self.agenda.every(1_000_000, self.notes.each_second, 1_000_000)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.kill()

    @property
    def now_s(self) -> float:
        return self.board.now_us / 1e6

    def run_for(self, seconds: float) -> None:
        """Let virtual time pass. Raises BoardError."""
        self.board.run_for(seconds)

    def at(self, at_s: float, action: Callable[[], object]) -> None:
        """Do something at a time of this chair."""
        self.agenda.at(round(at_s * 1e6), action)

    # --- staff

    def act(self, deed: str, action: wire.Action, who: str = "nurse-1", refused: bool = False) -> None:
        """What a person does at the screen, now: it says so each second until it is answered, as the page does."""
        self._deeds += 1
        state = self.notes.state
        session = state.session if state is not None else ""
        do = wire.Do(id=f"screen-{self._deeds:04d}", session=session, who=who, action=action)
        self.notes.open[do.id] = (deed, refused)
        topic, payload = wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do)

        def say() -> bool:
            if do.id not in self.notes.open:
                return False
            if self._broker_up:
                self.network.carry(self.board.now_us, 1, lambda: self.gateway.message(topic, payload))
            return True

        self.agenda.every(REPEAT_US, say, self.board.now_us)

    # --- the broker, as far as a fault needs it

    def broker_down(self) -> None:
        """It dies: connections close, what it kept is forgotten (mosquitto without persistence)."""
        self._broker_up = False
        self.board.peer.drop(refuse=True)
        self.board.peer.retained.clear()
        self._status = b""
        self.gateway.disconnect()
        self.note("broker", what="down")

    def broker_up(self) -> None:
        self._broker_up = True
        self.board.peer.up = True
        self.note("broker", what="up")
        self.agenda.at(self.board.now_us + RECONNECT_US, self._gateway_joins)

    def gateway_starts(self) -> None:
        """After a crash: it finds the board's last status, which the broker kept."""
        self.gateway.start()
        if not self._broker_up:
            self.gateway.disconnect()
        self._gateway_joins()

    def _gateway_joins(self) -> None:
        if not self._broker_up:
            return
        self.gateway.connect()
        if self._status:
            self.gateway.message(wire.device_topic(DEVICE, "status"), self._status, retained=True)

    # --- messages

    def _from_board(self, message: Published) -> None:
        leaf = message.topic.rsplit("/", 1)[1]
        if message.retain:
            self._status = message.payload

        def arrive() -> None:
            self.notes.record(leaf, message.payload)
            self.gateway.message(message.topic, message.payload)

        self.network.carry(self.board.now_us, message.qos, arrive)

    def _from_gateway(self, topic: str, payload: bytes, publish: Publish) -> None:
        if topic.startswith(wire.device_topic(DEVICE, "")):
            peer = self.board.peer
            if publish.retain:
                peer.retained[topic] = payload

            def arrive() -> None:
                peer.publish(topic, payload, qos=publish.qos)

            self.network.carry(self.board.now_us, publish.qos, arrive)
        elif isinstance(publish.message, wire.State):
            self.notes.changed(publish.message)
        elif isinstance(publish.message, wire.AlarmTransition):
            self.notes.alarm(publish.message)
        elif isinstance(publish.message, wire.Done):
            self.notes.done(publish.message)
