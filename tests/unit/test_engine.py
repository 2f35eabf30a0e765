"""The engine between broker and journal: routing, refusals, order, delivery, what is retained, what is told when."""

import random
from copy import deepcopy

import pytest
from core_helpers import (
    BEGIN_MS,
    BEGIN_UTC_MS,
    BOARD,
    BOOT,
    CALM,
    CHAIR,
    DEMO,
    SITE,
    Story,
    only,
    protocol,
    published,
    refusals,
    rows,
    rule,
    transitions,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from gateway import wire
from gateway.core.outputs import Output, Publish, RecordId, Row, Snapshot
from gateway.core.protocol import Tier

VITALS_TOPIC = wire.device_topic(BOARD, "vitals")
OTHER_BOOT = "00000000000000b2"


# ---- what may look alive --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [wire.Vitals, wire.Cuff, wire.Event])
def test_a_retained_reading_is_refused(kind: type[wire.Record]) -> None:
    """It is history, and changes nothing."""
    story = Story()
    story.starts()
    given = {"quality": "good", "sqi_pct": 95.0, **CALM} if kind is wire.Vitals else {}
    given |= {"quality": "good", "trigger": "schedule"} if kind is wire.Cuff else {}
    given |= {"kind": "button", "name": "call"} if kind is wire.Event else {}
    before = deepcopy(story.engine.chairs)
    assert refusals(story.send(story.board.record(kind, story.now_ms, **given), retained=True)) == ["retained"]
    assert story.engine.chairs == before
    assert not story.state().online


@pytest.mark.parametrize("retained", [True, False])
@pytest.mark.parametrize("online", [True, False])
def test_a_status_never_makes_a_board_alive(retained: bool, online: bool) -> None:
    """Neither birth nor will, retained nor live: only records do."""
    story = Story()
    story.status(online=online, retained=retained)
    assert not story.state().online
    assert not published(wire.Ack, story.passes(2))


def test_a_will_does_not_make_a_board_dead() -> None:
    """It may be the will of a connection that was replaced: its records tell."""
    story = Story()
    story.vitals()
    story.status(online=False)
    assert story.state().online


def test_a_board_is_online_until_five_seconds_after_its_last_live_record() -> None:
    """Resent ones do not count."""
    story = Story()
    story.vitals()
    story.passes(5)
    story.vitals(late=True)
    assert story.state().online
    story.passes(0.1)
    assert not story.state().online


def test_a_retained_action_is_refused() -> None:
    """Nobody is standing at the screen."""
    story = Story()
    do = wire.Do(id="action-1", session="", who="A. Nurse", action=wire.Start(protocol="demo", alias="blue"))
    assert refusals(story.raw(wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do), retained=True)) == ["retained"]
    assert story.chair().session is None


# ---- bad input ------------------------------------------------------------------------------------------------

