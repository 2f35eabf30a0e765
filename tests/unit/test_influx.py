"""The sink against a server that misbehaves: nothing is lost, nothing blocks the rest, and what happens is said."""

import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from servers import wait_until

from gateway import influx as influx_module
from gateway import influx_writers
from gateway.config import InfluxConfig
from gateway.core.outputs import Row
from gateway.influx import Sink
from gateway.influx_answers import BadLines, Forbidden, Unavailable
from gateway.influx_writers import writer_for
from gateway.journal import Journal
from gateway.journal_reader import JournalReader


class Scripted:
    """A writer that stores lines as InfluxDB does: a bad line is refused, the good ones beside it are stored."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.error: Exception | None = None
        self.calls = 0

    def set_up(self):
        pass

    def copy(self, since_ns, until_ns):
        """Those rows are of long ago."""

    def write(self, lines):
        self.calls += 1
        if self.error is not None:
            raise self.error
        good = [line for line in lines if "bad" not in line]
        self.stored += good
        if len(good) < len(lines):
            raise BadLines("partial write: field type conflict")


def row(number: int, word: str = "good") -> Row:
    fields = {"seq": float(number), "quality": word}
    return Row(measurement="vitals", at_ms=number, device="cb-1", chair="bay-1", fields=fields)


@pytest.fixture
def rig(tmp_path, monkeypatch):
    """journal, writer, sink: quick to try again."""
    for name in ("POLL_S", "RETRY_S_MIN", "RETRY_S_MAX", "RETRY_REFUSED_S"):
        monkeypatch.setattr(influx_module, name, 0.01)
    journal = Journal(tmp_path / "journal.db", 10**9, lambda: None)
    journal.open()
    journal.start()
    writer = Scripted()
    sink = Sink(journal, "clinic", writer, random.Random(1))
    yield journal, writer, sink
    sink.stop()
    journal.stop()


def marks(journal):
    with JournalReader(journal.path) as reader:
        return reader.sent_upto(), reader.quarantined()


def test_rows_are_sent_in_order_and_marked(rig):
    """What the server took is marked in the journal, with site, chair and device as tags."""
    journal, writer, sink = rig
    journal.put([row(n) for n in range(1, 4)])
    sink.start()
    wait_until(lambda: marks(journal) == (3, {}), "the mark")
    assert writer.stored[0] == 'vitals,chair=bay-1,device=cb-1,site=clinic quality="good",seq=1 1000001'
    assert len(writer.stored) == 3
    assert sink.health().state == "ok"


def test_one_bad_line_is_quarantined_and_the_others_are_stored(rig):
    """Never a retry for ever, never a good line lost with a bad one."""
    journal, writer, sink = rig
    journal.put([row(n, "bad" if n in (3, 90) else "good") for n in range(1, 101)])
    sink.start()
    wait_until(lambda: marks(journal)[0] == 100, "the mark")
    assert marks(journal)[1] == dict.fromkeys((3, 90), "partial write: field type conflict")
    assert len({line for line in writer.stored if line.startswith("vitals")}) == 98
    assert writer.calls < 50
    assert sink.health().quarantined == 2


def test_a_row_that_makes_no_line_is_quarantined(rig):
    """A number that JSON could not keep becomes no field; a point without a field cannot be sent."""
    journal, writer, sink = rig
    empty = Row(measurement="vitals", at_ms=1, device="cb-1", chair="bay-1", fields={"spo2_pct": float("nan")})
    journal.put([empty, row(2)])
    sink.start()
    wait_until(lambda: marks(journal)[0] == 2, "the mark")
    assert "needs a field" in marks(journal)[1][1]
    assert len(writer.stored) == 1


@pytest.mark.parametrize(
    ("error", "state"), [(Unavailable("connection refused"), "down"), (Forbidden("401 unauthorized"), "refused")]
)
def test_it_tries_again_for_ever_and_says_so(rig, error, state):
    """Rows wait unmarked in the journal while the server is away or refuses us; then they go, once."""
    journal, writer, sink = rig
    writer.error = error
    journal.put([row(1), row(2)])
    sink.start()
    wait_until(lambda: writer.calls >= 5, "some attempts")
    assert sink.health().state == state
    assert marks(journal) == (0, {})
    writer.error = None
    wait_until(lambda: marks(journal)[0] == 2, "the mark")
    wait_until(lambda: sink.health().state == "ok", "the good state")
    assert len(writer.stored) == 2


def test_a_restart_goes_on_where_the_server_took_rows(rig):
    """The mark is in the journal, not in the process."""
    journal, _, sink = rig
    journal.put([row(1), row(2)])
    sink.start()
    wait_until(lambda: marks(journal)[0] == 2, "the mark")
    sink.stop()
    journal.put([row(3)])
    second = Scripted()
    again = Sink(journal, "clinic", second, random.Random(1))
    again.start()
    wait_until(lambda: marks(journal)[0] == 3, "the mark")
    again.stop()
    assert [line.split()[1] for line in second.stored] == ['quality="good",seq=3']


def test_a_programming_error_does_not_end_the_sink(rig):
    """It is logged with its trace, and the next turn goes on."""
    journal, writer, sink = rig
    writer.error = KeyError("oops")
    journal.put([row(1)])
    sink.start()
    wait_until(lambda: writer.calls >= 3, "some attempts")
    assert sink.health().state == "down"
    writer.error = None
    wait_until(lambda: marks(journal)[0] == 1, "the mark")


def test_stopping_does_not_wait_for_a_retry(rig, monkeypatch):
    """A service that is told to end does not sit out a pause of the sink."""
    journal, writer, sink = rig
    monkeypatch.setattr(influx_module, "RETRY_REFUSED_S", 3600.0)
    writer.error = Forbidden("404 database not found")
    journal.put([row(1)])
    sink.start()
    wait_until(lambda: sink.health().state == "refused", "the refusal")
    sink.stop()
    assert not any(thread.name == "influx" for thread in threading.enumerate())


@pytest.fixture
def slow_copy():
    """The address of a server that takes all that InfluxDB 1 takes, and is still busy with the copy of old rows."""
    ended = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if "SELECT" in self.path and "CONTINUOUS" not in self.path:
                ended.wait()
                return
            self.send_response(204 if self.path.startswith("/write") else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_rows_are_written_though_the_copy_of_old_ones_never_ends(rig, slow_copy, monkeypatch):
    """A large history holds up nothing: what is new is in the database, and the sink is well."""
    journal, _, sink = rig
    monkeypatch.setattr(influx_writers, "TIMEOUT_S", 0.5)
    sink._writer = writer_for(InfluxConfig(version=1, url=slow_copy, database="clinic"))
    journal.put([row(1)])
    sink.start()
    wait_until(lambda: marks(journal) == (1, {}), "the row")
    wait_until(lambda: sink.health().state == "ok", "the good state")
