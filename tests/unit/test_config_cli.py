"""The command line: what it says to bad input, and that a gateway needs no simulator."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import app

EXAMPLE = Path(__file__).parents[2] / "gateway" / "gateway.example.toml"
run = CliRunner().invoke


def test_a_good_configuration_is_shown():
    """Chairs with their boards, the broker, and the protocols that were read."""
    answer = run(app, ["check-config", "--config", str(EXAMPLE)])
    assert answer.exit_code == 0
    for words in ("bay-1", "cb-000001", "127.0.0.1:1883", "demo"):
        assert words in answer.output


@pytest.mark.parametrize("command", ["gateway", "web", "check-config"])
def test_a_missing_configuration_ends_with_2_and_one_sentence(tmp_path, command):
    """The same words for each command that reads it."""
    answer = run(app, [command, "--config", str(tmp_path / "none.toml")])
    assert answer.exit_code == 2
    assert "no such file; allowed: a copy of gateway/gateway.example.toml" in answer.output
    assert len(answer.output.splitlines()) == 1


def test_a_secret_is_not_shown(tmp_path):
    """check-config is what people paste into a question."""
    text = EXAMPLE.read_text().replace("mqtt://127.0.0.1:1883", "mqtt://ann:hunter2@broker")
    (tmp_path / "gateway.toml").write_text(
        text + '[influx]\nversion = 1\nurl = "http://ann:hunter2@db"\ndatabase = "d"\npassword = "hunter2"\n'
    )
    answer = run(app, ["check-config", "--config", str(tmp_path / "gateway.toml")])
    assert answer.exit_code == 0
    assert "hunter2" not in answer.output


def test_every_command_shows_an_example():
    """--help is where people look first."""
    for name, command in typer.main.get_command(app).commands.items():
        if not hasattr(command, "commands"):
            assert "Example: chairside " + name in (command.help or ""), name


WITHOUT = """
import sys
for name in ("simulators", "numpy", "amqtt"):
    sys.modules[name] = None
sys.argv = ["chairside", *sys.argv[1:]]
from gateway.cli import app
app()
"""


@pytest.mark.parametrize(("command", "code"), [("sim", 1), ("demo", 1), ("check-config", 0)])
def test_a_pi_without_the_simulator_runs_the_gateway(command, code):
    """Parts that are not installed say so when they are asked for, and hold up nothing else."""
    arguments = ["--config", str(EXAMPLE)] if command == "check-config" else []
    answer = subprocess.run(
        [sys.executable, "-c", WITHOUT, command, *arguments], capture_output=True, text=True, check=False
    )
    assert answer.returncode == code
    assert ("pip install 'chairside[sim]'" in answer.stderr) == (code == 1)
    assert "Traceback" not in answer.stderr


def test_the_gateway_starts_without_loading_the_simulator():
    """It must be back within two seconds of a crash; numpy and the simulated world have no part in it."""
    probe = (
        "import sys; sys.argv = ['chairside', 'gateway']; import gateway.cli, gateway.service;"
        "print([m for m in ('numpy', 'simulators', 'influxdb_client', 'uvicorn') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
