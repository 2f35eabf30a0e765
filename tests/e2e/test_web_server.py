"""The web process as HTTP: what it serves, what it refuses, what a slow screen costs."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from fake_gateway import FakeGateway, alarm, chair_state
from servers import Mosquitto, wait_until
from web_process import Web

from gateway.wire import Acknowledge, Done, State, chair_topic

ACKNOWLEDGE = {"id": "screen-1-0001", "who": "MK", "session": "s1", "action": {"kind": "acknowledge", "alarms": []}}


def post(web: Web, chair: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    given = {"content-type": "application/json", "origin": web.url}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection("127.0.0.1", web.port, timeout=30)) as connection:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", f"/do/{chair}", raw, {k: v for k, v in given.items() if v})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def health(web: Web) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(web.request("GET", "/healthz")[1])
    return answer


def events(web: Web) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of one connection, as they come."""
    with closing(HTTPConnection("127.0.0.1", web.port, timeout=30)) as connection:
        connection.request("GET", "/events")
        stream, kind = connection.getresponse(), ""
        while raw := stream.readline():
            line = raw.decode().rstrip()
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            if line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))


def heard(web: Web, gateway: FakeGateway, chair: str = "bay-1", **changes: Any) -> None:
    """The web process knows of a chair."""
    gateway.set(chair, **changes)
    wait_until(lambda: health(web)["chairs"] >= 1, "the chair to be known")


def test_an_action_is_carried_to_the_gateway_and_back(web: Web, gateway: FakeGateway) -> None:
    """A post becomes a `do` with an id of its own; the gateway's answer is the response."""
    heard(web, gateway)
    gateway.answers["acknowledge"] = Done(id="", ok=False, session="s1", reason="nothing to acknowledge")
    status, answer = post(web, "bay-1", ACKNOWLEDGE)
    assert (status, answer) == (200, {"ok": False, "reason": "nothing to acknowledge", "session": "s1"})
    deed = gateway.done_deeds[0]
    assert (deed.who, deed.session, deed.action) == ("MK", "s1", Acknowledge())


def test_an_action_is_repeated_with_one_id_and_fails_honestly(web: Web, gateway: FakeGateway) -> None:
    """Without an answer the same `do` is sent again, and in the end the screen is told that nobody answered."""
    heard(web, gateway)
    gateway.answering = False
    status, answer = post(web, "bay-1", ACKNOWLEDGE)
    assert status == 504
    assert "did not answer" in answer["error"]
    assert len(gateway.done_deeds) > 1
    assert len({deed.id for deed in gateway.done_deeds}) == 1


@pytest.mark.parametrize(
    ("chair", "body", "headers", "status", "word"),
    [
        ("bay-9", ACKNOWLEDGE, {}, 404, "bay-9"),
        ("%2B", ACKNOWLEDGE, {}, 404, "+"),
        ("bay-1", ACKNOWLEDGE, {"origin": "http://elsewhere.example"}, 403, "this page"),
        ("bay-1", ACKNOWLEDGE, {"origin": ""}, 403, "this page"),
        ("bay-1", ACKNOWLEDGE, {"content_type": "text/plain"}, 415, "application/json"),
        ("bay-1", b"{", {}, 400, "truncated"),
        ("bay-1", b"x" * 5000, {}, 400, "4096"),
        ("bay-1", ACKNOWLEDGE | {"who": "  "}, {}, 400, "who"),
        ("bay-1", ACKNOWLEDGE | {"more": 1}, {}, 400, "more"),
        ("bay-1", ACKNOWLEDGE | {"action": {"kind": "explode"}}, {}, 400, "explode"),
        ("bay-1", ACKNOWLEDGE | {"action": {"kind": "observe", "moaas": 6}}, {}, 400, "moaas"),
    ],
)
def test_a_bad_action_is_refused_in_one_sentence(
    web: Web, gateway: FakeGateway, chair: str, body: Any, headers: dict[str, str], status: int, word: str
) -> None:
    """Nothing reaches the gateway, and the answer names what is wrong."""
    heard(web, gateway)
    got, answer = post(web, chair, body, **headers)
    assert got == status
    assert word in answer["error"]
    assert gateway.done_deeds == []