GOOD = wire.Vitals(boot=BOOT, seq=7, base=3, up_ms=60_000, quality="good", sqi_pct=95.0, spo2_pct=97.0, pulse_bpm=70.0)
BAD: dict[str, tuple[str, bytes, str]] = {
    "no JSON": (VITALS_TOPIC, b"{", "malformed"),
    "nothing": (VITALS_TOPIC, b"", "malformed"),
    "no UTF-8": (VITALS_TOPIC, b'{"v":1,"boot":"\xff\xfe"}', "malformed"),
    "half a surrogate": (VITALS_TOPIC, b'{"v":1,"boot":"\\ud800"}', "malformed"),
    "two messages": (VITALS_TOPIC, wire.encode(GOOD) * 2, "malformed"),
    "a list": (VITALS_TOPIC, b"[1]", "invalid"),
    "deep": (VITALS_TOPIC, b'{"v":1,"boot":' + b"[" * 1000, "malformed"),
    "oversized": (VITALS_TOPIC, wire.encode(GOOD) + b" " * 2048, "oversized"),
    "version 2": (VITALS_TOPIC, wire.encode(GOOD).replace(b'"v":1', b'"v":2'), "version"),
    "no version": (VITALS_TOPIC, wire.encode(GOOD).replace(b'"v":1,', b""), "version"),
    "a text for a number": (VITALS_TOPIC, wire.encode(GOOD).replace(b"97.0", b'"97"'), "invalid"),
    "null for a number": (VITALS_TOPIC, wire.encode(GOOD).replace(b"97.0", b"null"), "invalid"),
    "over 100 %": (VITALS_TOPIC, wire.encode(GOOD).replace(b"97.0", b"100.1"), "invalid"),
    "a sentinel": (VITALS_TOPIC, wire.encode(GOOD).replace(b"97.0", b"-999"), "invalid"),
    "no finite number": (VITALS_TOPIC, wire.encode(GOOD).replace(b"97.0", b"1e999"), "invalid"),
    "NaN": (VITALS_TOPIC, wire.encode(GOOD).replace(b"97.0", b"NaN"), "malformed"),
    "a missing field": (VITALS_TOPIC, wire.encode(GOOD).replace(b'"quality":"good",', b""), "invalid"),
    "an unknown quality": (VITALS_TOPIC, wire.encode(GOOD).replace(b'"good"', b'"fine"'), "invalid"),
    "base over seq": (VITALS_TOPIC, wire.encode(GOOD).replace(b'"base":3', b'"base":8'), "invalid"),
    "seq 0": (VITALS_TOPIC, wire.encode(GOOD).replace(b'"seq":7', b'"seq":0'), "invalid"),
    "a short boot": (VITALS_TOPIC, wire.encode(GOOD).replace(BOOT.encode(), b"b1"), "invalid"),
    "older than its board": (VITALS_TOPIC, wire.encode(GOOD).replace(b'"age_ms":0', b'"age_ms":60001'), "invalid"),
    "an unknown board": (wire.device_topic("cb-999999", "vitals"), wire.encode(GOOD), "unknown_device"),
    "an unknown chair": (wire.chair_topic(SITE, "bay-9", "do"), b"{}", "unknown_chair"),
    "another site": (wire.chair_topic("other", CHAIR, "do"), b"{}", "unknown_topic"),
    "an unknown topic": (wire.device_topic(BOARD, "temperature"), wire.encode(GOOD), "unknown_topic"),
    "outside the root": (f"dev/{BOARD}/vitals", wire.encode(GOOD), "unknown_topic"),
    "an unknown action": (
        wire.chair_topic(SITE, CHAIR, "do"),
        b'{"v":1,"id":"action-1","session":"","who":"A","action":{"kind":"dance"}}',
        "invalid",
    ),
    "nobody's action": (
        wire.chair_topic(SITE, CHAIR, "do"),
        b'{"v":1,"id":"action-1","session":"","who":"","action":{"kind":"pause_audio"}}',
        "invalid",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_message_is_counted_and_changes_nothing_else(what: str) -> None:
    """By kind, with its topic and why; the next good one is handled."""
    story = Story()
    story.starts()
    story.watched(3)
    engine = story.engine
    before = deepcopy((engine.chairs, engine.devices, engine.tell.due, engine.intake.duplicates))
    topic, payload, kind = BAD[what]
    outputs = story.raw(topic, payload)
    assert refusals(outputs) == [kind]
    assert len(outputs) == 1
    assert (engine.chairs, engine.devices, engine.tell.due, engine.intake.duplicates) == before
    assert engine.refused == {kind: 1}
    story.passes(1)
    assert only(wire.State, story.vitals(spo2_pct=84.0)).level == "high"
    assert published(wire.Heartbeat, story.passes(1))[-1].refused == {kind: 1}


def test_a_field_that_is_not_known_is_ignored() -> None:
    """A board may be newer than its gateway."""
    story = Story()
    assert not refusals(story.raw(VITALS_TOPIC, wire.encode(GOOD).replace(b'"v":1', b'"v":1,"temp_c":36.6')))
    assert story.state().online


payloads = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(str.encode),
    st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=3)).map(
        lambda change: wire.encode(GOOD)[: change[0]] + change[1] + wire.encode(GOOD)[change[0] + len(change[1]) :]
    ),
    st.builds(
        lambda **numbers: wire.encode(wire.Vitals(boot=BOOT, quality="good", sqi_pct=1, **numbers)),
        seq=st.integers(-1, 2**53 + 1), base=st.integers(-1, 2**53 + 1), up_ms=st.integers(-1, 2**53 + 1),
        age_ms=st.integers(-1, 2**53 + 1), spo2_pct=st.floats(-10, 200),
    ),
)  # fmt: skip


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["vitals", "cuff", "event", "status", "reply"]), payloads), max_size=8))
def test_no_payload_breaks_the_engine(messages: list[tuple[str, bytes]]) -> None:
    """Whatever bytes come, each is handled or refused, and time goes on."""
    story = Story()
    story.starts()
    for leaf, payload in messages:
        story.raw(wire.device_topic(BOARD, leaf), payload)
        story.passes(0.1)
    assert sum(story.engine.refused.values()) <= len(messages)
    for message in published(wire.Message, story.outputs):
        wire.decode(wire.encode(message), type(message), wire.STATE_BYTES_MAX)


