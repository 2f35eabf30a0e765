"""The gateway as a process of its own, and an MQTT client that plays boards and screens."""

import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from servers import Server, wait_until

from gateway import wire

M = TypeVar("M", bound=wire.Message)
BOOT = "00112233445566aa"


class Gateway(Server):
    """`chairside gateway`. Ready when its log says what it runs; it need not have a broker yet."""

    name = "gateway"

    def __init__(self, folder: Path, mqtt_url: str, site: str, chairs: dict[str, str], influx: str = "") -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.journal = folder / "journal.db"
        self.config = folder / "gateway.toml"
        listed = "\n".join(f'{chair} = "{device}"' for chair, device in chairs.items())
        self.config.write_text(
            f'[site]\nname = "{site}"\n[mqtt]\nurl = "{mqtt_url}"\n[chairs]\n{listed}\n'
            f'[journal]\npath = "{self.journal}"\n{influx}'
        )

    def command(self) -> list[str]:
        self._before = len(self.log())
        return [sys.executable, "-m", "gateway.cli", "gateway", "--config", str(self.config)]

    def answers(self) -> bool:
        return "gateway of" in self.log()[self._before :]

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


class Client:
    """A client that keeps what arrives, oldest first. Use as a context manager."""

    def __init__(self, port: int, *filters: str) -> None:
        self.arrived: list[paho.MQTTMessage] = []
        self._subscribed = threading.Event()
        self._filters = filters
        self._port = port
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _data, message: self.arrived.append(message)

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in self._filters] or [("nothing", 0)])

    def __enter__(self) -> "Client":
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: bytes | wire.Message, *, retain: bool = False, qos: int = 1) -> None:
        body = payload if isinstance(payload, bytes) else wire.encode(payload)
        self._client.publish(topic, body, qos, retain).wait_for_publish(30)

    def clear(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self.say(topic, b"", retain=True)

    def all(self, topic: str, kind: type[M]) -> list[M]:
        return [msgspec.json.decode(m.payload, type=kind) for m in self.arrived if m.topic == topic and m.payload]

    def next(self, topic: str, kind: type[M], fits: Callable[[M], bool], what: str, within_s: float = 30) -> M:
        """The first message of a topic that fits, now or later."""

        def found() -> list[M]:
            return [message for message in self.all(topic, kind) if fits(message)][:1]

        return wait_until(found, what, within_s)[0]


class Watch:
    """Waits for a gateway that listens: its heartbeat follows its subscriptions on the same connection."""

    def __init__(self, client: Client, site: str) -> None:
        self._client, self._topic = client, wire.gateway_topic(site)
        self._runs: set[str] = set()

    def next_run(self) -> str:
        """The run of a gateway that was not seen before."""
        beat = self._client.next(
            self._topic, wire.Heartbeat, lambda beat: beat.online and beat.run not in self._runs, "a new gateway"
        )
        self._runs.add(beat.run)
        return beat.run


class Board:
    """Says what a board says, with its own clock and numbers."""

    def __init__(self, client: Client, device: str, boot: str = BOOT) -> None:
        self.client, self.device, self.boot = client, device, boot
        self.seq = 0
        self._began = time.monotonic()

    def up_ms(self) -> int:
        return int((time.monotonic() - self._began) * 1000) + 1_000

    def status(self) -> None:
        birth = wire.Status(boot=self.boot, conn=1, online=True, firmware="0.1.0")
        self.client.say(wire.device_topic(self.device, "status"), birth, retain=True)

    def vitals(self, **changes: Any) -> wire.Vitals:
        self.seq += 1
        given: dict[str, Any] = {
            "boot": self.boot, "seq": self.seq, "base": 1, "up_ms": self.up_ms(), "age_ms": 100, "quality": "good",
            "sqi_pct": 95.0, "spo2_pct": 97.0, "pulse_bpm": 70.0,
        }  # fmt: skip
        message = wire.Vitals(**(given | changes))
        self.client.say(wire.device_topic(self.device, "vitals"), message)
        return message
