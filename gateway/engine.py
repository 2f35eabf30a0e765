"""The gateway's decisions between two messages: routes each to its chair, and says what to publish and write.

    message(), tick()  ──▶  delivery (core.device)  ──▶  core.chair.step  ──▶  publications and journal rows

It does no I/O: the clocks are arguments and the outputs are a list, so that the same engine runs behind a real
broker, in virtual time and in a replay. A batch is ordered: alarm, annunciate, done, state.
"""

import traceback
from collections.abc import Mapping

from msgspec import UNSET
from msgspec.structs import replace

from gateway import wire
from gateway.core import chair, device, ranges, rows, staff
from gateway.core.chair_state import (
    AlarmChanged,
    Answered,
    ChairState,
    CuffRead,
    Decision,
    Happened,
    Happening,
    Ordered,
    ReadinessChanged,
    Reported,
    SessionMarked,
    Staff,
    Tick,
    VitalsRead,
)
from gateway.core.device import Device
from gateway.core.outputs import Health, Output, Publish, RecordId, Refusal, Snapshot
from gateway.core.protocol import RANK, Protocol
from gateway.core.session import Session
from gateway.restoring import Keeper
from gateway.telling import SNAPSHOT_MS, Teller, command

SECOND_MS = 1_000
GATEWAY_ROW_MS = 10_000
READS: dict[type[wire.Record], type[VitalsRead] | type[CuffRead] | type[Happened]] = {
    wire.Vitals: VitalsRead,
    wire.Cuff: CuffRead,
    wire.Event: Happened,
}
HEARD = {leaf: kind for leaf, kind in wire.BOARD_TOPICS.items() if kind is not wire.Waveform}
"""Topics of boards that are judged and kept; a waveform is for whoever looks."""


