"""Alarms of a whole chair under arbitrary stories: whatever readings, time, people and crashes do, in any order.

A machine draws the story; after each step the promises are checked against what the chair shows and told, not against
its table. The long test draws far more and longer stories.
"""

from itertools import pairwise

import msgspec
import pytest
from core_helpers import BEGIN_MS, Board, protocol, rule
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition
from hypothesis.stateful import rule as may
from msgspec.structs import replace
from properties import examples

from gateway import wire
from gateway.core import seating, signal, views
from gateway.core.alarm import Alarm, Change
from gateway.core.chair import fitted, step
from gateway.core.chair_state import AlarmChanged, ChairState, CuffRead, Happened, Happening, Staff, Tick, VitalsRead
from gateway.core.device import Device
from gateway.core.protocol import RANK, Rule, SuppressedBy, Tier

AWAY_S, SILENT_S, HOLD_S, ESCALATE_S = 120, 90, 30, 40
SUPPRESS = (
    SuppressedBy(by="away", at_most_s=AWAY_S),
    SuppressedBy(by="silence", at_most_s=SILENT_S),
    SuppressedBy(by="cuff_hold", at_most_s=HOLD_S),
)
RULES: tuple[Rule, ...] = (
    rule(
        Tier(level="medium", below=90, delay_s=10, depth_s=20),
        Tier(level="high", below=85),
        hysteresis=1,
        clear_s=3,
        escalate_s=ESCALATE_S,
        # A clinic could ask for it: the high one must sound all the same.
        suppress=SUPPRESS,
    ),
    rule(Tier(level="low", reaches=5), id="falling", measure="spo2_fall_pct", window_s=60),
    rule(Tier(level="high", reaches=180), id="sys_high", measure="sys_mmhg", hysteresis=5, escalate_s=ESCALATE_S),
    rule(Tier(level="medium", reaches=40), id="sys_rise", measure="sys_rise_mmhg", phases=("dosing",)),
    rule(
        Tier(level="medium", reaches=10),
        Tier(level="high", reaches=30),
        id="silence",
        measure="vitals_age_s",
        kind="technical",
        suppress=SUPPRESS[:1],
        escalate_s=ESCALATE_S,
    ),
    rule(
        Tier(level="medium", reaches=1, delay_s=15),
        id="finger_off",
        measure="finger_off",
        kind="technical",
        suppress=SUPPRESS,
        escalate_s=ESCALATE_S,
    ),
    rule(Tier(level="medium", reaches=1), id="nurse_call", measure="nurse_call", kind="technical", always=True),
    rule(Tier(level="low", above=2, delay_s=5), id="clock", measure="clock_apart_s", kind="technical", always=True),
)
PLAN = protocol(*RULES, criteria=(), audio_pause_s=20)
OF = {one.id: one for one in RULES}
MEASURED = {"spo2_low": "spo2_pct", "sys_high": "sys_mmhg", "sys_rise": "sys_mmhg"}

SATURATIONS = [97.0, 90.5, 89.0, 86.0, 80.0]
QUALITIES = ["good", "no_finger", "motion", "cuff_hold", "below_range"]


