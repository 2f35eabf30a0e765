"""The gateway process against a real broker: bad input, outages, kill -9."""

import sqlite3
from uuid import uuid4

import msgspec
import pytest
from gateway_process import Board, Client, Gateway, Watch
from servers import Mosquitto, free_port, wait_until

from gateway import wire


@pytest.fixture
def site():
    return f"s{uuid4().hex[:8]}"


@pytest.fixture
def device():
    return f"cb-{uuid4().hex[:6]}"


@pytest.fixture
def make_gateway(tmp_path, site, device):
    made = []

    def make(url):
        made.append(Gateway(tmp_path / "gateway", url, site, {"bay-1": device}))
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


def stored(gateway):
    connection = sqlite3.connect(f"file:{gateway.journal}?mode=ro", uri=True)
    try:
        return {(boot, seq) for boot, seq in connection.execute("SELECT boot, seq FROM rows WHERE seq > 0")}
    finally:
        connection.close()


def is_live(state):
    return not isinstance(state.vitals, msgspec.UnsetType) and state.vitals.freshness == "live"


BAD = {
    "malformed": b"{not json",
    "oversized": b'{"v":1,"pad":"' + b"x" * 3000 + b'"}',
    "version": b'{"v":2,"boot":"00112233445566aa","seq":1,"base":1,"up_ms":5,"quality":"good","sqi_pct":90}',
    "invalid range": b'{"v":1,"boot":"00112233445566aa","seq":1,"base":1,"up_ms":5,"quality":"good","sqi_pct":90,'
    b'"spo2_pct":140}',
    "invalid type": b'{"v":1,"boot":"00112233445566aa","seq":"1","base":1,"up_ms":5,"quality":"good","sqi_pct":90}',
    "invalid missing": b'{"v":1,"boot":"00112233445566aa","seq":1}',
}


def test_bad_messages_are_counted_and_change_nothing(make_server, make_gateway, site, device):
    """Each kind is counted in the heartbeat and logged with its topic; no row, no value; the next good one is live."""
    mosquitto = make_server(Mosquitto)  # one of its own: what others retained there would be counted too
    gateway = make_gateway(mosquitto.url)
    gateway.start()
    beat, state = wire.gateway_topic(site), wire.chair_topic(site, "bay-1", "state")
    topic = wire.device_topic(device, "vitals")
    with Client(mosquitto.port, beat, state) as client:
        client.next(beat, wire.Heartbeat, lambda b: b.online, "the gateway")
        for payload in BAD.values():
            client.say(topic, payload)
        client.say(wire.device_topic("cb-nobody", "vitals"), b"{}")
        expected = {"malformed": 1, "oversized": 1, "version": 1, "invalid": 3, "unknown_device": 1}
        client.next(beat, wire.Heartbeat, lambda b: b.refused == expected, f"refusals {expected}")
        assert stored(gateway) == set()
        assert not any(is_live(s) for s in client.all(state, wire.State))
        Board(client, device).vitals(spo2_pct=93.0)
        live = client.next(state, wire.State, is_live, "the good reading")
        assert live.vitals.spo2_pct == 93.0
    for kind in ("malformed", "oversized", "version", "invalid"):
        lines = [line for line in gateway.log().splitlines() if "message refused" in line and f'"{kind}:' in line]
        assert len(lines) == 1, f"{kind}: one line a minute, with topic and reason"
        assert topic in lines[0]


def test_a_retained_reading_is_not_life(mosquitto, make_gateway, site, device):
    """The broker hands out a dead board's last reading and birth: nobody may look alive by it."""
    topic = wire.device_topic(device, "vitals")
    beat, state = wire.gateway_topic(site), wire.chair_topic(site, "bay-1", "state")
    with Client(mosquitto.port, beat, state) as client:
        board = Board(client, device)
        board.status()
        client.say(topic, wire.Vitals(boot=board.boot, seq=1, base=1, up_ms=5, quality="good", sqi_pct=90.0,
                                      spo2_pct=99.0), retain=True)  # fmt: skip
        gateway = make_gateway(mosquitto.url)
        gateway.start()
        client.next(beat, wire.Heartbeat, lambda b: b.refused.get("retained", 0) == 1, "the refusal")
        last = client.next(state, wire.State, lambda s: True, "a state")
        assert not last.online
        assert not any(is_live(s) for s in client.all(state, wire.State))
        client.clear([topic, wire.device_topic(device, "status")])


def test_what_was_acknowledged_survives_kill_9(mosquitto, make_gateway, site, device):
    """Killed in the middle of records, again and again: all that an ack covered is in the journal, once."""
    gateway = make_gateway(mosquitto.url)
    ack = wire.device_topic(device, "ack")
    with Client(mosquitto.port, ack, wire.gateway_topic(site)) as client:
        board, watch = Board(client, device), Watch(client, site)
        acknowledged = set()
        for _ in range(3):
            gateway.start()
            watch.next_run()
            first = board.seq + 1
            upto = wait_until(lambda first=first: _said_and_acked(board, client, ack, first), "an ack of new records")
            gateway.kill()
            acknowledged |= {(board.boot, seq) for seq in range(first, upto + 1)}
            assert acknowledged <= stored(gateway)


