"""What nobody has seen is not silenced, hidden or lost: by a screen that is behind, by a restart, by another chair."""

import pytest
from core_helpers import BOARD, CHAIR, DEMO, Story, protocol, published, refusals, rule, transitions
from msgspec.structs import replace

from gateway import wire
from gateway.core import views
from gateway.core.protocol import Tier

OTHER, OTHER_BOARD, SPARE = "bay-2", "cb-000002", "cb-000009"


def medium_then_high() -> Story:
    """A medium alarm that a screen shows, and that rises before anybody answers."""
    story = Story()
    story.starts()
    story.watched(12, spo2_pct=88.0)
    assert story.alarm("spo2_low").level == "medium"
    story.watched(1, spo2_pct=80.0)
    assert story.alarm("spo2_low").level == "high"
    return story


def test_an_answer_to_the_medium_does_not_silence_the_high() -> None:
    """The screen says up to what level it showed; what rose above sounds on, and an answer that saw it is one."""
    story = medium_then_high()
    shown = [story.alarm("spo2_low").id]
    assert not story.does(wire.Acknowledge(alarms=shown, upto="medium")).ok
    assert story.alarm("spo2_low").sounding
    assert story.does(wire.Acknowledge(alarms=shown, upto="high")).ok
    assert not story.alarm("spo2_low").sounding


@pytest.mark.parametrize("silenced", [wire.PauseAudio(), wire.AudioOff(on=True)])
def test_who_calls_again_is_heard_again(silenced: wire.Action) -> None:
    """A silence was for the call before; the record says why it sounds."""
    story = Story(roles={"A. Nurse": "lead"})
    story.starts()
    story.watched(1)
    story.event("button", "call")
    assert story.does(silenced).ok
    assert not story.alarm("nurse_call").sounding
    story.watched(5)
    told = transitions(story.event("button", "call"), "nurse_call")
    assert story.alarm("nurse_call").sounding
    assert told in (["sounding"], ["audio_on"])


def test_a_lost_saturation_is_no_number_in_its_alarm_either() -> None:
    """The alarm goes on; what it compared is as old as the vitals that are no longer shown."""
    story = Story()
    story.starts()
    story.watched(3, spo2_pct=80.0)
    view = next(one for one in story.state().alarms if one.rule == "spo2_low")
    assert (view.value, view.unit) == (80.0, "%")
    story.passes(DEMO.lost_s + 2)
    view = next(one for one in story.state().alarms if one.rule == "spo2_low")
    assert view.condition == "active"
    assert (view.value, view.limit) == (wire.UNSET, wire.UNSET)


def test_a_chair_that_was_forgotten_is_a_high_alarm_of_the_site() -> None:
    """Without its session nothing judges that patient: only people can find out who sits there."""
    story = Story(snapshots={f"chair/{CHAIR}": b"{}"})
    beats = published(wire.Heartbeat, story.passes(2))
    assert [(one.rule, one.level) for one in beats[-1].alarms if one.level == "high"] == [("unread", "high")]
    assert not [one for one in published(wire.Heartbeat, Story().passes(2))[-1].alarms if one.rule == "unread"]


def test_a_stricter_protocol_raises_what_it_finds() -> None:
    """After a restart with fewer and stricter levels a present alarm is judged by its last value, not ended."""
    mild = rule(Tier(level="low", below=95), Tier(level="medium", below=90), Tier(level="high", below=80))
    story = Story(protocol=protocol(mild, *DEMO.rules[1:]))
    story.starts()
    story.watched(3, spo2_pct=86.0)
    assert story.alarm("spo2_low").level == "medium"
    strict = protocol(rule(Tier(level="high", below=88)), *DEMO.rules[1:])
    crashed = story.crashed()
    back = Story(protocol=strict, snapshots=crashed.snapshots, have=crashed.have, now_ms=crashed.now_ms)
    back.tick()
    assert (back.alarm("spo2_low").condition, back.alarm("spo2_low").level) == ("active", "high")


def test_one_chair_that_cannot_be_drawn_takes_no_alarm_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own tile goes stale and the refusal is counted; every transition of the others is told."""
    story = Story(chairs={CHAIR: BOARD, OTHER: OTHER_BOARD})
    story.starts()
    draw = views.state

    def broken(*given: object, **named: object) -> wire.State:
        if named["name"] == OTHER:
            raise RuntimeError("cannot be drawn")
        return draw(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(views, "state", broken)
    said = story.engine.connected(story.now_ms, story.utc_ms)
    assert refusals(said) == ["internal"]
    assert [one.chair for one in published(wire.State, said)] == [CHAIR]


def test_a_call_that_a_swapped_board_kept_still_calls() -> None:
    """It was pressed at this chair, by whoever sits there still."""
    story = Story(spares=(SPARE,))
    story.starts()
    story.watched(3)
    assert story.does(wire.Swap(device=SPARE)).ok
    late = story.boards[BOARD].record(wire.Event, story.now_ms, kind="button", name="call", age_ms=2_000, late=True)
    story.passes(1)
    assert transitions(story.send(late), "nurse_call") == ["raised"]


def test_a_state_with_everything_wrong_still_fits() -> None:
    """Entries and scores make room: a state over its bound would be refused by every screen."""
    same = [replace(DEMO.rules[0], id=f"rule_{number}") for number in range(40)]
    story = Story(protocol=protocol(*same, *DEMO.rules))
    story.starts()
    for number in range(25):
        story.does(wire.Observe(note=f"{number} " + "x" * 190))
    assert story.state().entries
    story.watched(3, spo2_pct=80.0)
    state = story.state()
    assert len(state.alarms) > 40
    assert len(wire.encode(state)) <= wire.STATE_BYTES_MAX
    assert not state.entries
