"""The gateway's decisions between two messages: routes each to its chair, and says what to publish and write.

    message(), tick()  ──▶  delivery (core.device)  ──▶  core.chair.step  ──▶  publications and journal rows

It does no I/O: the clocks are arguments and the outputs are a list, so that the same engine runs behind a real
broker, in virtual time and in a replay. A batch is ordered: alarm, annunciate, done, state.
"""

import traceback
from collections.abc import Iterable, Mapping
from typing import TypeGuard

from msgspec import UNSET
from msgspec.structs import replace

from gateway import wire
from gateway.core import boards, calibration, chair, device, permissions, ranges, recovery, rows, seating, signal, staff
from gateway.core.boards import Former
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
from gateway.core.site import USUAL, SiteLimits
from gateway.core.tiers import Tiers
from gateway.restoring import Keeper
from gateway.site_alarms import SiteAlarms
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
        utc_trusted: bool = False,
        site_limits: SiteLimits = USUAL,
        spares: Iterable[str] = (),
        roles: Mapping[str, str] | None = None,
    ) -> None:
        """`chairs` maps a chair to its board, `spares` are boards that may take such a place, `roles` maps the staff's
        names to what they are (None: the site names nobody). The first protocol's `always` rules are judged without a
        session.
        `snapshots` and `have` (board, boot: durable ranges) are the journal's; a snapshot that cannot be read is left
        out and counted as refused: monitoring begins without it. `host_boot` names this run of the computer, and so the
        monotonic clock of `now_ms`."""
        self.site, self.run, self.protocols = site, run, protocols
        self.refused: dict[str, int] = {}
        self.received = self.duplicates = 0
        self.tell = Teller(site, run, protocols, chairs, now_ms)
        self.host_boot = host_boot
        self.keep = Keeper(protocols, host_boot, self._count)
        self.keep.utc_trusted = utc_trusted
        self.heartbeat_mono_ms = self.gateway_row_mono_ms = 0
        self.health = Health()
        whole = self.keep.site_from(snapshots.get("site"), now_ms, utc_ms)
        self.whole = SiteAlarms(site, run, site_limits, whole, self.keep)
        self.tell.group = self.whole.carried
        self.chairs: dict[str, ChairState] = {}
        self.devices: dict[str, Device] = {}
        self.configured, self.roles, spares = dict(chairs), roles, list(spares)
        self.boards = self.keep.boards_from(snapshots.get("boards"), now_ms, utc_ms)
        self.board_of = boards.at_chairs(chairs, spares, self.boards)
        self.chair_of = {board: name for name, board in self.board_of.items()}
        for name in chairs:
            self.chairs[name] = self.keep.chair_from(snapshots.get(f"chair/{name}"), now_ms, utc_ms)
        for board in (*chairs.values(), *spares):
            known = self.keep.device_from(snapshots.get(f"device/{board}"), now_ms, utc_ms)
            durable = {boot: tuple(runs) for boot, runs in have.get(board, {}).items()}
            self.devices[board] = replace(known, accepted=durable, durable=dict(durable))

    # ---- what the shell calls -----------------------------------------------------------------------------

    def subscriptions(self) -> list[tuple[str, int]]:
        boards = [(wire.device_topic("+", leaf), 1 if leaf in ("status", "reply") else 0) for leaf in HEARD]
        deeds = [(wire.chair_topic(self.site, "+", "do"), 1), (wire.gateway_topic(self.site, "do"), 1)]
        return [*boards, *deeds, *((topic, 0) for topic in self.own_topics())]

    def own_topics(self) -> list[str]:
        """What we retain ourselves, subscribed to find and clear what is of chairs and boards that are no longer ours.
        Once that was delivered after a connect, they only echo what we say."""
        return [wire.chair_topic(self.site, "+", "state"), wire.device_topic("+", "annunciate")]

    def will(self) -> Publish:
        message = wire.Heartbeat(run=self.run, online=False)
        return Publish(topic=wire.gateway_topic(self.site), message=message, qos=1, retain=True)

    def connected(self, now_ms: int, utc_ms: int) -> list[Output]:
        """Everything retained, again: the broker may have forgotten it."""
        beat = self._heartbeat(now_ms, utc_ms)
        assert isinstance(beat.message, wire.Heartbeat)
        # The record says that another run begins before it says what that run heard.
        outputs: list[Output] = [beat, rows.of_heartbeat(beat.message, self.host_boot, now_ms, utc_ms)]
        for name in self.chairs:
            outputs += self._told(name, now_ms)
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
                    if retained and name in self.chairs:
                        return self._told_before(name, payload, now_ms, utc_ms)
                    return self._foreign(topic, retained and bool(payload) and name not in self.chairs)
                case ["dev", board, leaf] if leaf in HEARD:
                    if board not in self.devices:
                        raise wire.Refused("unknown_device", f"{board} has no chair in the configuration")
                    return self._from_board(board, leaf, payload, retained, now_ms, utc_ms)
                case ["site", self.site, "chair", name, "do"]:
                    if name not in self.chairs:
                        raise wire.Refused("unknown_chair", f"{name} is not in the configuration")
                    do = _deed(payload, retained)
                    return rows.asked(self._from_staff(name, do, now_ms, utc_ms), do, name)
                case ["site", self.site, "gateway", "do"]:
                    do = _deed(payload, retained)
                    answered = self.whole.act(do, self._why_not_here(do), now_ms, utc_ms)
                    return [*self._site_told(now_ms, utc_ms), *rows.asked(answered, do, "")]
            raise wire.Refused("unknown_topic", "not a topic of the contract")
        except wire.Refused as refusal:
            self._count(refusal.kind)
            return [Refusal(topic=topic, kind=refusal.kind, detail=str(refusal))]

    def tick(self, now_ms: int, utc_ms: int, health: Health) -> list[Output]:
        """Time passed: silence, delays, pauses; and what is due each second."""
        outputs: list[Output] = []
        self.keep.utc_trusted = health.utc_trusted
        health = replace(health, unread=self.refused.get("snapshot", 0))
        for name in self.chairs:
            try:
                self.chairs[name] = self.keep.bridged(self.chairs[name], now_ms, utc_ms)
                outputs += self._step(name, Tick(), now_ms, utc_ms)
                outputs += self._due(name, now_ms, utc_ms)
            except Exception:  # noqa: BLE001
                # This chair falls silent, so its board says "alone" and its tile goes stale; the others are watched on.
                self._count("internal")
                outputs.append(Refusal(topic=name, kind="internal", detail=traceback.format_exc(limit=-2)))
        outputs += self._site_tick(health, now_ms, utc_ms)
        if now_ms - self.heartbeat_mono_ms >= SECOND_MS:
            self.heartbeat_mono_ms = now_ms
            self.health = health
            beat = self._heartbeat(now_ms, utc_ms)
            outputs.append(beat)
            if now_ms - self.gateway_row_mono_ms >= GATEWAY_ROW_MS:
                self.gateway_row_mono_ms = now_ms
                assert isinstance(beat.message, wire.Heartbeat)
                outputs.append(rows.of_heartbeat(beat.message, self.host_boot, now_ms, utc_ms))
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
        if board not in self.chair_of:
            return self._from_aside(board, message, retained, now_ms, utc_ms)
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

    def _from_aside(self, board: str, message: wire.Message, retained: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """A board at no chair. What it is will be asked when it comes to one; what one that was swapped out still holds
        was measured at its chair."""
        if isinstance(message, wire.Status):
            if message.online:
                self.devices[board] = replace(self.devices[board], status=message)
            return []
        if board not in self.boards.former or retained or not isinstance(message, wire.Record):
            raise wire.Refused("unknown_device", f"{board} is at no chair")
        self.devices[board], taken = device.take(self.devices[board], message, now_ms)
        at_ms = taken.at_mono_ms
        name, session = self._formerly(board, at_ms) or ("", "")
        row = rows.of_record(message, board, name, session, utc_ms - (now_ms - at_ms if at_ms is not None else 0))
        known = self.devices[board]
        called = self._called(name, message, at_ms, now_ms, utc_ms) if not taken.duplicate else []
        return [*called, row, *self.tell.acked(board, known, now_ms), *self.tell.acked_before(board, known, message)]

    def _formerly(self, board: str, at_ms: int | None) -> tuple[str, str] | None:
        """The chair and the session of which a board spoke that stood elsewhere then; None: of its place of today."""
        former = self.boards.former.get(board)
        if former is None or at_ms is None or at_ms >= former.until_mono_ms:
            return None
        name = former.chair
        return name, former.session if at_ms >= former.since_mono_ms else self._session_at(name, at_ms)

    def _called(self, name: str, record: wire.Record, at_ms: int | None, now_ms: int, utc_ms: int) -> list[Output]:
        """Whoever called sits there still, whatever board stands there now."""
        if not name or at_ms is None or not _is_call(record):
            return []
        return self._step(name, Happened(record=record, at_mono_ms=at_ms, delay_ms=now_ms - at_ms), now_ms, utc_ms)

    def _status(self, board: str, status: wire.Status, retained: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """A birth or a will. Neither says that the board is alive; a birth tells what it is, and a retained one is the
        last that was said."""
        if not status.online:
            return []
        name = self.chair_of[board]
        if self.keep.utc_trusted:
            days_max = chair.protocol_of(self.protocols, self.chairs[name]).calibration_days_max
            status = calibration.judged(status, utc_ms, days_max)
        heard_before = retained and self.devices[board].status == status
        self.devices[board] = replace(self.devices[board], status=status)
        outputs: list[Output] = [] if heard_before else [rows.of_status(status, board, name, utc_ms)]
        return outputs + self._step(name, Reported(status=status), now_ms, utc_ms)

    def _record(self, board: str, record: wire.Record, now_ms: int, utc_ms: int) -> list[Output]:
        if record.base > record.seq:
            raise wire.Refused("invalid", f"base {record.base} is over seq {record.seq}")
        if record.age_ms > record.up_ms:
            raise wire.Refused("invalid", f"age {record.age_ms} ms is over the board's own {record.up_ms} ms")
        before = self.devices[board]
        self.devices[board], taken = device.take(before, record, now_ms)
        known = taken.at_mono_ms is not None
        at_ms = taken.at_mono_ms if taken.at_mono_ms is not None else now_ms
        formerly = self._formerly(board, taken.at_mono_ms)
        name = self.chair_of[board]
        name, session = formerly or (name, self._session_at(name, at_ms) if known else "")
        row = rows.of_record(record, board, name, session, utc_ms - (now_ms - at_ms))
        if taken.duplicate:
            self.duplicates += 1
            durable = ranges.contains(self.devices[board].durable.get(record.boot, ()), record.seq)
            # One that was judged but never reached the disk gets there now; the journal keeps it once.
            return [*self.tell.acked_before(board, self.devices[board], record)] if durable else [row]
        if not known:
            return [row]
        if formerly is not None:
            # Of the patient there: kept as theirs, and judged at no chair.
            row.fields["late_ms"] = float(now_ms - at_ms)
            return [*self._called(name, record, at_ms, now_ms, utc_ms), row]
        read = READS[type(record)]
        happening = read(record=record, at_mono_ms=at_ms, delay_ms=now_ms - at_ms)  # type: ignore[arg-type]
        if isinstance(happening, VitalsRead) and self.keep.utc_trusted:
            apart_s = device.clock_apart_s(self.devices[board], record, now_ms, utc_ms)
            happening = replace(happening, clock_apart_s=apart_s)
        try:
            outputs = self._taken_in(name, happening, taken.live, now_ms, utc_ms)
        except Exception:
            # Not judged is not taken: the board sends it again.
            self.devices[board] = before
            raise
        if self.devices[board].boot != before.boot:
            outputs.append(self._kept_device(board, now_ms, utc_ms))
        if not taken.live:
            row.fields["late_ms"] = float(now_ms - at_ms)
        else:
            row.fields.update(delay_ms=float(now_ms - at_ms), rank=float(RANK[signal.level(self.chairs[name])]))
        if isinstance(happening, VitalsRead) and happening.clock_apart_s is not None:
            row.fields["clock_apart_s"] = happening.clock_apart_s
        return [*outputs, row]

    def _taken_in(self, name: str, read: Happening, live: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """What a reading makes happen, and the state that shows it when it comes."""
        before = self.chairs[name]
        outputs = self._step(name, read, now_ms, utc_ms)
        shown = isinstance(read, CuffRead)
        if isinstance(read, VitalsRead) and live:
            shown = self.tell.may_show_vitals(name, now_ms)
        if outputs:
            return outputs
        if isinstance(read, CuffRead):
            outputs.append(self._annunciate(name, now_ms))
        # A row that is durable is not sent again: what it changed, beside a value that the next one replaces, must be
        # as durable. A delay that has begun would else begin anew after a crash.
        if not isinstance(read, VitalsRead) or not live or _timers(before) != _timers(self.chairs[name]):
            outputs.append(self._kept(name, now_ms, utc_ms))
        return [*outputs, self._state(name, now_ms)] if shown else outputs

    # ---- from people --------------------------------------------------------------------------------------

    def _from_staff(self, name: str, do: wire.Do, now_ms: int, utc_ms: int) -> list[Output]:
        asked = Staff(do=do, chair=name, role=None if self.roles is None else self.roles.get(do.who, ""))
        if staff.answer_of(self.chairs[name], do.id) is None:
            if isinstance(do.action, wire.Move | wire.Swap):
                return self._reseat(name, asked, do.action, now_ms, utc_ms)
            if isinstance(do.action, wire.Measure) and not self.devices[self.board_of[name]].online(now_ms):
                return self._refused(name, do, "the board is not connected", now_ms, utc_ms)
        return self._step(name, asked, now_ms, utc_ms)

    def _reseat(self, name: str, asked: Staff, action: wire.Move | wire.Swap, now_ms: int, utc_ms: int) -> list[Output]:
        """The patient to another chair, or another board to this one. All of it is one commit."""
        outputs = self._step(name, Tick(), now_ms, utc_ms)
        state = self.chairs[name]
        reason = staff.why_not(self.protocols, state, asked)
        if isinstance(action, wire.Move):
            reason = reason or self._why_not_to(name, action.to)
        else:
            reason = reason or boards.why_not(self.board_of, self.devices, name, action.device)
        if reason:
            return outputs + self._refused(name, asked.do, reason, now_ms, utc_ms)
        protocol, idle = chair.protocol_of(self.protocols, state), self.protocols[state.idle_protocol]
        if isinstance(action, wire.Move):
            outputs += self._step(action.to, Tick(), now_ms, utc_ms)
            (left, gone), (here, came) = seating.moved(
                protocol, idle, state, self.chairs[action.to], asked, action.to, now_ms
            )
            self.chairs[action.to] = here
            self.chairs[name], gone = staff.done(left, asked.do, gone)
            outputs += self._carried_out(action.to, came, now_ms, utc_ms)
            return outputs + self._carried_out(name, gone, now_ms, utc_ms)
        before, after = self.board_of[name], action.device
        outputs += self._sent_away(before, state, asked.do.id, now_ms)
        now = state.session
        former = Former(
            chair=name,
            session=now.id if now is not None else "",
            since_mono_ms=now.here_ms if now is not None else now_ms,
            until_mono_ms=now_ms,
        )
        self.boards = boards.swap(self.boards, self.configured, before, after, former)
        self.board_of[name], self.chair_of[after] = after, name
        del self.chair_of[before]
        state, decisions = seating.swapped(protocol, state, asked, before, after, now_ms)
        self.chairs[name], decisions = staff.done(state, asked.do, decisions)
        outputs += [self.keep.boards(self.boards, now_ms, utc_ms), self._kept_device(after, now_ms, utc_ms)]
        outputs += self._carried_out(name, decisions, now_ms, utc_ms)
        status = self.devices[after].status
        return outputs if status is None else outputs + self._step(name, Reported(status=status), now_ms, utc_ms)

    def _why_not_to(self, name: str, to: str) -> str:
        if to not in self.chairs:
            return f"there is no chair {to}; there are {', '.join(self.chairs)}"
        if to == name:
            return f"the patient is in {to}"
        return f"{to} is taken" if self.chairs[to].session is not None else ""

    def _sent_away(self, board: str, state: ChairState, id: str, now_ms: int) -> list[Output]:
        """A board that leaves its chair: its cuff opens, nothing sounds, and nobody finds its last orders later."""
        session = state.session.id if state.session is not None else ""
        stop = command(board, Ordered(id=id, kind="abort", session=session), self.devices[board], now_ms)
        idle = ChairState(idle_protocol=state.idle_protocol)
        orders = self.tell.annunciate(self.chair_of[board], board, idle, now_ms)
        return [*stop, replace(orders, retain=False), Publish(topic=orders.topic, message=None, retain=True)]

    def _refused(self, name: str, do: wire.Do, reason: str, now_ms: int, utc_ms: int) -> list[Output]:
        self.chairs[name], decisions = staff.refuse(self.chairs[name], do, reason)
        return self._carried_out(name, decisions, now_ms, utc_ms)

    # ---- decisions to outputs -----------------------------------------------------------------------------

    def _step(self, name: str, happening: Happening, now_ms: int, utc_ms: int) -> list[Output]:
        before = self.chairs[name]
        self.chairs[name], decisions = chair.step(self.protocols, before, happening, now_ms)
        try:
            return self._carried_out(name, decisions, now_ms, utc_ms) if decisions else []
        except Exception:
            # A change that is neither said nor written has not happened: it comes again.
            self.chairs[name] = before
            raise

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
        since_ms = self.health.journal_since_mono_ms
        message = wire.Heartbeat(
            run=self.run,
            online=True,
            at_ms=utc_ms,
            chairs=len(self.chairs),
            devices_online=sum(self.devices[board].online(now_ms) for board in self.chair_of),
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
            journal=self.health.journal,
            journal_s=0.0 if since_ms is None else max(0, now_ms - since_ms) / 1000,
            utc_trusted=self.keep.utc_trusted,
            alarms=self.whole.views(now_ms),
        )
        return Publish(topic=wire.gateway_topic(self.site), message=message, qos=1, retain=True)

    # ---- the whole site -----------------------------------------------------------------------------------

    def _site_tick(self, health: Health, now_ms: int, utc_ms: int) -> list[Output]:
        try:
            told = self.whole.tick(self.chairs, health, now_ms, utc_ms)
        except Exception:  # noqa: BLE001 - each chair's own alarm goes on
            self._count("internal")
            return [Refusal(topic="site", kind="internal", detail=traceback.format_exc(limit=-2))]
        return [*told, *self._site_told(now_ms, utc_ms)] if told else []

    def _why_not_here(self, do: wire.Do) -> str:
        role = None if self.roles is None else self.roles.get(do.who, "")
        return permissions.why_not(next(iter(self.protocols.values())), do, role)

    def _site_told(self, now_ms: int, utc_ms: int) -> list[Output]:
        """The heartbeat at once, and chairs that sound by themselves again; the others hear of it with their next."""
        before, self.tell.group = self.tell.group, self.whole.carried
        were, are = (one.members if one is not None else frozenset() for one in (before, self.tell.group))
        outputs: list[Output] = [self._heartbeat(now_ms, utc_ms)]
        for name in self.chairs:
            if name in were and name not in are:
                outputs += self._told(name, now_ms)
        return outputs

    def _told(self, name: str, now_ms: int) -> list[Output]:
        """A chair anew, for its board and the screens; one that cannot be told does not keep the others from it."""
        try:
            return [self._annunciate(name, now_ms), self._state(name, now_ms)]
        except Exception:  # noqa: BLE001
            self._count("internal")
            return [Refusal(topic=name, kind="internal", detail=traceback.format_exc(limit=-2))]

    # ---- helpers ------------------------------------------------------------------------------------------

    def _session_at(self, name: str, at_ms: int) -> str:
        """The session that the chair had at a time: a late reading belongs to the patient it was taken from."""
        for session in (self.chairs[name].session, self.chairs[name].ended):
            if session is None or at_ms < session.here_ms:
                continue
            if session.ended_mono_ms is None or at_ms <= session.ended_mono_ms:
                return session.id
        return ""

    def _told_before(self, name: str, payload: bytes, now_ms: int, utc_ms: int) -> list[Output]:
        """Our own last word about a chair, or that of the run before."""
        try:
            told = wire.decode(payload, wire.State, wire.STATE_BYTES_MAX)
        except wire.Refused:
            return []  # An older program said it in other words.
        time_map = self.devices[self.board_of[name]].time_map
        if told.run == self.run or time_map is None:
            return []
        rules = chair.protocol_of(self.protocols, self.chairs[name]).rules
        after, decisions = recovery.told_before(self.chairs[name], told, rules, time_map.boot, now_ms)
        self.chairs[name] = after
        return self._carried_out(name, decisions, now_ms, utc_ms) if decisions else []

    def _foreign(self, topic: str, foreign: bool) -> list[Output]:
        return [Publish(topic=topic, message=None, retain=True)] if foreign else []

    def _kept(self, name: str, now_ms: int, utc_ms: int) -> Snapshot:
        self.tell.due[name].snapshot_mono_ms = now_ms
        return self.keep.chair(name, self.chairs[name], now_ms, utc_ms)

    def _kept_device(self, board: str, now_ms: int, utc_ms: int) -> Snapshot:
        return self.keep.device(board, self.devices[board], now_ms, utc_ms)

    def _count(self, kind: str) -> None:
        self.refused[kind] = self.refused.get(kind, 0) + 1


def _is_call(message: wire.Message) -> TypeGuard[wire.Event]:
    return isinstance(message, wire.Event) and message.kind == "button" and message.name == "call"


def _deed(payload: bytes, retained: bool) -> wire.Do:
    if retained:
        raise wire.Refused("retained", "an action must not be retained")
    return wire.decode(payload, wire.Do, wire.STATE_BYTES_MAX)


def _timers(now: ChairState) -> tuple[list[Tiers], list[int | None]]:
    """How far every alarm's delays are, and since when each criterion of the session holds."""
    holds = [held.since_mono_ms for held in now.session.held.values()] if now.session is not None else []
    return [alarm.tiers for alarm in now.alarms.values()], holds
