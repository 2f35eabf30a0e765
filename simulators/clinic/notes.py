"""Turns what passes by into lines of the log: records, alarms, readiness, answers, and the patient's true values."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from msgspec import UNSET

from gateway import wire
from simulators.clinic.log import Log
from simulators.world.patient import Patient


class Arm(Protocol):
    def arm_mmhg(self, t: float) -> float: ...


class World(Protocol):
    """What surrounds a board, as far as the log shows it."""

    patient: Patient
    output_log: deque[tuple[float, str, float]]

    @property
    def cuff(self) -> Arm: ...

    def press(self, name: str, down: bool = True) -> None: ...


class Board(Protocol):
    """A board with the real firmware, or the model of one."""

    @property
    def world(self) -> World: ...

    @property
    def resets(self) -> list[int]: ...

    def now_s(self) -> float: ...


class Notes:
    """`now_us` is the chair's time. `state` is the last that the gateway said."""

    def __init__(self, log: Log, board: Board, now_us: Callable[[], int]) -> None:
        self.log = log
        self.state: wire.State | None = None
        self.open: dict[str, tuple[str, bool]] = {}
        """Deeds that are not answered yet: what, and whether it must be refused."""
        self._board = board
        self._now_us = now_us
        self._shown: tuple[object, ...] = ()
        self._missing: dict[str, str] = {}
        self._resets_told = 0
        self._sounding = False
        self._lit = {"lamp_red": False, "lamp_yellow": False, "lamp_cyan": False}

    def note(self, kind: str, **what: object) -> None:
        """Write into the log, with the present time."""
        self.log.add(self._now_us(), kind, **what)

    def each_second(self) -> None:
        board = self._board
        world, t = board.world, board.now_s()
        true = {
            name: round(world.patient.at(name, t), 1)
            for name in ("spo2_pct", "pulse_bpm", "sys_mmhg", "dia_mmhg", "resp_bpm")
        }
        self.note("truth", **true, finger=world.patient.finger_on(t), cuff_mmhg=round(world.cuff.arm_mmhg(t), 1))
        for cause in board.resets[self._resets_told :]:
            self.note("power", what="board started", cause=cause)
        self._resets_told = len(board.resets)
        sounding = False
        for _, name, level in world.output_log:
            if name in self._lit:
                self._lit[name] = level > 0
            # With all lamps lit it is the self-test, or somebody asked which chair this is.
            elif name == "sounder" and level > 0 and not all(self._lit.values()):
                sounding = True
        world.output_log.clear()
        if sounding and not self._sounding:
            self.note("sounder", what="tone")
        self._sounding = sounding

    def told(self, message: wire.Message) -> None:
        """The board says something."""
        match message:
            case wire.Vitals():
                self.note(
                    "vitals",
                    seq=message.seq,
                    late=message.late or None,
                    age_ms=message.age_ms or None,
                    quality=message.quality,
                    spo2_pct=message.spo2_pct,
                    pulse_bpm=message.pulse_bpm,
                    pi_pct=message.pi_pct,
                    cuff=message.cuff if message.cuff != "idle" else UNSET,
                    cuff_mmhg=message.cuff_mmhg,
                    seat=message.seat if message.seat != "occupied" else UNSET,
                )
            case wire.Cuff():
                self.note(
                    "cuff",
                    seq=message.seq,
                    late=message.late or None,
                    quality=message.quality,
                    reason=message.reason,
                    trigger=message.trigger,
                    sys_mmhg=message.sys_mmhg,
                    dia_mmhg=message.dia_mmhg,
                    map_mmhg=message.map_mmhg,
                    duration_ms=message.duration_ms,
                )
            case wire.Event():
                self.note(
                    "event",
                    seq=message.seq,
                    late=message.late or None,
                    what=message.kind,
                    name=message.name,
                    value=message.value,
                    detail=message.detail or UNSET,
                )
            case wire.Status():
                self.note("status", boot=message.boot, reset_cause=message.reset_cause, faults=message.faults)

    def alarm(self, alarm: wire.AlarmTransition) -> None:
        self.note(
            "alarm",
            rule=alarm.rule,
            what=alarm.what,
            condition=alarm.to_condition,
            level=alarm.level,
            reason=alarm.reason,
            value=alarm.value,
            limit=alarm.limit,
            unit=alarm.unit,
            who=alarm.who,
            utc_ms=alarm.at_ms,
        )

    def done(self, done: wire.Done) -> None:
        if (open_ := self.open.pop(done.id, None)) is not None:
            deed, refused = open_
            self.note(
                "staff", id=done.id, what=deed, ok=done.ok, reason=done.reason or None, as_told=done.ok != refused
            )

    def changed(self, state: wire.State) -> None:
        self.state = state
        missing = {view.id: view.detail for view in state.readiness.criteria if view.verdict != "met"}
        if list(missing) != list(self._missing) or self._shown[:1] != (state.readiness.state,):
            self.note("readiness", state=state.readiness.state, missing=missing)
            self._missing = missing
        shown = (state.readiness.state, state.phase, tuple(state.during_outage))
        if self._shown[1:2] != shown[1:2]:
            self.note("phase", what=state.phase)
        if state.during_outage and self._shown[2:] != shown[2:]:
            self.note("outage", crossed=list(state.during_outage))
        self._shown = shown
