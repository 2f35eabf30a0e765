"""A patient goes to another chair, a chair gets another board: the session goes on, and no reading gets to the wrong
patient."""

import pytest
from core_helpers import BOARD, CHAIR, SITE, Story, only, published, record_ids, refusals, rows

from gateway import wire
from gateway.core import boards
from gateway.core.boards import Boards, Former
from gateway.core.outputs import Publish, Snapshot

OTHER, OTHER_BOARD, SPARE = "bay-2", "cb-000002", "cb-000009"


def ward() -> Story:
    """Two chairs and a spare board; the patient of the first has a low saturation that somebody acknowledged."""
    story = Story(chairs={CHAIR: BOARD, OTHER: OTHER_BOARD}, spares=(SPARE,))
    story.vitals(OTHER_BOARD)
    story.starts()
    story.doses("first")
    story.cuff(130, 85)
    story.watched(5, spo2_pct=84.0)
    assert story.does(wire.Acknowledge()).ok
    return story


# ---- another chair --------------------------------------------------------------------------------------------


def test_the_session_goes_along() -> None:
    """With what was entered, its alarms, its last pressure and its plan; the chair it left is free."""
    story = ward()
    before, alarm = story.session(), story.alarm("spo2_low")
    assert story.does(wire.Move(to=OTHER)).ok
    now = story.session(OTHER)
    assert (now.id, now.entries, now.first_dose_mono_ms) == (before.id, before.entries, before.first_dose_mono_ms)
    assert story.alarm("spo2_low", OTHER) == alarm
    state = story.state(OTHER)
    assert isinstance(state.pressure, wire.CuffView)
    assert (state.alias, state.pressure.sys_mmhg, state.phase) == ("blue", 130, "dosing")
    assert story.state().session == ""
    assert not story.state().alarms
    assert story.starts(chair=CHAIR).ok


def test_both_chairs_are_one_commit_before_the_answer() -> None:
    """A crash between would leave the patient in two chairs, or in none."""
    story = ward()
    id, session = "the-move-1", story.session().id
    do = wire.Do(id=id, session=session, who="A. Nurse", action=wire.Move(to=OTHER))
    outputs = story.raw(wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do))
    kinds = [o.key if isinstance(o, Snapshot) else "done" for o in outputs if _kept_or_done(o)]
    assert set(kinds) == {f"chair/{CHAIR}", f"chair/{OTHER}", "done"}
    assert kinds[-1] == "done"
    assert only(wire.Done, outputs).ok
    back = story.crashed()
    assert back.session(OTHER).id == session
    assert back.chair().session is None
    assert only(wire.Done, back.raw(wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do))).ok
    assert back.session(OTHER).id == session


def _kept_or_done(output: object) -> bool:
    if isinstance(output, Publish):
        return isinstance(output.message, wire.Done)
    return isinstance(output, Snapshot) and output.key.startswith("chair/")


def test_the_board_that_was_left_is_told() -> None:
    """Its cuff opens, and it has no session."""
    story = ward()
    story.does(wire.Move(to=OTHER))
    orders = [o for o in story.outputs if isinstance(o, Publish) and o.topic == wire.device_topic(BOARD, "cmd")]
    assert isinstance(orders[-1].message, wire.Cmd)
    assert orders[-1].message.kind == "abort"
    told = [o for o in story.outputs if isinstance(o, Publish) and o.topic == wire.device_topic(BOARD, "annunciate")]
    assert isinstance(told[-1].message, wire.Annunciate)
    assert (told[-1].message.session, told[-1].message.sound) == ("", False)
    assert [row.fields["why"] for row in rows(story.outputs, "session") if row.fields["what"] == "moved"] == [
        "from bay-1",
        "to bay-2",
    ]


def test_a_reading_belongs_to_who_sat_there_at_its_time() -> None:
    """What either board measured before the move is of before, however late it comes."""
    story = ward()
    session = story.session().id
    story.does(wire.Move(to=OTHER))
    story.passes(2)
    story.vitals(BOARD, age_ms=3_000, late=True)
    story.vitals(OTHER_BOARD, age_ms=3_000, spo2_pct=70.0)
    story.vitals(OTHER_BOARD, spo2_pct=96.0)
    story.vitals(BOARD)
    newest = [(row.device, row.fields["session"]) for row in rows(story.outputs, "vitals")][-4:]
    assert newest == [(BOARD, session), (OTHER_BOARD, ""), (OTHER_BOARD, session), (BOARD, "")]
    assert story.state(OTHER).during_outage == []


