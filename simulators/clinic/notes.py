"""Turns what passes by into lines of the log: records, alarms, readiness, answers, and the patient's true values."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from gateway import wire
from simulators.clinic.log import Log
from simulators.conductor import SimBoard


class Notes:
    """`now_us` is the chair's time. `state` is the last that the gateway said."""

    def __init__(self, log: Log, board: SimBoard, now_us: Callable[[], int]) -> None:
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

    def record(self, leaf: str, payload: bytes) -> None:
        if leaf == "vitals":
            vitals = wire.decode(payload, wire.Vitals)
            self.note(
                "vitals",
                seq=vitals.seq,
                late=vitals.late or None,
                age_ms=vitals.age_ms or None,
                quality=vitals.quality,
                spo2_pct=vitals.spo2_pct,
                pulse_bpm=vitals.pulse_bpm,
                pi_pct=vitals.pi_pct,
                cuff=vitals.cuff if vitals.cuff != "idle" else UNSET,
                cuff_mmhg=vitals.cuff_mmhg,
                seat=vitals.seat if vitals.seat != "occupied" else UNSET,
            )
        elif leaf == "cuff":
            cuff = wire.decode(payload, wire.Cuff)
            self.note(
                "cuff",
                seq=cuff.seq,
                late=cuff.late or None,
                quality=cuff.quality,
                reason=cuff.reason,
                trigger=cuff.trigger,
                sys_mmhg=cuff.sys_mmhg,
                dia_mmhg=cuff.dia_mmhg,
                map_mmhg=cuff.map_mmhg,
                duration_ms=cuff.duration_ms,
            )
        elif leaf == "event":
            event = wire.decode(payload, wire.Event)
            self.note(
                "event",
                seq=event.seq,
                late=event.late or None,
                what=event.kind,
                name=event.name,
                value=event.value,
                detail=event.detail or UNSET,
            )
        elif leaf == "status":
            status = wire.decode(payload, wire.Status)
            self.note("status", boot=status.boot, reset_cause=status.reset_cause, faults=status.faults)

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
            self.note("staff", what=deed, ok=done.ok, reason=done.reason or None, as_told=done.ok != refused)

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
