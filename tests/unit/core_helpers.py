"""Tells a chair's story to the gateway's core in virtual time: what a board sends, what staff do, what time does.

A story begins an hour after the computer started (`now_ms`) and a minute after the board did, so that no clock is
zero by chance. A test says only what matters to it; the rest is a calm patient on a healthy board.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from gateway import protocols, wire
from gateway.core.alarms import Alarm
from gateway.core.chair_state import ChairState
from gateway.core.device import Device
from gateway.core.outputs import Health, Output, Publish, RecordId, Refusal, Row, Snapshot
from gateway.core.protocol import Protocol, Rule, Tier
from gateway.core.session import Session
from gateway.engine import Engine

SITE, CHAIR, BOARD = "clinic", "bay-1", "cb-000001"
BEGIN_MS = 3_600_000
BEGIN_UTC_MS = 1_772_352_000_000
BOOT = "00000000000000b1"
DEMO = protocols.load_all()["demo"]
CALM = {"spo2_pct": 97.0, "pulse_bpm": 70.0}
SEEN_WELL = wire.Observe(moaas=5, dissociation=False, nausea=0, gait="steady", oriented=True, escort=True)
M = TypeVar("M", bound=wire.Message)
R = TypeVar("R", bound=wire.Record)


def rule(*tiers: Tier, **given: object) -> Rule:
    """A physiological rule of saturation; `given` replaces what matters."""
    plain = {"id": "spo2_low", "measure": "spo2_pct", "kind": "physiological", "reason": "Saturation is low"}
    return Rule(**{**plain, "tiers": tiers, **given})  # type: ignore[arg-type]


def protocol(*rules: Rule, **given: object) -> Protocol:
    """The demonstration's protocol with these rules and changes."""
    return msgspec.structs.replace(DEMO, **({"rules": rules} if rules else {}), **given)


@dataclass
class Board:
    """A board as the gateway hears it: its boot, its clock, its next seq."""

    device: str = BOARD
    boot: str = BOOT
    on_since_ms: int = BEGIN_MS - 60_000
    seq: int = 0
    base: int = 1

    def record(self, kind: type[R], now_ms: int, /, **given: object) -> R:
        """The next record, made and sent now unless `given` says otherwise."""
        if "seq" not in given:
            self.seq += 1
        made = {"boot": self.boot, "seq": self.seq, "base": self.base, "up_ms": now_ms - self.on_since_ms, **given}
        return kind(**made)  # type: ignore[arg-type]

    def rebooted(self, now_ms: int, boot: str) -> None:
        self.boot, self.on_since_ms, self.seq, self.base = boot, now_ms, 0, 1


