"""What a display and a board are told: everything with its age, nothing fresher than it is."""

import pytest
from core_helpers import DEMO, Story, published

from gateway import wire

LIVE_S, LOST_S = DEMO.live_s, DEMO.lost_s


@pytest.mark.parametrize(
    ("after_s", "freshness"),
    [(0, "live"), (LIVE_S, "live"), (LIVE_S + 0.1, "stale"), (LOST_S, "stale"), (LOST_S + 0.1, "lost")],
)
def test_vitals_grow_old(after_s: float, freshness: str) -> None:
    """Live to 3 s, stale to 30 s, then lost: by the gateway's clock, with their age."""
    story = Story()
    story.vitals()
    story.passes(after_s)
    vitals = story.state().vitals
    assert isinstance(vitals, wire.VitalsView)
    assert (vitals.freshness, vitals.age_ms) == (freshness, round(after_s * 1000))


def test_what_is_lost_is_not_sent() -> None:
    """No display can show it by mistake; nor a cuff that may long have been deflated."""
    story = Story()
    story.vitals(pi_pct=2.0, cuff="inflating", cuff_mmhg=140.0)
    story.passes(LIVE_S + 1)
    stale = story.state().vitals
    assert isinstance(stale, wire.VitalsView)
    assert (stale.spo2_pct, stale.cuff, stale.cuff_mmhg) == (97.0, "idle", wire.UNSET)
    story.passes(LOST_S)
    lost = story.state().vitals
    assert isinstance(lost, wire.VitalsView)
    assert (lost.spo2_pct, lost.pulse_bpm, lost.pi_pct) == (wire.UNSET,) * 3


def test_a_sensors_age_is_in_the_age() -> None:
    """A board that sends an old value at once sends an old value."""
    story = Story()
    story.vitals(age_ms=2_500)
    story.passes(1)
    vitals = story.state().vitals
    assert isinstance(vitals, wire.VitalsView)
    assert (vitals.freshness, vitals.age_ms) == ("stale", 3_500)


def test_a_chair_that_was_never_heard_has_no_numbers() -> None:
    """Absent, not zero."""
    state = Story().state()
    assert (state.vitals, state.pressure, state.online) == (wire.UNSET, wire.UNSET, False)
    assert state.readiness.state == "NO_SESSION"


def test_alarms_are_shown_gravest_first_and_latched_ones_last() -> None:
    """With value, limit and unit where there is a number, and none for a switch."""
    story = Story()
    story.starts()
    story.watched(1)
    story.cuff(185, 85)
    story.watched(35)
    story.cuff()
    story.event("button", "call")
    story.vitals(spo2_pct=84.0)
    story.status(battery_pct=10.0)
    shown = [(view.rule, view.level, view.condition) for view in story.state().alarms]
    assert shown == [
        ("spo2_low", "high", "active"),
        ("nurse_call", "medium", "active"),
        ("battery_low", "low", "active"),
        ("sys_high", "high", "latched"),
    ]
    views = {view.rule: view for view in story.state().alarms}
    assert (views["spo2_low"].value, views["spo2_low"].limit, views["spo2_low"].unit) == (84.0, 85, "%")
    assert views["nurse_call"].value is views["nurse_call"].limit is wire.UNSET


def test_a_latched_alarm_neither_sounds_nor_sets_the_level() -> None:
    """It is shown, and over."""
    story = Story()
    story.starts()
    story.vitals(spo2_pct=84.0)
    story.watched(5)
    state = story.state()
    assert [view.condition for view in state.alarms] == ["latched"]
    assert (state.level, state.sound) == ("none", False)


def test_a_board_is_told_what_it_needs_when_alone() -> None:
    """Its session, cuff schedule and limits; without a session no measurement."""
    story = Story()
    story.tick()
    idle = published(wire.Annunciate, story.outputs)[-1]
    assert (idle.session, idle.cuff_interval_s, idle.cuff_next_s) == ("", 0, wire.UNSET)
    story.starts()
    told = published(wire.Annunciate, story.outputs)[-1]
    assert (told.session, told.cuff_interval_s, told.cuff_next_s) == (story.session().id, DEMO.cuff.before_s, 0)
    assert isinstance(told.limits, wire.FallbackLimits)
    assert told.limits.spo2_low_pct == 85


def test_lamp_and_screen_say_the_same() -> None:
    """At every moment of a busy minute."""
    story = Story()
    story.starts()
    for spo2_pct in (97.0, 84.0, 88.0, 97.0):
        story.watched(8, spo2_pct=spo2_pct)
        story.does(wire.PauseAudio())
        now = story.engine.connected(story.now_ms, story.utc_ms)
        [told], [state] = published(wire.Annunciate, now), published(wire.State, now)
        assert (told.level, told.sound, told.session) == (state.level, state.sound, state.session)


def test_the_phase_and_its_time() -> None:
    """From the moment it began."""
    story = Story()
    story.starts()
    story.passes(3)
    story.doses("first")
    story.passes(2)
    state = story.state()
    assert (state.phase, state.phase_s) == ("dosing", 2)


def test_a_line_of_an_outage_has_a_number_only_if_there_is_one() -> None:
    """A switch has none."""
    story = Story()
    story.board.on_since_ms -= 600_000
    story.starts()
    story.watched(130)
    up_ms = story.now_ms - story.board.on_since_ms - 125_000
    story.cuff_failed("above_range", late=True, up_ms=up_ms)
    assert story.state().during_outage == ["Pressure is above what the cuff can measure, 125 s ago"]