def test_a_new_screen_is_told_everything_with_its_age(web: Web, gateway: FakeGateway) -> None:
    """The first events are the site, the heartbeat, and each chair with its age; what the broker kept is marked."""
    gateway.beating = False
    gateway.say(chair_topic(gateway.site, "bay-1", "state"), chair_state(gateway.site, "bay-1"), retain=True)
    web.restart()
    wait_until(lambda: health(web)["chairs"] == 1, "the kept chair")
    stream = events(web)
    first = dict(next(stream) for _ in range(3))
    assert (first["site"]["site"], first["site"]["chairs"]) == (gateway.site, ["bay-1"])
    assert first["beat"]["broker"] is True
    assert (first["chair"]["state"]["chair"], first["chair"]["retained"]) == ("bay-1", True)
    assert first["chair"]["age_ms"] >= 0
    gateway.set("bay-1")
    assert next(body for kind, body in stream if kind == "chair")["retained"] is False


def test_a_configured_chair_is_shown_before_it_is_heard_of(mosquitto: Mosquitto, tmp_path: Path, site: str) -> None:
    """A chair of the configuration that nobody speaks of is on the wall, without a state."""
    web = Web(tmp_path, mosquitto.url, site, ("bay-7",))
    web.start()
    try:
        assert next(body for kind, body in events(web) if kind == "chair")["state"] is None
    finally:
        web.stop()


@pytest.mark.parametrize(
    "payload",
    [b"{", b"[1]", b'{"v": 2}', b'{"v": 1, "run": 7}', b" " * 20_000],
    ids=["broken", "no object", "newer", "wrong type", "too long"],
)
def test_a_bad_message_is_counted_and_changes_nothing(web: Web, gateway: FakeGateway, payload: bytes) -> None:
    """The next good message is shown as ever."""
    heard(web, gateway)
    gateway.say_raw(chair_topic(gateway.site, "bay-1", "state"), payload)
    wait_until(lambda: sum(health(web)["refused"].values()) == 1, "the refusal to be counted")
    assert health(web)["chairs"] == 1
    gateway.set("bay-1", alias="Wren")
    stream = events(web)
    wait_until(lambda: next(b for k, b in stream if k == "chair")["state"]["alias"] == "Wren", "the good message")


def test_a_screen_that_does_not_read_is_cut_off_and_costs_the_others_nothing(web: Web, gateway: FakeGateway) -> None:
    """Its connection ends, it is counted, and another screen is told the newest meanwhile."""
    big = [alarm(id=f"a{i}", reason="x" * 200) for i in range(32)]
    heard(web, gateway, alarms=big)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", web.port))
        slow.sendall(b"GET /events HTTP/1.1\r\nHost: wall\r\n\r\n")
        wait_until(lambda: health(web)["screens"] == 1, "the slow screen")
        flood = threading.Event()
        writer = threading.Thread(target=_flood, args=(gateway, gateway.chairs["bay-1"], flood))
        writer.start()
        try:
            wait_until(lambda: health(web)["screens_dropped"] == 1, "the slow screen to be cut off", 60)
            assert health(web)["screens"] == 0
            assert any(kind == "chair" for kind, _ in events(web))
        finally:
            flood.set()
            writer.join()


def _flood(gateway: FakeGateway, state: State, stop: threading.Event) -> None:
    while not stop.wait(0.01):
        gateway.say(chair_topic(gateway.site, "bay-1", "state"), state)


def test_a_restarted_broker_is_found_again(make_server: Any, tmp_path: Path, site: str) -> None:
    """The process outlives its broker, says meanwhile that it has none, and hears again afterwards."""
    broker = make_server(Mosquitto)
    web = Web(tmp_path, broker.url, site)
    web.start()
    try:
        broker.kill()
        wait_until(lambda: not health(web)["broker_connected"], "the loss to be noticed")
        broker.start()
        wait_until(lambda: health(web)["broker_connected"], "the connection")
    finally:
        web.stop()


def test_a_port_in_use_is_named(web: Web, tmp_path: Path) -> None:
    """The start fails with the port and what to do, before anything runs."""
    second = Web(tmp_path, "mqtt://127.0.0.1:1", "north")
    second.arguments[2] = str(web.port)
    with pytest.raises(AssertionError, match=rf"127\.0\.0\.1:{web.port}.*choose another with --port"):
        second.start()


def test_pages_run_only_their_own_scripts(web: Web) -> None:
    """Every answer carries the content policy; the page names nothing outside of this server."""
    with closing(HTTPConnection("127.0.0.1", web.port, timeout=10)) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        page = answer.read().decode()
        policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in page
