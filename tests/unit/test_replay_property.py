"""Stays made at random, with gaps, resent and repeated records, restarts and clocks that are set: replayed from their
journal they say what was said, change by change."""

import tempfile
from pathlib import Path
from typing import Any

from core_helpers import CHAIR, Story
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from properties import examples
from replay_journals import demo, journal_of, said_again

from gateway import wire
from gateway.replay import source
from gateway.replay.source import Part

DEMO = demo()
READINGS = st.fixed_dictionaries(
    {},
    optional={
        "spo2_pct": st.sampled_from([97.0, 91.5, 89.0, 84.0]),
        "pulse_bpm": st.sampled_from([70.0, 45.0, 130.0, 150.0]),
        "quality": st.sampled_from(["good", "no_finger", "motion", "cuff_hold"]),
        "seat": st.sampled_from(["occupied", "empty"]),
    },
)
STEPS = st.one_of(
    st.tuples(st.just("watch"), st.integers(1, 12), READINGS),
    st.tuples(st.just("silent"), st.integers(1, 35)),
    st.tuples(st.just("held back"), st.integers(1, 6), st.sampled_from([97.0, 80.0])),
    st.tuples(st.just("sent twice")),
    st.tuples(st.just("cuff"), st.sampled_from([(120.0, 80.0), (165.0, 102.0), (185.0, 95.0), (75.0, 40.0), None])),
    st.tuples(
        st.just("act"),
        st.sampled_from(
            [
                wire.Acknowledge(),
                wire.PauseAudio(),
                wire.Dose(what="first"),
                wire.Dose(what="end"),
                wire.Away(minutes=1),
                wire.Back(),
                wire.Abort(reason="over"),
                wire.Start(protocol="demo", alias="blue", baseline_sys_mmhg=120.0, baseline_dia_mmhg=80.0),
            ]
        ),
    ),
    st.tuples(st.just("call")),
    st.tuples(st.just("status"), st.sampled_from([[], ["cuff_leak"], ["battery_low"]])),
    st.tuples(st.just("restart"), st.integers(1, 45)),
    st.tuples(st.just("clock"), st.sampled_from([-3600, -60, 60, 3600])),
)


class Stay:
    """Stories one after the other, each a run of the gateway."""

    def __init__(self) -> None:
        self.runs: list[Story] = []
        self._begin(Story(protocol=DEMO))
        self.now.starts()

    @property
    def now(self) -> Story:
        return self.runs[-1]

    def _begin(self, story: Story) -> None:
        story.run = story.engine.run = f"run-{len(self.runs)}"
        self.runs.append(story)
        story.comes_up()

    def step(self, what: str, *how: Any) -> None:
        story = self.now
        match what, how:
            case "watch", (seconds, values):
                story.watched(seconds, **values)
            case "silent", (seconds,):
                story.passes(seconds)
            case "held back", (seconds, value):
                self._held_back(seconds, value)
            case "sent twice", ():
                record = story.board.record(wire.Vitals, story.now_ms, quality="good", sqi_pct=95.0, spo2_pct=84.0)
                story.send(record)
                story.passes(1)
                story.send(replace(record, late=True))
            case "cuff", (None,):
                story.cuff_failed("above_range")
            case "cuff", (pressure,):
                story.cuff(*pressure)
            case "act", (action,):
                story.does(action, id=f"action-{len(self.runs)}-{story.now_ms}")
            case "call", ():
                story.event("button", "call")
            case "status", (faults,):
                story.status(faults=faults, battery_pct=10.0 if faults else 80.0)
            case "restart", (away_s,):
                # What is on the disk of a chair is at most two seconds old; here it is of now.
                story.passes(2.1)
                self._begin(story.crashed(away_s=away_s))
            case "clock", (by_s,):
                story.utc_ms += by_s * 1000
                # The next word on both clocks comes within ten seconds.
                story.watched(12)

    def _held_back(self, seconds: int, value: float) -> None:
        """The link is gone for some seconds; what was measured meanwhile is sent again afterwards."""
        story, held = self.now, []
        for _ in range(seconds):
            story.passes(1)
            held.append(story.board.record(wire.Vitals, story.now_ms, quality="good", sqi_pct=95.0, spo2_pct=value))
        story.watched(1)
        for record in held:
            story.send(replace(record, late=True))
            story.passes(0.2)


@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.reuse, Phase.generate],
)
@given(st.lists(STEPS, min_size=3, max_size=8))
def test_a_replay_says_what_was_said(steps: list[tuple[Any, ...]]) -> None:
    """Every transition with its time, alarm, level and person."""
    stay = Stay()
    for step in [*steps, ("watch", 2, {})]:
        stay.step(*step)
    with tempfile.TemporaryDirectory() as folder:
        path = journal_of(Path(folder) / "j.sqlite", *stay.runs)
        recording = source.read(path, part=Part(chair=CHAIR))
        recorded = [
            (at_ms, change.id, change.what, change.level, "" if change.who is wire.UNSET else str(change.who))
            for at_ms, change in recording.told
        ]
        assert said_again(recording, DEMO) == recorded
