"""What the containers run at their start: secrets that survive any crash, a token for Grafana, a watchdog."""

import contextlib
import io
import itertools
import os
import secrets
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate
from influx2_double import Influx2Double
from servers import wait_until
from typer.testing import CliRunner

from gateway.config import ConfigError, load
from gateway.container import grafana_token, prepare, watched
from gateway.container.files import give
from simulators.cli import app as sim

SITE = """[site]
name = "clinic"
[mqtt]
url = "mqtts://mosquitto:8883"
[chairs]
bay-1 = "cb-000001"
[journal]
path = "journal.db"
"""
SECRETS = ("influxdb/token", "influxdb/password", "grafana/admin-password", "gateway/influx-token")


class Crash(Exception):
    """The power went."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(SITE)
    return path


def run(folder: Path, config: Path) -> str:
    """What it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        prepare.main(folder, config, ["gateway.local 192.168.20.2"])
    return said.getvalue()


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_whole(folder: Path) -> None:
    """Every key fits its certificate, all are of one authority, and one token is in both places."""
    authority = load_pem_x509_certificate((folder / "authority" / "keys" / "ca.pem").read_bytes())
    pairs = [
        (
            load_pem_x509_certificate(path.read_bytes()),
            load_pem_private_key(path.with_suffix(".key").read_bytes(), None),
        )
        for who in ("broker", "gateway", "web")
        for path in (folder / who).glob("*.pem")
        if path.name != "ca.pem"
    ]
    board = folder / "boards" / "cb-000001"
    key = load_der_private_key((board / "client.key.der").read_bytes(), None)
    pairs.append((load_der_x509_certificate((board / "client.der").read_bytes()), key))
    assert len(pairs) == 5
    for certificate, own in pairs:
        certificate.verify_directly_issued_by(authority)
        assert certificate.public_key() == own.public_key()
    files = held(folder)
    assert all(len(files[name]) >= 32 for name in SECRETS)
    assert files["influxdb/token"] == files["gateway/influx-token"]
    assert len({files[name] for name in SECRETS}) == 3
    assert not [name for name in files if "unfinished" in name or "/new/" in name or "/old/" in name]


def test_a_second_start_changes_nothing(config: Path, tmp_path: Path) -> None:
    """A restart of the stack keeps every key and password; none of them is printed."""
    said = run(tmp_path / "secrets", config)
    before = held(tmp_path / "secrets")
    check_whole(tmp_path / "secrets")
    said += run(tmp_path / "secrets", config)
    assert held(tmp_path / "secrets") == before
    assert not [name for name in SECRETS if before[name].decode() in said]


def test_another_clinic_has_other_secrets(config: Path, tmp_path: Path) -> None:
    """Nothing has a default."""
    for name in ("one", "two"):
        run(tmp_path / name, config)
    one, two = held(tmp_path / "one"), held(tmp_path / "two")
    assert not [name for name in SECRETS if one[name] == two[name]]


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`power(n)`: it fails before the n-th file is written or put in its place, or folder renamed; 0 never."""
    steps = itertools.count(1)
    fails_at = 0

    def failing(real: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **more: object) -> object:
            if next(steps) == fails_at:
                raise Crash
            return real(*given, **more)

        return call

    # What a disk holds after a real power cut is not tried here.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for owner, name in ((os, "replace"), (os, "rename"), (Path, "write_bytes"), (Path, "write_text")):
        monkeypatch.setattr(owner, name, failing(getattr(owner, name)))

    def set_(number: int) -> None:
        nonlocal steps, fails_at
        steps, fails_at = itertools.count(1), number

    return set_


def test_a_crash_at_any_step_is_completed_by_the_next_start(
    config: Path, tmp_path: Path, power: Callable[[int], None]
) -> None:
    """At each step of the first start, and of one that renews: afterwards the set is whole, and a secret that somebody
    may have used already is still the same."""
    for number in itertools.count(1):
        folder = tmp_path / f"at-{number}"
        power(number)
        try:
            run(folder, config)
        except Crash:
            before = held(folder)
        else:
            break
        power(0)
        run(folder, config)
        check_whole(folder)
        after = held(folder)
        used = [name for name in before if "authority/new" not in name and "unfinished" not in name]
        assert {name: after[name] for name in used} == {name: before[name] for name in used}
    assert number > 30


def test_a_crash_while_it_renews_loses_no_authority(config: Path, tmp_path: Path, power: Callable[[int], None]) -> None:
    """Between the two renames nothing stands at its place: the old set is put back."""
    folder = tmp_path / "secrets"
    run(folder, config)
    authority = (folder / "authority" / "keys" / "ca.pem").read_bytes()
    config.write_text(SITE + "\n")
    for number in range(1, 8):
        (folder / "web" / "chairside-web.key").unlink()
        power(number)
        try:
            run(folder, config)
        except Crash:
            power(0)
            run(folder, config)
        check_whole(folder)
        assert (folder / "broker" / "ca.pem").read_bytes() == authority


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path, power: Callable[[int], None]) -> None:
    """Who reads while a secret is replaced never sees half of it."""
    path = tmp_path / "broker" / "broker.key"
    give(path, b"old", os.geteuid())
    power(1)
    with pytest.raises(Crash):
        give(path, b"new and longer", os.geteuid())
    assert path.read_bytes() == b"old"


def ask(url: str, folder: Path, org: str = "chairside") -> None:
    """The one-shot service, silently."""
    with contextlib.redirect_stdout(io.StringIO()):
        grafana_token.main(url, org, folder)


@pytest.fixture
def influx() -> Iterator[Influx2Double]:
    with Influx2Double("the-admin-token") as double:
        yield double


def wanting(tmp_path: Path) -> Path:
    """Secrets as `prepare` leaves them, and where Grafana's token is to go."""
    give(tmp_path / "influxdb" / "token", b"the-admin-token", os.geteuid())
    return tmp_path / "grafana" / "influx-token"