def test_silence_goes_on_from_the_last_reading() -> None:
    """The new chair's board has still to say something; no alarm ends by walking."""
    story = ward()
    story.passes(15)
    assert story.alarm("silence").present
    story.does(wire.Move(to=OTHER))
    story.passes(1)
    assert story.alarm("silence", OTHER).present
    story.watched(2, OTHER_BOARD)
    assert not story.alarm("silence", OTHER).present


def test_no_hold_spans_a_move() -> None:
    """Two probes are not one, and nobody measured on the way."""
    story = Story(chairs={CHAIR: BOARD, OTHER: OTHER_BOARD})
    story.vitals(OTHER_BOARD)
    story.becomes_ready()
    story.does(wire.Move(to=OTHER))
    story.vitals(OTHER_BOARD)
    assert story.state(OTHER).readiness.state == "NOT_READY"


@pytest.mark.parametrize(
    ("to", "why"), [(CHAIR, "is in bay-1"), ("bay-9", "there are bay-1, bay-2"), (OTHER, "bay-2 is taken")]
)
def test_a_move_to_nowhere_is_refused(to: str, why: str) -> None:
    """With what there is; nothing changes."""
    story = ward()
    story.starts(chair=OTHER)
    before = story.session().id, story.session(OTHER).id
    assert why in story.does(wire.Move(to=to)).reason
    assert (story.session().id, story.session(OTHER).id) == before


# ---- another board --------------------------------------------------------------------------------------------


def test_a_broken_board_is_replaced() -> None:
    """The session and its alarm go on; the new board's readings count."""
    story = ward()
    alarm = story.alarm("spo2_low")
    assert story.does(wire.Swap(device=SPARE)).ok
    assert story.alarm("spo2_low") == alarm
    assert story.state().device == SPARE
    story.watched(5, SPARE)
    assert not story.alarm("spo2_low").present
    assert story.state().online


def test_a_swap_outlives_the_process() -> None:
    """Until the configuration names another board for the chair."""
    story = ward()
    story.does(wire.Swap(device=SPARE))
    back = story.crashed()
    assert back.state().device == SPARE
    back.watched(2, SPARE)
    assert back.state().online
    story.chairs = {CHAIR: "cb-000005", OTHER: OTHER_BOARD}
    assert story.crashed().state().device == "cb-000005"


def test_the_board_that_leaves_is_told_and_forgotten() -> None:
    """Its cuff opens, it has no session, and what was retained for it is cleared."""
    story = ward()
    story.does(wire.Swap(device=SPARE))
    said = [o for o in story.outputs if isinstance(o, Publish) and o.topic.startswith(wire.device_topic(BOARD, ""))]
    stop, last, cleared = said[-3:]
    assert isinstance(stop.message, wire.Cmd)
    assert isinstance(last.message, wire.Annunciate)
    assert (stop.message.kind, last.message.session, last.retain) == ("abort", "", False)
    assert (cleared.message, cleared.retain, cleared.topic) == (None, True, last.topic)


def test_what_the_old_board_still_holds_is_the_patients() -> None:
    """Up to the swap; it is acknowledged, so that the board can forget it. It is judged no more."""
    story = ward()
    session = story.session().id
    story.does(wire.Swap(device=SPARE))
    story.passes(1)
    late = story.vitals(BOARD, age_ms=2_000, spo2_pct=70.0)
    story.engine.durable(record_ids(story.outputs))
    after = story.vitals(BOARD, spo2_pct=70.0)
    assert [(r.chair, r.fields["session"]) for r in rows([*late, *after])] == [(CHAIR, session), ("", "")]
    assert only(wire.Ack, after).upto == story.boards[BOARD].seq - 1
    assert story.state().during_outage == []
    assert not published(wire.AlarmTransition, [*late, *after])


def test_the_new_board_says_what_it_is() -> None:
    """What was true of the old one ends; what the new one said before it came holds."""
    story = ward()
    story.status(faults=["adc"])
    story.passes(6)
    assert story.alarm("board_fault").present
    story.send(
        wire.Status(boot="00000000000000b2", conn=1, online=True, up_ms=5, battery_pct=10.0), SPARE, retained=True
    )
    story.does(wire.Swap(device=SPARE))
    assert not story.alarm("board_fault").present
    assert story.alarm("battery_low").present


def test_a_board_at_no_chair_measures_nobody() -> None:
    """A spare is refused until it has a place."""
    story = ward()
    assert not rows(story.vitals(SPARE))
    assert story.engine.refused["unknown_device"] == 1


