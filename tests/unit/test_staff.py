"""What people do: once for each id, for the session their screen showed, answered in a sentence."""

import pytest
from core_helpers import CHAIR, DEMO, SEEN_WELL, SITE, Story, only, protocol, published, rows, transitions
from msgspec.structs import replace

from gateway import wire
from gateway.core import cuff_plan, session_views
from gateway.core.protocol import Quiet

ACTIONS: list[wire.Action] = [
    wire.Start(protocol="demo", alias="red"),
    wire.Dose(what="first"),
    SEEN_WELL,
    wire.Acknowledge(),
    wire.PauseAudio(),
    wire.AudioOff(on=True),
    wire.Baseline(sys_mmhg=118.0, dia_mmhg=76.0),
    wire.Correct(entry="action-0001"),
    wire.Away(minutes=5),
    wire.Back(),
    wire.Defer(minutes=5),
    wire.Measure(),
    wire.SignOff(),
    wire.Discharge(),
    wire.Abort(reason="left"),
    wire.Move(to="bay-2"),
]


def alarming() -> Story:
    """A session with a high alarm that sounds."""
    story = Story()
    story.starts()
    story.watched(2)
    story.vitals(spo2_pct=84.0)
    return story


# ---- once, and for the right session --------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_a_repeat_gets_the_same_answer_and_has_no_effect(action: wire.Action) -> None:
    """Whether it was done or refused the first time, and though the chair has changed since."""
    story = alarming()
    session = story.session().id
    done = story.does(action, id="repeated-1", session=session)
    story.watched(1)
    before = story.chair().session, story.chair().ended, story.chair().alarms
    many = len(rows(story.outputs, "session"))
    assert story.does(action, id="repeated-1", session=session) == done
    assert (story.chair().session, story.chair().ended, story.chair().alarms) == before
    assert len(rows(story.outputs, "session")) == many


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_an_action_for_another_session_is_refused(action: wire.Action) -> None:
    """A screen that still showed the patient before must not touch this one."""
    story = alarming()
    before = story.chair().session, story.chair().alarms
    done = story.does(action, session="s-before")
    assert not done.ok
    assert done.session == story.session().id
    assert (story.chair().session, story.chair().alarms) == before


@pytest.mark.parametrize("action", ACTIONS[1:], ids=lambda action: type(action).__name__)
def test_without_a_session_there_is_nothing_to_do(action: wire.Action) -> None:
    """Refused with a reason; no session begins by it."""
    story = Story()
    story.vitals()
    done = story.does(action)
    assert not done.ok
    assert done.reason
    assert story.chair().session is None
    assert not published(wire.Cmd, story.outputs)


def test_two_starts_with_ids_that_begin_alike_are_two_sessions() -> None:
    """However a screen numbers its actions, no two patients share a session."""
    story = Story()
    names = []
    for number in (1, 2):
        story.starts(id=f"tablet-at-bay-1-of-the-clinic-action-{number}")
        names.append(story.session().id)
        story.does(wire.Abort(reason="left"))
    assert names[0] != names[1]


def test_an_unknown_protocol_is_refused_with_those_there_are() -> None:
    """And a second session in a chair too."""
    story = Story()
    done = story.does(wire.Start(protocol="sleep", alias="blue"))
    assert (done.ok, "demo" in done.reason) == (False, True)
    story.starts()
    assert not story.does(wire.Start(protocol="demo", alias="red")).ok


@pytest.mark.parametrize("half", [{"baseline_sys_mmhg": 120.0}, {"baseline_dia_mmhg": 80.0}])
def test_half_a_baseline_is_refused(half: dict[str, float]) -> None:
    """Whoever typed it believes that rises are watched."""
    story = Story()
    done = story.does(wire.Start(protocol="demo", alias="blue", **half))  # type: ignore[arg-type]
    assert not done.ok
    assert "baseline" in done.reason


