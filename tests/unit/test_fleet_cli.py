"""`chairside fleet` on bad input, and the configuration it writes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.config import load


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--broker", "http://broker"], "--broker"),
        (["--chairs", "0"], "--chairs"),
        (["--rate", "50"], "--rate"),
        (["--alarms", "1.5"], "--alarms"),
        (["--write-config", "/nowhere/fleet.toml"], "--write-config"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(words: list[str], named: str) -> None:
    """With 2, naming the option."""
    answer = CliRunner().invoke(app, ["fleet", *words])
    assert answer.exit_code == 2
    assert named in answer.output


def test_it_writes_the_configuration_of_a_gateway(tmp_path: Path) -> None:
    """For as many chairs, and says how to go on."""
    path = tmp_path / "fleet.toml"
    answer = CliRunner().invoke(app, ["fleet", "--write-config", str(path), "--chairs", "7"])
    assert answer.exit_code == 0
    assert "chairside gateway --config" in answer.output
    assert len(load(path, environment={}).chairs) == 7


def test_a_broker_that_is_not_there_ends_with_one_and_says_so() -> None:
    """Port 1 of this machine has none."""
    answer = CliRunner().invoke(app, ["fleet", "--chairs", "1", "--seconds", "1", "--broker", "mqtt://127.0.0.1:1"])
    assert answer.exit_code == 1
    assert "The run stopped" in answer.output