def _said_and_acked(board, client, ack, first):
    """Says one more record. Returns the highest ack once it covers the first of this life."""
    board.vitals(base=first)
    acks = [message.upto for message in client.all(ack, wire.Ack)]
    return max(acks) if acks and max(acks) >= first else 0


def test_a_session_survives_kill_9(mosquitto, make_gateway, site, device):
    """`done` says that it is kept: after kill -9 the session is there, and the run is another one."""
    gateway = make_gateway(mosquitto.url)
    gateway.start()
    state, done = (wire.chair_topic(site, "bay-1", leaf) for leaf in ("state", "done"))
    with Client(mosquitto.port, state, done, wire.gateway_topic(site)) as client:
        watch = Watch(client, site)
        watch.next_run()
        Board(client, device).vitals()
        client.next(state, wire.State, lambda s: s.online, "the board")
        start = wire.Do(id="start-0001", session="", who="Ann", action=wire.Start(protocol="demo", alias="Fox"))
        client.say(wire.chair_topic(site, "bay-1", "do"), start)
        answer = client.next(done, wire.Done, lambda d: d.id == "start-0001", "the answer")
        assert answer.ok, answer.reason
        before = client.next(state, wire.State, lambda s: s.session == answer.session, "the session")
        gateway.kill()
        gateway.start()
        watch.next_run()
        after = client.next(state, wire.State, lambda s: s.run != before.run, "the new run")
        assert (after.session, after.alias) == (answer.session, "Fox")
        client.say(wire.chair_topic(site, "bay-1", "do"), start)
        wait_until(lambda: len(client.all(done, wire.Done)) == 2, "the answer to the repeated action")
        assert client.all(done, wire.Done)[1].session == answer.session


def test_a_dead_gateway_is_said_by_its_will(mosquitto, make_gateway, site):
    """Killed: the broker says offline, and keeps saying it to who comes later; a clean end says so itself."""
    gateway = make_gateway(mosquitto.url)
    beat = wire.gateway_topic(site)
    for end in (gateway.kill, gateway.stop):
        gateway.start()
        with Client(mosquitto.port, beat) as client:
            client.next(beat, wire.Heartbeat, lambda b: b.online, "the gateway")
            end()
            client.next(beat, wire.Heartbeat, lambda b: not b.online, "the last word")
        with Client(mosquitto.port, beat) as late:
            assert not late.next(beat, wire.Heartbeat, lambda b: True, "the retained word").online


def test_without_a_broker_it_says_where_and_what_to_do(tmp_path, make_gateway, site):
    """It starts without one, names the port, and is there as soon as a broker is."""
    folder = tmp_path / "late"
    folder.mkdir()
    broker = Mosquitto(folder)
    gateway = make_gateway(broker.url)
    gateway.start()
    try:
        log = wait_until(lambda: gateway.log() if "no MQTT broker" in gateway.log() else "", "the message")
        assert f"127.0.0.1:{broker.port}" in log
        assert "CHAIRSIDE_MQTT_URL" in log
        broker.start()
        beat = wire.gateway_topic(site)
        with Client(broker.port, beat) as client:
            client.next(beat, wire.Heartbeat, lambda b: b.online, "the gateway")
    finally:
        broker.stop()


def test_a_broker_that_forgot_is_told_everything_again(make_server, make_gateway, site, device):
    """After a restart without persistence the broker has nothing; state, annunciate and heartbeat come again."""
    broker = make_server(Mosquitto)
    gateway = make_gateway(broker.url)
    gateway.start()
    topics = [
        wire.gateway_topic(site),
        wire.chair_topic(site, "bay-1", "state"),
        wire.device_topic(device, "annunciate"),
    ]
    for _ in range(2):
        with Client(broker.port, *topics) as client:
            for topic in topics:
                wait_until(lambda topic=topic: [m for m in client.arrived if m.topic == topic], topic)
        broker.restart()


def test_a_second_gateway_on_the_same_journal_does_not_start(make_gateway):
    """It says which file and what to do, and the first one goes on."""
    first = make_gateway(f"mqtt://127.0.0.1:{free_port()}")
    first.start()
    with pytest.raises(AssertionError, match="ended with 2") as caught:
        make_gateway(f"mqtt://127.0.0.1:{free_port()}").start()
    assert "journal.db is written by another gateway" in str(caught.value)
    assert first.process.poll() is None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace("bay-1 =", "Bay/1 ="), ["gateway.toml:6:", "Bay/1"]),
        (lambda text: text.replace("[site]", "[sight]"), ["gateway.toml", "sight", "site, mqtt"]),
        (lambda text: text + '[protocols]\ndefault = "none-such"\n', ["protocols.default", "none-such", "demo"]),
        (lambda text: text + '[protocols]\ndir = "empty"\n', ["empty", "no protocol"]),
    ],
)
def test_a_wrong_configuration_stops_the_start(make_gateway, spoil, said):
    """Exit code 2 and one line that says what is wrong and what is allowed."""
    gateway = make_gateway(f"mqtt://127.0.0.1:{free_port()}")
    gateway.config.write_text(spoil(gateway.config.read_text()))
    with pytest.raises(AssertionError, match="ended with 2") as caught:
        gateway.start()
    for words in said:
        assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)
