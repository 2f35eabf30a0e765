"""A session in any order: actions, repeats, corrections, gaps, late readings and crashes, against an oracle that keeps
its own log.

Readiness never stands on a criterion that the log does not meet; people sign, in order; an id has one answer; and a
correction leaves what the right entry would have left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import get_args

import msgspec
from core_helpers import BEGIN_MS, BOOT, protocol
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from session_oracle import Fact, Log

from gateway import wire
from gateway.core import chair, criteria
from gateway.core.chair_state import (
    AlarmChanged,
    Answered,
    ChairState,
    CuffRead,
    Decision,
    Happening,
    ReadinessChanged,
    SessionMarked,
    Staff,
    Tick,
    VitalsRead,
)
from gateway.core.protocol import Coverage, Elapsed, Hold, Item, NearBaseline, Observed, Quiet, Score
from gateway.core.session import Session

PROTOCOL = protocol(
    criteria=(
        Elapsed(id="time", label="Time", since="dose_end", at_least_s=20),
        Hold(
            id="spo2",
            label="SpO2",
            measure="spo2_pct",
            at_least=94,
            at_most=100,
            hold_s=12,
            since="dose_end",
            gap_max_s=3,
        ),
        NearBaseline(
            id="near", label="Pressure", sys_within_mmhg=20, dia_within_mmhg=15, since="first_dose", age_max_s=90
        ),
        Observed(id="awake", label="Awake", item="moaas", since="dose_end", at_least=5, age_max_s=90),
        Observed(id="calm", label="No dissociation", item="dissociation", since="dose_end", equals=False),
        Observed(id="walks", label="Walks", item="gait", since="dose_end", equals="steady"),
        Quiet(id="quiet", label="Quiet", level="medium", for_s=10),
        Coverage(id="watched", label="Watched", at_least_pct=50, over_s=60),
        Score(
            id="padss",
            label="PADSS",
            score="padss",
            at_least=9,
            since="dose_end",
            pressure_age_max_s=90,
            observed_age_max_s=120,
        ),
    )
)
PROTOCOLS = {PROTOCOL.id: PROTOCOL}
WELL = wire.Observe(moaas=5, cadss=2, gait="steady", nausea=1, pain=0, escort=True)
OBSERVED = st.builds(
    wire.Observe,
    moaas=st.sampled_from([wire.UNSET, 5, 5, 4]),
    dissociation=st.sampled_from([wire.UNSET, False, True]),
    cadss=st.sampled_from([wire.UNSET, 0, 4, 5]),
    gait=st.sampled_from([wire.UNSET, "steady", "steady", "help", "unable"]),
    nausea=st.sampled_from([wire.UNSET, 0, 3, 4]),
    pain=st.sampled_from([wire.UNSET, 0, 7]),
    escort=st.sampled_from([wire.UNSET, True, False]),
    note=st.sampled_from([wire.UNSET, "sleeps"]),
)
DOSED = st.builds(
    wire.Dose,
    what=st.sampled_from(["first", "further", "end"]),
    minutes_ago=st.sampled_from([wire.UNSET, wire.UNSET, 0.0, 0.25, 1.0]),
)
TYPED = st.sampled_from(
    [
        wire.Baseline(sys_mmhg=120.0, dia_mmhg=80.0),
        wire.Baseline(sys_mmhg=150.0, dia_mmhg=95.0),
        wire.Baseline(),
        wire.Baseline(sys_mmhg=120.0),
    ]
)
FACTS = st.one_of(OBSERVED, DOSED, TYPED)
AFTER_SIGNING = ["silence", "further dose", "correction", "discharge"]
PEOPLE = st.sampled_from(["A. Nurse", "B. Nurse"])


@dataclass
class Asked:
    do: wire.Do
    done: wire.Done
    now_ms: int
    at_ms: int
    """When the fact that it entered was true."""


class Stay(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state = ChairState(idle_protocol=PROTOCOL.id)
        self.now_ms = BEGIN_MS
        self.seq: Iterator[int] = count(1)
        self.ids = (f"action-{number:04d}" for number in count(1))
        self.asked: dict[str, Asked] = {}
        self.told: list[tuple[Happening, int]] = []
        self.wrong: dict[str, str | None] = {}
        """What stands in the place of a wrong entry: the correction's id, or nothing."""
        self.marks: list[SessionMarked] = []
        self.log = Log(BEGIN_MS)
        self.present: dict[str, str] = {}
        self.signed = self.gone = False

    # ---- one step -----------------------------------------------------------------------------------------

    def step(self, event: Happening) -> list[Decision]:
        present = dict(self.present)
        self.state, decisions = chair.step(PROTOCOLS, self.state, event, self.now_ms)
        self.told.append((event, self.now_ms))
        for one in decisions:
            if isinstance(one, AlarmChanged):
                # One that ends now was present until now.
                self.present.pop(one.change.rule.id, None)
                if one.change.after.present:
                    self.present[one.change.rule.id] = one.change.after.level
            elif isinstance(one, SessionMarked):
                self.marks.append(one)
            elif isinstance(one, ReadinessChanged) and one.state == "NOT_READY":
                self.signed = False
        for level in (*present.values(), *self.present.values()):
            self.log.heard_alarm(level, self.now_ms)
        return decisions

    def does(self, action: wire.Action, who: str = "A. Nurse", id: str = "") -> wire.Done:
        shown = self.state.session.id if self.state.session is not None else ""
        do = wire.Do(id=id or next(self.ids), session=shown, who=who, action=action)
        cuffs = list(self.log.cuffs)
        done = next(one.done for one in self.step(Staff(do=do, chair="bay-1")) if isinstance(one, Answered))
        if do.id not in self.asked:
            at_ms = self._at_ms(action)
            self.asked[do.id] = Asked(do, done, self.now_ms, at_ms)
            if done.ok:
                self._entered(do.id, action, at_ms, cuffs)
        return done

    def _at_ms(self, action: wire.Action) -> int:
        fact = action.instead if isinstance(action, wire.Correct) else action
        if isinstance(fact, wire.Dose) and isinstance(fact.minutes_ago, float):
            return self.now_ms - round(fact.minutes_ago * 60_000)
        if isinstance(action, wire.Correct) and action.entry in self.asked:
            return self.asked[action.entry].at_ms
        return self.now_ms

    def _entered(self, id: str, action: wire.Action, at_ms: int, cuffs: list[tuple[int, float, float]]) -> None:
        facts, before = self.log.facts, self._stood()
        if isinstance(action, wire.Correct):
            place = next(number for number, one in enumerate(facts) if one.id == action.entry)
            right = action.instead
            self.wrong[action.entry] = None if right is wire.UNSET else id
            known = [cuff for cuff in cuffs if cuff[0] <= at_ms]
            facts[place : place + 1] = [] if right is wire.UNSET else [Fact(id, at_ms, right, known)]  # type: ignore[arg-type]
        elif isinstance(action, wire.Dose | wire.Baseline | wire.Observe):
            facts.append(Fact(id, at_ms, action, [cuff for cuff in cuffs if cuff[0] <= at_ms]))
        if isinstance(action, wire.SignOff):
            self.signed = True
        elif not isinstance(action, wire.Observe) and self._stood() != before:
            self.signed = False

    def _stood(self) -> tuple[object, ...]:
        """The facts that somebody signs."""
        return self.log.doses(), self.log.baseline(), [self.log.seen(item) for item in get_args(Item)]

    def passes(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)
        self.step(Tick())

    def vitals(self, spo2_pct: float = 97.0, pulse_bpm: float = 70.0, age_s: float = 0, quality: str = "good") -> None:
        good = {"spo2_pct": spo2_pct, "pulse_bpm": pulse_bpm} if quality == "good" else {}
        at_ms = self.now_ms - round(age_s * 1000)
        record = wire.Vitals(
            boot=BOOT,
            seq=next(self.seq),
            base=1,
            up_ms=1_000_000,
            age_ms=0,
            sqi_pct=95.0,
            quality=quality,
            **good,  # type: ignore[arg-type]
        )
        overtaken = self.state.vitals is not None and at_ms < self.state.vitals.at_mono_ms
        late = age_s > PROTOCOL.live_s or overtaken
        if self.state.session is not None and at_ms >= self.log.started_ms and quality == "good":
            (self.log.late if late else self.log.live).append((at_ms, spo2_pct, pulse_bpm))
        self.step(VitalsRead(record=record, at_mono_ms=at_ms, delay_ms=round(age_s * 1000)))

    # ---- what happens -------------------------------------------------------------------------------------

    @initialize(typed=st.booleans())
    def begins(self, typed: bool) -> None:
        self.starts(typed)

    def starts(self, typed: bool) -> None:
        given = {"baseline_sys_mmhg": 120.0, "baseline_dia_mmhg": 80.0} if typed else {}
        self.log, self.wrong, self.signed = Log(self.now_ms), {}, False
        assert self.does(wire.Start(protocol=PROTOCOL.id, alias="blue", **given)).ok  # type: ignore[arg-type]
        if typed:
            fact = wire.Baseline(sys_mmhg=120.0, dia_mmhg=80.0)
            self.log.facts.append(Fact(list(self.asked)[-1], self.now_ms, fact, []))

    @precondition(lambda self: self.state.session is None)
    @rule(typed=st.booleans())
    def starts_again(self, typed: bool) -> None:
        self.starts(typed)

    @rule(seconds=st.integers(1, 30), spo2_pct=st.sampled_from([97.0, 97.0, 97.0, 93.0]))
    def is_watched(self, seconds: int, spo2_pct: float) -> None:
        for _ in range(seconds):
            self.passes(1)
            self.vitals(spo2_pct)

    @rule(seconds=st.sampled_from([0.4, 2, 3.5, 11, 40]))
    def nothing_comes(self, seconds: float) -> None:
        self.passes(seconds)

    @rule(quality=st.sampled_from(["no_finger", "motion", "cuff_hold"]), seconds=st.integers(1, 17))
    def is_not_measured(self, quality: str, seconds: int) -> None:
        for _ in range(seconds):
            self.passes(1)
            self.vitals(quality=quality)

    @rule(age_s=st.sampled_from([0.5, 2, 5, 30, 200]), spo2_pct=st.sampled_from([97.0, 80.0]))
    def an_old_reading_comes(self, age_s: float, spo2_pct: float) -> None:
        self.vitals(spo2_pct, age_s=age_s)

    @rule(sys_mmhg=st.sampled_from([120.0, 125.0, 139.0, 175.0, 80.0]), age_s=st.sampled_from([0, 0, 0, 70]))
    def a_cuff_reading_comes(self, sys_mmhg: float, age_s: float) -> None:
        at_ms = self.now_ms - round(age_s * 1000)
        values = {"sys_mmhg": sys_mmhg, "dia_mmhg": sys_mmhg - 40, "map_mmhg": sys_mmhg - 27}
        record = wire.Cuff(
            boot=BOOT,
            seq=next(self.seq),
            base=1,
            up_ms=1_000_000,
            quality="good",
            trigger="schedule",
            **values,  # type: ignore[arg-type]
        )
        if self.state.session is not None and at_ms >= self.log.started_ms:
            self.log.cuffs = sorted([*self.log.cuffs, (at_ms, sys_mmhg, sys_mmhg - 40)], key=lambda one: one[0])
        self.step(CuffRead(record=record, at_mono_ms=at_ms, delay_ms=self.now_ms - at_ms))

    @rule(fact=FACTS, who=PEOPLE)
    def somebody_enters(self, fact: wire.Fact, who: str) -> None:
        self.does(fact, who)

    @rule(data=st.data(), who=PEOPLE)
    def somebody_corrects(self, data: st.DataObject, who: str) -> None:
        facts = {one.id: one.fact for one in self.log.facts}
        entry = data.draw(st.sampled_from([*facts, "no-such-entry"]))
        kinds = {wire.Dose: DOSED, wire.Baseline: TYPED, wire.Observe: OBSERVED}
        other = kinds[type(facts[entry])] if entry in facts else OBSERVED
        right = data.draw(st.one_of(st.just(wire.UNSET), other, FACTS))
        if self.state.session is None or entry not in facts:
            assert not self.does(wire.Correct(entry=entry, instead=right), who).ok
            return
        before = self.state.session
        if not self.does(wire.Correct(entry=entry, instead=right), who).ok:
            assert self.state.session is not None
            assert self.state.session.entries == before.entries

    @rule(action=st.sampled_from([wire.SignOff(), wire.Discharge(), wire.Abort(reason="left")]), who=PEOPLE)
    def somebody_decides(self, action: wire.Action, who: str) -> None:
        before = self.state.session
        done = self.does(action, who)
        if isinstance(action, wire.Discharge) and done.ok:
            assert before is not None
            assert self.signed
            assert self.log.seen("escort") is not None
            assert self.log.seen("escort")[1] == 1  # type: ignore[index]
            assert self.state.ended is not None
            assert self.state.ended.readiness == "DISCHARGED"
        if isinstance(action, wire.Abort):
            assert done.ok == (before is not None)

    @rule(
        action=st.sampled_from(
            [
                wire.Acknowledge(),
                wire.PauseAudio(),
                wire.Away(minutes=1),
                wire.Back(),
                wire.Measure(),
                wire.Defer(minutes=2),
            ]
        )
    )
    def somebody_does(self, action: wire.Action) -> None:
        self.does(action)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def a_screen_repeats(self, data: st.DataObject) -> None:
        """The same answer, whatever became of the chair since, and nothing else."""
        asked = self.asked[data.draw(st.sampled_from(sorted(self.asked)))]
        self.step(Tick())
        before, marks = _entered(self.state), len(self.marks)
        decisions = self.step(Staff(do=asked.do, chair="bay-1"))
        assert [one.done for one in decisions if isinstance(one, Answered)] == [asked.done]
        assert (_entered(self.state), len(self.marks)) == (before, marks)

    @rule()
    def the_gateway_crashes(self) -> None:
        kept = msgspec.json.decode(msgspec.json.encode(self.state), type=ChairState)
        assert kept == self.state
        self.state = chair.fitted(kept)

    @rule()
    def the_computer_was_off(self) -> None:
        """Nobody knows for how long: no reading is of now, and nothing held."""
        self.state = chair.resumed(msgspec.json.decode(msgspec.json.encode(self.state), type=ChairState))
        self.log.live, self.log.late, self.log.cuffs = [], [], []
        self.told.append((Off(), self.now_ms))  # type: ignore[arg-type]
        self.step(Tick())

    @precondition(lambda self: self.state.session is not None and self.state.session.first_dose_mono_ms is None)
    @rule(too_early=st.booleans(), then=st.sampled_from(["", *AFTER_SIGNING]))
    def all_goes_well(self, too_early: bool, then: str) -> None:
        """The way to readiness, so that what comes then is tried often; or all of it before the end of the dose."""
        if self.log.baseline() is None:
            assert self.does(wire.Baseline(sys_mmhg=120.0, dia_mmhg=80.0)).ok
        self.does(wire.Dose(what="first"))
        if not too_early:
            self.does(wire.Dose(what="end"))
        self.does(wire.Acknowledge())
        self.a_cuff_reading_comes(self.log.baseline()[0], 0)  # type: ignore[index]
        self.does(WELL)
        self.is_watched(62, 97.0)
        if too_early:
            self.passes(1)
            self.does(wire.Dose(what="end"))
            self.vitals()
        elif then and self.state.session is not None and self.state.session.readiness == "CRITERIA_MET":
            self.somebody_signs(then)

    @precondition(lambda self: self.state.session is not None and self.state.session.readiness == "CRITERIA_MET")
    @rule(then=st.sampled_from(AFTER_SIGNING))
    def somebody_signs(self, then: str) -> None:
        """And something follows."""
        assert self.does(wire.SignOff(), "B. Nurse").ok
        if then == "silence":
            self.passes(4)
        elif then == "further dose":
            assert self.does(wire.Dose(what="further")).ok
        elif then == "correction":
            seen = [one.id for one in self.log.facts if isinstance(one.fact, wire.Observe)]
            assert self.does(wire.Correct(entry=seen[-1], instead=replace(WELL, nausea=2))).ok
        else:
            self.somebody_decides(wire.Discharge(), "B. Nurse")

    @precondition(lambda self: self.state.session is not None)
    @rule(sys_mmhg=st.sampled_from([118.0, 150.0]))
    def the_baseline_is_measured(self, sys_mmhg: float) -> None:
        for higher in (0.0, 2.0):
            self.passes(1)
            self.a_cuff_reading_comes(sys_mmhg + higher, 0)
        self.does(wire.Baseline())

    # ---- what must be true --------------------------------------------------------------------------------

    @invariant()
    def readiness_stands_on_the_log(self) -> None:
        session = self.state.session
        if session is None or session.readiness == "NOT_READY":
            return
        for criterion in PROTOCOL.criteria:
            assert self.log.met(criterion, self.now_ms), f"{session.readiness} without {criterion.id}"
        assert session.first_met_mono_ms is not None
        assert session.first_met_but_time_mono_ms is not None
        assert session.first_met_but_time_mono_ms <= session.first_met_mono_ms <= self.now_ms

    @invariant()
    def what_the_log_meets_is_met(self) -> None:
        session = self.state.session
        if session is None:
            return
        for criterion in PROTOCOL.criteria:
            verdict, detail = criteria.judged(criterion, session, self.now_ms)
            assert (verdict == "met") == self.log.met(criterion, self.now_ms), f"{criterion.id} {verdict}: {detail}"

    @invariant()
    def people_sign(self) -> None:
        session = self.state.session
        if session is not None:
            assert (session.readiness == "SIGNED_OFF") == self.signed
            assert bool(session.signed_off_by) == self.signed

    @invariant()
    def nothing_is_erased(self) -> None:
        session = self.state.session
        if session is not None:
            kept = [entry.id for entry in session.entries]
            assert [one.id for one in self.log.facts] == [e.id for e in session.entries if not e.superseded_by]
            assert set(self.wrong) <= set(kept)
            assert len(kept) == len(set(kept))

    def teardown(self) -> None:
        """What was corrected is as if the right entries had been made at their time."""
        if self.state.session is None or not self.wrong:
            return
        other, _ = self._as_if_right()
        assert stands_on(other) == stands_on(self.state.session)
        for criterion in PROTOCOL.criteria:
            if not isinstance(criterion, Quiet):  # A wrong baseline may have been loud.
                assert (
                    criteria.judged(criterion, other, self.now_ms)[0]
                    == (criteria.judged(criterion, self.state.session, self.now_ms)[0])
                )

    def _as_if_right(self) -> tuple[Session, list[Decision]]:
        session = self.state.session
        assert session is not None
        state, decisions = ChairState(idle_protocol=PROTOCOL.id), []
        told = self.told[next(n for n, (event, _) in enumerate(self.told) if _starts(event, session)) :]
        for event, now_ms in told:
            if isinstance(event, Off):
                state = chair.resumed(state)
                continue
            if isinstance(event, Staff):
                event = self._right(event, now_ms, state.session.id if state.session else "")  # noqa: PLW2901
                if event is None:
                    continue
            state, more = chair.step(PROTOCOLS, state, event, now_ms)
            refused = [one.done for one in more if isinstance(one, Answered) and not one.done.ok]
            assert not refused, refused
            decisions += more
        assert state.session is not None
        return state.session, decisions

    def _right(self, event: Staff, now_ms: int, session: str) -> Staff | None:
        """The action as it would have been with what is known today; None: not made, or of no matter here."""
        do = event.do
        asked = self.asked[do.id]
        if not asked.done.ok or asked.now_ms != now_ms:
            return None
        if isinstance(do.action, wire.Start):
            if do.id not in self.wrong:
                return event
            bare = replace(do.action, baseline_sys_mmhg=wire.UNSET, baseline_dia_mmhg=wire.UNSET)
            right = self._last(do.id)
            if right is not None and isinstance(right.fact, wire.Baseline) and isinstance(right.fact.sys_mmhg, float):
                bare = replace(bare, baseline_sys_mmhg=right.fact.sys_mmhg, baseline_dia_mmhg=right.fact.dia_mmhg)
            return replace(event, do=replace(do, action=bare))
        if not isinstance(do.action, wire.Dose | wire.Baseline | wire.Observe):
            return None
        right = self._last(do.id)
        if right is None:
            return None
        fact = right.fact
        if isinstance(fact, wire.Dose):
            fact = replace(fact, minutes_ago=(now_ms - right.at_ms) / 60_000)
        return replace(event, do=replace(do, session=session, action=fact))

    def _last(self, id: str) -> Fact | None:
        while id in self.wrong:
            then = self.wrong[id]
            if then is None:
                return None
            id = then
        return next(one for one in self.log.facts if one.id == id)


