"""An alarm that a gateway said and died before it wrote it down: the broker kept the last state."""

import pytest
from core_helpers import CHAIR, SITE, Story, protocol, published, rows, transitions
from msgspec.structs import replace

from gateway import wire
from gateway.core.outputs import Output, Snapshot
from gateway.core.protocol import content_hash

OTHER_BOOT = "00000000000000a0"


def died_before_writing(story: Story, last: wire.State) -> tuple[Story, list[Output]]:
    """The next run: nothing since the story's last snapshots reached the disk, but the broker kept the last state."""
    after = story.crashed(away_s=1)
    return after, after.engine.message(
        wire.chair_topic(SITE, CHAIR, "state"), wire.encode(last), True, after.now_ms, after.utc_ms
    )


def test_an_alarm_that_was_said_and_not_written_goes_on_under_its_name() -> None:
    """At once, and the reading that did not reach the disk does not give it another one; it is in the record then."""
    before = Story()
    before.starts()
    before.watched(2)
    kept = len(before.outputs)
    before.vitals(spo2_pct=84.0)
    last = before.state()
    del before.outputs[kept:]
    after, told = died_before_writing(before, last)
    assert [change.id for change in published(wire.AlarmTransition, told)] == [last.alarms[0].id]
    assert [row.fields["what"] for row in rows(told, "alarm")] == ["raised"]
    assert published(wire.Annunciate, told)[0].sound
    after.vitals(spo2_pct=84.0)
    assert [(view.id, view.level, view.condition) for view in after.state().alarms] == [
        (last.alarms[0].id, "high", "active")
    ]
    after.watched(5)
    assert [view.condition for view in after.state().alarms] == ["latched"]


def test_a_name_outlives_a_second_death_before_writing() -> None:
    """The next run had said it again and died as well."""
    before = Story()
    before.starts()
    kept = len(before.outputs)
    before.vitals(spo2_pct=84.0)
    name = before.state().alarms[0].id
    device = [o for o in before.outputs if isinstance(o, Snapshot) and o.key.startswith("device/")]
    last = before.state()
    before.outputs[kept:] = device
    second, _ = died_before_writing(before, last)
    last = replace(second.state(), run="second")
    second.outputs.clear()
    second.snapshots = {o.key: o.body for o in before.outputs if isinstance(o, Snapshot)}
    third, told = died_before_writing(second, last)
    assert [change.id for change in published(wire.AlarmTransition, told)] == [name]
    third.vitals(spo2_pct=84.0)
    assert [view.id for view in third.state().alarms] == [name]


def test_a_word_of_before_does_not_hide_that_the_protocol_changed() -> None:
    """The alarm goes on, and the session is still held to the protocol of today: what an older one had signed or held
    counts no more."""
    before = Story()
    before.becomes_ready()
    kept = len(before.outputs)
    before.vitals(spo2_pct=84.0)
    last = before.state()
    del before.outputs[kept:]
    before.protocol = protocol(audio_pause_s=60)
    after, told = died_before_writing(before, last)
    assert transitions(told, "spo2_low") == ["raised"]
    after.tick()
    assert "protocol_changed" in [row.fields["what"] for row in rows(after.outputs, "session")]
    assert after.session().protocol_hash == content_hash(before.protocol)
    assert (after.session().readiness, after.session().held) == ("NOT_READY", {})


def test_what_was_written_is_believed_over_an_older_word() -> None:
    """The gateway went on without a broker and saw the alarm end: what it last said to the broker is history."""
    before = Story()
    before.starts()
    before.watched(2)
    before.vitals(spo2_pct=84.0)
    said = before.state()
    assert before.does(wire.Acknowledge()).ok
    before.watched(8)
    assert not before.alarm("spo2_low").shown
    after, told = died_before_writing(before, said)
    assert told == []
    assert not after.state().alarms


@pytest.mark.parametrize("what", ["session", "boot", "run", "live", "other words"])
def test_only_the_last_word_about_this_patient_is_believed(what: str) -> None:
    """Of another session, another start of the board, this run itself, a live message or another program: nothing."""
    before = Story()
    before.starts()
    before.watched(2)
    kept = len(before.outputs)
    before.vitals(spo2_pct=84.0)
    said = before.state()
    del before.outputs[kept:]
    after = before.crashed(away_s=1)
    vitals = said.vitals
    assert isinstance(vitals, wire.VitalsView)
    if what == "session":
        said = replace(said, session="s-other")
    elif what == "boot":
        said = replace(said, vitals=replace(vitals, boot=OTHER_BOOT))
    elif what == "run":
        said = replace(said, run=after.run)
    payload = b'{"v":1,"words":"other"}' if what == "other words" else wire.encode(said)
    topic = wire.chair_topic(SITE, CHAIR, "state")
    assert after.engine.message(topic, payload, what != "live", after.now_ms, after.utc_ms) == []
    assert not after.alarm("spo2_low").shown
