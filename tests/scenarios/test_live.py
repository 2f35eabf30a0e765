"""A scenario in real time: the same file against mosquitto and a gateway process."""

from pathlib import Path

import pytest
from servers import Server
from typer.testing import CliRunner

from simulators.cli import app
from simulators.clinic.faults import MENU
from simulators.clinic.live import VIRTUAL_ONLY

STORY = """\
title = "The probe comes off"
story = "For looking at it live."
protocol = "demo"
duration = "45 s"

[[at]]
time = "12 s"
staff = "start"
baseline = "122/79 mmHg"

[[at]]
time = "16 s"
fault = "probe off"

[[expect]]
alarm = "finger_off"
level = "medium"
not_before = "28 s"
by = "44 s"

[[expect]]
must_not_sound = "spo2_low"
"""


def test_what_cannot_be_done_live_is_on_the_menu() -> None:
    """The list of what only the virtual clinic has names faults that there are."""
    assert set(MENU) >= VIRTUAL_ONLY


def test_a_fault_that_is_only_virtual_is_refused_live(tmp_path: Path) -> None:
    """Rather than a story in which nothing happens."""
    (tmp_path / "story.toml").write_text(STORY.replace("probe off", "wifi loss"))
    result = CliRunner().invoke(app, ["run", str(tmp_path / "story.toml"), "--live"])
    assert result.exit_code == 2
    assert "'wifi loss' is virtual only" in result.output


def test_a_broker_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One sentence with the address, and 1."""
    (tmp_path / "story.toml").write_text(STORY)
    words = ["run", str(tmp_path / "story.toml"), "--live", "--broker", "mqtt://127.0.0.1:1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "mqtt://127.0.0.1:1" in result.output


@pytest.mark.long
def test_a_scenario_runs_live(tmp_path: Path, mosquitto: Server) -> None:
    """Real broker, real gateway process, real time: the same expectations, met."""
    (tmp_path / "story.toml").write_text(STORY)
    words = ["run", str(tmp_path / "story.toml"), "--live", "--broker", f"mqtt://127.0.0.1:{mosquitto.port}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