def test_a_baseline_in_the_wrong_order_is_refused() -> None:
    """80 over 120 was typed into the wrong boxes."""
    story = Story()
    assert not story.does(wire.Start(protocol="demo", alias="b", baseline_sys_mmhg=80.0, baseline_dia_mmhg=120.0)).ok


# ---- acknowledge, pause ---------------------------------------------------------------------------------------


def test_an_acknowledgement_is_for_the_alarms_that_were_shown() -> None:
    """One that came meanwhile goes on sounding."""
    story = alarming()
    [seen] = story.state().alarms
    story.watched(4, spo2_pct=84.0, pulse_bpm=150.0)
    assert story.does(wire.Acknowledge(alarms=[seen.id]), who="B. Nurse").ok
    assert {view.rule: view.acknowledged_by for view in story.state().alarms} == {
        "spo2_low": "B. Nurse",
        "pulse_high": wire.UNSET,
    }
    assert story.state().sound


def test_an_acknowledgement_of_all_is_for_those_present_now() -> None:
    """A new one sounds again."""
    story = alarming()
    assert story.does(wire.Acknowledge()).ok
    assert not story.state().sound
    story.watched(4, spo2_pct=84.0, pulse_bpm=150.0)
    assert story.state().sound


def test_as_many_alarms_as_there_may_be_are_acknowledged_at_once() -> None:
    """By their whole names: a screen is not bound to what a board can take."""
    story = alarming()
    names = [view.id for view in story.state().alarms]
    assert story.does(wire.Acknowledge(alarms=names + ["n" * 128] * (32 - len(names)))).ok


@pytest.mark.parametrize("alarms", [[], ["s-1-spo2_low-gone"]])
def test_there_must_be_something_to_acknowledge(alarms: list[str]) -> None:
    """An alarm that is over or has another name was not acknowledged: nobody may believe so."""
    story = Story()
    story.starts()
    story.vitals()
    assert not story.does(wire.Acknowledge(alarms=alarms)).ok
    story.passes(12)
    if alarms:
        assert not story.does(wire.Acknowledge(alarms=alarms)).ok
        assert story.alarm("silence").sounding


def test_an_outage_is_not_acknowledged_by_the_name_of_an_alarm_that_is_gone() -> None:
    """The list stays until somebody acknowledges what there is."""
    story = Story()
    story.starts()
    story.watched(6)
    story.vitals(spo2_pct=80.0, age_ms=4_000)
    assert not story.does(wire.Acknowledge(alarms=["s-1-spo2_low-gone"])).ok
    assert story.state().during_outage
    assert story.does(wire.Acknowledge()).ok
    assert not story.state().during_outage
    assert [row.fields["who"] for row in rows(story.outputs, "session")][-1] == "A. Nurse"


def test_the_outage_alone_is_acknowledged_without_the_alarms() -> None:
    """Who saw the list did not see an alarm that came meanwhile; who saw an alarm did not see the list."""
    story = Story()
    story.starts()
    story.watched(6)
    story.vitals(spo2_pct=80.0, age_ms=4_000)
    story.vitals(spo2_pct=80.0)
    low = story.alarm("spo2_low").id
    assert story.does(wire.Acknowledge(outage=True)).ok
    assert not story.state().during_outage
    assert story.alarm("spo2_low").sounding
    story.vitals(spo2_pct=80.0, age_ms=4_000)
    assert story.does(wire.Acknowledge(alarms=[low])).ok
    assert story.state().during_outage
    assert not story.alarm("spo2_low").sounding


def test_a_pause_comes_back_by_itself() -> None:
    """After the protocol's time, with a transition that says so."""
    story = alarming()
    assert story.does(wire.PauseAudio()).ok
    assert not story.state().sound
    assert story.state().alarms[0].silenced_s == DEMO.audio_pause_s
    story.watched(119, spo2_pct=84.0)
    assert not story.alarm("spo2_low").sounding
    assert "sounding" in transitions(story.watched(1, spo2_pct=84.0), "spo2_low")
    assert story.alarm("spo2_low").sounding