def test_grafana_is_given_a_token_that_only_reads(influx: Influx2Double, tmp_path: Path) -> None:
    """It cannot write, delete or make tokens; a second start keeps it."""
    target = wanting(tmp_path)
    for _ in range(2):
        ask(influx.url, tmp_path)
        (given,) = influx.given.values()
        assert target.read_text() == given["token"]
    assert [(one["action"], one["resource"]["type"]) for one in given["permissions"]] == [("read", "buckets")]


def test_a_token_that_was_never_written_down_is_taken_back(
    influx: Influx2Double, tmp_path: Path, power: Callable[[int], None]
) -> None:
    """The crash between InfluxDB's answer and our file leaves no key lying about."""
    target = wanting(tmp_path)
    power(1)
    with pytest.raises(Crash):
        ask(influx.url, tmp_path)
    assert (len(influx.given), target.exists()) == (1, False)
    power(0)
    ask(influx.url, tmp_path)
    (given,) = influx.given.values()
    assert target.read_text() == given["token"]


def test_a_token_that_was_withdrawn_is_made_again(influx: Influx2Double, tmp_path: Path) -> None:
    """Somebody deleted it in InfluxDB: the next start mends it."""
    target = wanting(tmp_path)
    give(target, b"withdrawn", os.geteuid())
    ask(influx.url, tmp_path)
    assert target.read_text() in {one["token"] for one in influx.given.values()}


def test_a_first_start_of_influxdb_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    """Its own does not try again: it would answer, and let nobody in."""
    target = wanting(tmp_path)
    give(tmp_path / "influxdb" / "password", secrets.token_bytes(8).hex().encode(), os.geteuid())
    with Influx2Double("not-yet", fresh=True) as influx:
        ask(influx.url, tmp_path)
        assert (influx.admin, influx.fresh) == ("the-admin-token", False)
        assert target.read_text() in {one["token"] for one in influx.given.values()}


@pytest.mark.parametrize(("org", "admin"), [("another", "the-admin-token"), ("chairside", "wrong")])
def test_a_refusal_is_said_and_leaves_no_token(
    influx: Influx2Double, tmp_path: Path, org: str, admin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong organisation or admin token: 1, the reason, and no file that Grafana would take."""
    target = wanting(tmp_path)
    give(tmp_path / "influxdb" / "token", admin.encode(), os.geteuid())
    with pytest.raises(typer.Exit) as ended:
        ask(influx.url, tmp_path, org)
    assert ended.value.exit_code == 1
    assert not target.exists()
    assert admin not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (["--broker", "mqtts://h"], "without --tls it must look like mqtt://host:1883"),
        (["--broker", "mqtt://h", "--tls", "."], "with --tls it must look like mqtts://host:8883"),
        (["--broker", "mqtts://h", "--tls", "nowhere"], "nowhere/ca.der cannot be read"),
    ],
)
def test_a_simulated_board_s_wrong_keys_are_refused(given: list[str], word: str) -> None:
    """2 and one sentence, before anything is started."""
    answer = CliRunner().invoke(sim, ["board", *given])
    assert answer.exit_code == 2
    assert word in " ".join(answer.output.split())


LOOP = """
import os, signal, socket, sys, time
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for turn in range({turns}):
    said.sendto(b"WATCHDOG=1", chr(0) + os.environ["NOTIFY_SOCKET"][1:])
    time.sleep(0.05)
time.sleep(600)
"""


def loop(turns: int) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(LOOP.format(turns=turns))]


@pytest.mark.parametrize("turns", [0, 3])
def test_a_loop_that_stands_still_is_ended(turns: int) -> None:
    """From its start or later: killed, so that Docker starts the container again."""
    assert watched.run(loop(turns), start_s_max=1.0, silence_s_max=0.5) == -9


def test_a_gateway_that_ends_ends_its_container_with_its_code() -> None:
    """A configuration that is refused is 2, as without a container."""
    assert watched.run([sys.executable, "-c", "import sys; sys.exit(2)"]) == 2


def test_a_stop_is_passed_on(tmp_path: Path) -> None:
    """`docker compose stop` lets the gateway write what it holds, and is no failure."""
    mark = tmp_path / "begun"
    begun = f"open({str(mark)!r}, 'w').close()\n"
    command = [sys.executable, "-m", "gateway.container.watched", *loop(10_000)]
    command[-1] = command[-1].replace("for turn", begun + "for turn")
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_until(mark.exists, "the loop to begin")
        process.terminate()
        assert process.wait(30) == 0


def test_a_token_may_come_from_a_file(tmp_path: Path) -> None:
    """A container's secrets are files: their line end is no part of them, and a missing one is said by name."""
    path = tmp_path / "gateway.toml"
    path.write_text(SITE + '[influx]\nversion = 2\nurl = "http://influxdb:8086"\norg = "o"\nbucket = "b"\n')
    (tmp_path / "token").write_text("from-the-file\n")
    influx = load(path, {"CHAIRSIDE_INFLUX_TOKEN_FILE": str(tmp_path / "token")}).influx
    assert influx is not None
    assert influx.token == "from-the-file"
    with pytest.raises(ConfigError, match=r"CHAIRSIDE_INFLUX_TOKEN_FILE: found .*missing"):
        load(path, {"CHAIRSIDE_INFLUX_TOKEN_FILE": str(tmp_path / "missing")})