# ---- repeats and boots ----------------------------------------------------------------------------------------


def test_a_repeat_is_counted_and_judged_once() -> None:
    """By device, boot and seq: two failed measurements are an alarm, one that came twice is none."""
    story = Story()
    story.starts()
    story.vitals()
    record = story.board.record(wire.Cuff, story.now_ms, quality="failed", trigger="schedule", reason="motion")
    story.send(record)
    story.send(record)
    assert story.engine.intake.duplicates == 1
    assert not story.alarm("cuff_failed").shown
    assert published(wire.Heartbeat, story.passes(1))[-1].duplicates == 1


def test_a_repeat_is_written_again_until_it_is_durable() -> None:
    """The first row may have been lost with a process; once it is on the disk there is nothing to write."""
    story = Story()
    record = story.board.record(wire.Event, story.now_ms, kind="button", name="call")
    assert [row.seq for row in rows(story.send(record), "device")] == [1]
    assert [row.seq for row in rows(story.send(record), "device")] == [1]
    story.engine.durable([RecordId(BOARD, BOOT, 1)])
    assert story.send(record) == []


def test_a_reboot_begins_anew() -> None:
    """Its seq 1 is no repeat, its readings are live at once, and acks are for it."""
    story = Story()
    story.starts()
    story.watched(3)
    story.board.rebooted(story.now_ms, OTHER_BOOT)
    story.watched(1)
    assert story.engine.intake.duplicates == 0
    state = story.state()
    assert state.vitals.boot == OTHER_BOOT  # type: ignore[union-attr]
    assert state.vitals.freshness == "live"  # type: ignore[union-attr]
    assert only(wire.Ack, story.passes(1)).boot == OTHER_BOOT


def test_a_delayed_packet_of_the_boot_before_does_not_become_current() -> None:
    """It is written down; it is neither shown nor judged, and the board goes on being heard."""
    story = Story()
    story.starts()
    story.watched(3)
    old = story.board.record(wire.Vitals, story.now_ms, quality="good", sqi_pct=95.0, spo2_pct=70.0)
    story.board.rebooted(story.now_ms, OTHER_BOOT)
    story.watched(2)
    outputs = story.send(old)
    assert [(row.boot, row.seq) for row in rows(outputs, "vitals")] == [(BOOT, old.seq)]
    assert not story.state().alarms
    assert story.state().vitals.spo2_pct == CALM["spo2_pct"]  # type: ignore[union-attr]
    story.watched(6)
    assert story.state().online
    assert only(wire.Ack, story.passes(1)).boot == OTHER_BOOT


def test_what_a_board_carried_over_a_restart_is_acknowledged_when_it_comes_again() -> None:
    """The first time it has no answer; again, and durable, one ack of that boot covers all that is durable of it."""
    story = Story()
    story.starts()
    story.watched(3)
    held = [story.board.record(wire.Event, story.now_ms, kind="button", name="call", late=True) for _ in range(2)]
    story.board.rebooted(story.now_ms, OTHER_BOOT)
    story.watched(2)
    for record in held:
        assert not published(wire.Ack, story.send(record))
        story.engine.durable([RecordId(BOARD, BOOT, record.seq)])
    ack = only(wire.Ack, story.send(held[0]))
    assert (ack.boot, ack.have) == (BOOT, [(held[0].seq, held[1].seq)])