def test_a_pause_is_for_what_sounds_now() -> None:
    """An alarm that begins meanwhile sounds; a pause of nothing is refused, so that nobody relies on it."""
    story = alarming()
    story.does(wire.PauseAudio())
    assert not story.does(wire.PauseAudio()).ok
    story.watched(4, spo2_pct=84.0, pulse_bpm=150.0)
    assert story.state().sound


def test_a_call_ends_by_acknowledgement_alone() -> None:
    """A pause is none; what was done is on the record with a name."""
    story = Story()
    story.event("button", "call")
    story.does(wire.PauseAudio())
    story.passes(121)
    assert story.alarm("nurse_call").sounding
    action = wire.Acknowledge(alarms=[story.alarm("nurse_call").id])
    do = wire.Do(id="answer-the-call", session="", who="B. Nurse", action=action)
    outputs = story.raw(wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do))
    assert only(wire.Done, outputs).ok
    assert transitions(outputs, "nurse_call") == ["acknowledged", "cleared"]
    assert {change.who for change in published(wire.AlarmTransition, outputs)} == {"B. Nurse"}
    story.passes(60)
    assert not story.alarm("nurse_call").shown


def test_a_refused_action_is_on_no_line_that_time_made() -> None:
    """A replay would do it. One that was done is on the line of who did it, behind what time made in the same step."""
    story = Story()
    story.starts()
    story.watched(2)
    for action, names in ((wire.SignOff(), []), (wire.Baseline(sys_mmhg=118.0, dia_mmhg=76.0), ["A. Nurse"])):
        story = story.crashed()
        story.skips(60)
        ok = story.does(action).ok
        lines = [row for row in rows(story.outputs) if row.audit]
        assert any("who" not in row.fields for row in lines), "time must have made one"
        assert (ok, [row.fields.get("who") for row in lines if "do" in row.fields]) == (bool(names), names)


# ---- sign off, discharge, end ---------------------------------------------------------------------------------


def test_a_patient_leaves_signed_off_and_with_an_escort() -> None:
    """Criteria met, signed off, discharged: each by name, in this order only."""
    story = Story()
    story.becomes_ready()
    assert not story.does(wire.Discharge()).ok
    assert story.does(wire.SignOff(), who="B. Nurse").ok
    assert story.state().readiness.signed_off_by == "B. Nurse"
    assert not story.does(wire.SignOff()).ok
    assert story.does(wire.Discharge()).ok
    state = story.state()
    assert (state.session, state.readiness.state, state.cuff_next_s) == ("", "DISCHARGED", wire.UNSET)


def test_nobody_signs_what_is_not_met() -> None:
    """The software never decides, and nobody can sign for it."""
    story = alarming()
    done = story.does(wire.SignOff())
    assert (done.ok, done.reason) == (False, "the criteria are not met")


def test_nobody_leaves_without_an_escort() -> None:
    """One that has gone again is none; the protocol need not ask for it."""
    story = Story()
    story.becomes_ready()
    story.does(wire.SignOff())
    story.does(wire.Observe(escort=False))
    done = story.does(wire.Discharge())
    assert not done.ok
    assert story.chair().session is not None


@pytest.mark.parametrize("seen", [None, False])
def test_nobody_leaves_without_an_escort_whatever_the_protocol_asks(seen: bool | None) -> None:
    """Nobody drives home."""
    others = tuple(criterion for criterion in DEMO.criteria if criterion.id != "escort")
    story = Story(protocol=protocol(criteria=others))
    story.starts()
    story.watched(2)
    story.doses("first", "end")
    story.cuff()
    story.does(replace(SEEN_WELL, escort=wire.UNSET if seen is None else seen))
    story.watched(20)
    assert story.does(wire.SignOff()).ok
    done = story.does(wire.Discharge())
    assert not done.ok
    assert done.reason.startswith("no escort is here: ")


