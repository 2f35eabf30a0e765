"""What every kind of chair shares: a patient, an agenda, a log, and staff at a screen.

`chair.Chair` and `model.ModelChair` live in virtual time, `live.LiveChair` in real time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from gateway import wire
from simulators.agenda import Agenda
from simulators.clinic.log import Log
from simulators.clinic.notes import Board, Notes
from simulators.conductor import SimBoard
from simulators.plan import ROOT
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

if TYPE_CHECKING:
    from simulators.clinic.faults import Fault

SITE, CHAIR, DEVICE = "clinic", "bay-1", "cb-000001"
CALIBRATION = ROOT / "simulators" / "demo" / "boards" / f"{DEVICE}.json"
PARTS = 1
"""The board of that calibration: its parts are the same in every run, only noise and chance have the run's seed."""
FITTED = {"seat_sensor": True, "battery": True}
REPEAT_US = 1_000_000


class Bay:
    """`menu` are the faults that this kind can have; `screen` begins the names of what staff do."""

    menu: ClassVar[Mapping[str, Fault[Any]]]
    patient: Patient
    agenda: Agenda
    world: Any
    """A `ChairWorld`, or what the model of a board has in its place."""

    def __init__(self, patient: Patient, board: Board, agenda: Agenda, *, screen: str) -> None:
        self.patient, self.agenda = patient, agenda
        self.world = board.world
        self.log = Log()
        self.notes = Notes(self.log, board, self._now_us)
        self.note = self.notes.note
        self.brownouts: object = None
        self._screen, self._deeds = screen, 0

    def at(self, at_s: float, action: Callable[[], object]) -> None:
        """Do something at a time of this chair."""
        self.agenda.at(round(at_s * 1e6), action)

    def act(self, deed: str, action: wire.Action, who: str = "nurse-1", refused: bool = False) -> None:
        """What a person does at the screen, now: it says so each second until it is answered, as the page does."""
        self._deeds += 1
        state = self.notes.state
        session = state.session if state is not None else ""
        do = wire.Do(id=f"{self._screen}-{self._deeds:04d}", session=session, who=who, action=action)
        self.notes.open[do.id] = (deed, refused)
        topic, payload = wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do)

        def say() -> bool:
            if do.id in self.notes.open:
                self._say(topic, payload)
            return do.id in self.notes.open

        self.agenda.every(REPEAT_US, say, self._now_us())

    def _say(self, topic: str, payload: bytes) -> None:
        """The screen publishes, with QoS 1."""
        raise NotImplementedError

    def _now_us(self) -> int:
        raise NotImplementedError


def world_of(patient: Patient, seed: int, *, same_limb: bool) -> ChairWorld:
    """The calibrated board's parts on the day of `seed`."""
    world = ChairWorld(patient, PARTS, same_limb=same_limb)
    world.reseed(seed)
    return world


def board_in(folder: Path, world: ChairWorld, *, calibrated: bool = True, **given: Any) -> SimBoard:
    """The board of that calibration, with it or without; its flash in a folder."""
    calibration = msgspec.json.decode(CALIBRATION.read_bytes()) if calibrated else None
    return SimBoard(DEVICE, world, folder / DEVICE, calibration=calibration, settings=FITTED, **given)