# ---- commands -------------------------------------------------------------------------------------------------


def test_a_command_is_good_for_five_seconds_of_the_boards_own_clock() -> None:
    """However slow the messages were that tell of it."""
    story = Story()
    story.starts()
    for delay_ms in (400, 150, 900):
        story.passes(1)
        story.vitals(up_ms=story.now_ms - story.board.on_since_ms - delay_ms)
    story.passes(1)
    story.does(wire.Measure())
    cmd = published(wire.Cmd, story.outputs)[-1]
    assert cmd.valid_until_up_ms <= story.now_ms - story.board.on_since_ms + 5_000
    assert cmd.valid_until_up_ms > story.now_ms - story.board.on_since_ms
    assert (cmd.kind, cmd.boot, cmd.session) == ("measure", BOOT, story.session().id)


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=20), st.sampled_from([-50, 0, 50]))
def test_no_command_is_good_for_longer(delays_ms: list[int], ppm: int) -> None:
    """For any delays, and a board clock that drifts by 50 ppm, up to the milliseconds of that drift."""
    story = Story()
    story.starts()
    for delay_ms in delays_ms:
        story.passes(4)
        sent_up_ms = story.now_ms - story.board.on_since_ms - delay_ms
        story.vitals(up_ms=sent_up_ms + sent_up_ms * ppm // 1_000_000)
    story.does(wire.Measure())
    up_ms = story.now_ms - story.board.on_since_ms
    for cmd in published(wire.Cmd, story.outputs):
        assert cmd.valid_until_up_ms <= up_ms + up_ms * ppm // 1_000_000 + 5_000 + 10


def test_a_measurement_asked_for_while_the_board_is_away_is_refused_for_good() -> None:
    """No command, now or when it is back: a pump that moves later moves for nobody."""
    story = Story()
    story.starts()
    story.watched(2)
    story.passes(6)
    done = story.does(wire.Measure(), id="measure-1")
    assert not done.ok
    assert "not connected" in done.reason
    story.watched(10)
    assert not story.does(wire.Measure(), id="measure-1").ok
    assert not published(wire.Cmd, story.outputs)


def test_a_repeated_action_makes_one_command() -> None:
    """The screen repeats until it hears `done`."""
    story = Story()
    story.starts()
    story.vitals()
    for _ in range(3):
        assert story.does(wire.Measure(), id="measure-1").ok
    assert len(published(wire.Cmd, story.outputs)) == 1


def test_no_command_is_sent_to_a_board_that_is_away() -> None:
    """The end of a session stops no cuff that is not there; the board stops by itself."""
    story = Story()
    story.starts()
    story.vitals()
    story.passes(6)
    assert story.does(wire.Abort(reason="left")).ok
    assert not published(wire.Cmd, story.outputs)


def test_the_end_of_a_session_stops_the_cuff() -> None:
    """Nobody's arm is squeezed for nobody."""
    story = Story()
    story.starts()
    story.vitals()
    story.does(wire.Abort(reason="left"))
    assert published(wire.Cmd, story.outputs)[-1].kind == "abort"
    assert only(wire.Annunciate, story.engine.connected(story.now_ms, story.utc_ms)).cuff_next_s is wire.UNSET


# ---- order and durability -------------------------------------------------------------------------------------


def names(outputs: list[Output]) -> list[str]:
    """What goes out, in order; rows and snapshots are written by another thread."""
    return [type(o.message).__name__ for o in outputs if isinstance(o, Publish)]


def test_a_batch_says_the_alarm_first() -> None:
    """Alarm, annunciate, then state."""
    story = Story()
    story.starts()
    story.watched(2)
    assert names(story.vitals(spo2_pct=84.0)) == ["AlarmTransition", "Annunciate", "State"]
    assert names(story.cuff(200, 120)) == ["AlarmTransition"] * 4 + ["Annunciate", "State"]
    story.passes(1)
    assert names(story.cuff(120, 80))[-2:] == ["Annunciate", "State"]


def test_an_action_says_its_command_then_its_answer_then_the_state() -> None:
    """And the answer waits for the disk: everything it tells of was asked to be written before it."""
    story = Story()
    story.starts()
    story.vitals(spo2_pct=84.0)
    do = wire.Do(id="measure-1", session=story.session().id, who="A. Nurse", action=wire.Measure())
    outputs = story.raw(wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do))
    assert names(outputs) == ["Annunciate", "Cmd", "Done", "State"]
    do = wire.Do(id="acknowledge-1", session=story.session().id, who="A. Nurse", action=wire.Acknowledge())
    outputs = story.raw(wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do))
    assert names(outputs) == ["AlarmTransition", "Annunciate", "Done", "State"]
    answer = next(n for n, o in enumerate(outputs) if isinstance(o, Publish) and isinstance(o.message, wire.Done))
    assert outputs[answer].durable  # type: ignore[union-attr]
    assert [o.durable for o in outputs if isinstance(o, Publish)].count(True) == 1
    written = [n for n, o in enumerate(outputs) if isinstance(o, Row | Snapshot)]
    assert any(isinstance(outputs[n], Row) for n in written)
    assert any(isinstance(outputs[n], Snapshot) for n in written)
    assert max(written) < answer