@pytest.mark.parametrize("asked", [True, False])
def test_an_escort_of_long_ago_takes_nobody_home(asked: bool) -> None:
    """Whether the protocol asks for one or not: it may have left meanwhile, and the reason says when it was there."""
    criteria = tuple(one for one in DEMO.criteria if isinstance(one, Quiet) or (asked and one.id == "escort"))
    story = Story(protocol=protocol(criteria=criteria, observed_age_max_s=300))
    story.starts()
    story.does(wire.Observe(escort=True))
    story.watched(301)
    signed = story.does(wire.SignOff())
    assert signed.ok != asked
    done = story.does(wire.Discharge())
    assert not done.ok
    assert asked or done.reason == "no escort is here: observe again: seen 5 min ago, counts for 5 min"
    story.does(wire.Observe(escort=True))
    story.passes(0.1)
    assert story.does(wire.SignOff()).ok == asked
    assert story.does(wire.Discharge()).ok


@pytest.mark.parametrize("what", ["discharged", "aborted: moved to a ward"])
def test_a_session_ends_with_its_alarms_and_a_reason(what: str) -> None:
    """Each alarm that was there is cleared on the record; nothing goes on for nobody."""
    story = Story()
    story.becomes_ready()
    if what == "discharged":
        story.does(wire.SignOff())
        assert story.does(wire.Discharge()).ok
    else:
        story.vitals(spo2_pct=84.0)
        assert story.does(wire.Abort(reason="moved to a ward")).ok
        assert [c.reason for c in published(wire.AlarmTransition, story.outputs)][-1] == "the session ended"
    ended = [row for row in rows(story.outputs, "session") if row.fields["what"] == "ended"]
    assert [row.fields["why"] for row in ended] == [what]
    assert not story.state().alarms
    assert story.passes(60)
    assert not story.state().alarms


def test_what_staff_do_is_on_the_record_with_their_name() -> None:
    """Start, doses, observations, measurements: audited and at once."""
    story = Story()
    story.starts()
    story.vitals()
    story.doses("first", "further", "end")
    story.does(wire.Observe(nausea=2))
    story.does(wire.Measure())
    written = rows(story.outputs, "session")
    assert [row.fields["what"] for row in written] == [
        "started", "dose_first", "dose_further", "dose_end", "observed", "measure",
    ]  # fmt: skip
    assert all(row.urgent and row.audit and row.fields["who"] == "A. Nurse" for row in written)
    assert written[4].fields["nausea"] == 2.0


def test_the_cuff_follows_the_phase() -> None:
    """A dose brings the next measurement no later than the new phase asks."""
    story = Story()
    story.starts()
    assert story.state().cuff_next_s == 0
    story.cuff()
    assert story.state().cuff_next_s == DEMO.cuff.before_s
    story.passes(20)
    story.doses("first")
    assert story.state().cuff_next_s == min(DEMO.cuff.before_s - 20, DEMO.cuff.dosing_s)


# ---- facts, and what they do ----------------------------------------------------------------------------------


def test_an_id_that_entered_a_fact_enters_it_once_for_ever() -> None:
    """A screen that was away for many actions must not dose twice."""
    story = Story()
    story.starts(id="the-very-first")
    done = story.does(wire.Dose(what="first"), id="the-first-dose")
    for _ in range(70):
        story.does(wire.Observe(nausea=1))
    assert story.does(wire.Dose(what="first"), id="the-first-dose") == done
    first, second = wire.Dose(what="further"), wire.Start(protocol="demo", alias="blue")
    assert story.does(first, id="the-first-dose").ok
    assert story.session().last_dose_mono_ms == story.session().first_dose_mono_ms
    story.does(wire.Abort(reason="left"))
    assert story.does(second, id="the-very-first").ok
    assert story.chair().session is None


