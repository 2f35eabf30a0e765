"""`chairside bench update send` against a real broker and a board in real time."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import updates
from chair_board import DEVICE, topic
from servers import Mosquitto, Server
from typer.testing import CliRunner

from gateway.cli import app
from simulators.conductor import SimBoard
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient


class Beat:
    """As much of a gateway as a board on trial must hear."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        beat = 0
        while not self._over.wait(1.0):
            beat += 1
            message = {"v": 1, "run": "g", "beat": beat, "level": "none", "sound": False, "session": ""}
            self._client.publish(topic("annunciate"), json.dumps(message | {"cuff_interval_s": 0}), 1)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(make_server: Any) -> Iterator[Server]:
    server: Server = make_server(Mosquitto)
    beat = Beat(server.port)
    yield server
    beat.close()


@pytest.mark.long
def test_a_bundle_is_sent_tried_and_confirmed(broker: Server, tmp_path: Path) -> None:
    """One command brings it there and ends with 0 when the board stands by it; the same again is refused with 1."""
    updates.provision(tmp_path / "flash")
    bundle = tmp_path / "update.zip"
    updates.signed(updates.changed(tmp_path, "0.9.0"), 7).write(bundle)
    board = SimBoard(DEVICE, ChairWorld(Patient()), tmp_path / "flash", mode="live", broker=("127.0.0.1", broker.port))
    board.start()
    words = ["bench", "update", "send", DEVICE, str(bundle), "--url", f"mqtt://127.0.0.1:{broker.port}"]
    done = CliRunner().invoke(app, words)
    print(done.output)
    assert done.exit_code == 0
    assert "slot a, confirmed" in done.output
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 1
    assert "make it with a higher one" in again.output
    assert len(board.resets) == 4  # to make room, to try it, and to make room for the second
    board.check()
    board.kill()
