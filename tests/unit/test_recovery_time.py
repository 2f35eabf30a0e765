"""UTC that is set while the gateway runs or is off, UTC that nobody keeps, and a board's own."""

import time

import pytest
from core_helpers import BOARD, BOOT, CHAIR, SEEN_WELL, SITE, Board, Story, published, stored, transitions
from msgspec.structs import replace

from gateway import clock, wire
from gateway.core.outputs import Health, Output, Snapshot
from gateway.engine import Engine


class Pi(Story):
    """A gateway on a computer that has a name for each of its runs, and a time service or none."""

    def __init__(self, host_boot: str = "first", trusted: bool = True, **given: object) -> None:
        self.host_boot, self.trusted = host_boot, trusted
        super().__init__(**given)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.engine = Engine(
            SITE, self.chairs, {self.protocol.id: self.protocol}, self.run, self.snapshots, self.have,
            now_ms=self.now_ms, utc_ms=self.utc_ms, host_boot=self.host_boot, utc_trusted=self.trusted,
        )  # fmt: skip

    def tick(self) -> list[Output]:
        told = self.engine.tick(self.now_ms, self.utc_ms, Health(utc_trusted=self.trusted))
        self.outputs += told
        return told

    def again(self, *, mono_ms: int, utc_ms: int, host_boot: str = "first", trusted: bool = True) -> "Pi":
        """The gateway that comes back on this disk."""
        self.passes(2)
        kept = {o.key: o.body for o in self.outputs if isinstance(o, Snapshot)}
        given = {"snapshots": kept, "have": stored(self.outputs), "now_ms": mono_ms, "utc_ms": utc_ms, "run": "run-2"}
        after = Pi(host_boot, trusted, **given)
        up_ms = self.now_ms - self.board.on_since_ms
        after.boards[BOARD] = Board(BOARD, BOOT, mono_ms - up_ms, self.board.seq, self.board.base)
        after._actions = self._actions
        return after


HOUR_MS = 3_600_000


@pytest.mark.parametrize("step_ms", [-7 * HOUR_MS, -3_000, 3_000, 7 * HOUR_MS, 10 * 365 * 24 * HOUR_MS])
def test_utc_that_jumps_moves_no_timer(step_ms: int) -> None:
    """While the gateway runs and while it restarts: alarms, pauses, doses and holds go on as if it had not; only the
    labels are others."""
    plain, stepped = Pi(), Pi()
    told: dict[int, list[object]] = {}
    for story in (plain, stepped):
        story.starts(id="the-same-start")
        story.doses("first", "end")
        story.watched(4, spo2_pct=88.0)
        story.utc_ms += step_ms if story is stepped else 0
        story.watched(4, spo2_pct=88.0)
        after = story.again(mono_ms=story.now_ms + 3_000, utc_ms=story.utc_ms + 3_000 + (story is stepped) * step_ms)
        after.watched(3, spo2_pct=88.0)
        assert after.does(wire.PauseAudio()).ok
        after.utc_ms -= step_ms if story is stepped else 0
        after.watched(5)
        told[id(story)] = [after.chair(), after.state(), transitions([*story.outputs, *after.outputs])]
    assert told[id(plain)] == told[id(stepped)]


def dosed() -> Pi:
    """Ten seconds after the end of the dose, of the fifteen that the protocol asks for."""
    story = Pi()
    story.starts()
    story.doses("first", "end")
    story.watched(8)
    return story


def test_a_trusted_utc_tells_how_long_the_computer_was_off() -> None:
    """Kept at both ends it counts: the dose is as long ago as it is; holds and quiet begin anew all the same."""
    before = dosed()
    after = before.again(mono_ms=20_000, utc_ms=before.utc_ms + 60_000, host_boot="second")
    view = next(view for view in after.state().readiness.criteria if view.id == "time_since_dose_end")
    assert view.verdict == "met"
    assert view.detail.startswith("68 s")
    assert after.verdict("no_recent_alarm") == "unmet"
    assert after.verdict("spo2_steady") == "unknown"