def test_two_chairs_and_two_patients_may_share_an_id() -> None:
    """Screens that number their actions anew: every session has a name of its own."""
    story = Story(chairs={"bay-1": "cb-000001", "bay-2": "cb-000002"})
    names = set()
    for chair in ("bay-1", "bay-2"):
        story.starts(id="the-one-action", chair=chair)
        names.add(story.session(chair).id)
    assert len(names) == 2


def test_what_was_entered_is_on_the_screen() -> None:
    """The newest first; a wrong one with what supersedes it."""
    story = Story()
    story.starts(id="start-0001")
    story.does(wire.Observe(moaas=5, note="awake"), id="observe-0001")
    story.passes(60)
    story.does(wire.Correct(entry="observe-0001", instead=wire.Observe(moaas=4)), id="correct-0001", who="B. Nurse")
    shown = [(view.id, view.text, view.who, view.superseded_by) for view in story.state().entries]
    assert shown == [
        ("correct-0001", "moaas 4", "B. Nurse", wire.UNSET),
        ("observe-0001", "moaas 5, awake", "A. Nurse", "correct-0001"),
        ("start-0001", "baseline 120/80 mmHg", "A. Nurse", wire.UNSET),
    ]
    assert [view.ago_s for view in story.state().entries] == [60, 60, 60]
    [row] = [row for row in rows(story.outputs, "session") if row.fields["what"] == "corrected"]
    assert (row.fields["entry"], row.fields["why"]) == ("observe-0001", "moaas 5, awake: moaas 4")


def test_notes_do_not_burst_a_state() -> None:
    """However much is written: the newest that fit."""
    story = Story()
    story.starts()
    for _ in range(30):
        story.does(wire.Observe(note="\U0001f642" * 200), who="W" * 32)
    state = story.state()
    assert state.entries
    assert len(wire.encode(state)) < wire.STATE_BYTES_MAX


def test_a_wrong_dose_is_on_the_screen_however_much_was_seen_since() -> None:
    """Doses and baselines in force stay where they can be corrected; of all others the newest."""
    story = Story()
    story.starts(id="start-0001")
    story.does(wire.Dose(what="first"), id="dose-0001")
    story.does(wire.Dose(what="end"), id="dose-0002")
    for number in range(40):
        story.passes(1, tick_ms=1_000)
        story.does(wire.Observe(moaas=5), id=f"observe-{number}")
    story.does(wire.Correct(entry="dose-0002"))
    shown = [view.id for view in story.state().entries]
    assert len(shown) == session_views.ENTRIES_SHOWN_MAX
    assert [shown[0], *shown[-2:]] == ["observe-39", "dose-0001", "start-0001"]
    assert "dose-0002" not in shown


def test_a_rise_ends_with_its_baseline() -> None:
    """Nothing would ever judge it again; whoever heard it finds out why it ended."""
    story = Story()
    story.starts(id="typed-wrong")
    story.cuff(180, 85)
    assert story.alarm("sys_rise").present
    story.does(wire.Correct(entry="typed-wrong"))
    assert story.alarm("sys_rise").condition == "normal"
    ended = [c.reason for c in published(wire.AlarmTransition, story.outputs) if c.rule == "sys_rise"]
    assert ended[-1] == "the baseline was taken away"


def test_a_rise_over_a_baseline_that_was_typed_wrong_is_an_alarm_at_once() -> None:
    """The next pressure may be a quarter of an hour away."""
    story = Story()
    story.starts(baseline=False)
    story.vitals()
    story.does(wire.Baseline(sys_mmhg=150.0, dia_mmhg=80.0), id="typed-wrong")
    story.cuff(158, 85)
    assert not story.alarm("sys_rise").present
    assert story.does(wire.Correct(entry="typed-wrong", instead=wire.Baseline(sys_mmhg=115.0, dia_mmhg=80.0))).ok
    assert story.alarm("sys_rise").present