@dataclass
class Story:
    chairs: Mapping[str, str] = field(default_factory=lambda: {CHAIR: BOARD})
    protocol: Protocol = DEMO
    more_protocols: tuple[Protocol, ...] = ()
    snapshots: Mapping[str, bytes] = field(default_factory=dict)
    have: Mapping[str, Mapping[str, list[tuple[int, int]]]] = field(default_factory=dict)
    now_ms: int = BEGIN_MS
    utc_ms: int = BEGIN_UTC_MS
    run: str = "run-1"
    spares: tuple[str, ...] = ()
    roles: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        self.engine = Engine(
            SITE,
            self.chairs,
            {p.id: p for p in (self.protocol, *self.more_protocols)},
            self.run,
            self.snapshots,
            self.have,
            now_ms=self.now_ms,
            utc_ms=self.utc_ms,
            spares=self.spares,
            roles=self.roles,
        )
        self.boards = {device: Board(device=device) for device in (*self.chairs.values(), *self.spares)}
        self.outputs: list[Output] = []
        self._actions = 0

    def comes_up(self) -> list[Output]:
        """What the gateway's loop does first: all that is retained, and a tick."""
        return [*self._told(self.engine.connected(self.now_ms, self.utc_ms)), *self.tick()]

    # ---- time ---------------------------------------------------------------------------------------------

    def passes(self, seconds: float, tick_ms: int = 100) -> list[Output]:
        """Time with ticks and nothing else."""
        outputs: list[Output] = []
        for _ in range(round(seconds * 1000) // tick_ms):
            self.skips(tick_ms / 1000)
            outputs += self.tick()
        return outputs

    def skips(self, seconds: float) -> None:
        """Time in which the gateway does not even tick."""
        self.now_ms += round(seconds * 1000)
        self.utc_ms += round(seconds * 1000)

    def tick(self) -> list[Output]:
        return self._told(self.engine.tick(self.now_ms, self.utc_ms, Health()))

    def watched(self, seconds: float, device: str = BOARD, **values: object) -> list[Output]:
        """Time with good vitals once a second; `values` replaces what matters."""
        outputs: list[Output] = []
        for _ in range(round(seconds)):
            outputs += self.passes(1)
            outputs += self.vitals(device, **values)
        return outputs

    # ---- what boards send ---------------------------------------------------------------------------------

    @property
    def board(self) -> Board:
        return self.boards[self.chairs[CHAIR]]

    def vitals(self, device: str = BOARD, **given: object) -> list[Output]:
        """Good vitals, or those of a `quality` that comes without values."""
        values = CALM if given.get("quality", "good") == "good" else {}
        plain = {"quality": "good", "sqi_pct": 95.0, **values}
        return self.record(wire.Vitals, device, **{**plain, **given})

    def cuff(self, sys_mmhg: float = 120.0, dia_mmhg: float = 80.0, **given: object) -> list[Output]:
        values = {"sys_mmhg": sys_mmhg, "dia_mmhg": dia_mmhg, "map_mmhg": dia_mmhg + (sys_mmhg - dia_mmhg) / 3}
        return self.record(wire.Cuff, **{"quality": "good", "trigger": "schedule", **values, **given})

    def cuff_failed(self, reason: str = "motion", **given: object) -> list[Output]:
        return self.record(wire.Cuff, BOARD, quality="failed", trigger="schedule", reason=reason, **given)

    def event(self, kind: str, name: str, **given: object) -> list[Output]:
        return self.record(wire.Event, BOARD, kind=kind, name=name, **given)

    def record(self, kind: type[wire.Record], device: str = BOARD, /, **given: object) -> list[Output]:
        return self.send(self.boards[device].record(kind, self.now_ms, **given), device)

    def send(self, message: wire.Message, device: str = BOARD, *, retained: bool = False) -> list[Output]:
        leaf = next(leaf for leaf, kind in wire.BOARD_TOPICS.items() if type(message) is kind)
        return self.raw(wire.device_topic(device, leaf), wire.encode(message), retained=retained)

    def status(self, *, retained: bool = False, **given: object) -> list[Output]:
        plain = {"boot": self.board.boot, "conn": 1, "online": True, "up_ms": self.now_ms - self.board.on_since_ms}
        return self.send(wire.Status(**{**plain, **given}), self.board.device, retained=retained)  # type: ignore[arg-type]

    def raw(self, topic: str, payload: bytes, *, retained: bool = False) -> list[Output]:
        return self._told(self.engine.message(topic, payload, retained, self.now_ms, self.utc_ms))

    # ---- what people do -----------------------------------------------------------------------------------

    def does(
        self,
        action: wire.Action,
        *,
        session: str | None = None,
        id: str = "",
        chair: str = CHAIR,
        who: str = "A. Nurse",
    ) -> wire.Done:
        """A staff action for the session that runs, and its answer."""
        self._actions += 1
        now = self.chair(chair).session
        shown = session if session is not None else now.id if now else ""
        do = wire.Do(id=id or f"action-{self._actions:04d}", session=shown, who=who, action=action)
        return only(wire.Done, self.raw(wire.chair_topic(SITE, chair, "do"), wire.encode(do)))

    def starts(self, *, baseline: bool = True, chair: str = CHAIR, protocol: str = "", id: str = "") -> wire.Done:
        given = {"baseline_sys_mmhg": 120.0, "baseline_dia_mmhg": 80.0} if baseline else {}
        action = wire.Start(protocol=protocol or self.protocol.id, alias="blue", **given)  # type: ignore[arg-type]
        done = self.does(action, chair=chair, id=id)
        assert done.ok, done.reason
        return done

    def doses(self, *what: str) -> None:
        for one in what:
            assert self.does(wire.Dose(what=one)).ok  # type: ignore[arg-type]

    def becomes_ready(self) -> None:
        """A whole stay by the shortest way: every criterion of the demonstration is met."""
        self.starts()
        self.watched(2)
        self.doses("first", "end")
        self.cuff()
        self.does(SEEN_WELL)
        self.watched(20)
        assert self.session().readiness == "CRITERIA_MET"

    # ---- what became of it --------------------------------------------------------------------------------

    def chair(self, chair: str = CHAIR) -> ChairState:
        return self.engine.chairs[chair]

    def session(self, chair: str = CHAIR) -> Session:
        session = self.chair(chair).session
        assert session is not None
        return session

    def device(self, device: str = BOARD) -> Device:
        return self.engine.devices[device]

    def alarm(self, rule_id: str, chair: str = CHAIR) -> Alarm:
        return self.chair(chair).alarms.get(rule_id, Alarm())

    def state(self, chair: str = CHAIR) -> wire.State:
        """The chair as it would be published now."""
        now = self.engine.connected(self.now_ms, self.utc_ms)
        return next(state for state in published(wire.State, now) if state.chair == chair)

    def verdict(self, criterion: str) -> str:
        return next(view.verdict for view in self.state().readiness.criteria if view.id == criterion)

    # ---- the end of a process -----------------------------------------------------------------------------

    def crashed(
        self,
        *,
        away_s: float = 2,
        mono_ms: int | None = None,
        away_utc_s: float | None = None,
        have: Mapping[str, Mapping[str, list[tuple[int, int]]]] | None = None,
    ) -> "Story":
        """The next process. The journal has everything that was asked for, unless `have` says what is durable.
        `mono_ms` is the monotonic clock if the computer restarted, `away_utc_s` what UTC says of the time away."""
        snapshots = {o.key: o.body for o in self.outputs if isinstance(o, Snapshot)}
        return Story(
            chairs=self.chairs,
            protocol=self.protocol,
            more_protocols=self.more_protocols,
            snapshots={**self.snapshots, **snapshots},
            have=stored(self.outputs) if have is None else have,
            now_ms=self.now_ms + round(away_s * 1000) if mono_ms is None else mono_ms,
            utc_ms=self.utc_ms + round((away_s if away_utc_s is None else away_utc_s) * 1000),
            run="run-2",
            spares=self.spares,
            roles=self.roles,
        )._with_boards(self)

    def _with_boards(self, before: "Story") -> "Story":
        """The boards went on meanwhile."""
        for device, board in before.boards.items():
            up_ms = before.now_ms - board.on_since_ms + max(0, self.utc_ms - before.utc_ms)
            self.boards[device] = Board(device, board.boot, self.now_ms - up_ms, board.seq, board.base)
        self._actions = before._actions
        return self

    def _told(self, outputs: list[Output]) -> list[Output]:
        self.outputs += outputs
        return outputs


def published(kind: type[M], outputs: Iterable[Output]) -> list[M]:
    return [o.message for o in outputs if isinstance(o, Publish) and isinstance(o.message, kind)]


def only(kind: type[M], outputs: Iterable[Output]) -> M:
    """The one message of a kind."""
    [message] = published(kind, outputs)
    return message


def transitions(outputs: Iterable[Output], rule_id: str = "") -> list[str]:
    """What alarms did, in order."""
    changes = published(wire.AlarmTransition, outputs)
    return [change.what for change in changes if rule_id in ("", change.rule)]


def rows(outputs: Iterable[Output], measurement: str = "") -> list[Row]:
    return [o for o in outputs if isinstance(o, Row) and measurement in ("", o.measurement)]


def refusals(outputs: Iterable[Output]) -> list[str]:
    return [o.kind for o in outputs if isinstance(o, Refusal)]


def stored(outputs: Iterable[Output]) -> dict[str, dict[str, list[tuple[int, int]]]]:
    """What a journal that stored every row gives back: in the order of the names, as its query does."""
    found: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for row in sorted((r for r in rows(outputs) if r.seq), key=lambda r: (r.device, r.boot, r.seq)):
        ranges = found.setdefault(row.device, {}).setdefault(row.boot, [])
        if ranges and row.seq <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], row.seq)
        else:
            ranges.append((row.seq, row.seq))
    return found


def record_ids(outputs: Iterable[Output]) -> list[RecordId]:
    return [RecordId(row.device, row.boot, row.seq) for row in rows(outputs) if row.seq]
