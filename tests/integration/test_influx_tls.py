"""TLS to InfluxDB: the clinic's own authority is enough, any other is refused with a reason, and no row is lost."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Influxd, Server, takes_connections, wait_until

from gateway import influx as influx_module
from gateway.broker.certificates import authority, give_server
from gateway.config import InfluxConfig, load
from gateway.core.outputs import Row
from gateway.doctor import examine_influx
from gateway.influx import Sink
from gateway.influx_answers import Missing, Unavailable, Untrusted
from gateway.influx_writers import writer_for
from gateway.journal import Journal
from gateway.journal_reader import JournalReader

LINE = "vitals,chair=bay-1 spo2_pct=97 1700000000000000000"


class SecureInfluxd(Influxd):
    """Answers by TLS only."""

    def answers(self) -> bool:
        return takes_connections(self.port)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one clinic: `ca.pem`, and a server's certificate for its address; of another: `other/ca.pem`."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "other").mkdir()
    give_server(folder, "here", authority(folder, "clinic"), ["127.0.0.1"])
    give_server(folder, "elsewhere", authority(folder, "clinic"), ["influx.clinic.example"])
    authority(folder / "other", "another clinic")
    (folder / "rubbish.pem").write_text("no certificate")
    return folder


@pytest.fixture(scope="module")
def secure(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = _server(tmp_path_factory.mktemp("secure"), keys, "here")
    server.start()
    yield server
    server.stop()


def _server(folder: Path, keys: Path, name: str) -> Influxd:
    files = f'  https-certificate = "{keys / name}.pem"\n  https-private-key = "{keys / name}.key"'
    return SecureInfluxd(folder, http=f"  https-enabled = true\n{files}")


def config(server: Server, version: int, ca: Path | str, scheme: str = "https") -> InfluxConfig:
    url = f"{scheme}://127.0.0.1:{server.port}"
    if version == 1:
        return InfluxConfig(version=1, url=url, ca=str(ca), database="clinic")
    return InfluxConfig(version=2, url=url, ca=str(ca), org="clinic", bucket="chairside", token="t")


def test_the_clinics_own_authority_is_enough(secure: Influxd, keys: Path) -> None:
    """InfluxDB 1 takes the rows; it has no place for version 2, and that it says so means that TLS was agreed."""
    writer = writer_for(config(secure, 1, keys / "ca.pem"))
    writer.set_up()
    writer.write([LINE])
    writer.probe()
    with pytest.raises(Missing, match="404"):
        writer_for(config(secure, 2, keys / "ca.pem")).write([LINE])


def test_the_authority_is_named_relative_to_the_configuration(secure: Influxd, keys: Path) -> None:
    """As every file in it is, wherever the gateway is started."""
    (keys / "gateway.toml").write_text(
        '[site]\nname = "clinic"\n[mqtt]\nurl = "mqtt://127.0.0.1"\n[chairs]\nbay-1 = "cb-1"\n'
        '[journal]\npath = "j.db"\n'
        f'[influx]\nversion = 1\nurl = "https://127.0.0.1:{secure.port}"\nca = "ca.pem"\ndatabase = "named"\n'
    )
    influx = load(keys / "gateway.toml").influx
    assert influx is not None
    writer_for(influx).set_up()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ca", ["", "other/ca.pem", "rubbish.pem", "missing.pem"])
def test_another_authority_is_refused_with_a_reason(secure: Influxd, keys: Path, version: int, ca: str) -> None:
    """The system's authorities, another clinic's, a file that is none and one that is not there: nothing is said to a
    server that is not known, and the reason names the certificate or the file."""
    with pytest.raises(Untrusted, match=r"certificate|rubbish\.pem|missing\.pem"):
        writer_for(config(secure, version, keys / ca if ca else "")).write([LINE])


@pytest.mark.parametrize("version", [1, 2])
def test_a_certificate_of_another_name_is_refused(tmp_path: Path, keys: Path, version: int) -> None:
    """Signed by our authority, but for another host: any server of the clinic could say that it is this one."""
    server = _server(tmp_path, keys, "elsewhere")
    server.start()
    try:
        with pytest.raises(Untrusted, match=r"127\.0\.0\.1"):
            writer_for(config(server, version, keys / "ca.pem")).write([LINE])
    finally:
        server.stop()


@pytest.mark.parametrize("version", [1, 2])
def test_tls_to_a_server_without_is_no_answer(influxd: Influxd, keys: Path, version: int) -> None:
    with pytest.raises(Unavailable):
        writer_for(config(influxd, version, keys / "ca.pem")).write([LINE])


@pytest.mark.parametrize(
    ("ca", "scheme", "words"),
    [("ca.pem", "https", "takes our rows"), ("other/ca.pem", "https", "mend [influx] ca"),
     ("ca.pem", "http", "http or https in url")],
)  # fmt: skip
def test_the_doctor_says_what_to_mend(secure: Influxd, keys: Path, ca: str, scheme: str, words: str) -> None:
    """A wrong authority and a forgotten https are named; neither is taken for a server that works."""
    writer_for(config(secure, 1, keys / "ca.pem")).set_up()
    finding = examine_influx(config(secure, 1, keys / ca, scheme))
    assert words in finding.found + finding.todo
    assert (finding.state == "good") == (words == "takes our rows")


@contextlib.contextmanager
def sinking(journal: Journal, config: InfluxConfig) -> Iterator[Sink]:
    sink = Sink(journal, "clinic", writer_for(config), random.Random(1))
    sink.start()
    yield sink
    sink.stop()


def test_rows_wait_for_the_right_authority(
    secure: Influxd, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a wrong one, and with http to a server of https, the state is refused, and nothing is marked or put aside;
    with the right one every row goes."""
    for name in ("POLL_S", "RETRY_S_MIN", "RETRY_S_MAX", "RETRY_REFUSED_S"):
        monkeypatch.setattr(influx_module, name, 0.05)
    journal = Journal(tmp_path / "journal.db", 10**9, lambda: None)
    journal.open()
    journal.start()
    journal.put(
        [Row(measurement="vitals", at_ms=n, device="cb-1", chair="wait", fields={"spo2_pct": 97.0}) for n in range(50)]
    )
    for ca, scheme in (("other/ca.pem", "https"), ("", "http")):
        with sinking(journal, config(secure, 1, keys / ca if ca else "", scheme)) as sink:
            wait_until(lambda sink=sink: sink.health().state == "refused", f"the refusal of {scheme} with {ca!r}")
            with JournalReader(journal.path) as reader:
                assert (reader.sent_upto(), reader.quarantined()) == (0, {})
    with sinking(journal, config(secure, 1, keys / "ca.pem")) as sink:
        wait_until(lambda: sink.health().state == "ok" and sink.health().unsent == 0, "the rows to be sent")
    journal.stop()
    with JournalReader(journal.path) as reader:
        assert reader.sent_upto() == 50
