"""The loop around a stub engine: what it does to the order, the durability and the age of messages."""

import socket
import threading
from collections.abc import Sequence

import pytest
from gateway_process import Client
from servers import Mosquitto, wait_until

from gateway import mqtt as mqtt_module
from gateway import wire
from gateway.config import MqttConfig
from gateway.core.outputs import Health, Publish, Refusal, Row
from gateway.journal import NEVER, Committed, Journal
from gateway.mqtt import Loop, Wake

IN, OUT, FIRST, ALIVE = "loop/in", "loop/out", "loop/first", "loop/alive"


def said(topic: str, word: str, *, qos: int = 1, durable: bool = False) -> Publish:
    return Publish(topic=topic, message=wire.Done(id=word, ok=True), qos=qos, durable=durable)  # type: ignore[arg-type]


class StubEngine:
    """Answers each message as `answers` says; a tick publishes what was put in `to_say`."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self.answers = lambda payload: [said(OUT, payload.decode())]
        self.to_say: list[Publish] = []
        self.health = Health()
        self.durable_records: list = []

    def subscriptions(self):
        return [(IN, 1)]

    def will(self):
        return Publish(topic=ALIVE, message=wire.Heartbeat(run="r", online=False), qos=1, retain=True)

    def connected(self, now_ms, utc_ms):
        return [said(FIRST, "hello")]

    def message(self, topic, payload, retained, now_ms, utc_ms):
        return self.answers(payload)

    def tick(self, now_ms, utc_ms, health):
        self.health = health
        outputs, self.to_say = self.to_say, []
        return outputs

    def durable(self, records):
        self.durable_records += records


class StubJournal:
    """A disk that commits when told."""

    def __init__(self, wake: Wake) -> None:
        self.wake = wake
        self.put_position = 0
        self.done = 0
        self.never = False

    def put(self, entries):
        self.put_position += 1
        return NEVER if self.never else self.put_position

    def position(self):
        return self.put_position

    def take(self):
        return Committed(self.done, [])

    def commit(self):
        self.done = self.put_position
        self.wake.set()

    def queued(self):
        return self.put_position - self.done

    def dropped(self):
        return 0

    def is_well(self, now_ms):
        return True

    def condition(self, now_ms):
        return "ok", None


class Rig:
    def __init__(self, port: int, user: str = "", own_topics: Sequence[str] = ()) -> None:
        self.wake = Wake()
        self.engine = StubEngine()
        self.journal = StubJournal(self.wake)
        login = f"{user}@" if user else ""
        config = MqttConfig(url=f"mqtt://{login}127.0.0.1:{port}")
        self.loop = Loop(config, self.engine, self.journal, self.wake, Health, own_topics=own_topics)  # type: ignore[arg-type]
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.loop.run()
        except ZeroDivisionError as error:
            self.error = error

    def end(self) -> None:
        self.loop.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.wake.close()


@pytest.fixture
def make_rig(monkeypatch):
    monkeypatch.setattr(mqtt_module, "RECONNECT_S_MAX", 0.2)
    rigs = []

    def make(port, **options):
        rigs.append(Rig(port, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.end()


def row():
    return Row(measurement="session", at_ms=1, device="d", chair="c", fields={"what": "x"}, urgent=True, audit=True)


def words(client, topic=OUT):
    return [message.id for message in client.all(topic, wire.Done)]


def hello(rig, client):
    """Until the loop and the client hear each other: what the loop says follows its subscription."""

    def heard():
        rig.engine.to_say = [said(FIRST, "hello")]
        return words(client, FIRST)

    wait_until(heard, "the loop's first word")


def test_nothing_said_while_the_broker_was_away_comes_later(make_server, make_rig):
    """A command or an alarm from during an outage must not arrive after it as if it were new; it is counted."""
    broker = make_server(Mosquitto)
    rig = make_rig(broker.port)
    with Client(broker.port, OUT, FIRST) as client:
        hello(rig, client)
    broker.stop()
    wait_until(lambda: not rig.loop._connected, "the loss")
    rig.engine.to_say = [said(OUT, "measure now"), said(OUT, "no QoS", qos=0)]
    wait_until(lambda: rig.engine.health.dropped.get("mqtt", 0) >= 2, "the drops to be counted")
    broker.start()
    with Client(broker.port, OUT, FIRST) as client:
        wait_until(lambda: rig.loop._connected, "the new connection")
        rig.engine.to_say = [said(OUT, "now")]
        wait_until(lambda: "now" in words(client), "a fresh word")
        assert words(client) == ["now"]


def test_what_was_under_way_dies_with_its_connection(make_rig, monkeypatch):
    """A broker took a packet and never confirmed it. paho would send it again on the next connection; we do not."""
    listener = socket.create_server(("127.0.0.1", 0))
    rig = make_rig(listener.getsockname()[1])
    first = _accept(listener)
    wait_until(lambda: rig.loop._connected, "the connection")
    rig.engine.to_say = [said(OUT, "old alarm")]
    wait_until(lambda: b"old alarm" in first.recv(65536), "the packet")
    first.close()
    second = _accept(listener)
    wait_until(lambda: rig.loop._connected, "the next connection")
    seen = b""
    rig.engine.to_say = [said(OUT, "new word")]
    while b"new word" not in seen:
        seen += second.recv(65536)
    assert b"old alarm" not in seen
    second.close()
    listener.close()


def _accept(listener):
    listener.settimeout(30)
    connection, _ = listener.accept()
    connection.settimeout(30)
    assert connection.recv(65536)[0] == 0x10
    connection.sendall(b"\x20\x02\x00\x00")
    subscribe = connection.recv(65536)
    assert subscribe[0] == 0x82
    connection.sendall(b"\x90\x03" + subscribe[2:4] + b"\x00")
    return connection


def test_a_broker_that_reads_nothing_is_given_up(make_rig, monkeypatch):
    """Its socket is full: packets may not pile up here, to be read as news when it wakes."""
    monkeypatch.setattr(mqtt_module, "UNSENT_MAX", 20)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    rig = make_rig(listener.getsockname()[1])
    stuck = _accept(listener)
    wait_until(lambda: rig.loop._connected, "the connection")
    big = Publish(topic=OUT, message=wire.Done(id="x", ok=True, reason="y" * 60_000))
    rig.engine.answers = lambda payload: []

    def flooded():
        rig.engine.to_say = [big] * 20
        return rig.engine.health.dropped.get("mqtt", 0) > 0

    wait_until(flooded, "the connection to be given up")
    again = _accept(listener)
    stuck.close()
    again.close()
    listener.close()


def test_a_broker_that_never_answers_is_left(make_rig, monkeypatch):
    """Something took the connection and says nothing: it is tried again instead of waited for."""
    monkeypatch.setattr(mqtt_module, "CONNACK_MS_MAX", 200)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        rig = make_rig(listener.getsockname()[1])
        connections = [listener.accept()[0] for _ in range(2)]
        assert not rig.loop._connected
        for connection in connections:
            connection.close()


def test_an_answer_waits_until_its_row_is_durable(mosquitto, make_rig):
    """`done` goes out after the commit, while what need not wait does not."""
    rig = make_rig(mosquitto.port)
    with Client(mosquitto.port, OUT, FIRST) as client:
        hello(rig, client)
        rig.engine.answers = lambda payload: [row(), said(OUT, "done", durable=True), said(OUT, "state")]
        client.say(IN, b"start")
        wait_until(lambda: "state" in words(client), "the state")
        wait_until(lambda: rig.engine.health.queued.get("deferred") == 1, "the answer to wait")
        assert words(client) == ["state"]
        rig.journal.commit()
        wait_until(lambda: words(client) == ["state", "done"], "the answer")


def test_an_answer_whose_row_was_lost_is_never_given(mosquitto, make_rig):
    """Better no answer, which the screen asks for again, than one that says kept what was not."""
    rig = make_rig(mosquitto.port)
    with Client(mosquitto.port, OUT, FIRST) as client:
        hello(rig, client)
        rig.journal.never = True
        rig.engine.answers = lambda payload: [row(), said(OUT, "done", durable=True)]
        client.say(IN, b"start")
        wait_until(lambda: rig.engine.health.dropped.get("deferred") == 1, "the drop to be counted")
        rig.journal.commit()
        rig.engine.answers = lambda payload: [said(OUT, "next")]
        client.say(IN, b"next")
        wait_until(lambda: words(client) == ["next"], "the next answer")


def test_an_error_in_one_message_does_not_stop_the_next(mosquitto, make_rig):
    """A programming error is counted as `internal`; all other chairs are watched on."""
    rig = make_rig(mosquitto.port)

    def answers(payload):
        if payload == b"bad":
            raise ZeroDivisionError
        return [said(OUT, payload.decode())]

    rig.engine.answers = answers
    with Client(mosquitto.port, OUT, FIRST) as client:
        hello(rig, client)
        for word in (b"bad", b"bad", b"good"):
            client.say(IN, word)
        wait_until(lambda: words(client) == ["good"], "the good one")
    assert rig.engine.refused == {"internal": 2}


def test_ticks_that_fail_for_long_end_the_process(mosquitto, make_rig, monkeypatch):
    """Without ticks there is no silence alarm: a new start is the only help, and it must be asked for loudly."""
    monkeypatch.setattr(mqtt_module, "TICK_MS", 1)
    rig = make_rig(mosquitto.port)

    def broken(*_):
        raise ZeroDivisionError

    rig.engine.tick = broken
    wait_until(lambda: rig.error, "the loop to end")
    assert isinstance(rig.error, ZeroDivisionError)


def test_refusals_are_logged_once_a_minute(mosquitto, make_rig, capfd):
    """A board gone mad must not fill the disk with log lines."""
    rig = make_rig(mosquitto.port)
    rig.engine.answers = lambda payload: [Refusal(topic=IN, kind="invalid", detail="why"), said(OUT, "seen")]
    with Client(mosquitto.port, OUT, FIRST) as client:
        hello(rig, client)
        for _ in range(5):
            client.say(IN, b"bad")
        wait_until(lambda: len(words(client)) == 5, "the messages")
    written = "".join(capfd.readouterr())
    assert written.count("message refused") == 1
    assert IN in written


def test_small_packets_are_not_held_back(mosquitto, make_rig):
    """TCP_NODELAY is set: paho does not do it, and Nagle's algorithm costs 40 ms."""
    rig = make_rig(mosquitto.port)
    wait_until(lambda: rig.loop._connected, "the connection")
    sock = rig.loop._client.socket()
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_broker_that_refuses_us_is_named(make_server, make_rig, capfd):
    """A wrong login is not an endless silence: it says that the broker refuses us, and tries on."""
    broker = make_server(Mosquitto, anonymous=False)
    rig = make_rig(broker.port, user="nobody:wrong")
    written = []

    def said_so():
        written.append("".join(capfd.readouterr()))
        return "Not authorized" in "".join(written)

    wait_until(said_so, "the message")
    assert f"127.0.0.1:{broker.port}" in "".join(written)
    assert rig.thread.is_alive()