def test_every_change_of_an_alarm_is_annunciated_at_once() -> None:
    """With a beat that rises: a board takes one with the same beat for a repeat."""
    story = Story()
    story.starts()
    story.watched(2)
    while not published(wire.Annunciate, story.passes(0.1)):
        pass
    outputs = story.vitals(spo2_pct=84.0)
    assert only(wire.Annunciate, outputs).level == "high"
    beats = [message.beat for message in published(wire.Annunciate, story.outputs)]
    assert beats == sorted(set(beats))


# ---- sizes ----------------------------------------------------------------------------------------------------


def everything_at_once() -> Story:
    """As many alarms, criteria and words as fit into a chair."""
    story = Story()
    story.board.on_since_ms -= 3_600_000
    story.starts(id="i" * 64)
    story.status(
        faults=["f" * 64] * 16, calibration=wire.Calibration(state="expired"), battery_pct=5.0
    )  # fmt: skip
    story.doses("first", "end")
    for reason in ("above_range", "above_range"):
        story.cuff_failed(reason)
    story.passes(10)
    for measure in ("spo2_pct", "pulse_bpm"):
        story.vitals(**{measure: 0.0}, age_ms=5_000, late=True)
    story.vitals(spo2_pct=80.0, pulse_bpm=200.0)
    story.cuff(260, 180)
    story.watched(16, quality="no_finger")
    story.watched(80, quality="motion")
    story.event("button", "call")
    story.event("local_alarm", "n" * 64, detail="d" * 200)
    story.does(wire.Observe(moaas=0, dissociation=True, nausea=10, gait="unable", escort=False), who="W" * 32)
    story.does(wire.Acknowledge(), who="W" * 32)
    story.passes(200)
    return story


def test_a_state_fits_with_everything_active() -> None:
    """Under 16 KiB, and it decodes."""
    story = everything_at_once()
    state = story.state()
    assert len(state.alarms) >= 10
    assert len(wire.encode(state)) < wire.STATE_BYTES_MAX
    assert wire.decode(wire.encode(state), wire.State, wire.STATE_BYTES_MAX) == state


def test_what_boards_receive_is_small() -> None:
    """Every message to a board is under 2 KiB."""
    story = everything_at_once()
    story.vitals()
    story.does(wire.Measure())
    story.passes(2)
    kinds = set()
    for output in story.outputs:
        if isinstance(output, Publish) and output.topic.startswith(wire.device_topic(BOARD, "")) and output.message:
            kinds.add(type(output.message))
            assert len(wire.encode(output.message)) < wire.BOARD_BYTES_MAX
            wire.decode(wire.encode(output.message), type(output.message))
    assert kinds == {wire.Ack, wire.Annunciate, wire.Cmd}