@pytest.mark.parametrize(
    ("device", "why"),
    [(BOARD, "is the board of this chair"), (OTHER_BOARD, "is at bay-2"), ("cb-777777", "free are cb-000009")],
)
def test_a_swap_with_nothing_is_refused(device: str, why: str) -> None:
    """With the boards that are free."""
    assert why in ward().does(wire.Swap(device=device)).reason


def test_a_board_comes_back_to_its_chair() -> None:
    """Repaired: it is the configured one again."""
    story = ward()
    story.does(wire.Swap(device=SPARE))
    assert story.does(wire.Swap(device=BOARD)).ok
    story.watched(2, BOARD)
    assert (story.state().device, story.state().online) == (BOARD, True)
    assert story.crashed().state().device == BOARD


# ---- what hangs on the seat and the board ---------------------------------------------------------------------


@pytest.mark.parametrize("action", [wire.Move(to=OTHER), wire.Swap(device=SPARE)], ids=["move", "swap"])
def test_an_empty_seat_does_not_go_along(action: wire.Action) -> None:
    """Another seat is another one, and may have no sensor that could end it; why it ended is told."""
    story = ward()
    story.watched(20, seat="empty")
    assert story.alarm("seat_left").present
    assert story.does(action).ok
    ended = [c for c in published(wire.AlarmTransition, story.outputs) if c.rule == "seat_left"][-1]
    assert (ended.what, ended.chair) == ("cleared", CHAIR)
    assert "seat_left" not in {**story.chair().alarms, **story.chair(OTHER).alarms}


def test_where_a_board_was_is_known_at_another_chair_too() -> None:
    """What it still holds is of the patient before."""
    at_first = Former(chair=CHAIR, session="s-1", since_mono_ms=0, until_mono_ms=10)
    at_other = Former(chair=OTHER, session="s-2", since_mono_ms=0, until_mono_ms=20)
    configured = {CHAIR: BOARD, OTHER: OTHER_BOARD}
    kept = boards.swap(Boards(), configured, BOARD, SPARE, at_first)
    kept = boards.swap(kept, configured, OTHER_BOARD, BOARD, at_other)
    assert kept.former == {BOARD: at_first, OTHER_BOARD: at_other}


def test_every_place_of_a_board_is_known_by_its_time() -> None:
    """It was here, then there, and stands at a third chair: each time has its chair. The oldest are forgotten."""
    configured = {CHAIR: BOARD, OTHER: OTHER_BOARD}
    kept = Boards()
    for number in range(6):
        left = Former(chair=f"bay-{number}", session="", since_mono_ms=10 * number, until_mono_ms=10 * number + 5)
        kept = boards.swap(kept, configured | {left.chair: BOARD}, BOARD, SPARE, left)
    found = [boards.formerly(kept, BOARD, at_ms) for at_ms in (0, 24, 25, 54, 55)]
    assert [one and one.chair for one in found] == ["bay-2", "bay-2", "bay-3", "bay-5", None]
    assert boards.formerly(kept, SPARE, 0) is None


def test_a_chair_that_is_gone_keeps_what_its_board_still_holds() -> None:
    """The clinic took the chair away after the swap: a late reading and a call are written as of there, and break
    nothing."""
    story = ward()
    first = story.session().id
    story.does(wire.Swap(device=SPARE))
    story.starts(chair=OTHER)
    assert story.does(wire.Swap(device=BOARD), chair=OTHER).ok
    story.watched(3, BOARD)
    story.chairs, story.spares = {OTHER: OTHER_BOARD}, (BOARD, SPARE)
    after = story.crashed()
    late = after.vitals(BOARD, age_ms=9_000, spo2_pct=70.0)
    called = after.record(wire.Event, BOARD, kind="button", name="call", age_ms=9_000)
    assert [(row.chair, row.fields["session"]) for row in rows([*late, *called]) if row.seq] == [(CHAIR, first)] * 2
    assert not refusals([*late, *called])
    assert after.state(OTHER).during_outage == []


def test_what_a_board_still_holds_is_never_the_next_patients() -> None:
    """Though it stands at another chair now; it breaks no hold there and is listed nowhere."""
    story = ward()
    first = story.session().id
    story.does(wire.Swap(device=SPARE))
    story.starts(chair=OTHER)
    story.passes(2)
    assert story.does(wire.Swap(device=BOARD), chair=OTHER).ok
    story.passes(1)
    late = story.vitals(BOARD, age_ms=4_000, spo2_pct=70.0)
    now = story.vitals(BOARD)
    told = [(row.chair, row.fields["session"]) for row in rows([*late, *now], "vitals")]
    assert told == [(CHAIR, first), (OTHER, story.session(OTHER).id)]
    assert story.state(OTHER).during_outage == []
