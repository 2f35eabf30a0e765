"""A call that a board carried over its own restart: heard once, with its age, until ten minutes old."""

import pytest
from core_helpers import BOARD, CHAIR, Board, Story, published, record_ids, rows, transitions

from gateway import wire
from gateway.core.outputs import Health, Output

NEXT, UNHEARD = "00000000000000b2", "00000000000000a9"


def called(board: Board, now_ms: int, **given: object) -> wire.Event:
    """Pressed then; nobody heard it, and it comes as a late record."""
    return board.record(wire.Event, now_ms, kind="button", name="call", late=True, **given)


def restarted(story: Story, silent_s: float) -> wire.Event:
    """Somebody called while the board was cut off; it restarted, and speaks again so long after the call."""
    story.watched(3)
    call = called(story.board, story.now_ms)
    story.passes(silent_s - 3)
    story.board.rebooted(story.now_ms, NEXT)
    story.watched(3)
    return call


@pytest.mark.parametrize("session", [True, False])
def test_it_sounds_with_its_age(session: bool) -> None:
    """In a session and without one; the record says when it was."""
    story = Story()
    if session:
        story.starts()
    call = restarted(story, 95)
    told = story.send(call)
    assert transitions(told, "nurse_call") == ["raised"]
    assert published(wire.Annunciate, told)[0].sound
    [view] = [view for view in story.state().alarms if view.rule == "nurse_call"]
    assert view.since_s == 95
    assert view.id.endswith(f"{call.boot}-{call.seq}")
    [row] = [row for row in rows(told, "device") if row.seq]
    assert (row.at_ms, row.fields["late_ms"]) == (story.utc_ms - 95_000, 95_000)


@pytest.mark.parametrize(("age_s", "heard"), [(599, True), (601, False)])
def test_it_sounds_until_ten_minutes_old(age_s: float, heard: bool) -> None:
    """As any other; an older one is written."""
    story = Story()
    story.vitals()
    told = story.send(restarted(story, age_s))
    assert story.alarm("nurse_call").sounding == heard
    assert [row.fields["name"] for row in rows(told, "device")] == ["call"]


def test_it_sounds_once() -> None:
    """The board sends it until it is acknowledged, the gateway may die meanwhile, and staff may have come."""
    story = Story()
    call = restarted(story, 30)
    raised = story.send(call)
    assert not transitions(story.send(call))
    after = story.crashed(away_s=1)
    assert not transitions(after.send(call))
    assert after.alarm("nurse_call").id == story.alarm("nurse_call").id
    assert after.does(wire.Acknowledge()).ok
    after.engine.durable(record_ids(raised))
    assert not transitions(after.send(call))
    assert not after.alarm("nurse_call").shown


def test_a_crash_in_the_middle_loses_none() -> None:
    """The gateway died before anything of it was written: it comes again, and the next run still knows the clock of the
    boot before."""
    story = Story()
    call = restarted(story, 30)
    after = story.crashed(away_s=1)
    after.watched(1)
    after.send(call)
    [view] = [view for view in after.state().alarms if view.rule == "nurse_call"]
    assert view.since_s == 32


def unheard(story: Story, since_s: float, **given: object) -> list[Output]:
    """A call of a boot that this gateway never heard; the board's next one has spoken for so long."""
    story.board.rebooted(story.now_ms, NEXT)
    story.watched(since_s)
    before = Board(BOARD, UNHEARD, story.now_ms - 7_200_000)
    return story.send(called(before, story.now_ms - 3_600_000, **given))


@pytest.mark.parametrize(("since_s", "heard"), [(20, True), (620, False)])
def test_one_of_a_time_that_nobody_knows_is_as_old_as_its_restart(since_s: float, heard: bool) -> None:
    """At least: it sounds while it may be younger than ten minutes. One alarm too many is better than one lost."""
    story = Story()
    unheard(story, since_s)
    assert story.alarm("nurse_call").sounding == heard
    if heard:
        assert [view.since_s for view in story.state().alarms if view.rule == "nurse_call"] == [since_s]


@pytest.mark.parametrize(("trusted", "age_s", "heard"), [(True, 3_600, False), (True, 300, True), (False, 3_600, True)])
def test_the_boards_utc_may_say_that_it_is_older(trusted: bool, age_s: int, heard: bool) -> None:
    """Where the gateway's own can be trusted."""
    story = Story()
    story.engine.tick(story.now_ms, story.utc_ms, Health(utc_trusted=trusted))
    story.tick = lambda: story.engine.tick(story.now_ms, story.utc_ms, Health(utc_trusted=trusted))  # type: ignore[method-assign]
    unheard(story, 20, at_ms=story.utc_ms + 20_000 - age_s * 1000)
    assert story.alarm("nurse_call").sounding == heard


def test_other_records_of_a_time_that_nobody_knows_are_written_alone() -> None:
    """A value without a time is no value, and what the board alarmed for by itself may have been another patient."""
    story = Story()
    story.starts()
    story.board.rebooted(story.now_ms, NEXT)
    story.watched(2)
    before = Board(BOARD, UNHEARD, story.now_ms - 7_200_000)
    kinds = {"spo2_pct": 70.0, "pulse_bpm": 20.0, "quality": "good", "sqi_pct": 95.0}
    told = story.send(before.record(wire.Vitals, story.now_ms, late=True, **kinds))
    told += story.send(before.record(wire.Event, story.now_ms, late=True, kind="local_alarm", name="spo2_low"))
    assert [row.seq for row in rows(told)] == [1, 2]
    assert (story.state().alarms, story.state().during_outage) == ([], [])


def test_it_sounds_where_its_patient_sits_now() -> None:
    """Pressed in one chair and come late, when the patient is in another."""
    story = Story(chairs={CHAIR: BOARD, "bay-2": "cb-000002"})
    story.starts()
    call = restarted(story, 30)
    assert story.does(wire.Move(to="bay-2")).ok
    told = story.send(call)
    assert transitions(told, "nurse_call") == ["raised"]
    assert not story.alarm("nurse_call").shown
    assert story.alarm("nurse_call", "bay-2").sounding


@pytest.mark.parametrize("aside", [True, False], ids=["a board that was swapped out", "a board at its chair"])
def test_an_error_leaves_it_to_be_sent_again(monkeypatch: pytest.MonkeyPatch, aside: bool) -> None:
    """It was not judged, so it was not taken."""
    story = Story(spares=("cb-000009",))
    story.starts()
    call = called(story.board, story.now_ms) if aside else restarted(story, 30)
    if aside:
        story.watched(2)
        assert story.does(wire.Swap(device="cb-000009")).ok
    with monkeypatch.context() as patched:
        patched.setattr(story.engine.floor, "step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            story.send(call)
    story.send(call)
    assert story.alarm("nurse_call").sounding