def test_everything_published_decodes() -> None:
    """Names and texts keep to the lengths that readers check, with the longest that a screen may send."""
    long = rule(Tier(level="high", below=90), id="r" * 32)
    story = Story(protocol=protocol(long, *DEMO.rules))
    story.starts(id="i" * 64)
    story.board.seq = 2**53 - 10
    story.vitals(spo2_pct=80.0)
    alarm = story.state().alarms[0]
    assert story.does(wire.Acknowledge(alarms=[alarm.id]), who="W" * 32).ok
    story.does(wire.Abort(reason="r" * 200))
    for message in published(wire.Message, story.outputs):
        wire.decode(wire.encode(message), type(message), wire.STATE_BYTES_MAX)


# ---- when a state is told -------------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter_ms", [0, 150, 450])
def test_every_live_vitals_record_is_shown_when_it_comes(jitter_ms: int) -> None:
    """Once a second, with the jitter of a radio: the record that arrives causes the state that shows it."""
    chance = random.Random(jitter_ms)
    story = Story()
    story.starts()
    shown = 0
    for second in range(60):
        at_ms = BEGIN_MS + second * 1000 + chance.randint(-jitter_ms, jitter_ms)
        while story.now_ms < at_ms:
            story.skips(min(100, at_ms - story.now_ms) / 1000)
            story.tick()
        if second in (20, 40):
            story.vitals(spo2_pct=88.0 if second == 20 else 97.0)
        else:
            states = published(wire.State, story.vitals(spo2_pct=97.0))
            assert [state.vitals.seq for state in states] == [story.board.seq]  # type: ignore[union-attr]
        shown += 1
    assert shown == 60
    assert len(published(wire.State, story.outputs)) < 75


def test_a_cuff_result_is_shown_when_it_comes() -> None:
    """It has been a minute."""
    story = Story()
    story.starts()
    story.watched(2)
    story.passes(0.3)
    assert only(wire.State, story.cuff()).pressure.sys_mmhg == 120  # type: ignore[union-attr]


def test_a_board_that_floods_does_not_flood_the_screens() -> None:
    """About one state a second for vitals, and a few more at the beginning."""
    story = Story()
    story.starts()
    for _ in range(1000):
        story.skips(0.01)
        story.vitals()
    assert len(published(wire.State, story.outputs[10:])) <= 16


def test_a_chair_without_news_is_told_all_the_same() -> None:
    """Ages grow on the display, and who listens knows that we live."""
    story = Story()
    outputs = story.passes(30)
    assert 18 <= len(published(wire.State, outputs)) <= 31
    assert len(published(wire.Annunciate, outputs)) == 30
    assert len(published(wire.Heartbeat, outputs)) == 30


# ---- retained, chairs -----------------------------------------------------------------------------------------


def test_everything_retained_is_said_again_on_each_connect() -> None:
    """The broker may have forgotten it."""
    story = Story(chairs={"bay-1": "cb-000001", "bay-2": "cb-000002"})
    outputs = story.engine.connected(story.now_ms, story.utc_ms)
    assert sorted(names(outputs)) == ["Annunciate", "Annunciate", "Heartbeat", "State", "State"]
    assert all(o.retain for o in outputs if isinstance(o, Publish))
    will = story.engine.will()
    assert (will.topic, will.retain) == (wire.gateway_topic(SITE), True)
    assert isinstance(will.message, wire.Heartbeat)
    assert not will.message.online


@pytest.mark.parametrize(
    ("topic", "cleared"),
    [
        (wire.chair_topic(SITE, "bay-9", "state"), True),
        (wire.device_topic("cb-999999", "annunciate"), True),
        (wire.chair_topic(SITE, CHAIR, "state"), False),
        (wire.device_topic(BOARD, "annunciate"), False),
    ],
)
def test_what_is_retained_for_chairs_and_boards_that_are_gone_is_cleared(topic: str, cleared: bool) -> None:
    """Ours stay; an empty or a live message there asks for nothing."""
    story = Story()
    clear = [Publish(topic=topic, message=None, retain=True)] if cleared else []
    assert story.raw(topic, b"{}", retained=True) == clear
    assert story.raw(topic, b"", retained=False) == []
    assert story.raw(topic, b"{}", retained=False) == []


