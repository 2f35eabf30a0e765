"""The chairs of a site, each with its board: what happens at one is judged, said and written.

step(chair, happening)  ──▶  core.chair.step  ──▶  alarm, annunciate, commands, rows, done, state
"""

import traceback
from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from gateway import wire
from gateway.core import boards, chair, rows, staff
from gateway.core.boards import Former
from gateway.core.chair_state import (
    AlarmChanged,
    Answered,
    Decision,
    Happening,
    Ordered,
    ReadinessChanged,
    SessionMarked,
)
from gateway.core.device import Device
from gateway.core.outputs import Output, Publish, Refusal, Snapshot
from gateway.core.protocol import Protocol
from gateway.restoring import Keeper
from gateway.telling import SNAPSHOT_MS, Teller, command


class Floor:
    """`chairs` maps a chair to its state, `devices` a board to what is known of it, `board_of` a chair to its board.
    `count` hears of errors within."""

    def __init__(
        self,
        site: str,
        run: str,
        protocols: Mapping[str, Protocol],
        configured: Mapping[str, str],
        spares: Iterable[str],
        snapshots: Mapping[str, bytes],
        have: Mapping[str, Mapping[str, list[tuple[int, int]]]],
        keep: Keeper,
        count: Callable[[str], None],
        *,
        now_ms: int,
        utc_ms: int,
    ) -> None:
        """As the journal has it: `snapshots`, and `have` (board, boot: durable ranges)."""
        self.site, self.run, self.protocols = site, run, protocols
        self.configured, self.keep, self.count = configured, keep, count
        self.tell = Teller(site, run, protocols, configured, now_ms)
        spares = list(spares)
        self.boards = keep.boards_from(snapshots.get("boards"), now_ms, utc_ms)
        self.board_of = boards.at_chairs(configured, spares, self.boards)
        self.chair_of = {board: name for name, board in self.board_of.items()}
        self.chairs = {name: keep.chair_from(snapshots.get(f"chair/{name}"), now_ms, utc_ms) for name in configured}
        self.devices: dict[str, Device] = {}
        for board in (*configured.values(), *spares):
            known = keep.device_from(snapshots.get(f"device/{board}"), now_ms, utc_ms)
            durable = {boot: tuple(runs) for boot, runs in have.get(board, {}).items()}
            self.devices[board] = replace(known, accepted=durable, durable=dict(durable))

    # ---- what happens at a chair --------------------------------------------------------------------------

    def step(self, name: str, happening: Happening, now_ms: int, utc_ms: int) -> list[Output]:
        before = self.chairs[name]
        self.chairs[name], decisions = chair.step(self.protocols, before, happening, now_ms)
        try:
            return self.carried_out(name, decisions, now_ms, utc_ms) if decisions else []
        except Exception:
            # A change that is neither said nor written has not happened: it comes again.
            self.chairs[name] = before
            raise

    def carried_out(self, name: str, decisions: list[Decision], now_ms: int, utc_ms: int) -> list[Output]:
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
        written.append(self.kept(name, now_ms, utc_ms))
        return [
            *first,
            self.annunciate(name, now_ms),
            *commands,
            *written,
            *answers,
            self.state(name, now_ms),
        ]

    def refused(self, name: str, do: wire.Do, reason: str, now_ms: int, utc_ms: int) -> list[Output]:
        self.chairs[name], decisions = staff.refuse(self.chairs[name], do, reason)
        return self.carried_out(name, decisions, now_ms, utc_ms)

    def due(self, name: str, now_ms: int, utc_ms: int) -> list[Output]:
        board, last_kept_ms = self.board_of[name], self.tell.due[name].snapshot_mono_ms
        outputs: list[Output] = []
        outputs += self.tell.due_again(name, board, self.chairs[name], self.devices[board], now_ms)
        if now_ms - last_kept_ms >= SNAPSHOT_MS:
            outputs += [self.kept(name, now_ms, utc_ms), self.kept_device(board, now_ms, utc_ms)]
        return outputs

    # ---- how it is told and kept --------------------------------------------------------------------------

    def told(self, name: str, now_ms: int) -> list[Output]:
        """A chair anew, for its board and the screens; one that cannot be told does not keep the others from it."""
        try:
            return [self.annunciate(name, now_ms), self.state(name, now_ms)]
        except Exception:  # noqa: BLE001
            self.count("internal")
            return [Refusal(topic=name, kind="internal", detail=traceback.format_exc(limit=-2))]

    def annunciate(self, name: str, now_ms: int) -> Publish:
        return self.tell.annunciate(name, self.board_of[name], self.chairs[name], now_ms)

    def state(self, name: str, now_ms: int) -> Publish:
        board = self.board_of[name]
        return self.tell.state(name, board, self.chairs[name], self.devices[board], now_ms)

    def kept(self, name: str, now_ms: int, utc_ms: int) -> Snapshot:
        self.tell.due[name].snapshot_mono_ms = now_ms
        return self.keep.chair(name, self.chairs[name], now_ms, utc_ms)

    def kept_device(self, board: str, now_ms: int, utc_ms: int) -> Snapshot:
        return self.keep.device(board, self.devices[board], now_ms, utc_ms)

    # ---- who was where ------------------------------------------------------------------------------------

    def session_at(self, name: str, at_ms: int) -> str:
        """The session that the chair had at a time: a late reading belongs to the patient it was taken from."""
        state = self.chairs.get(name)
        for session in (state.session, state.ended) if state is not None else ():
            if session is None or at_ms < session.here_ms:
                continue
            if session.ended_mono_ms is None or at_ms <= session.ended_mono_ms:
                return session.id
        return ""

    def chair_with(self, session: str) -> str:
        """Where this session is, empty if nowhere."""
        sessions = ((name, state.session) for name, state in self.chairs.items())
        return next((name for name, now in sessions if now is not None and now.id == session), "")

    def formerly(self, board: str, at_ms: int | None) -> tuple[str, str] | None:
        """The chair and the session of which a board spoke that stood elsewhere then; None: of its place of today."""
        former = boards.formerly(self.boards, board, at_ms) if at_ms is not None else None
        if former is None or at_ms is None:
            return None
        return former.chair, former.session if at_ms >= former.since_mono_ms else self.session_at(former.chair, at_ms)

    def swap(self, name: str, after: str, now_ms: int, utc_ms: int) -> list[Output]:
        """Another board stands at this chair from now on."""
        before, session = self.board_of[name], self.chairs[name].session
        former = Former(
            chair=name,
            session=session.id if session is not None else "",
            since_mono_ms=session.here_ms if session is not None else now_ms,
            until_mono_ms=now_ms,
        )
        self.boards = boards.swap(self.boards, self.configured, before, after, former)
        self.board_of[name], self.chair_of[after] = after, name
        del self.chair_of[before]
        return [self.keep.boards(self.boards, now_ms, utc_ms), self.kept_device(after, now_ms, utc_ms)]