class Alarms(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_ms, self.board, self.actions = BEGIN_MS, Board(), 0
        self.state = ChairState(idle_protocol=PLAN.id)
        self.restless = self.state
        """The same chair, looked at after every event as if nothing were ever settled."""
        self.sent: list[Happening] = []
        self.low_since_ms: int | None = None
        """The first of the live good saturations below 90 that no other came between."""
        self.does(wire.Start(protocol=PLAN.id, alias="blue", baseline_sys_mmhg=120.0, baseline_dia_mmhg=80.0))

    # ---- the story ----------------------------------------------------------------------------------------

    def happens(self, event: Happening) -> list[Change]:
        before = self.state
        self.state, decisions = step({PLAN.id: PLAN}, before, event, self.now_ms)
        again = step({PLAN.id: PLAN}, before, event, self.now_ms)
        assert again == (self.state, decisions), "the same step decides the same"
        changes = [one.change for one in decisions if isinstance(one, AlarmChanged)]
        self.compare(event, changes)
        self.check_told(before, event, changes)
        if isinstance(event, VitalsRead):
            self.seen_low(before, event)
        if self.state.session is not None:
            heard_ms = max(self.state.vitals.at_mono_ms if self.state.vitals else 0, self.state.session.here_ms)
            assert self.now_ms - heard_ms < 10_000 or self.state.alarms["silence"].present
        if self.low_since_ms is not None and self.now_ms - self.low_since_ms >= 10_000:
            assert self.state.alarms["spo2_low"].present, "ten seconds below 90, whatever came meanwhile"
        return changes

    def compare(self, event: Happening, changes: list[Change]) -> None:
        """A chair that is looked at only when something is due tells the same as one that is looked at always."""
        at_once = replace(self.restless, settled_mono_ms=1)
        self.restless, decisions = step({PLAN.id: PLAN}, at_once, event, self.now_ms)
        self.restless, more = step({PLAN.id: PLAN}, replace(self.restless, settled_mono_ms=1), Tick(), self.now_ms)
        told = [one.change for one in (*decisions, *more) if isinstance(one, AlarmChanged)]
        assert [(one.rule.id, one.what, one.after) for one in changes] == [
            (one.rule.id, one.what, one.after) for one in told
        ]

    @may(
        spo2_pct=st.sampled_from(SATURATIONS),
        age_ms=st.sampled_from([0, 400, 2_500]),
        apart_s=st.sampled_from([None, 0.0, 3_600.0]),
    )
    def reads(self, spo2_pct: float, age_ms: int, apart_s: float | None) -> None:
        """The board's or the gateway's clock may have been set meanwhile."""
        self.vitals(age_ms, apart_s, quality="good", spo2_pct=spo2_pct)

    @may(quality=st.sampled_from(QUALITIES), age_ms=st.sampled_from([0, 400]), with_number=st.booleans())
    def reads_no_value(self, quality: str, age_ms: int, with_number: bool) -> None:
        """Good and without a saturation; or bad, and what number comes with it is none."""
        number = {"spo2_pct": 97.0} if with_number and quality != "good" else {}
        self.vitals(age_ms, quality=quality, **number)

    @may(spo2_pct=st.sampled_from(SATURATIONS), age_ms=st.sampled_from([3_001, 20_000, 200_000]))
    def reads_late(self, spo2_pct: float, age_ms: int) -> None:
        """On its way for too long, or sent again."""
        self.vitals(age_ms, quality="good", spo2_pct=spo2_pct, late=True)

    @may(
        spo2_pct=st.sampled_from([*SATURATIONS, None]),
        quality=st.sampled_from(["good", *QUALITIES]),
        seconds=st.integers(2, 16),
    )
    def goes_on(self, spo2_pct: float | None, quality: str, seconds: int) -> None:
        """The same each second, with ticks between."""
        for _ in range(seconds):
            for _ in range(5):
                self.now_ms += 200
                self.happens(Tick())
            if quality == "good" and spo2_pct is not None:
                self.vitals(0, quality=quality, spo2_pct=spo2_pct)
            else:
                self.vitals(0, quality=quality)

    def vitals(self, age_ms: int, apart_s: float | None = None, **given: object) -> None:
        record = self.board.record(wire.Vitals, self.now_ms, sqi_pct=90.0, **given)
        at_ms = self.now_ms - age_ms
        event = VitalsRead(record=record, at_mono_ms=at_ms, delay_ms=age_ms, clock_apart_s=apart_s)
        self.sent.append(event)
        self.happens(event)

    def seen_low(self, before: ChairState, event: VitalsRead) -> None:
        """What a reader of the readings knows, without any of the machinery: when saturation went below 90."""
        newest_ms = before.vitals.at_mono_ms if before.vitals is not None else 0
        assert before.session is not None
        live = self.now_ms - event.at_mono_ms <= 3_000 and event.at_mono_ms >= max(newest_ms, before.session.here_ms)
        if not live or event.record.quality != "good" or event.record.spo2_pct is wire.UNSET:
            return
        if event.record.spo2_pct >= 90:
            self.low_since_ms = None
        elif self.low_since_ms is None:
            self.low_since_ms = event.at_mono_ms
        if event.record.spo2_pct < 85:
            assert self.state.alarms["spo2_low"].level == "high"

    @may(sys_mmhg=st.sampled_from([120.0, 150.0, 165.0, 177.0, 190.0, None]))
    def measures(self, sys_mmhg: float | None) -> None:
        given = {"quality": "failed", "reason": "motion"} if sys_mmhg is None else {"quality": "good"}
        if sys_mmhg is not None:
            given |= {"sys_mmhg": sys_mmhg, "dia_mmhg": 80.0, "map_mmhg": 100.0}  # type: ignore[dict-item]
        record = self.board.record(wire.Cuff, self.now_ms, trigger="schedule", **given)
        event = CuffRead(record=record, at_mono_ms=self.now_ms, delay_ms=0)
        self.sent.append(event)
        self.happens(event)

    @may(kind=st.sampled_from(["button", "fault"]))
    def calls(self, kind: str) -> None:
        record = self.board.record(wire.Event, self.now_ms, kind=kind, name="call")
        self.happens(Happened(record=record, at_mono_ms=self.now_ms, delay_ms=0))

    @precondition(lambda self: self.sent)
    @may(data=st.data())
    def comes_again(self, data: st.DataObject) -> None:
        """A record that was heard before: the link does not filter it here."""
        self.happens(data.draw(st.sampled_from(self.sent[-5:])))

    @may(seconds=st.sampled_from([0.1, 0.1, 1, 3, 10, 15, 31, 60, 125]), ticks=st.booleans())
    def passes(self, seconds: float, ticks: bool) -> None:
        """Time, in which the gateway looks ten times a second, or did not for a while."""
        if not ticks:
            self.now_ms += round(seconds * 1000)
            self.happens(Tick())
            return
        for _ in range(min(round(seconds * 10), 320)):
            self.now_ms += 100
            self.happens(Tick())

    def shows(self, name: str = "", level: str = "") -> bool:
        return any(
            alarm.shown and name in ("", of) and level in ("", alarm.level) for of, alarm in self.state.alarms.items()
        )

    def does(self, action: wire.Action) -> list[Change]:
        self.actions += 1
        session = self.state.session.id if self.state.session is not None else ""
        do = wire.Do(id=f"action-{self.actions:05d}", session=session, who="A. Nurse", action=action)
        return self.happens(Staff(do=do, role="lead"))

    @precondition(lambda self: self.shows("spo2_low", "medium"))
    @may()
    def falls_further(self) -> None:
        self.vitals(0, quality="good", spo2_pct=80.0)

    @precondition(lambda self: self.shows())
    @may(which=st.sampled_from(["all", "one"]))
    def acknowledges(self, which: str) -> None:
        shown = [alarm.id for alarm in self.state.alarms.values() if alarm.shown]
        changes = self.does(wire.Acknowledge(alarms=shown[:1] if which == "one" else []))
        assert {one.before.id for one in changes if one.what == "acknowledged"} <= set(shown)

    @precondition(lambda self: self.shows())
    @may(action=st.sampled_from([wire.PauseAudio(), wire.AudioOff(on=True), wire.AudioOff(on=False)]))
    def silences(self, action: wire.Action) -> None:
        self.does(action)

    @may(minutes=st.sampled_from([0, 1, 5]))
    def goes_away(self, minutes: int) -> None:
        self.does(wire.Away(minutes=minutes) if minutes else wire.Back())

    @precondition(lambda self: self.state.session.dose_end_mono_ms is None)
    @may(what=st.sampled_from(["first", "end", "further"]))
    def is_dosed(self, what: str) -> None:
        self.does(wire.Dose(what=what))  # type: ignore[arg-type]

    @precondition(lambda self: self.state.session.dose_end_mono_ms is not None)
    @may()
    def is_followed_by_another(self) -> None:
        """Nothing of this patient's alarms is the next one's; the call and the clock are the chair's."""
        self.low_since_ms = None
        self.does(wire.Abort(reason="a test"))
        self.does(wire.Start(protocol=PLAN.id, alias="green"))
        assert set(self.state.alarms) <= {"nurse_call", "clock"}

    @may(boot=st.sampled_from(["00000000000000b2", "00000000000000b3"]))
    def gets_another_board(self, boot: str) -> None:
        do = wire.Do(id="swap-0001", session="", who="A. Nurse", action=wire.Swap(device=boot[-2:]))
        before = self.state
        self.board.rebooted(self.now_ms, boot)
        asked = Staff(do=do, role="lead")
        self.state, _ = seating.swapped(PLAN, self.state, asked, "b1", boot[-2:], self.now_ms)
        self.restless, _ = seating.swapped(PLAN, self.restless, asked, "b1", boot[-2:], self.now_ms)
        assert {name for name, alarm in before.alarms.items() if alarm.shown} - set(self.state.alarms) <= {"clock"}
        self.happens(Tick())

    @may()
    def crashes(self) -> None:
        """The journal gives back what was there, to the last field."""
        kept = msgspec.json.decode(msgspec.json.encode(self.state), type=ChairState)
        assert kept == self.state
        self.state = fitted(kept)
        self.restless = fitted(self.restless)

    # ---- the promises -------------------------------------------------------------------------------------

    def check_told(self, before: ChairState, event: Happening, changes: list[Change]) -> None:
        for name in {*before.alarms, *self.state.alarms, *(one.rule.id for one in changes)}:
            was, now = before.alarms.get(name, Alarm()), self.state.alarms.get(name, Alarm())
            told = [one for one in changes if one.rule.id == name]
            assert was.shown or now.shown or not told or told[-1].what == "cleared"
            for earlier, later in pairwise(told):
                assert earlier.after.condition == later.before.condition
            if told:
                assert (told[-1].after.condition, told[-1].after.level) == (now.condition, now.level)
            if (was.condition, was.level) != (now.condition, now.level) and (was.shown or now.shown):
                assert told, "no alarm changes without saying so"
            if was.present and not now.present:
                assert told[-1].what in ("cleared", "latched")
                self.check_end(name, event)
            risen = [one for one in told if one.what == "raised" or (one.what == "level" and _rank(one) > 0)]
            if risen and now.present and not isinstance(event, Staff):
                silent = now.acknowledged_by or now.paused_until_mono_ms is not None or now.audio_off_by
                assert not silent, "what begins or rises sounds, whatever was said to the one before"

    def check_end(self, name: str, event: Happening) -> None:
        """Only a good value ends an alarm, or people: neither time nor what is bad, absent or old."""
        if isinstance(event, Staff):
            return
        if name in MEASURED:
            assert not isinstance(event, Tick)
            assert getattr(event.record, MEASURED[name]) is not wire.UNSET  # type: ignore[union-attr]
            assert event.record.quality == "good"  # type: ignore[union-attr]
        if name == "silence":
            assert isinstance(event, VitalsRead)

    @invariant()
    def what_is_present_is_visible(self) -> None:
        """Shown, and signalled or suppressed within its bound; a high physiological one is never suppressed."""
        state = views.state(PLAN, self.state, Device(), run="r", site="s", name="bay-1", board="b", now_ms=self.now_ms)
        shown = {view.rule: view for view in state.alarms}
        assert wire.encode(state)
        for name, alarm in self.state.alarms.items():
            assert alarm.condition != "normal"
            assert alarm.shown == (name in shown)
            if not alarm.present:
                continue
            if alarm.suppressed_by:
                assert not OF[name].latches(alarm.level)
                assert alarm.suppressed_until_mono_ms is not None
                assert 0 < alarm.suppressed_until_mono_ms - self.now_ms <= max(AWAY_S, SILENT_S, HOLD_S) * 1000
                assert shown[name].suppressed_s > 0
                assert any(name in one.rules for one in state.suppressions)
            else:
                assert RANK[state.level] >= RANK[alarm.level]
                silent = alarm.acknowledged_by or alarm.paused_until_mono_ms is not None or alarm.audio_off_by
                assert state.sound or silent

    @invariant()
    def no_silence_is_without_end(self) -> None:
        """A pause and a suppression are over in their time."""
        for alarm in self.state.alarms.values():
            for until_ms in (alarm.paused_until_mono_ms, alarm.suppressed_until_mono_ms):
                assert until_ms is None or until_ms >= self.now_ms

    @invariant()
    def who_does_not_come_is_called_louder(self) -> None:
        """At the latest a tick after its time."""
        for name, alarm in self.state.alarms.items():
            due_ms = alarm.unseen_mono_ms + OF[name].escalate_s * 1000
            if alarm.sounding and OF[name].escalate_s and alarm.level != "low" and self.now_ms > due_ms:
                assert alarm.escalated_mono_ms is not None
                assert signal.of(alarm) == "high"


def _rank(change: Change) -> int:
    return RANK[change.after.level] - RANK[change.before.level]


class ManyAlarms(Alarms):
    """The same, for the nights."""


TestAlarms = Alarms.TestCase
TestAlarms.settings = settings(max_examples=examples(200), stateful_step_count=50, deadline=None)
TestManyAlarms = pytest.mark.long(ManyAlarms.TestCase)
TestManyAlarms.settings = settings(max_examples=examples(600), stateful_step_count=80, deadline=None)
