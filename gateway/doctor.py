"""Looks at everything a gateway lives on, from outside it, and says what to do about what is wrong."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
import paho.mqtt.client as paho
from msgspec import Struct
from paho.mqtt.enums import CallbackAPIVersion

from gateway import wire
from gateway.broker.client import secure
from gateway.clock import utc_ms, utc_trusted
from gateway.config import Config, InfluxConfig
from gateway.influx_answers import Forbidden, Missing, Unavailable, Untrusted
from gateway.influx_writers import writer_for
from gateway.journal_reader import JournalReader

BROKER_S = 5.0
HEARTBEAT_S = 3.5
"""Three are due in that time; the first one delivered may be an old one that the broker kept."""
HTTP_S = 5.0
DISK_FREE_BYTES_MIN = 1_000_000_000
ROW_AGE_S_MAX = 60.0
State = Literal["good", "look", "bad"]


class Finding(Struct, frozen=True):
    """`todo` is empty where all is good."""

    part: str
    state: State
    found: str
    todo: str = ""


def examine(config: Config) -> Iterator[Finding]:
    """Each part as soon as it is known. Nothing is changed anywhere."""
    yield from broker(config)
    yield from _journal(Path(config.journal.path), config.journal.bytes_max)
    yield _clock()
    if config.influx is not None:
        yield examine_influx(config.influx)
    if config.grafana is not None:
        yield _grafana(config.grafana.url, config.grafana.token)


def broker(config: Config) -> Iterator[Finding]:
    """The broker, and what the gateway says of itself over it."""
    mqtt, where = config.mqtt, f"{config.mqtt.host}:{config.mqtt.port}"
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect_timeout = BROKER_S
    if mqtt.user:
        client.username_pw_set(mqtt.user, mqtt.password)
    refused: list[str] = []
    beats: list[wire.Heartbeat] = []
    client.on_connect = lambda _client, _data, _flags, reason, _: refused.append(
        str(reason) if reason.is_failure else ""
    )

    def heard(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if not message.retain:
            beats.append(wire.decode(bytes(message.payload), wire.Heartbeat, wire.STATE_BYTES_MAX))

    client.on_message = heard
    try:
        secure(client, mqtt)
        client.connect(mqtt.host, mqtt.port)
    except OSError as error:
        todo = "start it (sudo systemctl start mosquitto), or mend [mqtt] url, ca, certificate and key"
        yield Finding("broker", "bad", f"{where}: {error}", todo)
        return
    if not _turned(client, lambda: bool(refused), BROKER_S) or refused[0]:
        why = refused[0] if refused else "no answer"
        yield Finding("broker", "bad", f"{where}: {why}", "look at its log, and at user, password and access list")
        return
    yield Finding("broker", "good", f"{where} answers")
    client.subscribe(wire.gateway_topic(config.site.name))
    _turned(client, lambda: bool(beats), HEARTBEAT_S)
    client.disconnect()
    yield from _gateway(config, beats[-1] if beats else None)


def _turned(client: paho.Client, done: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not done() and time.monotonic() < deadline:
        if client.loop(0.1) != paho.MQTT_ERR_SUCCESS:
            break
    return done()


def _gateway(config: Config, beat: wire.Heartbeat | None) -> Iterator[Finding]:
    if beat is None or not beat.online:
        todo = "start it: sudo systemctl start chairside-gateway; its log: journalctl -u chairside-gateway"
        yield Finding("gateway", "bad", f"no heartbeat of site {config.site.name} in {HEARTBEAT_S:g} s", todo)
        return
    lost = sum(beat.dropped.values())
    found = f"run {beat.run}, {beat.received} messages, {sum(beat.refused.values())} refused, {lost} dropped"
    todo = "its log names each refused kind once a minute" if lost or beat.refused else ""
    yield Finding("gateway", "look" if todo else "good", found, todo)
    missing = beat.chairs - beat.devices_online
    yield Finding(
        "boards",
        "look" if missing else "good",
        f"{beat.devices_online} of {beat.chairs} are heard",
        "the wall page names the chairs; see their lamp, power and Wi-Fi" if missing else "",
    )
    if not beat.journal_ok or beat.journal != "ok":
        yield Finding("journal", "bad", f"the gateway says: {beat.journal}", "make room on the disk; see its log")


def _journal(path: Path, bytes_max: int) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(path.parent).free
        with JournalReader(path) as reader:
            _, last = reader.ids()
            newest = reader.after(last - 1, 1)
            quarantined, broken = len(reader.quarantined()), reader.broken_audit()
    except (sqlite3.Error, OSError) as error:
        todo = "start the gateway, which begins one; or mend [journal] path and its rights"
        yield Finding("journal", "bad", f"{path}: {error}", todo)
        return
    age_s = (utc_ms() - newest[0].stored_ms) / 1000 if newest else None
    found = f"{last} rows, {path.stat().st_size / 1e6:.0f} of {bytes_max / 1e6:.0f} MB"
    fresh = age_s is not None and age_s <= ROW_AGE_S_MAX
    aged = "no row yet" if age_s is None else f"the last {age_s:.0f} s ago"
    todo = "" if fresh else "a gateway that runs writes every ten seconds: look at the one above"
    yield Finding("journal", "good" if fresh else "look", f"{found}, {aged}", todo)
    if broken is not None:
        todo = "keep a copy of the file as it is; somebody or something changed it"
        yield Finding("audit trail", "bad", f"does not fit from line {broken} on", todo)
    if quarantined:
        todo = "table quarantine of the journal says why; the rows themselves are safe there"
        yield Finding("quarantine", "look", f"{quarantined} rows that InfluxDB will not take", todo)
    short = free < DISK_FREE_BYTES_MIN
    todo = "make room: alarms are still raised when it is full, but nothing is recorded" if short else ""
    yield Finding("disk", "bad" if short else "good", f"{free / 1e9:.1f} GB free at {path.parent}", todo)


def _clock() -> Finding:
    if utc_trusted():
        return Finding("clock", "good", "a time service keeps it")
    todo = "sudo apt install chrony, and let it reach a time server; until then times are guesses"
    return Finding("clock", "look", "no time service has set it since the computer started", todo)


def examine_influx(config: InfluxConfig) -> Finding:
    """Certificate, login, database and rights at once."""
    where = config.url.rsplit("@", 1)[-1]
    try:
        writer_for(config).probe()
    except Unavailable as error:
        return Finding("InfluxDB", "bad", f"{where}: {error}", "start it; meanwhile the journal keeps every row")
    except Missing as error:
        todo = "the gateway makes it when it starts, if its login may; or mend url, org, and database or bucket"
        return Finding("InfluxDB", "bad", f"{where}: {error}", todo)
    except Untrusted as error:
        todo = "mend [influx] ca, which is the authority of its certificate, or give it a certificate of its name"
        return Finding("InfluxDB", "bad", f"{where} is not trusted: {error}", todo)
    except Forbidden as error:
        todo = "mend user, password, token, org and bucket, and http or https in url"
        return Finding("InfluxDB", "bad", f"{where} refuses us: {error}", todo)
    return Finding("InfluxDB", "good", f"{where} takes our rows")


def _grafana(url: str, token: str) -> Finding:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=HTTP_S)
    try:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("GET", parts.path.rstrip("/") + "/api/annotations?limit=1", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        return Finding("Grafana", "bad", f"{url}: {error}", "start it; what it missed is told when it is back")
    finally:
        connection.close()
    if answer.status in (401, 403):
        return Finding(
            "Grafana", "bad", f"{url} refuses the token", "give a service account that may write annotations"
        )
    try:
        msgspec.json.decode(body, type=list[object])
    except msgspec.DecodeError:
        return Finding("Grafana", "bad", f"{url} answers {answer.status}, not as Grafana", "mend [grafana] url")
    return Finding("Grafana", "good", f"{url} lets us read annotations")
