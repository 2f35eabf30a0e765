"""What boards send, taken in: each record once, at the time and the chair of which it speaks.

message  ──▶  delivery (core.device)  ──▶  Floor.step  ──▶  its row, behind what it made happen
"""

from typing import TypeGuard

from msgspec import UNSET
from msgspec.structs import replace

from gateway import wire
from gateway.core import calibration, chair, device, ranges, rows, signal
from gateway.core.chair_state import (
    ChairState,
    CuffRead,
    Happened,
    Happening,
    Reported,
    SessionMarked,
    VitalsRead,
)
from gateway.core.outputs import Output
from gateway.core.protocol import RANK
from gateway.core.tiers import Tiers
from gateway.floor import Floor

READS: dict[type[wire.Record], type[VitalsRead] | type[CuffRead] | type[Happened]] = {
    wire.Vitals: VitalsRead,
    wire.Cuff: CuffRead,
    wire.Event: Happened,
}
HEARD = {leaf: kind for leaf, kind in wire.BOARD_TOPICS.items() if kind is not wire.Waveform}
"""Topics of boards that are judged and kept; a waveform is for whoever looks."""


class Intake:
    """`received` counts messages of our boards, `duplicates` the records that came again."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self.received = self.duplicates = 0

    def take(self, board: str, leaf: str, payload: bytes, retained: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """What a message of a board of ours, on its topic `leaf`, makes happen. Raises wire.Refused."""
        self.received += 1
        message = wire.decode(payload, HEARD[leaf])
        before = self._floor.devices[board]
        try:
            return self._taken(board, leaf, message, retained, now_ms, utc_ms)
        except Exception:
            if isinstance(message, wire.Record):
                # Not judged is not taken: the board sends it again.
                self._floor.devices[board] = before
            raise

    def _taken(
        self, board: str, leaf: str, message: wire.Message, retained: bool, now_ms: int, utc_ms: int
    ) -> list[Output]:
        if board not in self._floor.chair_of:
            return self._from_aside(board, message, retained, now_ms, utc_ms)
        if isinstance(message, wire.Status):
            return self._status(board, message, retained, now_ms, utc_ms)
        if retained:
            raise wire.Refused("retained", f"a retained {leaf} is history, never a reading")
        if isinstance(message, wire.Record):
            return self._record(board, message, now_ms, utc_ms)
        assert isinstance(message, wire.Reply)
        name = self._floor.chair_of[board]
        marked = SessionMarked(
            session=self._floor.session_at(name, now_ms),
            what=f"command_{message.result}",
            who=board,
            detail={"id": message.id, "why": "" if message.reason is UNSET else str(message.reason)},
        )
        return [rows.of_mark(marked, board, name, utc_ms)]

    def _from_aside(self, board: str, message: wire.Message, retained: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """A board at no chair. What it is will be asked when it comes to one; what one that was swapped out still holds
        was measured at its chair."""
        devices, tell = self._floor.devices, self._floor.tell
        if isinstance(message, wire.Status):
            if message.online:
                devices[board] = replace(devices[board], status=message)
            return []
        if board not in self._floor.boards.former or retained or not isinstance(message, wire.Record):
            raise wire.Refused("unknown_device", f"{board} is at no chair")
        devices[board], taken = device.take(devices[board], message, now_ms)
        at_ms = self._at_ms(board, message, taken, now_ms, utc_ms)
        name, session = self._floor.formerly(board, at_ms) or ("", "")
        row = rows.of_record(message, board, name, session, utc_ms - (now_ms - at_ms if at_ms is not None else 0))
        known = devices[board]
        called = self._called(name, session, message, at_ms, now_ms, utc_ms) if not taken.duplicate else []
        return [*called, row, *tell.acked(board, known, now_ms), *tell.acked_before(board, known, message)]

    def _called(
        self, name: str, session: str, record: wire.Record, at_ms: int | None, now_ms: int, utc_ms: int
    ) -> list[Output]:
        """Whoever called sits there still, whatever board stands there now, or where the session is now."""
        name = self._floor.chair_with(session) or name
        if name not in self._floor.chairs or at_ms is None or not _is_call(record):
            return []
        called = Happened(record=record, at_mono_ms=at_ms, delay_ms=now_ms - at_ms)
        return self._floor.step(name, called, now_ms, utc_ms)

    def _status(self, board: str, status: wire.Status, retained: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """A birth or a will. Neither says that the board is alive; a birth tells what it is, and a retained one is the
        last that was said."""
        floor = self._floor
        if not status.online:
            return []
        name = floor.chair_of[board]
        if floor.keep.utc_trusted:
            days_max = chair.protocol_of(floor.protocols, floor.chairs[name]).calibration_days_max
            status = calibration.judged(status, utc_ms, days_max)
        heard_before = retained and floor.devices[board].status == status
        floor.devices[board] = replace(floor.devices[board], status=status)
        outputs: list[Output] = [] if heard_before else [rows.of_status(status, board, name, utc_ms)]
        return outputs + floor.step(name, Reported(status=status), now_ms, utc_ms)

    def _record(self, board: str, record: wire.Record, now_ms: int, utc_ms: int) -> list[Output]:
        if record.base > record.seq:
            raise wire.Refused("invalid", f"base {record.base} is over seq {record.seq}")
        if record.age_ms > record.up_ms:
            raise wire.Refused("invalid", f"age {record.age_ms} ms is over the board's own {record.up_ms} ms")
        floor, devices = self._floor, self._floor.devices
        before = devices[board]
        devices[board], taken = device.take(before, record, now_ms)
        made_ms = self._at_ms(board, record, taken, now_ms, utc_ms)
        known = made_ms is not None
        at_ms = made_ms if made_ms is not None else now_ms
        formerly = floor.formerly(board, made_ms)
        name = floor.chair_of[board]
        name, session = formerly or (name, floor.session_at(name, at_ms) if known else "")
        row = rows.of_record(record, board, name, session, utc_ms - (now_ms - at_ms))
        if taken.duplicate:
            self.duplicates += 1
            durable = ranges.contains(devices[board].durable.get(record.boot, ()), record.seq)
            # One that was judged but never reached the disk gets there now; the journal keeps it once.
            return [*floor.tell.acked_before(board, devices[board], record)] if durable else [row]
        if not known:
            return [row]
        if formerly is not None or (_is_call(record) and self._floor.chair_with(session) not in ("", name)):
            # Of the patient there: kept as theirs, and judged at no chair.
            row.fields["late_ms"] = float(now_ms - at_ms)
            return [*self._called(name, session, record, at_ms, now_ms, utc_ms), row]
        read = READS[type(record)]
        happening = read(record=record, at_mono_ms=at_ms, delay_ms=now_ms - at_ms)  # type: ignore[arg-type]
        if isinstance(happening, VitalsRead) and floor.keep.utc_trusted:
            apart_s = device.clock_apart_s(devices[board], record, now_ms, utc_ms)
            happening = replace(happening, clock_apart_s=apart_s)
        under_way = floor.chairs[name].alarms
        outputs = self._judged(name, happening, taken.live, now_ms, utc_ms)
        if devices[board].boot != before.boot:
            outputs.append(floor.kept_device(board, now_ms, utc_ms))
        if not taken.live:
            row.fields["late_ms"] = float(now_ms - at_ms)
        else:
            row.fields.update(delay_ms=float(now_ms - at_ms), rank=float(RANK[signal.level(floor.chairs[name])]))
        if isinstance(happening, VitalsRead) and happening.clock_apart_s is not None:
            row.fields["clock_apart_s"] = happening.clock_apart_s
        # One that begins a delay is on the disk at once: were it lost with the process, the delay would begin anew.
        urgent = not under_way.keys() >= floor.chairs[name].alarms.keys()
        return [*outputs, replace(row, urgent=True) if urgent else row]

    def _at_ms(self, board: str, record: wire.Record, taken: device.Taken, now_ms: int, utc_ms: int) -> int | None:
        """When a record was true. A call of which nobody knows is heard all the same, as old as it is at least: it may
        be the patient's of today."""
        if taken.at_mono_ms is not None or not _is_call(record):
            return taken.at_mono_ms
        trusted_ms = utc_ms if self._floor.keep.utc_trusted else None
        return device.at_the_latest_ms(self._floor.devices[board], record, now_ms, trusted_ms)

    def _judged(self, name: str, read: Happening, live: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """What a reading makes happen, and the state that shows it when it comes."""
        floor = self._floor
        before = floor.chairs[name]
        outputs = floor.step(name, read, now_ms, utc_ms)
        shown = isinstance(read, CuffRead)
        if isinstance(read, VitalsRead) and live:
            shown = floor.tell.may_show_vitals(name, now_ms)
        if outputs:
            return outputs
        if isinstance(read, CuffRead):
            outputs.append(floor.annunciate(name, now_ms))
        # A row that is durable is not sent again: what it changed, beside a value that the next one replaces, must be
        # as durable. A delay that has begun would else begin anew after a crash.
        if not isinstance(read, VitalsRead) or not live or _lasting(before) != _lasting(floor.chairs[name]):
            outputs.append(floor.kept(name, now_ms, utc_ms))
        return [*outputs, floor.state(name, now_ms)] if shown else outputs


def _is_call(message: wire.Message) -> TypeGuard[wire.Event]:
    return isinstance(message, wire.Event) and message.kind == "button" and message.name == "call"


def _lasting(now: ChairState) -> tuple[list[tuple[Tiers, float | None]], list[int | None]]:
    """How far every alarm's delays are, which value it shows, and since when each criterion of the session holds."""
    holds = [held.since_mono_ms for held in now.session.held.values()] if now.session is not None else []
    return [
        (alarm.tiers, alarm.sample.value if alarm.shown and alarm.sample is not None else None)
        for alarm in now.alarms.values()
    ], holds
