"""The generated certificates, access list and configuration on a real mosquitto: each speaks and hears only its own."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from servers import Mosquitto, wait_until

from gateway import wire
from gateway.asyncapi import CHANNELS, Channel
from gateway.broker.access import GATEWAY, WEB
from gateway.broker.client import secure
from gateway.broker.command import configuration
from gateway.config import MqttConfig

SITE, CHAIR, BOARD, OTHER = "clinic", "bay-1", "cb-000001", "cb-000002"
CHAIRSIDE = Path(sys.executable).parent / "chairside"
ROLE = {"board": BOARD, "gateway": GATEWAY, "screen": WEB}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    chairs = f'bay-1 = "{BOARD}"\nbay-2 = "{OTHER}"'
    (folder / "gateway.toml").write_text(
        f'[site]\nname = "{SITE}"\n[mqtt]\nurl = "mqtts://127.0.0.1"\n[chairs]\n{chairs}\n[journal]\npath = "j.db"\n'
    )
    command = [CHAIRSIDE, "broker", "keys", "--config", "gateway.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "keys"


@pytest.fixture(scope="module")
def broker(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    text = configuration(keys, 0).replace("listener 0", "listener {port} 127.0.0.1")
    # As root mosquitto gives its rights away and could not read the keys of this folder.
    server = Mosquitto(tmp_path_factory.mktemp("broker"), config=text + "user root\n")
    server.start()
    yield server
    server.stop()


class Client:
    """A connection with a role's certificate; `heard` are the topics of what came."""

    def __init__(self, broker: Mosquitto, keys: Path, user: str) -> None:
        if user in (GATEWAY, WEB):
            certificate, key = keys / f"{user}.pem", keys / f"{user}.key"
        else:
            certificate, key = pem_of_board(keys, user)
        config = MqttConfig(
            url=f"mqtts://127.0.0.1:{broker.port}", ca=str(keys / "ca.pem"), certificate=str(certificate), key=str(key)
        )
        self.heard: list[str] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        secure(self.client, config)
        self.client.on_message = lambda _client, _data, message: self.heard.append(message.topic)
        self.client.connect(config.host, config.port)
        self.client.loop_start()
        wait_until(self.client.is_connected, f"{user} to connect")

    def subscribe(self, *filters: str) -> None:
        """Returns when the broker knows."""
        known: list[bool] = []
        self.client.on_subscribe = lambda *_: known.append(True)
        self.client.subscribe([(one, 0) for one in filters])
        wait_until(lambda: known, "the subscription")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def pem_of_board(keys: Path, device: str) -> tuple[Path, Path]:
    """A board's files are DER; paho wants PEM."""
    own = keys / "boards" / device
    for name, kind in (("client", "x509"), ("client.key", "ec")):
        convert = ["openssl", kind, "-inform", "DER", "-in", own / f"{name}.der", "-out", own / f"{name}.pem"]
        subprocess.run(convert, check=True, capture_output=True, timeout=30)
    return own / "client.pem", own / "client.key.pem"


def topic_of(channel: Channel, device: str = BOARD, site: str = SITE) -> str:
    return channel.address.format(device=device, site=site, chair=CHAIR)


def test_each_channel_passes_in_its_direction_and_for_its_own_sender_only(broker: Mosquitto, keys: Path) -> None:
    """Of every topic of the contract, for every role: only the sender's message arrives at those who may read it; a
    board neither speaks for another nor hears what another is told."""
    readers = {"board": (GATEWAY,), "screen": (GATEWAY,), "gateway": (BOARD, WEB)}
    with (
        Client(broker, keys, GATEWAY) as gateway,
        Client(broker, keys, WEB) as web,
        Client(broker, keys, BOARD) as board,
        Client(broker, keys, OTHER) as other,
    ):
        clients = {GATEWAY: gateway, WEB: web, BOARD: board, OTHER: other}
        for client in clients.values():
            client.subscribe(*(topic_of(one) for one in CHANNELS), "chairside/v1/dev/+/ping")
        said = [
            client.client.publish(topic_of(one), f"by {id(client)}", qos=1)
            for one in CHANNELS
            for client in clients.values()
        ]
        for message in said:
            message.wait_for_publish(30)
        settle(clients)
    for one in CHANNELS:
        topic = topic_of(one)
        expected = set(readers[one.sender])
        if one.scope == "device":
            expected &= {GATEWAY, BOARD}
        elif one.sender == "gateway":
            expected &= {WEB}
        if one.sender == "gateway" and one.retain:
            expected.add(GATEWAY)  # it looks for what it left behind
        for user, client in clients.items():
            # Once: from the one who may send. Anybody else's was refused.
            assert client.heard.count(topic) == (user in expected), f"{user} and {topic}"


