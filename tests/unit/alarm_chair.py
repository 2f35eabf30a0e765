"""A chair with one rule, straight through `step`: for tests of what alarms do, without broker, journal or link."""

from dataclasses import dataclass, field

from core_helpers import BEGIN_MS, Board, protocol, rule

from gateway import wire
from gateway.core import signal, views
from gateway.core.alarm import Alarm, Change
from gateway.core.chair import step
from gateway.core.chair_state import (
    AlarmChanged,
    ChairState,
    CuffRead,
    Decision,
    Happening,
    Reported,
    Staff,
    Tick,
    VitalsRead,
)
from gateway.core.device import Device
from gateway.core.protocol import Protocol, Rule, SuppressedBy, Tier

INSIDE, BAND, MEDIUM, HIGH = 95.0, 90.5, 88.0, 84.0
SPO2 = rule(
    Tier(level="medium", below=90, delay_s=10),
    Tier(level="high", below=85),
    hysteresis=1,
    clear_s=3,
    escalate_s=60,
    suppress=(SuppressedBy(by="away", at_most_s=300),),
)


@dataclass
class Chair:
    """A chair with a rule, and what it told since it was last asked."""

    rule: Rule
    others: tuple[Rule, ...] = ()
    state: ChairState = field(default_factory=lambda: ChairState(idle_protocol="demo"))
    now_ms: int = BEGIN_MS
    board: Board = field(default_factory=Board)
    told: list[Decision] = field(default_factory=list)
    actions: int = 0

    @property
    def plan(self) -> Protocol:
        return protocol(self.rule, *self.others, criteria=())

    def happens(self, event: Happening, after_s: float = 1) -> None:
        self.now_ms += round(after_s * 1000)
        self.state, decisions = step({"demo": self.plan}, self.state, event, self.now_ms)
        self.told += decisions

    def reads(self, after_s: float = 1, **given: object) -> None:
        record = self.board.record(wire.Vitals, self.now_ms + round(after_s * 1000), sqi_pct=90.0, **given)
        self.happens(VitalsRead(record=record, at_mono_ms=self.now_ms + round(after_s * 1000), delay_ms=0), after_s)

    def good(self, *values: float, after_s: float = 1) -> None:
        for value in values:
            self.reads(after_s, quality="good", spo2_pct=float(value))

    def does(self, action: wire.Action) -> None:
        self.actions += 1
        session = self.state.session.id if self.state.session is not None else ""
        do = wire.Do(id=f"action-{self.actions:04d}", session=session, who="A. Nurse", action=action)
        self.happens(Staff(do=do, role="lead"))

    def measures(self, sys_mmhg: float, after_s: float = 1) -> None:
        self.now_ms += round(after_s * 1000)
        given = {"sys_mmhg": sys_mmhg, "dia_mmhg": 80.0, "map_mmhg": 100.0}
        record = self.board.record(wire.Cuff, self.now_ms, quality="good", trigger="schedule", **given)
        self.happens(CuffRead(record=record, at_mono_ms=self.now_ms, delay_ms=0), 0)

    def passes(self, seconds: float) -> None:
        """With ten ticks a second."""
        for _ in range(round(seconds * 10)):
            self.happens(Tick(), 0.1)

    def reports(self, **given: object) -> None:
        self.happens(Reported(status=wire.Status(boot=self.board.boot, conn=1, online=True, **given)))  # type: ignore[arg-type]

    def starts(self) -> None:
        self.does(wire.Start(protocol="demo", alias="blue"))

    @property
    def alarm(self) -> Alarm:
        return self.state.alarms.get(self.rule.id, Alarm())

    @property
    def changes(self) -> list[Change]:
        return [one.change for one in self.told if isinstance(one, AlarmChanged)]

    @property
    def shown(self) -> wire.State:
        """As a screen has it."""
        return views.state(
            self.plan, self.state, Device(), run="run-1", site="clinic", name="bay-1", board=self.board.device,
            now_ms=self.now_ms,
        )  # fmt: skip

    @property
    def sounds(self) -> bool:
        return signal.sounding(self.state, self.now_ms)

    def said(self) -> str:
        """Condition, level, signal, transitions."""
        alarm = self.alarm
        signals = {
            "sounds": alarm.sounding,
            "acknowledged": alarm.acknowledged_by,
            "paused": alarm.paused_until_mono_ms is not None,
            "off": alarm.audio_off_by,
            "escalated": alarm.escalated_mono_ms is not None,
            "suppressed": alarm.suppressed_by,
        }
        words = [alarm.condition, alarm.level, *(word for word, is_so in signals.items() if is_so)]
        changes = [change.what for change in self.changes]
        self.told = []
        return " ".join(words) + (f": {', '.join(changes)}" if changes else "")
