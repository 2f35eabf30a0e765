"""A scenario in real time against a real broker: the same story, the same board live, a gateway process of its own.

For looking at it on the wall page, and for finding what the model of broker, journal and clocks leaves out. What a
fault does to the modelled network, gateway or costs cannot be done to real ones from here: `VIRTUAL_ONLY` names them.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from gateway import wire
from simulators.agenda import Agenda
from simulators.clinic.bay import CHAIR, DEVICE, SITE, Bay, board_in, world_of
from simulators.clinic.faults import MENU
from simulators.world.patient import Patient

VIRTUAL_ONLY = {
    "samples lost", "clock drift", "flash full", "wifi loss", "dns loss", "half-open link", "packet delay",
    "packet loss", "packet duplication", "packet reordering", "broker restart", "gateway crash", "clock step",
    "no clock",
}  # fmt: skip
LOOK_S = 0.02


class LiveChair(Bay):
    """What `Chair` is in virtual time, as far as a scenario needs it. Use as a context manager."""

    menu: ClassVar = {name: fault for name, fault in MENU.items() if name not in VIRTUAL_ONLY}

    def __init__(
        self, protocol: str, folder: Path, *, broker: tuple[str, int], seed: int, patient: Patient, same_limb: bool
    ) -> None:
        world = world_of(patient, seed, same_limb=same_limb)
        self.board = board_in(folder, world, mode="live", broker=broker, same_limb=same_limb)
        super().__init__(patient, self.board, Agenda(), screen=f"live-{time.time_ns():x}")
        self._broker, self._folder, self._protocol = broker, folder, protocol
        self._arrived: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._connected
        self._client.on_message = self._message
        self._gateway: subprocess.Popen[bytes] | None = None
        self._began_us = 0

    def __enter__(self) -> LiveChair:
        self._client.connect(*self._broker)  # first: without a broker nothing need be started
        config = self._folder / "gateway.toml"
        sections: dict[str, dict[str, str]] = {
            "site": {"name": SITE},
            "mqtt": {"url": f"mqtt://{self._broker[0]}:{self._broker[1]}"},
            "chairs": {CHAIR: DEVICE},
            "protocols": {"default": self._protocol},
            "journal": {"path": str(self._folder / "journal.db")},
        }
        # A JSON string is a TOML one too.
        config.write_text(
            "\n".join(
                f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())
                for name, section in sections.items()
            )
        )
        with (self._folder / "gateway.log").open("wb") as log:
            self._gateway = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "gateway", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._client.loop_start()
        self._began_us = time.monotonic_ns() // 1000
        self.board.start()
        self.agenda.every(1_000_000, self.notes.each_second, 1_000_000)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.kill()
        self._client.disconnect()
        self._client.loop_stop()
        if self._gateway is not None:
            self._gateway.terminate()
            self._gateway.wait()

    def run_for(self, seconds: float) -> None:
        """Let real time pass. Raises BoardError; RuntimeError when the gateway's process ends."""
        end_us = self._now_us() + round(seconds * 1e6)
        while (now_us := self._now_us()) < end_us:
            self.agenda.run_until(now_us)
            while not self._arrived.empty():
                self._take(*self._arrived.get())
            self.board.check()
            if self._gateway is not None and self._gateway.poll() is not None:
                raise RuntimeError((self._folder / "gateway.log").read_text(errors="replace")[-2000:])
            time.sleep(LOOK_S)

    def _say(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def _now_us(self) -> int:
        return time.monotonic_ns() // 1000 - self._began_us

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(wire.device_topic(DEVICE, "#"), qos=1)
        for leaf, qos in (("state", 0), ("alarm", 1), ("done", 1)):
            client.subscribe(wire.chair_topic(SITE, CHAIR, leaf), qos=qos)

    def _message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.payload and not message.retain:
            self._arrived.put((message.topic, bytes(message.payload)))

    def _take(self, topic: str, payload: bytes) -> None:
        leaf = topic.rsplit("/", 1)[1]
        if leaf == "state":
            self.notes.changed(wire.decode(payload, wire.State, wire.STATE_BYTES_MAX))
        elif leaf == "alarm":
            self.notes.alarm(wire.decode(payload, wire.AlarmTransition))
        elif leaf == "done":
            self.notes.done(wire.decode(payload, wire.Done))
        elif leaf in wire.BOARD_TOPICS:
            self.notes.told(wire.decode(payload, wire.BOARD_TOPICS[leaf]))
