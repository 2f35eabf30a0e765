"""A crash at any event changes nothing that people rely on: the same alarms, answers and session as without it.

The disk takes each event's rows and snapshots as one, or not at all, as the journal's transactions do. Of the event
that the process dies in nothing is written, whatever it had already said; its board sends the record again and its
screen the action. The broker keeps the last state of each chair.
"""

from dataclasses import dataclass, field

import msgspec
import pytest
from core_helpers import BOARD, CHAIR, SITE, Story, published
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from properties import examples

from gateway import wire
from gateway.core.outputs import Output, Publish

ACTIONS: list[wire.Action] = [
    wire.Acknowledge(),
    wire.PauseAudio(),
    wire.Dose(what="first"),
    wire.Dose(what="further"),
    wire.Dose(what="end"),
    wire.Observe(moaas=5, dissociation=False, nausea=0, escort=True),
]
Event = float | tuple[float, float] | str | wire.Action
"""A saturation, a pair of pressures, a record without a value ("no_finger", "failed", "call"), an action, or nothing
("")."""
events = st.lists(
    st.one_of(
        st.sampled_from([97.0, 97.0, 91.0, 88.0, 84.0, 80.0]),
        st.sampled_from([(120.0, 80.0), (185.0, 95.0), (75.0, 50.0)]),
        st.sampled_from(["no_finger", "failed", "call", "", ""]),
        st.sampled_from(ACTIONS),
    ),
    min_size=1,
    max_size=25,
)


@dataclass
class Clinic:
    """One chair with a session, its board, a screen, a disk and a broker, a second for each event."""

    story: Story = field(default_factory=Story)
    answers: dict[str, wire.Done] = field(default_factory=dict)
    actions: int = 0

    def __post_init__(self) -> None:
        self.story.starts(id="the-same-start")
        self.story.vitals()

    def lives(self, happening: list[Event], dies_at: int | None) -> "Clinic":
        for number, event in enumerate(happening):
            self._second()
            written, broker = len(self.story.outputs), self.story.state()
            message = self._message(event)
            if message is not None:
                self._answered(self.story.raw(*message))
            if number == dies_at:
                last = published(wire.State, self.story.outputs[written:])
                self._dies(written, last[-1] if last else broker, message)
        self._second()
        return self

    def _second(self) -> None:
        self._answered(self.story.passes(1, tick_ms=500))

    def _message(self, event: Event) -> tuple[str, bytes] | None:
        story, board = self.story, self.story.board
        record: wire.Record | None = None
        if isinstance(event, float):
            record = board.record(
                wire.Vitals, story.now_ms, quality="good", sqi_pct=95.0, spo2_pct=event, pulse_bpm=70.0
            )
        elif isinstance(event, tuple):
            record = board.record(wire.Cuff, story.now_ms, quality="good", trigger="schedule", sys_mmhg=event[0],
                                  dia_mmhg=event[1], map_mmhg=90.0)  # fmt: skip
        elif event == "no_finger":
            record = board.record(wire.Vitals, story.now_ms, quality="no_finger", sqi_pct=0.0)
        elif event == "failed":
            record = board.record(wire.Cuff, story.now_ms, quality="failed", trigger="schedule", reason="motion")
        elif event == "call":
            record = board.record(wire.Event, story.now_ms, kind="button", name="call")
        elif not isinstance(event, str):
            self.actions += 1
            session = story.chair().session
            do = wire.Do(
                id=f"an-action-{self.actions:04d}", session=session.id if session else "", who="Ann", action=event
            )
            return wire.chair_topic(SITE, CHAIR, "do"), wire.encode(do)
        if record is None:
            return None
        leaf = {wire.Vitals: "vitals", wire.Cuff: "cuff", wire.Event: "event"}[type(record)]
        return wire.device_topic(BOARD, leaf), wire.encode(record)

    def _dies(self, written: int, last: wire.State, message: tuple[str, bytes] | None) -> None:
        """Nothing of the last event is on the disk; what comes again comes before anything new."""
        before = self.story
        del before.outputs[written:]
        after = self.story = before.crashed(away_s=0)
        after.boards = before.boards
        after.engine.message(
            wire.chair_topic(SITE, CHAIR, "state"), wire.encode(last), True, after.now_ms, after.utc_ms
        )
        if message is not None:
            topic, payload = message
            if not topic.endswith("/do"):
                kind = wire.BOARD_TOPICS[topic.rsplit("/", 1)[1]]
                payload = wire.encode(replace(msgspec.json.decode(payload, type=kind), late=True))
            self._answered(after.raw(topic, payload))

    def _answered(self, outputs: list[Output]) -> None:
        for done in published(wire.Done, [one for one in outputs if isinstance(one, Publish)]):
            assert self.answers.setdefault(done.id, done) == done

    def seen(self) -> object:
        """What people see and rely on."""
        state = self.story.state()
        alarms = [replace(view, since_s=round(view.since_s)) for view in state.alarms]
        session = self.story.chair().session
        assert session is not None
        people = [session.entries, session.phase, session.first_dose_mono_ms, session.dose_end_mono_ms, session.seen]
        verdicts = [(view.id, view.verdict) for view in state.readiness.criteria]
        pressures = [session.pressures, state.pressure, state.cuff_next_s]
        return [alarms, state.level, state.sound, people, pressures, verdicts, state.during_outage, self.answers]


@settings(max_examples=examples(60), deadline=None)
@given(events, st.data())
def test_a_crash_at_any_event_changes_nothing(happening: list[Event], data: st.DataObject) -> None:
    """Alarms with their names, levels and acknowledgements, sounds and pauses, doses, observations, pressures, criteria
    and answers are those of a gateway that did not crash."""
    dies_at = data.draw(st.integers(0, len(happening) - 1))
    assert Clinic().lives(happening, dies_at).seen() == Clinic().lives(happening, None).seen()


EVENTFUL: list[Event] = [
    wire.Dose(what="first"), 88.0, 84.0, wire.Acknowledge(), (185.0, 95.0), wire.PauseAudio(), 97.0, "call",
    wire.Dose(what="end"),
]  # fmt: skip
SLOW: list[Event] = [97.0, *[88.0] * 12, 97.0]
"""An alarm after ten seconds: its delay is not begun anew, and it is named by the first low reading."""


@pytest.mark.parametrize(
    ("happening", "dies_at"), [(stay, event) for stay in (EVENTFUL, SLOW) for event in range(len(stay))]
)
def test_a_stay_survives_a_crash_at_each_of_its_events(happening: list[Event], dies_at: int) -> None:
    """A fall, an acknowledgement, a rise, a pause, a cuff over its limit, the end of the dose; and a slow fall."""
    assert Clinic().lives(happening, dies_at).seen() == Clinic().lives(happening, None).seen()


def test_an_alarm_comes_back_with_its_last_value() -> None:
    """Not with the worst one, though the last changed nothing else."""
    happening: list[Event] = [97.0, 97.0, 97.0, 91.0, 91.0, 91.0, 80.0, (120.0, 80.0), 84.0, (120.0, 80.0)]
    assert Clinic().lives(happening, 9).seen() == Clinic().lives(happening, None).seen()
