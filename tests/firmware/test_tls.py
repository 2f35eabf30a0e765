"""TLS between the firmware and a real broker: only the right certificates connect, and the console says why others
do not. In virtual time: no handshake while there is air in the cuff."""

import getpass
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority
from chair_board import DEVICE, Chair, topic
from servers import Mosquitto, wait_until

from simulators import mqtt_packets as mqtt
from simulators.conductor import SimBoard
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

FILES = {"ca.der": "ca.der", "client.der": "client.der", "client.key.der": "client.key.der"}


class TlsMosquitto(Mosquitto):
    """Shows the certificate `server`, and takes only clients of the CA `ca`."""

    def __init__(self, folder: Path, certificates: Path, server: str) -> None:
        super().__init__(folder)
        self.certificates, self.server = certificates, server

    def command(self) -> list[str]:
        command = super().command()
        with Path(command[-1]).open("a") as config:
            config.write(
                f"user {getpass.getuser()}\nrequire_certificate true\ncafile {self.certificates}/ca.pem\n"
                f"certfile {self.certificates}/{self.server}.pem\nkeyfile {self.certificates}/{self.server}.key\n"
            )
        return command

    def said(self) -> str:
        return self.log_path.read_text(errors="replace")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    ours, other = Authority(folder, "ca"), Authority(folder, "other")
    here = ("DNS:localhost", "IP:127.0.0.1")
    ours.give("server", *here)
    ours.give("expired", *here, from_days=-30, to_days=-1)
    ours.give("early", *here, from_days=2)
    ours.give("elsewhere", "DNS:elsewhere.example")
    ours.give("client", f"DNS:{DEVICE}")
    other.give("foreign", f"DNS:{DEVICE}")
    return folder


@pytest.fixture
def broker(certificates: Path, tmp_path: Path) -> Iterator[Callable[[str], TlsMosquitto]]:
    """`broker(name)`: started with that certificate."""
    started: list[TlsMosquitto] = []

    def start(server: str) -> TlsMosquitto:
        started.append(TlsMosquitto(tmp_path, certificates, server))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def board(certificates: Path, tmp_path: Path) -> Iterator[Callable[..., SimBoard]]:
    """`board(port, file=certificate, ...)`: switched on, with those files in its flash instead of the right ones."""
    started: list[SimBoard] = []

    def start(port: int, **files: str | None) -> SimBoard:
        flash = tmp_path / "flash"
        provision(certificates, flash, files)
        world = ChairWorld(Patient())
        board = SimBoard(DEVICE, world, flash, mode="live", broker=("localhost", port), settings={"tls": True})
        started.append(board)
        board.start()
        return board

    yield start
    for each in started:
        each.kill()


def provision(certificates: Path, flash: Path, files: dict[str, str | None]) -> None:
    flash.mkdir(parents=True)
    for name, usual in FILES.items():
        source = files.get(name, usual)
        if source is not None:
            shutil.copy(certificates / source, flash / name)


def console(board: SimBoard) -> str:
    board.check()
    return board.log_path.read_text() if board.log_path.exists() else ""


def test_with_the_right_certificates_it_connects_and_publishes(
    broker: Callable[[str], TlsMosquitto], board: Callable[..., SimBoard]
) -> None:
    """The whole way: handshake, login, birth and records, over TLS; nothing is complained of."""
    server = broker("server")
    chair = board(server.port)
    wait_until(lambda: len([p for p in chair.published if p.topic == topic("vitals")]) >= 3, "three readings", 20)
    assert console(chair) == ""
    assert chair.resets == [1]
    assert f"as {DEVICE}" in server.said()


@pytest.mark.parametrize(
    ("server", "files", "why"),
    [
        ("server", {"ca.der": "other.der"}, "wrong CA: ca.der has not signed the broker's certificate"),
        ("expired", {}, "the broker's certificate has expired"),
        ("early", {}, "the broker's certificate is not valid yet"),
        ("elsewhere", {}, "the broker's certificate is not for mqtt_host"),
        ("server", {"client.der": "foreign.der", "client.key.der": "foreign.key.der"}, "client.der"),
        ("server", {"ca.der": None}, "ca.der is missing"),
        ("server", {"client.key.der": None}, "client.key.der is missing"),
        ("server", {"client.der": "client.key.der"}, "cannot be used"),
    ],
    ids=["wrong CA", "expired", "early", "other host", "foreign client", "no CA", "no key", "no certificate"],
)
def test_what_does_not_fit_does_not_connect_and_the_console_says_why(
    broker: Callable[[str], TlsMosquitto],
    board: Callable[..., SimBoard],
    server: str,
    files: dict[str, str | None],
    why: str,
) -> None:
    """It keeps trying and keeps measuring, but nobody is let in and nothing is told to anybody."""
    at = broker(server)
    chair = board(at.port, **files)
    wait_until(lambda: why in console(chair), why, 20)
    assert "chairside: no link: TLS: " in console(chair)
    assert f"as {DEVICE}" not in at.said()
    assert chair.published == []
    assert chair.resets == [1]


def test_when_the_broker_has_a_good_certificate_again_it_connects_by_itself(
    broker: Callable[[str], TlsMosquitto], board: Callable[..., SimBoard]
) -> None:
    """The board needs no visit, and the console named the reason once, not at each try."""
    server = broker("expired")
    chair = board(server.port)
    wait_until(lambda: "has expired" in console(chair), "the first refusal", 20)
    server.server = "server"
    server.restart()
    wait_until(lambda: any(p.topic == topic("vitals") for p in chair.published), "a reading", 20)
    assert console(chair).count("has expired") == 1
    assert chair.resets == [1]


def test_a_port_without_tls_is_named(
    make_server: Callable[[type[Mosquitto]], Mosquitto], board: Callable[..., SimBoard]
) -> None:
    """A board that is to speak TLS never falls back to a plain connection."""
    server = make_server(Mosquitto)
    chair = board(server.port)
    wait_until(lambda: "speaks no TLS on this port" in console(chair), "the reason", 20)
    assert chair.published == []


def test_no_handshake_begins_with_air_in_the_cuff(certificates: Path, tmp_path: Path) -> None:
    """The link breaks in the middle of a measurement: its handshake, which stops the program for two seconds, waits
    until the cuff is empty; then the link is back."""
    provision(certificates, tmp_path / "flash", {})
    chair = Chair(tmp_path, settings={"tls": True})
    mmhg: list[float] = []

    def look(data: bytes) -> bool:
        if data[0] >> 4 == mqtt.CONNECT:
            mmhg.append(chair.pressure_mmhg())
        return False

    chair.loses = look
    chair.gateway = True
    chair.board.run_until(lambda: bool(chair.all("vitals")), within_s=20)
    chair.run(3)
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 80, within_s=20)
    chair.board.peer.drop()
    chair.board.run_for(5)
    assert chair.pressure_mmhg() > 15
    assert len(mmhg) == 1
    chair.board.run_until(lambda: len(mmhg) == 2, within_s=120)
    assert mmhg[1] <= 15
    chair.run(10)
    assert chair.all("cuff")[-1]["quality"] == "good"
    assert chair.board.resets == [1]
    chair.board.stop()