def test_a_dead_disk_does_not_touch_the_loop(mosquitto, make_rig, tmp_path, monkeypatch):
    """With the real journal stuck in a commit, messages are answered, and the heartbeat says that it is not well."""
    monkeypatch.setattr("gateway.journal.STALLED_MS", 100)
    rig = make_rig(mosquitto.port)
    journal = Journal(tmp_path / "journal.db", 10**9, rig.wake.set)
    journal.open()
    stuck = threading.Event()
    monkeypatch.setattr(journal._file, "commit", lambda batch: stuck.wait(60) and [])
    journal.start()
    rig.loop._journal = journal
    rig.engine.answers = lambda payload: [row(), said(OUT, payload.decode()), said(OUT, "done", durable=True)]
    with Client(mosquitto.port, OUT, FIRST) as client:
        hello(rig, client)
        for number in range(20):
            client.say(IN, str(number).encode())
        wait_until(lambda: len(words(client)) == 20, "the answers")
        assert "done" not in words(client)
        wait_until(lambda: not rig.engine.health.journal_ok, "the journal's state")
    stuck.set()
    journal.stop()


def test_our_own_last_word_is_heard_before_anything_is_said_over_it(mosquitto, make_rig, monkeypatch):
    """Who says everything anew on a connection would else replace what only the broker still knew."""
    own = f"{OUT}/own"
    monkeypatch.setattr(StubEngine, "subscriptions", lambda self: [(IN, 1), (own, 0)])
    heard = []

    def hears(self, topic, payload, retained, now_ms, utc_ms):
        heard.append((topic, retained, self.connects))
        return []

    def connected(self, now_ms, utc_ms):
        self.connects += 1
        return [Publish(topic=own, message=wire.Done(id="new", ok=True), retain=True)]

    monkeypatch.setattr(StubEngine, "connects", 0, raising=False)
    monkeypatch.setattr(StubEngine, "message", hears)
    monkeypatch.setattr(StubEngine, "connected", connected)
    with Client(mosquitto.port, own) as client:
        client.say(own, wire.Done(id="old", ok=True), retain=True)
        rig = make_rig(mosquitto.port, own_topics=[own])
        wait_until(lambda: "new" in words(client, own), "the new word")
        wait_until(lambda: len(heard) == 2, "its echo")
        assert heard == [(own, True, 0), (own, False, 1)]
        client.clear([own])
        rig.loop.stop()