def test_a_baseline_is_measured() -> None:
    """From two good readings on; until then the refusal says how many there are."""
    story = Story()
    story.starts(baseline=False)
    story.cuff(118, 76)
    story.cuff_failed()
    assert "there is 1" in story.does(wire.Baseline()).reason
    story.cuff(122, 80)
    assert story.does(wire.Baseline()).ok
    assert story.state().baseline == wire.BaselineView(sys_mmhg=120, dia_mmhg=78, readings=2)


def test_a_correction_after_the_sign_off_voids_it() -> None:
    """Nobody has signed these facts; when they were first met counts anew. A note is no such fact."""
    story = Story()
    story.becomes_ready()
    story.does(wire.Observe(note="slept well"), id="the-note-1")
    story.does(wire.Observe(moaas=5), id="seen-awake")
    story.does(wire.SignOff())
    story.does(wire.Correct(entry="the-note-1", instead=wire.Observe(note="slept")))
    assert story.state().readiness.state == "SIGNED_OFF"
    story.passes(1)
    assert story.does(wire.Correct(entry="seen-awake")).ok
    assert story.state().readiness.state == "CRITERIA_MET"
    assert story.session().first_met_mono_ms == story.now_ms
    assert story.does(wire.SignOff()).ok
    [*_, overall] = [row for row in rows(story.outputs, "readiness") if row.tags["criterion"] == "overall"]
    assert overall.fields["state"] == "SIGNED_OFF"


def test_nobody_signs_while_an_alarm_is_present() -> None:
    """Whatever the protocol asks for; and nobody leaves with one."""
    others = tuple(one for one in DEMO.criteria if one.id != "no_recent_alarm")
    story = Story(protocol=protocol(criteria=others))
    story.becomes_ready()
    story.event("button", "call")
    assert story.does(wire.SignOff()).reason == "an alarm of medium or high level is present"
    story.does(wire.Acknowledge())
    assert story.does(wire.SignOff()).ok
    story.event("button", "call")
    assert not story.does(wire.Discharge()).ok


def test_nobody_signs_over_a_high_alarm_that_nobody_has_seen() -> None:
    """Nor leaves: it is over, and still the patient had it."""
    others = tuple(one for one in DEMO.criteria if one.id != "no_recent_alarm")
    story = Story(protocol=protocol(criteria=others))
    story.becomes_ready()
    story.watched(2, spo2_pct=84.0)
    story.watched(30)
    assert (story.alarm("spo2_low").condition, story.session().readiness) == ("latched", "CRITERIA_MET")
    assert "acknowledge it first" in story.does(wire.SignOff()).reason
    story.does(wire.Acknowledge())
    assert story.does(wire.SignOff()).ok


# ---- away, and the cuff ---------------------------------------------------------------------------------------


def test_a_patient_who_is_away_is_not_measured() -> None:
    """The cuff waits, for as long as was said; the board is told."""
    story = Story()
    story.starts()
    story.cuff()
    assert story.does(wire.Away(minutes=5)).ok
    state = story.state()
    assert (state.away_s, state.cuff_next_s) == (300, 300)
    assert published(wire.Annunciate, story.outputs)[-1].cuff_next_s == 300
    story.watched(301)
    assert story.state().away_s is wire.UNSET
    assert not story.does(wire.Back()).ok


def test_a_patient_who_is_back_is_measured_as_it_was_due() -> None:
    """At once, if that is over."""
    story = Story()
    story.starts()
    story.cuff()
    story.does(wire.Away(minutes=15))
    story.watched(DEMO.cuff.before_s - 20)
    assert story.does(wire.Back()).ok
    assert story.state().cuff_next_s == 20
    story.does(wire.Away(minutes=15))
    story.watched(100)
    assert story.does(wire.Back()).ok
    assert story.state().cuff_next_s == 0


