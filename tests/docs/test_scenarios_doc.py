"""The page on scenarios is true: its example is a scenario that passes, its commands run, its pictures are drawings."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from gateway.cli import app
from simulators.clinic.faults import MENU
from simulators.clinic.scenario import KINDS, Deed, Drug, Event

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-a-scenario.md"
SLOW = ("sim check",)


def blocks(kind: str) -> list[str]:
    tokens = MarkdownIt("commonmark").parse(PAGE.read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == kind]


def commands() -> list[str]:
    return [line.removeprefix(".venv/bin/chairside ") for block in blocks("sh") for line in block.splitlines()]


def run(words: str, folder: Path) -> str:
    before = Path.cwd()
    os.chdir(folder)
    try:
        answer = CliRunner().invoke(app, shlex.split(words))
    finally:
        os.chdir(before)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_the_example_is_a_scenario_that_passes(tmp_path: Path) -> None:
    """Who copies the page's file and runs it sees its expectations met."""
    (tmp_path / "slow-slide.toml").write_text(blocks("toml")[0])
    assert "ok" in run("sim run slow-slide.toml", tmp_path)


@pytest.mark.parametrize("command", [c for c in commands() if not c.startswith(SLOW)])
def test_a_command_of_the_page_runs(command: str, tmp_path: Path) -> None:
    """Each is typed as it stands, in an empty folder."""
    run(command, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("command", [c for c in commands() if c.startswith(SLOW)])
def test_a_long_command_of_the_page_runs(command: str, tmp_path: Path) -> None:
    """All scenarios, with another seed than the tests use."""
    assert "scenarios passed" in run(command, tmp_path)


def test_the_page_names_every_word_of_the_format() -> None:
    """Each deed and each kind of expectation is explained."""
    page = PAGE.read_text(encoding="utf-8")
    for word in (*Deed.__args__, *Drug.__args__, *Event.__args__, *KINDS):
        assert f"`{word}`" in page, word


def test_every_fault_is_on_the_menu_that_people_see() -> None:
    """`sim list` shows each fault with what it does."""
    shown = subprocess.run(
        [ROOT / ".venv" / "bin" / "chairside", "sim", "list"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout
    for name in MENU:
        assert re.search(rf"^ *{name} ", shown, re.MULTILINE), name


def test_the_pictures_are_drawn_by_plot() -> None:
    """Each picture of the explanation is named like the scenario that it was drawn from."""
    page = (ROOT / "docs" / "explanation" / "simulation.md").read_text(encoding="utf-8")
    for name in re.findall(r"pictures/([a-z-]+)\.svg", page):
        assert (ROOT / "simulators" / "scenarios" / f"{name}.toml").exists()
        assert "simulated, protocol" in (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
