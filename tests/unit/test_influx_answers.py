"""What an answer means: a row counts as sent only if the server said, in its protocol's own way, that it took it."""

import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from servers import wait_until

from gateway import influx as influx_module
from gateway.config import InfluxConfig
from gateway.core.outputs import Row
from gateway.influx import Sink
from gateway.influx_answers import BadLines, Forbidden, Unavailable, meaning
from gateway.influx_writers import writer_for
from gateway.journal import Journal
from gateway.journal_reader import JournalReader

LINE = "vitals,chair=bay-1 spo2_pct=97 1700000000000000000"
PAGE = "<html><body>Please log in</body></html>"


class Answering:
    """A server that answers every request with one status, headers and body; `raw` replaces the whole answer."""

    def __init__(self) -> None:
        self.status, self.headers, self.body, self.raw = 204, {}, "", b""
        self.asked: list[str] = []
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self._answer()

            def do_GET(self) -> None:
                told.asked.append("GET")
                if self.path == "/login":
                    self._say(200, {}, PAGE)
                else:
                    self._answer()

            def _answer(self) -> None:
                told.asked.append(self.path)
                if told.raw:
                    self.wfile.write(told.raw)
                    self.close_connection = True
                else:
                    self._say(told.status, told.headers, told.body)

            def _say(self, status: int, headers: dict[str, str], body: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def config(self, version: int) -> InfluxConfig:
        url = f"http://127.0.0.1:{self.server.server_port}"
        if version == 1:
            return InfluxConfig(version=1, url=url, database="clinic")
        return InfluxConfig(version=2, url=url, org="clinic", bucket="chairside", token="t")


@pytest.fixture
def answering() -> Iterator[Answering]:
    made = Answering()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("status", "meaning"),
    [(400, BadLines), (413, BadLines), (422, BadLines), (401, Forbidden), (403, Forbidden), (404, Forbidden),
     (408, Unavailable), (429, Unavailable), (500, Unavailable), (503, Unavailable), (200, Forbidden),
     (201, Forbidden), (202, Forbidden), (301, Forbidden), (302, Forbidden), (303, Forbidden), (307, Forbidden)],
)  # fmt: skip
def test_only_204_is_a_yes(answering: Answering, version: int, status: int, meaning: type[Exception]) -> None:
    """A page of a login, a redirect to one, and a success of another kind are none; each refusal has its meaning."""
    answering.status, answering.body = status, "words of the server"
    if 300 <= status < 400:
        answering.headers = {"Location": "/login"}
    with pytest.raises(meaning, match="words of the server" if status > 400 else f"{status}|words"):
        writer_for(answering.config(version)).write([LINE])
    assert "GET" not in answering.asked, "a redirect was followed"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 20", b"HTTP/1.1 500 Oh\r\nContent-Length: 900\r\n\r\nshort", b"SSH-2.0\r\n"]
)
def test_half_an_answer_is_none(answering: Answering, version: int, raw: bytes) -> None:
    """The connection ended in the answer, or the answer is of something else: the batch goes again."""
    answering.raw = raw or b"\r\n"
    with pytest.raises(Unavailable):
        writer_for(answering.config(version)).write([LINE])


@pytest.mark.parametrize(
    ("words", "dropped"),
    [
        ('{"error":"partial write: points beyond retention policy dropped=40"}\n', 40),
        ('{"code":"invalid","message":"partial write: field type conflict dropped=7"}', 7),
        ('{"error":"unable to parse \'vitals x dropped=40\': missing fields"}', 0),
        ('{"error":"partial write: unable to parse \'vitals x dropped=40\': missing fields dropped=0"}', 0),
        ("nothing", 0),
    ],
)
def test_only_the_servers_own_count_counts(words: str, dropped: int) -> None:
    """A bad line that says a number itself takes no good line beside it into quarantine."""
    refusal = meaning(400, words)
    assert isinstance(refusal, BadLines)
    assert refusal.dropped == dropped


@pytest.mark.parametrize("version", [1, 2])
def test_a_204_is_a_yes(answering: Answering, version: int) -> None:
    writer_for(answering.config(version)).write([LINE])


@pytest.fixture
def sink_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Journal, type[Sink]]]:
    for name in ("POLL_S", "RETRY_S_MIN", "RETRY_S_MAX", "RETRY_REFUSED_S"):
        monkeypatch.setattr(influx_module, name, 0.01)
    journal = Journal(tmp_path / "journal.db", 10**9, lambda: None)
    journal.open()
    journal.start()
    made: list[Sink] = []

    def make(config: InfluxConfig) -> Sink:
        made.append(Sink(journal, "clinic", writer_for(config), random.Random(1)))
        journal.put([Row(measurement="vitals", at_ms=1, device="cb-1", chair="b", fields={"spo2_pct": 97.0})] * 40)
        made[-1].start()
        return made[-1]

    yield journal, make
    for sink in made:
        sink.stop()
    journal.stop()


def told(journal: Journal) -> tuple[int, dict[int, str]]:
    with JournalReader(journal.path) as reader:
        return reader.sent_upto(), reader.quarantined()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_refuses_every_line_is_refused_and_nothing_goes_into_quarantine(answering, sink_of, version, status):
    """A server that wants TLS answers plain HTTP with 400, whatever is said to it: no row may be put aside for that.
    Once it is mended, all are sent."""
    journal, make = sink_of
    answering.status, answering.body = status, "Client sent an HTTP request to an HTTPS server."
    sink = make(answering.config(version))
    wait_until(lambda: sink.health().state == "refused" and len(answering.asked) > 30, "the refusal")
    assert told(journal) == (0, {})
    assert sink.health().unsent == 40
    assert sink.health().quarantined == 0
    answering.status = 204
    wait_until(lambda: told(journal) == (40, {}), "the rows")
    wait_until(lambda: sink.health().state == "ok", "the good state")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_login_stops_and_is_said(answering, sink_of, monkeypatch, version, status):
    """Nothing is marked, nothing hammered: it asks again seldom, and the heartbeat says refused, lag and depth."""
    monkeypatch.setattr(influx_module, "RETRY_REFUSED_S", 3600.0)
    journal, make = sink_of
    answering.status, answering.body = status, "no"
    sink = make(answering.config(version))
    wait_until(lambda: sink.health().state == "refused", "the refusal")
    asked = len(answering.asked)
    lag_s = sink.health().lag_s
    wait_until(lambda: sink.health().lag_s > lag_s, "the lag to rise though nothing is asked")
    assert len(answering.asked) == asked
    assert told(journal) == (0, {})
    assert sink.health().unsent == 40


def test_who_is_let_in_later_prepares_the_database_then(answering, sink_of, monkeypatch):
    """What was refused at the start is made up for: rows alone would lack their copy by the minute."""
    monkeypatch.setattr(influx_module, "RETRY_REFUSED_S", 2.0)  # a whole turn is refused, and the next one is not
    _, make = sink_of
    answering.status = 401
    sink = make(answering.config(1))
    wait_until(lambda: sink.health().state == "refused", "the refusal")
    answering.asked.clear()
    answering.status = 204
    wait_until(lambda: sink.health().state == "ok", "the good state")
    assert any("CREATE+DATABASE" in path for path in answering.asked)
    assert any("CONTINUOUS" in path for path in answering.asked)
