"""A gateway of a thousand chairs does not look at each calm one ten times a second; nothing may come later for it."""

import random
from collections.abc import Iterator

from core_helpers import SEEN_WELL, Story, published
from msgspec.structs import replace

from gateway import wire
from gateway.core import chair, passing
from gateway.core.chair_state import Tick
from gateway.core.outputs import Output, Publish, Snapshot

SEEDS = 30
LOOK_MS = passing.SETTLED_MS_MAX


class Restless(Story):
    """Looks at its chairs at every tick, as if nothing were ever settled."""

    def tick(self) -> list[Output]:
        for name, state in self.engine.chairs.items():
            self.engine.chairs[name] = replace(state, settled_mono_ms=0)
        return super().tick()


def stay(story: Story, seed: int) -> Iterator[tuple[int, Output]]:
    """Two minutes of one stay, by the seed: falls of saturation, silences, fingers off, a cuff, an acknowledgement."""
    chance = random.Random(seed)
    story.starts()
    story.vitals()
    story.doses("first", "end")
    story.cuff()
    story.does(SEEN_WELL)
    silent_until_ms, spo2_pct, quality = 0, 97.0, "good"
    for _ in range(1_200):
        seen = len(story.outputs)
        story.passes(0.1)
        if chance.random() < 0.004:
            silent_until_ms = story.now_ms + chance.randrange(2_000, 40_000)
        if chance.random() < 0.01:
            spo2_pct, quality = chance.choice([97.0, 97.0, 88.0, 83.0]), chance.choice(["good", "good", "no_finger"])
        if story.now_ms >= silent_until_ms and chance.random() < 0.1:
            story.vitals(**({"spo2_pct": spo2_pct} if quality == "good" else {"quality": quality}))
        if chance.random() < 0.005:
            story.does(wire.Acknowledge())
        yield from ((story.now_ms, output) for output in story.outputs[seen:])


def alarms(told: list[tuple[int, Output]]) -> list[tuple[int, str, str, str]]:
    return [(at_ms, a.rule, a.what, a.level) for at_ms, o in told for a in published(wire.AlarmTransition, [o])]


def readiness(told: list[tuple[int, Output]]) -> list[tuple[int, str]]:
    """Each change of readiness as a display sees it."""
    changes: list[tuple[int, str]] = []
    for at_ms, output in told:
        for state in published(wire.State, [output]):
            if not changes or changes[-1][1] != state.readiness.state:
                changes.append((at_ms, state.readiness.state))
    return changes


def test_no_alarm_comes_later_because_a_calm_chair_is_not_looked_at() -> None:
    """For every seed the alarms are the same, at the same tick, as those of a gateway that always looks."""
    raised = 0
    for seed in range(SEEDS):
        calm, restless = list(stay(Story(), seed)), list(stay(Restless(), seed))
        assert alarms(calm) == alarms(restless), f"seed {seed}"
        raised += sum(what == "raised" for _, _, what, _ in alarms(calm))
    assert raised > SEEDS  # the stories tell something


def test_readiness_is_lost_at_once_and_met_at_most_a_look_later() -> None:
    """What may be met by time alone may wait; what is over may not."""
    changes = 0
    for seed in range(SEEDS):
        calm, restless = readiness(list(stay(Story(), seed))), readiness(list(stay(Restless(), seed)))
        assert [state for _, state in calm] == [state for _, state in restless], f"seed {seed}"
        for (at_ms, state), (at_once_ms, _) in zip(calm, restless, strict=True):
            late_ms = at_ms - at_once_ms
            assert 0 <= late_ms <= (LOOK_MS if state == "CRITERIA_MET" else 0), f"seed {seed}: {state}"
        changes += len(calm)
    assert changes > SEEDS


def test_a_settled_chair_costs_nothing_at_a_tick() -> None:
    """The state is the very same object: nothing was judged."""
    story = Story()
    story.starts()
    story.vitals()
    state = story.chair()
    assert state.settled_mono_ms > story.now_ms
    after, decisions = chair.step(story.engine.protocols, state, Tick(), story.now_ms)
    assert after is state
    assert decisions == []


def test_what_is_due_each_second_is_spread_over_it() -> None:
    """With a hundred chairs no tick after the first second has to tell or keep more than a quarter of them."""
    story = Story(chairs={f"bay-{n}": f"cb-{n:06d}" for n in range(1, 101)})
    story.engine.connected(story.now_ms, story.utc_ms)
    for board in story.chairs.values():
        story.vitals(board)
    for second in range(3):
        told = dict.fromkeys(story.chairs, 0)
        for _ in range(10):
            outputs = story.passes(0.1)
            publications = [o for o in outputs if isinstance(o, Publish)]
            for leaf in ("annunciate", "ack"):
                assert sum(o.topic.endswith(f"/{leaf}") for o in publications) <= 25, second
            assert sum(isinstance(o, Snapshot) for o in outputs) <= 50, second
            for output in publications:
                if output.topic.endswith("/annunciate"):
                    told[next(c for c, b in story.chairs.items() if f"/{b}/" in output.topic)] += 1
        assert set(told.values()) == {1}, second
        for board in story.chairs.values():
            story.vitals(board)