def test_a_gap_becomes_known_when_utc_is_trusted_again() -> None:
    """A Raspberry Pi comes up with an old UTC. Until a time service sets it, what asks for time across the gap is
    unknown; then it counts, and only what was before the gap is moved."""
    before = dosed()
    after = before.again(mono_ms=20_000, utc_ms=before.utc_ms - 5_000, host_boot="second", trusted=False)
    after.watched(1)
    assert after.does(wire.Observe(moaas=5)).ok
    view = next(view for view in after.state().readiness.criteria if view.id == "time_since_dose_end")
    assert view.verdict == "unknown"
    assert "computer was off" in view.detail
    seen_ms = after.session().seen["moaas"].at_mono_ms
    after.utc_ms, after.trusted = before.utc_ms + 90_000, True
    after.passes(1)
    view = next(view for view in after.state().readiness.criteria if view.id == "time_since_dose_end")
    assert view.verdict == "met"
    assert view.detail.startswith("101 s")
    assert after.session().seen["moaas"].at_mono_ms == seen_ms
    assert after.session().off is None


def test_a_dose_from_before_a_gap_of_unknown_length_is_refused_until_it_is_known() -> None:
    """It would be moved with the others, though its time is right."""
    before = Pi()
    before.starts()
    before.watched(8)
    after = before.again(mono_ms=20_000, utc_ms=before.utc_ms, host_boot="second", trusted=False)
    after.watched(30)
    given = wire.Dose(what="first", minutes_ago=1)
    assert "for a time that is not known yet" in after.does(given).reason
    after.utc_ms, after.trusted = before.utc_ms + 90_000, True
    after.passes(1)
    assert after.does(given).ok
    assert after.session().first_dose_mono_ms == after.now_ms - 60_000


def test_a_pressure_from_a_gap_of_unknown_length_is_none_of_this_stay() -> None:
    """Nobody can say whether it was taken before the dose: it is no baseline, and shows nothing to be as it was."""
    before = dosed()
    after = before.again(mono_ms=20_000, utc_ms=before.utc_ms, host_boot="second", trusted=False)
    after.watched(1)
    after.cuff(age_ms=1_500, late=True)
    assert (after.session().pressures, after.chair().cuff) == ((), None)
    after.cuff()
    assert len(after.session().pressures) == 1


def test_a_gap_that_began_without_a_trusted_utc_stays_unknown() -> None:
    """Nobody knows when it began, whatever is trusted now."""
    before = Pi(trusted=False)
    before.starts()
    before.doses("first", "end")
    before.watched(8)
    after = before.again(mono_ms=20_000, utc_ms=before.utc_ms + HOUR_MS, host_boot="second")
    after.watched(2)
    assert after.verdict("time_since_dose_end") == "unknown"


def test_two_gaps_are_bridged_together() -> None:
    """Off, on without a time service, and off again: what was before the first counts through both."""
    before = dosed()
    between = before.again(mono_ms=20_000, utc_ms=before.utc_ms, host_boot="second", trusted=False)
    between.watched(1)
    after = between.again(mono_ms=10_000, utc_ms=between.utc_ms, host_boot="third", trusted=False)
    assert after.verdict("time_since_dose_end") == "unknown"
    after.utc_ms, after.trusted = before.utc_ms + 300_000, True
    after.passes(1)
    view = next(view for view in after.state().readiness.criteria if view.id == "time_since_dose_end")
    assert view.verdict == "met"
    assert view.detail.startswith("5 min")


def test_what_was_seen_between_two_gaps_is_of_unknown_age() -> None:
    """The second may have been hours: it counts for nothing and is asked for again, also when the first is known."""
    before = dosed()
    between = before.again(mono_ms=20_000, utc_ms=before.utc_ms, host_boot="second", trusted=False)
    between.watched(1)
    assert between.does(SEEN_WELL).ok
    assert between.verdict("gait") == "met"
    for what in ("further", "end"):
        assert between.does(wire.Dose(what=what)).ok
    assert between.does(SEEN_WELL).ok
    between.watched(1)
    assert between.verdict("time_since_dose_end") == "unmet"
    after = between.again(mono_ms=10_000, utc_ms=between.utc_ms, host_boot="third", trusted=False)
    for trusted in (False, True):
        after.utc_ms, after.trusted = before.utc_ms + (300_000 if trusted else 0), trusted
        after.passes(1)
        assert after.verdict("gait") == after.verdict("time_since_dose_end") == "unknown"
        assert not after.does(wire.SignOff()).ok
    assert "ask_gait" in [ask.id for ask in after.state().asks if ask.due_s < 15]
    assert after.does(SEEN_WELL).ok
    assert after.verdict("gait") == "met"


