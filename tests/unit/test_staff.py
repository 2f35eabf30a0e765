"""What people do: once for each id, for the session their screen showed, answered in a sentence."""

import pytest
from core_helpers import CHAIR, DEMO, SEEN_WELL, SITE, Story, only, protocol, published, rows, transitions
from msgspec.structs import replace

from gateway import wire

ACTIONS: list[wire.Action] = [
    wire.Start(protocol="demo", alias="red"),
    wire.Dose(what="first"),
    SEEN_WELL,
    wire.Acknowledge(),
    wire.PauseAudio(),
    wire.Measure(),
    wire.SignOff(),
    wire.Discharge(),
    wire.Abort(reason="left"),
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
    assert (done.ok, done.reason) == (False, "no escort is recorded")


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
