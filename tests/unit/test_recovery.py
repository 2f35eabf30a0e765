"""What a gateway comes back with after a crash, and what it must not believe after the computer was off."""

import msgspec
import pytest
from core_helpers import (
    BOARD,
    BOOT,
    CHAIR,
    DEMO,
    Story,
    only,
    protocol,
    published,
    rows,
    rule,
    stored,
    transitions,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from properties import examples

from gateway import wire
from gateway.core import recovery
from gateway.core.chair_state import ChairState
from gateway.core.outputs import Snapshot
from gateway.core.protocol import Tier

OTHER_BOOT = "00000000000000a0"
"""By name before BOOT: the journal's answer is in the order of names, not of time."""


def eventful() -> Story:
    """A session with an acknowledged alarm, a paused one, one that sounds, and a latched one."""
    story = Story()
    story.starts()
    story.watched(5)
    story.cuff()
    story.vitals(spo2_pct=84.0)
    assert story.does(wire.Acknowledge()).ok
    story.vitals(spo2_pct=84.0, pulse_bpm=150.0)
    story.watched(4, spo2_pct=84.0, pulse_bpm=150.0)
    assert story.does(wire.PauseAudio()).ok
    story.cuff(185, 95)
    story.passes(0.5)
    return story


def shown(story: Story) -> list[tuple[object, ...]]:
    return [
        (view.id, view.rule, view.level, view.condition, view.acknowledged_by, view.silenced_s is not wire.UNSET)
        for view in story.state().alarms
    ]


# ---- a crash of the process -----------------------------------------------------------------------------------


def test_a_gateway_comes_back_with_every_alarm_acknowledgement_and_pause() -> None:
    """The same ids, levels, and who had seen it; what sounded sounds."""
    before = eventful()
    after = before.crashed()
    assert len(shown(before)) >= 3
    assert shown(after) == shown(before)
    assert after.state().sound


def test_it_comes_back_with_the_session_and_its_clocks() -> None:
    """Doses, observations, readings and the phase, two seconds older."""
    before = eventful()
    before.doses("first", "end")
    before.does(wire.Observe(moaas=4))
    after = before.crashed()
    assert after.session() == before.session()
    assert after.state().phase_s == pytest.approx(before.state().phase_s + 2)


def test_a_pause_ends_when_it_would_have_ended() -> None:
    """Not a pause later."""
    before = eventful()
    [left_s] = [view.silenced_s for view in before.state().alarms if view.silenced_s is not wire.UNSET]
    after = before.crashed(away_s=2)
    assert isinstance(left_s, float)
    after.watched(int(left_s) - 3, spo2_pct=84.0, pulse_bpm=150.0)
    assert not after.alarm("pulse_high").sounding
    after.watched(3, spo2_pct=84.0, pulse_bpm=150.0)
    assert after.alarm("pulse_high").sounding


def test_a_pause_that_ended_meanwhile_is_over() -> None:
    """It sounds at the first tick."""
    after = eventful().crashed(away_s=200)
    after.tick()
    assert after.alarm("pulse_high").sounding


def test_an_answer_is_remembered() -> None:
    """The screen repeats what it did not hear: same answer, no second effect."""
    before = eventful()
    done = before.does(wire.Dose(what="first"), id="dose-first")
    after = before.crashed()
    assert after.does(wire.Dose(what="first"), id="dose-first") == done
    assert not rows(after.outputs, "session")


def test_what_is_durable_is_not_judged_again() -> None:
    """A failed measurement that was acknowledged to nobody comes again: it is a repeat, not a second failure."""
    before = eventful()
    record = before.board.record(wire.Cuff, before.now_ms, quality="failed", trigger="schedule", reason="motion")
    before.send(record)
    after = before.crashed()
    after.send(replace(record, late=True))
    assert after.engine.intake.duplicates == 1
    assert after.chair().cuff_failures == 1
    assert not after.alarm("cuff_failed").shown


def test_what_was_acknowledged_to_a_board_is_in_what_we_come_back_with() -> None:
    """A board does not send again what is durable: the first of two failures must count after a crash too."""
    before = eventful()
    before.cuff_failed()
    after = before.crashed()
    after.vitals()
    after.cuff_failed()
    assert after.alarm("cuff_failed").level == "medium"


def test_a_broken_hold_stays_broken() -> None:
    """A value outside, then a crash at once: nobody counts from before it."""
    before = Story()
    before.starts()
    before.doses("first", "end")
    before.watched(10)
    before.vitals(spo2_pct=93.0)
    after = before.crashed(away_s=1)
    after.watched(6)
    assert after.verdict("spo2_steady") == "unmet"


def test_history_that_broke_a_hold_is_remembered() -> None:
    """So is what it crossed."""
    before = Story()
    before.starts()
    before.doses("first", "end")
    before.watched(12)
    before.vitals(spo2_pct=80.0, late=True, up_ms=before.now_ms - before.board.on_since_ms - 4_000)
    after = before.crashed(away_s=1)
    assert after.state().during_outage
    after.watched(6)
    assert after.verdict("spo2_steady") == "unmet"


def test_a_replay_of_the_same_records_makes_the_same_ids() -> None:
    """If the last snapshot was lost, the records that come again raise the same alarms."""
    first, second = Story(), Story()
    for story in (first, second):
        story.starts(id="the-same-start")
        story.watched(3)
        story.vitals(spo2_pct=84.0, pulse_bpm=150.0)
        story.watched(5, spo2_pct=84.0, pulse_bpm=150.0)
        story.cuff(190, 120)
    assert shown(first) == shown(second)
    assert len({view[0] for view in shown(first)}) == len(shown(first))


def test_the_speaking_boot_comes_back() -> None:
    """With its base, so that the first ack is as good as the last."""
    before = eventful()
    before.board.base = 5
    before.watched(3)
    after = before.crashed(away_s=1)
    assert after.device().boot == BOOT
    after.vitals()
    ack = only(wire.Ack, after.passes(1))
    assert (ack.boot, ack.upto) == (BOOT, before.board.seq)


@pytest.mark.parametrize("second_boot", [OTHER_BOOT, "00000000000000c0"])
def test_a_reboot_just_before_the_crash_does_not_lock_the_board_out(second_boot: str) -> None:
    """The journal has the new boot's records, the snapshot may not know it yet: what speaks now is heard."""
    before = eventful()
    device = next(o for o in reversed(before.outputs) if isinstance(o, Snapshot) and o.key == f"device/{BOARD}")
    before.board.rebooted(before.now_ms, second_boot)
    before.vitals()
    after = before.crashed()
    lost = Story(
        snapshots={**after.snapshots, device.key: device.body}, have=stored(before.outputs), now_ms=after.now_ms
    )._with_boards(after)
    for story in (after, lost):
        story.board.on_since_ms = before.board.on_since_ms
        story.watched(2)
        assert story.state().online
        assert story.state().vitals.boot == second_boot  # type: ignore[union-attr]
        assert only(wire.Ack, story.passes(1)).boot == second_boot


def test_a_boot_that_was_left_stays_left_after_a_crash() -> None:
    """The reboot is on the disk with its first record: a packet that waited in the network is history."""
    before = eventful()
    old = before.board.record(wire.Vitals, before.now_ms, quality="good", sqi_pct=95.0, spo2_pct=70.0)
    before.board.rebooted(before.now_ms, OTHER_BOOT)
    before.vitals()
    after = before.crashed()
    after.send(old)
    assert after.device().boot == OTHER_BOOT
    assert after.state().vitals.spo2_pct != 70.0  # type: ignore[union-attr]


def test_an_old_base_does_not_acknowledge_a_new_boot() -> None:
    """The boot before held from 500 on; the new one holds from 1, and nothing of it is durable."""
    before = Story()
    before.board.seq = before.board.base = 500
    before.watched(3)
    after = before.crashed()
    after.board.rebooted(after.now_ms, OTHER_BOOT)
    after.vitals()
    assert only(wire.Ack, after.passes(1)).upto == 0


def test_vitals_from_before_the_crash_do_not_look_live() -> None:
    """Their age counts on."""
    before = Story()
    before.starts()
    before.watched(3)
    before.passes(2.5)
    after = before.crashed(away_s=2)
    vitals = after.state().vitals
    assert isinstance(vitals, wire.VitalsView)
    assert (vitals.freshness, vitals.age_ms) == ("stale", 4_500)


def test_a_gateway_that_was_away_for_a_minute_says_so() -> None:
    """Nobody watched: the first thing it says is the silence, even if vitals come before its first tick."""
    before = Story()
    before.becomes_ready()
    after = before.crashed(away_s=60)
    assert "raised" in transitions(after.vitals(), "silence")
    assert after.session().readiness == "NOT_READY"


def test_nobody_signs_off_on_what_was_met_before_the_crash() -> None:
    """The criteria are judged before the signature."""
    before = Story()
    before.becomes_ready()
    after = before.crashed(away_s=60)
    assert not after.does(wire.SignOff()).ok


# ---- the computer was off -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mono_ms", [20_000, 90_000_000])
@pytest.mark.parametrize("away_utc_s", [-1_800, 0, 60, 86_400])
def test_after_the_computer_was_off_no_value_looks_live(mono_ms: int, away_utc_s: float) -> None:
    """Whatever UTC says, which may stand still or jump: no vitals, no current pressure, and silence is told."""
    before = eventful()
    after = before.crashed(mono_ms=mono_ms, away_utc_s=away_utc_s)
    state = after.state()
    assert state.vitals is wire.UNSET
    assert state.pressure is wire.UNSET
    assert not state.online
    after.passes(11)
    assert after.alarm("silence").present


@pytest.mark.parametrize("away_utc_s", [-1_800, 0, 60, 86_400])
def test_after_the_computer_was_off_nothing_is_met_by_the_time_between(away_utc_s: float) -> None:
    """Holds, readings and quiet begin anew; a clock of the session is not ahead of what was seen."""
    before = Story()
    before.starts()
    before.doses("first", "end")
    before.cuff()
    before.watched(10)
    after = before.crashed(mono_ms=20_000, away_utc_s=away_utc_s)
    verdicts = {view.id: view.verdict for view in after.state().readiness.criteria}
    watched = ("time_since_dose_end", "spo2_steady", "pulse_steady", "pressure_near_baseline", "no_recent_alarm")
    assert "met" not in {verdicts[criterion] for criterion in watched}
    after.watched(4)
    assert after.verdict("time_since_dose_end") == "unknown"
    after.watched(2)
    # What passed before and after is enough by itself.
    assert after.verdict("time_since_dose_end") == "met"
    after.watched(4)
    assert {after.verdict("spo2_steady"), after.verdict("no_recent_alarm")} == {"unmet"}


def test_a_clock_that_runs_back_is_another_one() -> None:
    """A computer without a clock battery may come up twice at the same moment of the same day."""
    before = eventful()
    after = before.crashed(mono_ms=before.now_ms - 1_000, away_utc_s=-1)
    assert after.state().vitals is wire.UNSET


def test_after_the_computer_was_off_alarms_and_pauses_are_there() -> None:
    """By a clock that began anew."""
    before = eventful()
    after = before.crashed(mono_ms=20_000, away_utc_s=60)
    assert shown(after) == shown(before)
    [silenced_s] = [view.silenced_s for view in after.state().alarms if view.silenced_s is not wire.UNSET]
    assert 0 < silenced_s <= 120
    after.watched(125, spo2_pct=84.0, pulse_bpm=150.0)
    assert after.alarm("pulse_high").sounding


@pytest.mark.parametrize("away_utc_s", [-1_800, 60, 86_400])
def test_after_the_computer_was_off_no_command_is_good_for_longer(away_utc_s: float) -> None:
    """The board's clock is learned anew: nothing moves its pump by what UTC says."""
    before = eventful()
    after = before.crashed(mono_ms=20_000, away_utc_s=away_utc_s)
    assert not after.does(wire.Measure()).ok
    after.vitals()
    assert after.does(wire.Measure()).ok
    cmd = published(wire.Cmd, after.outputs)[-1]
    assert cmd.valid_until_up_ms <= after.now_ms - after.board.on_since_ms + 5_000


def test_every_stamp_moves_with_the_clock_and_nothing_else() -> None:
    """By the names of their fields, in lists and dicts too."""
    before = eventful()
    body = recovery.snapshot(f"chair/{CHAIR}", before.chair(), before.now_ms, before.utc_ms).body
    moved, was_off = recovery.restored(body, ChairState, 20_000, before.utc_ms + 60_000)
    assert was_off
    by_ms = 20_000 - before.now_ms
    assert moved.session is not None
    assert moved.session.started_mono_ms == before.session().started_mono_ms + by_ms
    alarm, then = moved.alarms["pulse_high"], before.alarm("pulse_high")
    assert alarm.paused_until_mono_ms == (then.paused_until_mono_ms or 0) + by_ms
    assert alarm.tiers[0].beyond_mono_ms == (then.tiers[0].beyond_mono_ms or 0) + by_ms
    assert alarm.id == then.id
    assert moved.vitals is not None
    assert moved.vitals.record == before.chair().vitals.record  # type: ignore[union-attr]
    assert moved.session.loud_mono_ms == {name: ms + by_ms for name, ms in before.session().loud_mono_ms.items()}


def test_the_same_clock_moves_nothing() -> None:
    """A process that comes back two seconds later, and UTC that was corrected by a second meanwhile."""
    before = eventful()
    body = recovery.snapshot(f"chair/{CHAIR}", before.chair(), before.now_ms, before.utc_ms).body
    same, was_off = recovery.restored(body, ChairState, before.now_ms + 2_000, before.utc_ms + 3_000)
    assert (same, was_off) == (before.chair(), None)


# ---- broken snapshots, other protocols ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[]", b'{"mono_ms":1,"utc_ms":1,"state":{}}', b'{"mono_ms":1,"utc_ms":1,"state":"\xff"}',
     b'{"mono_ms":1,"utc_ms":1,"state":' + b"[" * 100_000],
)  # fmt: skip
def test_a_broken_snapshot_starts_empty_and_is_counted(body: bytes) -> None:
    """Monitoring begins without it."""
    story = Story(snapshots={f"chair/{CHAIR}": body})
    assert story.engine.refused == {"snapshot": 1}
    assert story.chair().session is None
    story.starts()
    story.watched(2)
    assert story.state().online


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=4))
def test_no_damage_to_a_snapshot_stops_the_gateway(at: int, damage: bytes) -> None:
    """It is read as it is or left out; either way time goes on."""
    before = SNAPSHOT
    at %= len(before)
    story = Story(snapshots={f"chair/{CHAIR}": before[:at] + damage + before[at + len(damage) :]})
    story.passes(0.2)


