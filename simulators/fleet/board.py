"""One virtual board: what it says and what it makes of what it is told. Pure: no clock, no socket.

vitals(), passed()  ──▶  outbox  ──▶  live(), due()      what to publish
take()              ◀──  ack, annunciate, cmd
"""

import random
from collections.abc import Iterator
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from gateway import wire
from simulators.fleet.cuff import Cuff
from simulators.fleet.outbox import Outbox
from simulators.fleet.patient import Patient

FIRMWARE = "fleet"
STATUS_MS = 60_000
ALONE_MS = 3_000
COMMANDS_MAX = 32
LEAVES: dict[type[wire.Message], str] = {
    wire.Vitals: "vitals", wire.Cuff: "cuff", wire.Event: "event", wire.Status: "status", wire.Reply: "reply",
}  # fmt: skip


class Said(Struct, frozen=True):
    """One publication of a board."""

    message: wire.Message
    qos: Literal[0, 1] = 0
    retain: bool = False

    @property
    def leaf(self) -> str:
        return LEAVES[type(self.message)]


class Board:
    """`began_ms` is when it was switched on, by the caller's clock; all other times are the caller's too."""

    def __init__(self, device: str, boot: str, patient: Patient, chance: random.Random, began_ms: int) -> None:
        self.device, self.boot, self.patient = device, boot, patient
        self.outbox = Outbox()
        self.conn = 0
        self.level: wire.Level = "none"
        self.alone_spells = 0
        """How often the gateway was silent for 3 s."""
        self._chance = chance
        self._cuff = Cuff(chance)
        self._began_ms = began_ms
        self._vitals_ms: int | None = None
        self._status_ms = began_ms
        self._beat = 0
        self._heard_ms: int | None = None
        self._session = ""
        self._epoch = 0
        self._commands: list[str] = []
        self._replies: list[wire.Reply] = []
        self._event("start", "power_on", began_ms)

    # ---- what it says -----------------------------------------------------------------------------------------

    def will(self) -> bytes:
        """For the connection that is about to be made."""
        self.conn += 1
        return wire.encode(wire.Status(boot=self.boot, conn=self.conn, online=False))

    def connected(self, now_ms: int) -> Said:
        """The birth. What was made before is late from now on."""
        self.outbox.link_up(self._up_ms(now_ms))
        self._replies.clear()
        return self._status(now_ms)

    def vitals(self, now_ms: int) -> wire.Vitals:
        """Make the next reading."""
        passed_s = 0.0 if self._vitals_ms is None else (now_ms - self._vitals_ms) / 1000
        self._vitals_ms = now_ms
        phase, mmhg = self._cuff.shown(self._up_ms(now_ms))
        shown: dict[str, object] = {"cuff": phase} if phase == "idle" else {"cuff": phase, "cuff_mmhg": round(mmhg, 1)}
        record = wire.Vitals(
            **self._numbered(now_ms),  # type: ignore[arg-type]
            **self.patient.vitals(passed_s),  # type: ignore[arg-type]
            **shown,  # type: ignore[arg-type]
            age_ms=min(self._chance.randrange(80), self._up_ms(now_ms)),
            quality="good",
            sqi_pct=float(self._chance.randrange(90, 100)),
            seat="occupied",
        )
        self.outbox.add(record)
        return record

    def passed(self, now_ms: int) -> wire.Cuff | None:
        """Time passed; a cuff measurement may have ended."""
        if self._heard_ms is not None and now_ms - self._heard_ms > ALONE_MS:
            self._heard_ms = None
            self.alone_spells += 1
        took_ms = self._cuff.passed(self._up_ms(now_ms))
        return None if took_ms is None else self._measured(took_ms, now_ms)

    def live(self, now_ms: int) -> Iterator[Said]:
        for record in self.outbox.live(self._up_ms(now_ms)):
            yield Said(record)

    def due(self, now_ms: int) -> Iterator[Said]:
        """What the link tends to five times a second: at most one record again, replies, the status."""
        record = self.outbox.due(self._up_ms(now_ms))
        if record is not None:
            yield Said(record)
        while self._replies:
            yield Said(self._replies.pop(0), qos=1)
        if now_ms - self._status_ms > STATUS_MS:
            yield self._status(now_ms)

    # ---- what it is told --------------------------------------------------------------------------------------

    def take(self, leaf: str, payload: bytes, retained: bool, now_ms: int) -> list[int]:
        """A message of the gateway; what does not fit the contract changes nothing. Returns the seqs that an ack
        covered."""
        try:
            if leaf == "ack" and not retained:
                ack = wire.decode(payload, wire.Ack)
                if self._current(ack) and ack.boot == self.boot:
                    return self.outbox.ack(ack.run, ack.upto, ack.have, self._up_ms(now_ms))
            elif leaf == "annunciate":
                message = wire.decode(payload, wire.Annunciate)
                if self._current(message):
                    self._told(message, retained, now_ms)
            elif leaf == "cmd" and not retained:
                command = wire.decode(payload, wire.Cmd)
                if self._current(command):
                    self._answer(command, now_ms)
        except wire.Refused:
            pass
        return []

    def _current(self, message: wire.GatewayMessage) -> bool:
        self._epoch = max(self._epoch, message.epoch)
        return message.epoch == self._epoch

    def _told(self, message: wire.Annunciate, retained: bool, now_ms: int) -> None:
        """A beat that does not rise is a repeat, and a retained one is history: neither is a sign of life."""
        if retained or message.beat <= self._beat:
            return
        self._beat, self._heard_ms = message.beat, now_ms
        self.level, self._session = message.level, message.session
        next_s = None if isinstance(message.cuff_next_s, UnsetType) else message.cuff_next_s
        self._cuff.told(message.cuff_interval_s, next_s, self._up_ms(now_ms))

    def _answer(self, command: wire.Cmd, now_ms: int) -> None:
        reason = self._refusal(command, now_ms) or self._obey(command, now_ms)
        result: Literal["accepted", "refused"] = "refused" if reason else "accepted"
        self._replies.append(wire.Reply(boot=self.boot, id=command.id, result=result, reason=reason or UNSET))

    def _refusal(self, command: wire.Cmd, now_ms: int) -> str:
        """Why it is not to be obeyed: a foreign, repeated or expired one must not move a pump."""
        if command.boot != self.boot:
            return "boot"
        if command.id in self._commands:
            return "repeated"
        self._commands = [*self._commands, command.id][-COMMANDS_MAX:]
        if command.valid_until_up_ms <= self._up_ms(now_ms):
            return "expired"
        return "session" if command.kind == "measure" and command.session != self._session else ""

    def _obey(self, command: wire.Cmd, now_ms: int) -> str:
        if command.kind == "measure":
            return "" if self._cuff.start("command", self._up_ms(now_ms)) else "busy"
        if command.kind == "abort" and (took_ms := self._cuff.abort(self._up_ms(now_ms))) is not None:
            self._measured(took_ms, now_ms, reason="aborted")
        return "not_here" if command.kind == "reboot" else ""

    # ---- helpers ----------------------------------------------------------------------------------------------

    def _up_ms(self, now_ms: int) -> int:
        return now_ms - self._began_ms

    def _numbered(self, now_ms: int) -> dict[str, object]:
        return {"boot": self.boot, "seq": self.outbox.next_seq(), "base": 1, "up_ms": self._up_ms(now_ms)}

    def _status(self, now_ms: int) -> Said:
        self._status_ms = now_ms
        status = wire.Status(
            boot=self.boot,
            conn=self.conn,
            online=True,
            firmware=FIRMWARE,
            reset_cause="power_on",
            up_ms=self._up_ms(now_ms),
            calibration=wire.Calibration(state="calibrated"),
            faults=[],
            heap_free_bytes=60_000,
            rssi_dbm=-60,
            battery_pct=90.0,
            dropped=self.outbox.dropped,
        )
        return Said(status, qos=1, retain=True)

    def _measured(self, took_ms: int, now_ms: int, reason: str = "") -> wire.Cuff:
        given: dict[str, object] = {"quality": "failed", "reason": reason}
        if not reason:
            sys_mmhg, dia_mmhg, map_mmhg = self.patient.pressure()
            given = {"quality": "good", "sys_mmhg": sys_mmhg, "dia_mmhg": dia_mmhg, "map_mmhg": map_mmhg}
        record = wire.Cuff(**self._numbered(now_ms), **given, trigger=self._cuff.trigger, duration_ms=took_ms)  # type: ignore[arg-type]
        self.outbox.add(record)
        return record

    def _event(self, kind: Literal["start", "link"], name: str, now_ms: int) -> None:
        self.outbox.add(wire.Event(**self._numbered(now_ms), kind=kind, name=name))  # type: ignore[arg-type]
