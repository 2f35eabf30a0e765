"""The parts of exploring by themselves: drawn stays as files, shrinking, the outbox and the model of a board."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway import wire
from simulators.clinic.outbox import AGAIN_MAX, UNCOVERED_US, Outbox
from simulators.clinic.run import run
from simulators.clinic.scenario import FOLDER, At, Change, Scenario, load
from simulators.explore import draw
from simulators.explore.search import Played
from simulators.explore.shrink import shrunk
from simulators.explore.tell import toml

BOOT = "00000000000000b1"


@pytest.mark.parametrize("seed", range(1, 41))
def test_a_drawn_stay_is_a_file_that_is_read_as_it_was_drawn(seed: int, tmp_path: Path) -> None:
    """With the firmware or with a model, each of them fits the format that people write."""
    path = tmp_path / "stay.toml"
    path.write_text(toml(draw.stay(seed)))
    assert load(path) == draw.stay(seed)


def falls_and_is_acknowledged(story: Scenario) -> Played:
    """A player to whom something is wrong when a fall of saturation is acknowledged."""
    falls = [one.at_s for one in story.at if one.patient is not None and one.patient.spo2 == "82 %"]
    deeds = [one.at_s for one in story.at if one.staff == "acknowledge"]
    wrong = [at_s for at_s in deeds if falls and at_s > falls[0] and at_s < story.duration_s]
    entry = {"invariant": "alarm_not_hidden", "subject": "x", "why": "x"}
    broken = tuple({"at_ms": at_s * 1000, **entry} for at_s in wrong)
    return Played(story.seed, story.duration_s, 0.0, False, 0, 0, broken)


def test_shrinking_leaves_what_it_takes_and_no_more() -> None:
    """Of a long stay remain the fall and the deed, at once, soon after one another, and the story ends there."""
    fall = At(time="100.4 s", patient=Change(spo2="82 %", over="20 s"))
    deed = At(time="203.7 s", staff="acknowledge")
    at = sorted([*draw.stay(7).at, fall, deed], key=lambda one: one.at_s)
    story = replace(draw.stay(7), at=at, duration="300 s")
    short, _ = shrunk(story, falls_and_is_acknowledged(story), falls_and_is_acknowledged)
    assert [(one.patient, one.staff) for one in short.at] == [(Change(spo2="82 %"), None), (None, "acknowledge")]
    assert short.duration_s < 40
    assert [expect.invariant for expect in short.expect] == ["alarm_not_hidden"]


def made(outbox: Outbox, kind: type[wire.Record], /, **given: object) -> wire.Record:
    return outbox.made(kind, boot=BOOT, up_ms=1000, **given)


def test_a_modelled_board_sends_again_what_nobody_acknowledged() -> None:
    """Pressures and events first, at most five at a time, late; what is acknowledged is gone and `base` follows."""
    outbox = Outbox()
    for _ in range(6):
        made(outbox, wire.Vitals, quality="no_finger", sqi_pct=0.0)
    made(outbox, wire.Event, kind="button", name="call")
    outbox.acknowledged(wire.Ack(boot=BOOT, run="r", upto=1, have=[(3, 3)]), now_us=0)
    again = outbox.again(1_000_000)
    assert [record.seq for record in again] == [7, 2, 4, 5, 6]
    assert len(again) == AGAIN_MAX
    assert {(record.base, record.late) for record in again} == {(2, True)}
    assert outbox.again(2_000_000) == []
    assert outbox.again(1_000_000 + UNCOVERED_US) == []  # no acknowledgement came for so long


@pytest.mark.parametrize("name", ["breathing-stops", "desaturation", "gateway-crash", "slow-pulse", "wifi-loss"])
def test_the_model_of_a_board_does_in_a_story_what_the_firmware_does(name: str) -> None:
    """The same file, the same expectations met."""
    done = run(name, replace(load(FOLDER / f"{name}.toml"), board="model"))
    assert done.good, [verdict.sentence for verdict in done.verdicts if not verdict.good]