SNAPSHOT = next(o.body for o in reversed(eventful().outputs) if isinstance(o, Snapshot) and o.key.startswith("chair/"))


def test_a_session_whose_protocol_is_gone_is_counted_too() -> None:
    """Nobody can judge it; it must not vanish unsaid."""
    before = Story(protocol=protocol(id="other"))
    before.starts()
    before.passes(3)
    after = before.crashed()
    story = Story(snapshots=after.snapshots, now_ms=after.now_ms)
    assert story.chair().session is None
    assert story.engine.refused["snapshot"] == 1


def test_an_alarm_stays_though_its_rule_has_other_tiers_now() -> None:
    """A protocol was edited while the alarm was there: only a good value ends it."""
    one = rule(Tier(level="medium", below=90), Tier(level="high", below=85), hysteresis=1)
    other = rule(Tier(level="medium", below=91), hysteresis=1)
    before = Story(protocol=protocol(one, *DEMO.rules[1:]))
    before.starts()
    before.vitals(spo2_pct=80.0)
    crashed = before.crashed()
    after = Story(
        protocol=protocol(other, *DEMO.rules[1:]), snapshots=crashed.snapshots, have=crashed.have, now_ms=crashed.now_ms
    )._with_boards(crashed)
    after.passes(1)
    assert after.alarm("spo2_low").present
    after.vitals()
    assert not after.alarm("spo2_low").present


