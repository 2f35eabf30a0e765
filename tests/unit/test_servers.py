"""The fixtures' promise: a missing server fails with the command that installs it."""

import pytest
import servers


def test_a_missing_server_fails_with_the_command_that_installs_it(monkeypatch):
    """It never skips: a test that did not run must not look like one that passed."""
    monkeypatch.setattr(servers.shutil, "which", lambda name, path: None)
    with pytest.raises(servers.MissingServer, match=r"mosquitto .* Run: sudo apt-get install mosquitto influxdb"):
        servers.program("mosquitto")


def test_a_server_that_dies_says_why(tmp_path):
    """Its last words are in the failure, not in a directory that is gone."""

    class Dying(servers.Server):
        name = "dying"

        def command(self):
            return ["sh", "-c", "echo no licence; exit 3"]

        def answers(self):
            return False

    with pytest.raises(AssertionError, match=r"dying ended with 3:\nno licence"):
        Dying(tmp_path).start()