def test_coming_back_does_not_begin_the_putting_off_anew() -> None:
    """Whoever goes and comes again and again is told to be measured as soon as one who stays away."""
    story = Story()
    story.starts()
    story.cuff()
    for _ in range(round(DEMO.cuff.before_s + cuff_plan.PUT_OFF_MAX_MS / 1000) // 60 + 4):
        story.does(wire.Away(minutes=15))
        story.passes(59, tick_ms=1_000)
        assert story.does(wire.Back()).ok
        story.vitals()
        story.passes(1, tick_ms=1_000)
    assert story.alarm("cuff_overdue").present
    assert story.does(wire.Defer(minutes=15)).reason == "it was put off as long as it may be"
    story.cuff()
    assert not story.alarm("cuff_overdue").present


def test_a_measurement_is_put_off_so_long_in_all() -> None:
    """Again and again, and not for ever; the next one ends it."""
    story = Story()
    story.starts()
    story.cuff()
    story.passes(DEMO.cuff.before_s)
    assert story.does(wire.Defer(minutes=10)).ok
    assert story.state().cuff_next_s == 600
    assert story.does(wire.Defer(minutes=1)).reason == "the next measurement is later anyway"
    story.watched(300)
    assert story.does(wire.Defer(minutes=15)).ok
    assert story.state().cuff_next_s == 600
    assert story.does(wire.Defer(minutes=15)).reason == "it was put off as long as it may be"
    story.cuff()
    assert story.state().cuff_next_s == DEMO.cuff.before_s
    assert story.session().cuff_due_mono_ms is None


def test_a_failed_measurement_is_repeated_once_then_it_is_an_alarm() -> None:
    """And the plan goes on: an arm that is pressed every two minutes gets no rest."""
    story = Story()
    story.starts()
    story.cuff_failed()
    assert story.state().cuff_next_s == DEMO.cuff.repeat_s
    assert not story.alarm("cuff_failed").present
    story.cuff_failed()
    assert story.alarm("cuff_failed").present
    assert story.state().cuff_next_s == DEMO.cuff.before_s


# ---- who may do it --------------------------------------------------------------------------------------------


def test_sound_is_switched_off_by_whom_the_protocol_permits() -> None:
    """Nobody, where the site names no staff; else by role."""
    story = alarming()
    assert "needs a role" in story.does(wire.AudioOff(on=True)).reason
    permitted = protocol(permissions={"audio_off": ("physician",)})
    story = Story(protocol=permitted, roles={"A. Nurse": "nurse", "M. Rossi": "physician"})
    story.starts()
    story.vitals(spo2_pct=84.0)
    assert story.does(wire.AudioOff(on=True)).reason == "audio off needs the role physician; A. Nurse is nurse"
    assert story.does(wire.AudioOff(on=True), who="M. Rossi").ok
    assert story.state().audio_off
    assert not story.alarm("spo2_low").sounding
    assert story.does(wire.AudioOff(on=False), who="M. Rossi").ok
    assert story.alarm("spo2_low").sounding


@pytest.mark.parametrize(("who", "ok"), [("A. Nurse", True), ("C. Clerk", False), ("Nobody", False)])
def test_a_site_that_names_its_staff_asks_who_it_is(who: str, ok: bool) -> None:
    """A role that the protocol does not name for it, and a name that the site does not have, are refused."""
    permitted = protocol(permissions={"sign_off": ("nurse",)})
    story = Story(protocol=permitted, roles={"A. Nurse": "nurse", "C. Clerk": "lead"})
    story.becomes_ready()
    assert story.does(wire.SignOff(), who=who).ok == ok


def test_sound_off_is_nobodys_where_the_protocol_is_silent() -> None:
    """Unlike everything else."""
    story = Story(protocol=protocol(permissions={}), roles={"A. Nurse": "nurse"})
    story.starts()
    story.vitals(spo2_pct=84.0)
    assert not story.does(wire.AudioOff(on=True)).ok
    assert story.does(wire.PauseAudio()).ok