def test_a_snapshot_is_json_of_its_state() -> None:
    """So that a person can read what a gateway would come back with."""
    kept = msgspec.json.decode(SNAPSHOT)
    assert set(kept) == {"mono_ms", "utc_ms", "utc_trusted", "host_boot", "state"}
    assert kept["state"]["session"]["alias"] == "blue"


def test_another_run_of_the_computer_is_known_by_its_name() -> None:
    """Without a clock that runs on, both may repeat: then the name of the run tells that the computer was off."""
    before = Story()
    body = recovery.snapshot(f"chair/{CHAIR}", before.chair(), before.now_ms, before.utc_ms, "first").body
    later = (before.now_ms + 10_000, before.utc_ms + 10_000)
    assert not recovery.restored(body, ChairState, *later, "first")[1]
    assert recovery.restored(body, ChairState, *later, "second")[1]


def test_a_change_that_cannot_be_said_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error between deciding and saying: the alarm is raised, said and written when it can be, not shown without a
    line in the record."""
    story = Story()
    story.starts()
    story.watched(12)
    story.passes(9.9)
    with monkeypatch.context() as patched:
        patched.setattr("gateway.core.rows.transition", lambda *_: 1 / 0)
        story.passes(0.5)
    assert not story.alarm("silence").shown
    told = story.passes(0.1)
    assert transitions(told, "silence") == ["raised"]
    assert [row.fields["what"] for row in rows(told, "alarm") if row.tags["rule"] == "silence"] == ["raised"]