class Off(msgspec.Struct, frozen=True):
    """The computer was off."""


def stands_on(session: Session) -> tuple[object, ...]:
    seen = {item: (one.value, one.at_mono_ms) for item, one in session.seen.items()}
    doses = (session.first_dose_mono_ms, session.last_dose_mono_ms, session.dose_end_mono_ms)
    baseline = session.baseline and (session.baseline.sys_mmhg, session.baseline.dia_mmhg)
    return baseline, session.baseline_readings, doses, session.phase, session.phase_mono_ms, seen


def _entered(state: ChairState) -> tuple[object, ...]:
    """What people made of a chair."""
    now = state.session
    return now and (now.entries, now.signed_off_by, stands_on(now)), state.ended, state.next_cuff_mono_ms, state.done


def _starts(event: Happening, session: Session) -> bool:
    return isinstance(event, Staff) and event.do.id == session.start_id


TestStay = Stay.TestCase
TestStay.settings = settings(stateful_step_count=25, deadline=None, report_multiple_bugs=False)


def test_the_way_to_readiness_leads_there() -> None:
    """Or the invariants would hold for want of a patient who is ready."""
    stay = Stay()
    stay.begins(typed=False)
    stay.all_goes_well(too_early=False, then="")
    assert stay.state.session is not None
    assert stay.state.session.readiness == "CRITERIA_MET"
    stay.readiness_stands_on_the_log()
