"""`chairside sim`: what people type."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from servers import Server
from typer.testing import CliRunner

from simulators.cli import app


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.output


@pytest.mark.parametrize("command", ["board", "calibrate", "list", "run", "check", "record", "plot"])
def test_help_shows_an_example(command: str) -> None:
    """Every command explains itself with an example."""
    code, output = run(command, "--help")
    assert code == 0
    assert f"chairside sim {command}" in " ".join(output.split())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--broker", "localhost"], "mqtt://host:1883"),
        (["--broker", "mqtt://localhost:99999"], "65535"),
        (["--sys", "80", "--dia", "90"], "must be below"),
        (["--calibration", "/nowhere.json"], "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence_and_2(words: list[str], named: str) -> None:
    """What was found and what is allowed, on one line."""
    code, output = run("board", *words)
    assert code == 2
    assert named in output
    assert len(output.strip().splitlines()) == 1


def test_a_board_prints_what_it_publishes(mosquitto: Server) -> None:
    """Against a real broker the vitals appear, and the command ends by itself."""
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    code, output = run("board", "--device", "cb-0000c7", "--broker", url, "--seconds", "4")
    assert code == 0
    assert '"quality"' in output


def test_a_board_without_a_broker_fails_and_says_so() -> None:
    """Nothing published is a failure that names the address."""
    code, output = run("board", "--broker", "mqtt://127.0.0.1:1", "--seconds", "1.5")
    assert code == 1
    assert "mqtt://127.0.0.1:1" in output


def test_calibrate_writes_what_a_board_takes(tmp_path: Path) -> None:
    """The file is for that device and names everything that was fitted."""
    out = tmp_path / "calibration.json"
    code, _ = run("calibrate", "--device", "cb-0000c8", "--seed", "8", "--out", str(out))
    assert code == 0
    made = json.loads(out.read_text())
    assert made["device"] == "cb-0000c8"
    assert {"spo2", "spo2_ratio_range", "cuff_ratios", "pressure"} <= made.keys()


STORY = """\
title = "Nothing happens"
story = "A patient sits."
protocol = "demo"
duration = "20 s"

[[expect]]
EXPECTED
"""


@pytest.mark.parametrize(
    ("expected", "exits", "said"),
    [
        ('must_not_sound = "any"', 0, "20 s in"),
        (
            'alarm = "silence"\nby = "15 s"\nbecause = "It is wrong on purpose."',
            1,
            "it was not raised. It is wrong on purpose.",
        ),
        ('alarm = "silense"\nby = "15 s"', 2, "story.toml:7: demo has no rule 'silense'"),
    ],
)
def test_run_ends_with_what_came_of_it(tmp_path: Path, expected: str, exits: int, said: str) -> None:
    """0 when all came as expected, 1 with a sentence when not, 2 with the line when the file cannot be told."""
    (tmp_path / "story.toml").write_text(STORY.replace("EXPECTED", expected))
    code, output = run("run", str(tmp_path / "story.toml"))
    assert code == exits, output
    assert said in " ".join(output.split())


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    """One sentence, and the names there are."""
    code, output = run("run", "alien-landing")
    assert code == 2
    assert "there is no scenario 'alien-landing'; there are above-the-cuff," in output


def test_plot_draws_and_record_writes(tmp_path: Path) -> None:
    """A picture that is well-formed and the same each time; a table and a log."""
    story = tmp_path / "story.toml"
    story.write_text(STORY.replace("EXPECTED", 'must_not_sound = "any"'))
    pictures = []
    for name in ("one.svg", "two.svg"):
        assert run("plot", str(story), "--out", str(tmp_path / name))[0] == 0
        pictures.append((tmp_path / name).read_text())
    assert ElementTree.fromstring(pictures[0]).tag.endswith("svg")
    assert pictures[0] == pictures[1]
    assert run("record", str(story), "--out", str(tmp_path / "out"))[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["story.csv", "story.jsonl"]
