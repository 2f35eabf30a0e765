"""Exploring: nothing is found in the gateway as it is, and what is planted on purpose is found and shrunk."""

import dataclasses
from pathlib import Path

import pytest
from planted import PLANTED
from typer.testing import CliRunner

from simulators.cli import app
from simulators.clinic.run import run
from simulators.clinic.scenario import load
from simulators.explore import draw
from simulators.explore.search import Played, play, played
from simulators.explore.shrink import shrunk
from simulators.explore.tell import toml

SEEDS = 50
HAPPENINGS_MAX = 6


def models(seeds: range) -> list[int]:
    return [seed for seed in seeds if seed % draw.FIRMWARE_EACH]


def found(name: str) -> Played:
    """The first stay in which the planted mistake is seen, with what was seen of it first."""
    for seed in models(range(1, SEEDS + 1)):
        one = play(draw.stay(seed))
        seen = tuple(entry for entry in one.broken if entry["invariant"] in PLANTED[name][1])
        if seen:
            return dataclasses.replace(one, broken=seen)
    pytest.fail(f"{name}: not found within {SEEDS} seeds")


def test_a_few_stays_come_out_right() -> None:
    """What must always be true is true in the first stays."""
    for one in played(models(range(1, 8))):
        assert not one.broken, (one.seed, one.broken[0])


def test_a_seed_is_always_the_same_stay() -> None:
    """Drawn and played twice: the same story, the same log, byte for byte."""
    first, second = draw.stay(3), draw.stay(3)
    assert first == second
    assert run("first", first).log.text() == run("second", second).log.text()


def test_a_planted_mistake_is_found_shrunk_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is a scenario that anybody can run: it fails with the mistake, and passes without it."""
    name = "what is unknown counts as met"
    with monkeypatch.context() as patch:
        PLANTED[name][0](patch)
        one = found(name)
        story, _ = shrunk(draw.stay(one.seed), one)
        (tmp_path / "short.toml").write_text(toml(story))
        again = run("short", load(tmp_path / "short.toml"))
        assert not again.good
    assert len(story.at) <= HAPPENINGS_MAX
    after = run("short", load(tmp_path / "short.toml"))
    assert after.good, [verdict.sentence for verdict in after.verdicts if not verdict.good]


def test_the_command_names_the_seed_and_writes_the_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure ends with 1; its seed, its sentence and the command that shows it again are printed."""
    PLANTED["what is unknown counts as met"][0](monkeypatch)
    result = CliRunner().invoke(app, ["explore", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)])
    assert result.exit_code == 1, result.output
    assert "Seed 1" in result.output
    assert "Seeds that failed: 1" in result.output
    assert not run("again", load(tmp_path / "seed-1.toml")).good


@pytest.mark.long
@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_mistake_is_found_within_fifty_seeds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And shrunk to a handful of happenings that still show it."""
    PLANTED[name][0](monkeypatch)
    one = found(name)
    story, why = shrunk(draw.stay(one.seed), one)
    assert len(story.at) <= HAPPENINGS_MAX, toml(story)
    print(f"\n  {name}: seed {one.seed}, {len(story.at)} happenings in {story.duration}: {why}", end="")


@pytest.mark.long
def test_two_hundred_stays_come_out_right() -> None:
    """Ten of them with the real firmware."""
    result = CliRunner().invoke(app, ["explore", "--seeds", "200"])
    assert result.exit_code == 0, result.output
    assert "Nothing was found" in result.output
    print(f"\n  {result.output.splitlines()[-2]}", end="")
