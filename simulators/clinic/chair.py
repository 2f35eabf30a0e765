"""One chair in virtual time: the unmodified firmware and the gateway's engine in one deterministic order.

    with Chair("demo", folder, seed=1) as chair:
        chair.act("start", wire.Start(protocol="demo", alias="Aspen"), at_s=10)
        chair.run_for(300)
        chair.log.text()

The board publishes, its message travels, the engine judges; what the engine says travels back. Everything that
happens stands in the log, and what must always be true is watched. The board is switched on at time zero.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from gateway import wire
from gateway.core.outputs import Publish
from simulators.agenda import Agenda
from simulators.clinic.bay import CHAIR, DEVICE, SITE, Bay, board_in, world_of
from simulators.clinic.faults import MENU
from simulators.clinic.gateway import VirtualGateway
from simulators.clinic.invariants import Watch
from simulators.clinic.invariants.truth import MARGINS
from simulators.clinic.network import Network
from simulators.clinic.notes import Board
from simulators.conductor import SimBoard
from simulators.mqtt_packets import Published
from simulators.world.patient import Patient

__all__ = ["CHAIR", "DEVICE", "SITE", "Chair", "VirtualChair"]
RECONNECT_US = 1_000_000


class VirtualChair(Bay):
    """A board, a network, a broker and a gateway in virtual time. Use as a context manager."""

    board: Any
    network: Network
    gateway: VirtualGateway

    def __init__(self, protocol: str, patient: Patient, board: Board, agenda: Agenda, seed: int) -> None:
        self.board = board
        super().__init__(patient, board, agenda, screen="screen")
        self.network = Network(agenda, seed)
        self.gateway = VirtualGateway(
            agenda,
            site=SITE,
            chair=CHAIR,
            device=DEVICE,
            protocol=protocol,
            publish=self._from_gateway,
            note=self.note,
        )
        self.watch = self.gateway.watch = Watch(self.gateway.protocols, self.note)
        self.watch.truth.look = self._look
        self.note = self._noted
        self._status: bytes = b""
        self._broker_up = True

    def __enter__(self) -> Self:
        self.agenda.at(0, self.gateway.start)
        self.board.start()
        self.agenda.every(1_000_000, self._second, 1_000_000)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.kill()

    @property
    def now_s(self) -> float:
        return float(self.board.now_us / 1e6)

    def run_for(self, seconds: float) -> None:
        """Let virtual time pass. Raises BoardError."""
        self.board.run_for(seconds)
        facts = self.world.cuff.facts
        self.watch.cuff.pressed(facts.pressure_mmhg_max, facts.held_s_max)

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

    # --- what is watched

    def _second(self) -> None:
        self.notes.each_second()
        self._look()

    def _look(self) -> None:
        t, patient = self.now_s, self.patient
        values = {name: patient.at(name, t) for name in (*MARGINS, "perfusion_pct")}
        self.watch.truth.is_true(values, patient.finger_on(t), round(t * 1000))

    def _noted(self, kind: str, **what: object) -> None:
        if kind == "fault":
            self.watch.truth.fault(str(what["what"]), what["state"] == "begins", self._now_us() // 1000)
        self.notes.note(kind, **what)

    # --- messages

    def _now_us(self) -> int:
        return int(self.board.now_us)

    def _say(self, topic: str, payload: bytes) -> None:
        if self._broker_up:
            self.network.carry(self.board.now_us, 1, lambda: self.gateway.message(topic, payload))

    def _from_board(self, message: Published) -> None:
        leaf = message.topic.rsplit("/", 1)[1]
        if message.retain:
            self._status = message.payload
        told = wire.decode(message.payload, wire.BOARD_TOPICS[leaf])
        if isinstance(told, wire.Record):
            self.watch.made(told, self.board.now_us // 1000)

        def arrive() -> None:
            self.notes.told(told)
            self.gateway.message(message.topic, message.payload)

        self.network.carry(self.board.now_us, message.qos, arrive)

    def _from_gateway(self, topic: str, payload: bytes, publish: Publish) -> None:
        if topic.startswith(wire.device_topic(DEVICE, "")):
            peer = self.board.peer
            if publish.retain:
                peer.retained[topic] = payload
            self.network.carry(self.board.now_us, publish.qos, lambda: peer.publish(topic, payload, qos=publish.qos))
        elif isinstance(publish.message, wire.State):
            self.notes.changed(publish.message)
        elif isinstance(publish.message, wire.AlarmTransition):
            self.notes.alarm(publish.message)
        elif isinstance(publish.message, wire.Done):
            self.notes.done(publish.message)


class Chair(VirtualChair):
    """With the real firmware: it runs a MicroPython process."""

    menu: ClassVar = MENU
    board: SimBoard

    def __init__(
        self,
        protocol: str,
        folder: Path,
        *,
        seed: int = 1,
        patient: Patient | None = None,
        same_limb: bool = False,
        calibrated: bool = True,
        ticks_start_ms: int = 0,
        ticks_ppm: int = 0,
    ) -> None:
        agenda, patient = Agenda(), patient or Patient()
        board = board_in(
            folder,
            world_of(patient, seed, same_limb=same_limb),
            calibrated=calibrated,
            broker=("gateway.clinic.example", 1883),
            same_limb=same_limb,
            ticks_start_ms=ticks_start_ms,
            ticks_ppm=ticks_ppm,
            seed=seed,
            agenda=agenda,
            on_publish=self._from_board,
        )
        super().__init__(protocol, patient, board, agenda, seed)