def test_quiet_begins_anew_after_the_computer_was_off() -> None:
    """Nobody listened meanwhile."""
    before = Pi()
    before.starts()
    before.watched(20)
    assert before.verdict("no_recent_alarm") == "met"
    after = before.again(mono_ms=20_000, utc_ms=before.utc_ms + 1_000, host_boot="second")
    assert after.verdict("no_recent_alarm") == "unmet"


def test_a_beat_says_whether_utc_is_trusted() -> None:
    """So that a screen need not show a time of day that nobody vouches for."""
    for trusted in (True, False):
        beats = published(wire.Heartbeat, Pi(trusted=trusted).passes(1))
        assert {beat.utc_trusted for beat in beats} == {trusted}


# ---- a board's own UTC ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off_s", "trusted", "apart_s"), [(0, True, 0.0), (-5, True, 5.0), (7_200, True, 7_200.0),
                                                           (7_200, False, None), (None, True, None)])  # fmt: skip
def test_a_boards_utc_is_compared_with_ours(off_s: int | None, trusted: bool, apart_s: float | None) -> None:
    """Only where both know it; and no reading is older or younger for it."""
    story = Pi(trusted=trusted)
    stamp = wire.UNSET if off_s is None else story.utc_ms + off_s * 1_000
    story.vitals(at_ms=stamp)
    vitals = story.chair().vitals
    assert vitals is not None
    assert vitals.clock_apart_s == apart_s
    assert vitals.at_mono_ms == story.now_ms


def test_a_delay_that_all_messages_share_shows_in_the_clocks() -> None:
    """Behind a network that holds every message for four seconds the least delay is four seconds, and looks like none:
    the board's UTC says so."""
    story = Pi()
    for _ in range(3):
        story.passes(1)
        made_ms = story.now_ms - 4_000
        story.vitals(up_ms=made_ms - story.board.on_since_ms, at_ms=story.utc_ms - 4_000)
    vitals = story.chair().vitals
    assert vitals is not None
    assert (vitals.delay_ms, vitals.clock_apart_s) == (0, 4.0)


def test_after_the_computer_was_off_no_older_word_is_believed() -> None:
    """A broker elsewhere may keep it for days."""
    before = Pi()
    before.starts()
    before.watched(3)
    said = before.state()
    after = before.again(mono_ms=20_000, utc_ms=before.utc_ms + HOUR_MS, host_boot="second")
    alarm = wire.AlarmView(id="a-1", rule="spo2_low", level="high", condition="active", since_s=1.0, reason="low")
    assert isinstance(said.vitals, wire.VitalsView)
    newer = replace(said, alarms=[alarm], vitals=replace(said.vitals, seq=99))
    topic = wire.chair_topic(SITE, CHAIR, "state")
    assert after.engine.message(topic, wire.encode(newer), True, after.now_ms, after.utc_ms) == []


# ---- the computer's clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "trusted"), [(0, True), (4, True), (5, False), (-1, False), (None, False)])
def test_utc_is_trusted_when_the_kernel_says_that_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, answer: int | None, trusted: bool
) -> None:
    """By adjtimex: 5 is TIME_ERROR, -1 a refusal, and some systems have no such call."""
    monkeypatch.setattr(clock, "_ADJTIMEX", None if answer is None else lambda _: answer)
    assert clock.utc_trusted() == trusted


def test_durations_count_the_sleep_of_the_computer() -> None:
    """What was read before it slept is old when it wakes: Linux has a clock that runs on meanwhile."""
    assert time.CLOCK_BOOTTIME == clock.RUNS_ON
    before_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    assert before_ms <= clock.monotonic_ms() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