def test_two_chairs_do_not_know_of_each_other() -> None:
    """Whatever happens in one, the other is as if it were alone."""
    chairs = {"bay-1": "cb-000001", "bay-2": "cb-000002"}
    together, alone = Story(chairs=chairs), Story(chairs=chairs)
    for story in (together, alone):
        story.starts(chair="bay-2", id="second-chair")
    together.starts(chair="bay-1", id="first-chair")
    for second in range(20):
        for story in (together, alone):
            story.passes(1)
            story.vitals("cb-000002", spo2_pct=88.0)
        together.vitals("cb-000001", spo2_pct=80.0)
        if second == 10:
            together.event("button", "call")
            together.does(wire.Acknowledge())
    assert together.chair("bay-2") == alone.chair("bay-2")
    assert together.device("cb-000002") == alone.device("cb-000002")
    assert together.state("bay-2") == alone.state("bay-2")


def test_an_action_for_one_chair_is_refused_at_another() -> None:
    """Its session is not this one's."""
    story = Story(chairs={"bay-1": "cb-000001", "bay-2": "cb-000002"})
    story.starts(chair="bay-1")
    story.starts(chair="bay-2")
    done = story.does(wire.Dose(what="first"), chair="bay-2", session=story.session("bay-1").id)
    assert not done.ok


def test_a_reading_is_written_with_its_sensors_time() -> None:
    """UTC by the time it was true, not by its arrival."""
    story = Story()
    story.vitals()
    story.passes(2)
    [row] = rows(story.vitals(age_ms=700), "vitals")
    assert row.at_ms == BEGIN_UTC_MS + 2_000 - 700


def test_the_reading_that_begins_a_delay_is_written_at_once() -> None:
    """Lost with the process, it would cost the alarm's delay the length of the outage. The others are written
    together."""
    story = Story()
    story.starts()
    for spo2_pct, urgent in ((97.0, False), (89.0, True), (89.0, False), (97.0, False), (89.0, True)):
        story.passes(1)
        [row] = rows(story.vitals(spo2_pct=spo2_pct), "vitals")
        assert row.urgent == urgent


def test_a_reply_is_written_down() -> None:
    """Why a board did not do it is part of the session's record."""
    story = Story()
    story.starts()
    [row] = rows(story.send(wire.Reply(boot=BOOT, id="measure-1", result="refused", reason="expired")), "session")
    assert (row.fields["what"], row.fields["why"]) == ("command_refused", "expired")


def test_silence_is_told_by_ticks_alone() -> None:
    """Medium at 10 s, high at 30 s, with nothing but time."""
    story = Story()
    story.starts()
    assert transitions(story.passes(31), "silence") == ["raised", "level"]


# ---- a programming error ----------------------------------------------------------------------------------------


def test_an_error_in_one_chair_leaves_the_others_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chair falls silent, so that its board and its tile say so; the others go on, and it is counted."""
    story = Story(chairs={CHAIR: BOARD, "bay-2": "cb-000002"})
    judged = story.engine.floor.step

    def fails(name: str, *rest: object) -> list[Output]:
        if name == CHAIR:
            raise ZeroDivisionError
        return judged(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(story.engine.floor, "step", fails)
    outputs = story.passes(3)
    assert {state.chair for state in published(wire.State, outputs)} == {"bay-2"}
    assert story.engine.refused["internal"] == 30


def test_a_record_that_was_not_judged_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in judging it must not make its resend a duplicate that is only acknowledged."""
    story = Story()
    with monkeypatch.context() as patched:
        patched.setattr(story.engine.floor, "step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            story.vitals(seq=7)
    assert published(wire.State, story.vitals(seq=7))
    assert story.engine.intake.duplicates == 0