def settle(clients: dict[str, Client]) -> None:
    """Until nothing has come for a while."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 1.0:
        now = sum(len(client.heard) for client in clients.values())
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.05)


def test_a_board_is_refused_what_is_of_another_board_or_site(broker: Mosquitto, keys: Path) -> None:
    """Its name in the topic is its certificate's, and what it says for another board reaches nobody."""
    with Client(broker, keys, GATEWAY) as gateway, Client(broker, keys, BOARD) as board:
        gateway.subscribe("chairside/v1/dev/+/vitals")
        for device in (OTHER, BOARD):
            board.client.publish(wire.device_topic(device, "vitals"), b"{}", qos=1)
        wait_until(lambda: gateway.heard, "the board's own")
        assert gateway.heard == [wire.device_topic(BOARD, "vitals")]


def test_nobody_comes_in_without_a_certificate_of_this_clinic(broker: Mosquitto, keys: Path) -> None:
    """Without one, and with one that the clinic did not sign, there is no connection."""
    stranger = paho.Client(CallbackAPIVersion.VERSION2)
    secure(stranger, MqttConfig(url=f"mqtts://127.0.0.1:{broker.port}", ca=str(keys / "ca.pem")))
    connected: list[object] = []
    stranger.on_connect = lambda *_: connected.append(1)
    with pytest.raises(OSError):
        kept_out(stranger, broker.port)
    assert not connected


def kept_out(client: paho.Client, port: int) -> None:
    """Raises OSError when the broker ends the handshake or, later, the connection."""
    client.connect("127.0.0.1", port)
    for _ in range(100):
        if client.loop(0.1) != paho.MQTT_ERR_SUCCESS:
            raise OSError("closed")


def test_what_is_good_stays_and_keys_are_for_their_owner(keys: Path) -> None:
    """Another run makes no new authority or certificate, which would lock out every board; a missing half is said."""
    before = {path: path.read_bytes() for path in keys.rglob("*") if path.suffix in (".pem", ".key", ".der")}
    command = [CHAIRSIDE, "broker", "keys", "--config", "gateway.toml"]
    again = subprocess.run(command, cwd=keys.parent, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.rglob("*.key*"))
    (keys / "ca.key").rename(keys / "ca.away")
    refused = subprocess.run(command, cwd=keys.parent, capture_output=True, text=True, timeout=60, check=False)
    (keys / "ca.away").rename(keys / "ca.key")
    assert refused.returncode == 1
    assert "lock out every board" in " ".join(refused.stderr.split())


def test_a_certificate_without_its_key_or_of_a_namesake_is_not_good(keys: Path, tmp_path: Path) -> None:
    """A lost key is made anew with its certificate; that of another authority of the same name is left, and said."""
    site = shutil.copytree(keys.parent, tmp_path / "site")
    command = [CHAIRSIDE, "broker", "keys", "--config", "gateway.toml"]
    (site / "keys" / f"{GATEWAY}.key").unlink()
    again = subprocess.run(command, cwd=site, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 0, again.stderr
    assert (site / "keys" / f"{GATEWAY}.key").exists()
    assert (site / "keys" / f"{GATEWAY}.pem").read_bytes() != (keys / f"{GATEWAY}.pem").read_bytes()
    for name in ("ca.pem", "ca.key"):
        (site / "keys" / name).unlink()
    refused = subprocess.run(command, cwd=site, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "another authority of the same name" in " ".join(refused.stderr.split())