class Engine:
    """One site: its chairs, their boards, and the protocols they run."""

    def __init__(
        self,
        site: str,
        chairs: Mapping[str, str],
        protocols: Mapping[str, Protocol],
        run: str,
        snapshots: Mapping[str, bytes],
        have: Mapping[str, Mapping[str, list[tuple[int, int]]]],
        *,
        now_ms: int,
        utc_ms: int,
        host_boot: str = "",
    ) -> None:
        """`chairs` maps a chair to its board; the first protocol's `always` rules are judged without a session.
        `snapshots` and `have` (board, boot: durable ranges) are the journal's; a snapshot that cannot be read is left
        out and counted as refused: monitoring begins without it. `host_boot` names this run of the computer, and so the
        monotonic clock of `now_ms`."""
        self.site, self.run, self.protocols = site, run, protocols
        self.chair_of = {board: name for name, board in chairs.items()}
        self.board_of = dict(chairs)
        self.refused: dict[str, int] = {}
        self.received = self.duplicates = 0
        self.tell = Teller(site, run, protocols, chairs, now_ms)
        self.keep = Keeper(protocols, host_boot, self._count)
        self.heartbeat_mono_ms = self.gateway_row_mono_ms = 0
        self.health = Health()
        self.chairs: dict[str, ChairState] = {}
        self.devices: dict[str, Device] = {}
        for name, board in chairs.items():
            self.chairs[name] = self.keep.chair_from(snapshots.get(f"chair/{name}"), now_ms, utc_ms)
            known = self.keep.device_from(snapshots.get(f"device/{board}"), now_ms, utc_ms)
            durable = {boot: tuple(runs) for boot, runs in have.get(board, {}).items()}
            self.devices[board] = replace(known, accepted=durable, durable=dict(durable))

    # ---- what the shell calls -----------------------------------------------------------------------------

    def subscriptions(self) -> list[tuple[str, int]]:
        boards = [(wire.device_topic("+", leaf), 1 if leaf in ("status", "reply") else 0) for leaf in HEARD]
        return [*boards, (wire.chair_topic(self.site, "+", "do"), 1), *((topic, 0) for topic in self.own_topics())]

    def own_topics(self) -> list[str]:
        """What we retain ourselves, subscribed to find and clear what is of chairs and boards that are no longer ours.
        Once that was delivered after a connect, they only echo what we say."""
        return [wire.chair_topic(self.site, "+", "state"), wire.device_topic("+", "annunciate")]

    def will(self) -> Publish:
        message = wire.Heartbeat(run=self.run, online=False)
        return Publish(topic=wire.gateway_topic(self.site), message=message, qos=1, retain=True)

    def connected(self, now_ms: int, utc_ms: int) -> list[Output]:
        """Everything retained, again: the broker may have forgotten it."""
        outputs: list[Output] = [self._heartbeat(now_ms, utc_ms)]
        for name in self.chairs:
            outputs += [self._annunciate(name, now_ms), self._state(name, now_ms)]
        self.tell.spread(now_ms)
        return outputs

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """What a message makes happen. A bad one makes a refusal and changes nothing else."""
        try:
            inside = topic.removeprefix(f"{wire.ROOT}/")
            match inside.split("/") if inside != topic else []:
                case ["dev", board, "annunciate"]:
                    return self._foreign(topic, retained and bool(payload) and board not in self.chair_of)
                case ["site", self.site, "chair", name, "state"]:
                    return self._foreign(topic, retained and bool(payload) and name not in self.chairs)
                case ["dev", board, leaf] if leaf in HEARD:
                    if board not in self.chair_of:
                        raise wire.Refused("unknown_device", f"{board} has no chair in the configuration")
                    return self._from_board(board, leaf, payload, retained, now_ms, utc_ms)
                case ["site", self.site, "chair", name, "do"]:
                    if name not in self.chairs:
                        raise wire.Refused("unknown_chair", f"{name} is not in the configuration")
                    if retained:
                        raise wire.Refused("retained", "an action must not be retained")
                    return self._from_staff(name, wire.decode(payload, wire.Do, wire.STATE_BYTES_MAX), now_ms, utc_ms)
            raise wire.Refused("unknown_topic", "not a topic of the contract")
        except wire.Refused as refusal:
            self._count(refusal.kind)
            return [Refusal(topic=topic, kind=refusal.kind, detail=str(refusal))]

    def tick(self, now_ms: int, utc_ms: int, health: Health) -> list[Output]:
        """Time passed: silence, delays, pauses; and what is due each second."""
        outputs: list[Output] = []
        for name in self.chairs:
            try:
                outputs += self._step(name, Tick(), now_ms, utc_ms)
                outputs += self._due(name, now_ms, utc_ms)
            except Exception:  # noqa: BLE001
                # This chair falls silent, so its board says "alone" and its tile goes stale; the others are watched on.
                self._count("internal")
                outputs.append(Refusal(topic=name, kind="internal", detail=traceback.format_exc(limit=-2)))
        if now_ms - self.heartbeat_mono_ms >= SECOND_MS:
            self.heartbeat_mono_ms = now_ms
            self.health = health
            beat = self._heartbeat(now_ms, utc_ms)
            outputs.append(beat)
            if now_ms - self.gateway_row_mono_ms >= GATEWAY_ROW_MS:
                self.gateway_row_mono_ms = now_ms
                assert isinstance(beat.message, wire.Heartbeat)
                outputs.append(rows.of_heartbeat(beat.message, utc_ms))
        return outputs

    def durable(self, records: list[RecordId]) -> None:
        """The journal has these on disk: from now on acks cover them."""
        for record in records:
            if record.device in self.devices:
                self.devices[record.device] = device.stored(self.devices[record.device], record.boot, record.seq)

    # ---- from boards --------------------------------------------------------------------------------------

    def _from_board(
        self, board: str, leaf: str, payload: bytes, retained: bool, now_ms: int, utc_ms: int
    ) -> list[Output]:
        self.received += 1
        message = wire.decode(payload, HEARD[leaf])
        if isinstance(message, wire.Status):
            return self._status(board, message, retained, now_ms, utc_ms)
        if retained:
            raise wire.Refused("retained", f"a retained {leaf} is history, never a reading")
        if isinstance(message, wire.Record):
            return self._record(board, message, now_ms, utc_ms)
        assert isinstance(message, wire.Reply)
        name = self.chair_of[board]
        marked = SessionMarked(
            session=self._session_at(name, now_ms),
            what=f"command_{message.result}",
            who=board,
            detail={"id": message.id, "why": "" if message.reason is UNSET else str(message.reason)},
        )
        return [rows.of_mark(marked, board, name, utc_ms)]

    def _status(self, board: str, status: wire.Status, retained: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """A birth or a will. Neither says that the board is alive; a birth tells what it is, and a retained one is the
        last that was said."""
        if not status.online:
            return []
        self.devices[board] = replace(self.devices[board], status=status)
        name = self.chair_of[board]
        outputs: list[Output] = [] if retained else [rows.of_status(status, board, name, utc_ms)]
        return outputs + self._step(name, Reported(status=status), now_ms, utc_ms)

    def _record(self, board: str, record: wire.Record, now_ms: int, utc_ms: int) -> list[Output]:
        if record.base > record.seq:
            raise wire.Refused("invalid", f"base {record.base} is over seq {record.seq}")
        if record.age_ms > record.up_ms:
            raise wire.Refused("invalid", f"age {record.age_ms} ms is over the board's own {record.up_ms} ms")
        name, before = self.chair_of[board], self.devices[board]
        self.devices[board], taken = device.take(before, record, now_ms)
        known = taken.at_mono_ms is not None
        at_ms = taken.at_mono_ms if taken.at_mono_ms is not None else now_ms
        session = self._session_at(name, at_ms) if known else ""
        row = rows.of_record(record, board, name, session, utc_ms - (now_ms - at_ms))
        if taken.duplicate:
            self.duplicates += 1
            durable = ranges.contains(self.devices[board].durable.get(record.boot, ()), record.seq)
            # One that was judged but never reached the disk gets there now; the journal keeps it once.
            return [] if durable else [row]
        if not known:
            return [row]
        read = READS[type(record)]
        happening = read(record=record, at_mono_ms=at_ms, delay_ms=now_ms - at_ms)  # type: ignore[arg-type]
        try:
            outputs = self._taken_in(name, happening, taken.live, now_ms, utc_ms)
        except Exception:
            # Not judged is not taken: the board sends it again.
            self.devices[board] = before
            raise
        if self.devices[board].boot != before.boot:
            outputs.append(self._kept_device(board, now_ms, utc_ms))
        if taken.live:
            row.fields["rank"] = float(RANK[chair.level(self.chairs[name])])
        return [*outputs, row]

    def _taken_in(self, name: str, read: Happening, live: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """What a reading makes happen, and the state that shows it when it comes."""
        before = self.chairs[name].session
        outputs = self._step(name, read, now_ms, utc_ms)
        shown = isinstance(read, CuffRead)
        if isinstance(read, VitalsRead) and live:
            shown = self.tell.may_show_vitals(name, now_ms)
        if outputs:
            return outputs
        if isinstance(read, CuffRead):
            outputs.append(self._annunciate(name, now_ms))
        # A row that is durable is not sent again: what it changed, beside a value that the next one replaces, must be
        # as durable.
        if not isinstance(read, VitalsRead) or not live or _holds(before) != _holds(self.chairs[name].session):
            outputs.append(self._kept(name, now_ms, utc_ms))
        return [*outputs, self._state(name, now_ms)] if shown else outputs

    # ---- from people --------------------------------------------------------------------------------------

    def _from_staff(self, name: str, do: wire.Do, now_ms: int, utc_ms: int) -> list[Output]:
        board = self.board_of[name]
        if isinstance(do.action, wire.Measure) and not self.devices[board].online(now_ms):
            self.chairs[name], decisions = staff.refuse(self.chairs[name], do, "the board is not connected")
            return self._carried_out(name, decisions, now_ms, utc_ms)
        return self._step(name, Staff(do=do), now_ms, utc_ms)

    # ---- decisions to outputs -----------------------------------------------------------------------------

    def _step(self, name: str, happening: Happening, now_ms: int, utc_ms: int) -> list[Output]:
        self.chairs[name], decisions = chair.step(self.protocols, self.chairs[name], happening, now_ms)
        return self._carried_out(name, decisions, now_ms, utc_ms) if decisions else []

    def _carried_out(self, name: str, decisions: list[Decision], now_ms: int, utc_ms: int) -> list[Output]:
        """Alarm, annunciate, commands, done, state; then what is written. Rows stand before the `done` that
        waits for them."""
        board = self.board_of[name]
        first: list[Output] = []
        written: list[Output] = []
        commands: list[Output] = []
        answers: list[Output] = []
        for decision in decisions:
            match decision:
                case AlarmChanged():
                    message = rows.transition(decision, self.run, self.site, name, board, utc_ms)
                    topic = wire.chair_topic(self.site, name, "alarm")
                    first.append(Publish(topic=topic, message=message, qos=1))
                    written.append(rows.of_transition(message))
                case ReadinessChanged():
                    written += rows.of_readiness(decision, board, name, utc_ms)
                case SessionMarked():
                    written.append(rows.of_mark(decision, board, name, utc_ms))
                case Ordered():
                    commands += command(board, decision, self.devices[board], now_ms)
                case Answered():
                    topic = wire.chair_topic(self.site, name, "done")
                    answers.append(Publish(topic=topic, message=decision.done, qos=1, durable=True))
        written.append(self._kept(name, now_ms, utc_ms))
        return [
            *first,
            self._annunciate(name, now_ms),
            *commands,
            *written,
            *answers,
            self._state(name, now_ms),
        ]

    def _due(self, name: str, now_ms: int, utc_ms: int) -> list[Output]:
        board, last_kept_ms = self.board_of[name], self.tell.due[name].snapshot_mono_ms
        outputs: list[Output] = []
        outputs += self.tell.due_again(name, board, self.chairs[name], self.devices[board], now_ms)
        if now_ms - last_kept_ms >= SNAPSHOT_MS:
            outputs += [self._kept(name, now_ms, utc_ms), self._kept_device(board, now_ms, utc_ms)]
        return outputs

    def _annunciate(self, name: str, now_ms: int) -> Publish:
        return self.tell.annunciate(name, self.board_of[name], self.chairs[name], now_ms)

    def _state(self, name: str, now_ms: int) -> Publish:
        board = self.board_of[name]
        return self.tell.state(name, board, self.chairs[name], self.devices[board], now_ms)

    def _heartbeat(self, now_ms: int, utc_ms: int) -> Publish:
        message = wire.Heartbeat(
            run=self.run,
            online=True,
            at_ms=utc_ms,
            chairs=len(self.chairs),
            devices_online=sum(board.online(now_ms) for board in self.devices.values()),
            received=self.received,
            duplicates=self.duplicates,
            gaps=sum(device.missing(board) for board in self.devices.values()),
            refused=dict(self.refused),
            dropped=self.health.dropped,
            queued=self.health.queued,
            sink=self.health.sink,
            sink_lag_s=self.health.sink_lag_s,
            sink_quarantined=self.health.sink_quarantined,
            journal_ok=self.health.journal_ok,
        )
        return Publish(topic=wire.gateway_topic(self.site), message=message, qos=1, retain=True)

    # ---- helpers ------------------------------------------------------------------------------------------

    def _session_at(self, name: str, at_ms: int) -> str:
        """The session that the chair had at a time: a late reading belongs to the patient it was taken from."""
        for session in (self.chairs[name].session, self.chairs[name].ended):
            if session is None or at_ms < session.started_mono_ms:
                continue
            if session.ended_mono_ms is None or at_ms <= session.ended_mono_ms:
                return session.id
        return ""

    def _foreign(self, topic: str, foreign: bool) -> list[Output]:
        return [Publish(topic=topic, message=None, retain=True)] if foreign else []

    def _kept(self, name: str, now_ms: int, utc_ms: int) -> Snapshot:
        self.tell.due[name].snapshot_mono_ms = now_ms
        return self.keep.chair(name, self.chairs[name], now_ms, utc_ms)

    def _kept_device(self, board: str, now_ms: int, utc_ms: int) -> Snapshot:
        return self.keep.device(board, self.devices[board], now_ms, utc_ms)

    def _count(self, kind: str) -> None:
        self.refused[kind] = self.refused.get(kind, 0) + 1


def _holds(now: Session | None) -> dict[str, int | None]:
    """Since when each criterion of the session holds."""
    return {name: held.since_mono_ms for name, held in now.held.items()} if now is not None else {}
