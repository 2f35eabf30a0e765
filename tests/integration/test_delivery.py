"""End to end: every record that a board published is in InfluxDB exactly once, whatever breaks on the way."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from gateway_process import Client, Gateway, Watch
from proxy import LossyProxy
from servers import Influxd, Mosquitto, wait_until

from gateway import wire
from simulators.conductor import SimBoard
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

BOARDS = Path(__file__).parents[2] / "simulators" / "demo" / "boards"
RECORDS = ("vitals", "cuff", "event")
SITE = "delivery"
SEED = 20261121
LOSS = 0.05


def published(boards):
    """(device, boot, seq) of every record that a board put on the wire, from the simulator's tap."""
    found = set()
    for board in boards:
        for message in board.published:
            leaf = message.topic.rsplit("/", 1)[1]
            if leaf in RECORDS:
                record = wire.decode(message.payload, wire.BOARD_TOPICS[leaf])
                found.add((board.device, record.boot, record.seq))
    return found


def in_influx(influxd):
    """How often each record is in the database, by query."""
    rows = influxd.rows('SELECT seq, boot FROM vitals, cuff, "device" GROUP BY "device"')
    return Counter((row["device"], row["boot"], int(row["seq"])) for row in rows if row["seq"] is not None)


@pytest.fixture
def boards(tmp_path):
    made = []

    def make(broker_port, number):
        device = f"cb-{number:06d}"
        calibration = json.loads((BOARDS / f"{device}.json").read_text())
        world = ChairWorld(Patient(), seed=number)
        made.append(
            SimBoard(device, world, tmp_path / device, mode="live", broker=("127.0.0.1", broker_port),
                     calibration=calibration)
        )  # fmt: skip
        made[-1].start()
        return made[-1]

    yield make
    for board in made:
        board.kill()


@pytest.mark.long
def test_every_record_is_stored_exactly_once(make_server, boards, tmp_path):
    """60 s of six boards through a proxy that loses 5 % of their messages, two restarts of the broker, one kill -9 of
    the gateway and one of the database: nothing is missing and nothing is there twice."""
    broker, influxd = make_server(Mosquitto), make_server(Influxd)
    influx = f'[influx]\nversion = 1\nurl = "{influxd.url}"\ndatabase = "chairside"\n'
    chairs = {f"bay-{number}": f"cb-{number:06d}" for number in range(1, 7)}
    gateway = Gateway(tmp_path / "gateway", broker.url, SITE, chairs, influx)
    gateway.start()
    print(f"seed {SEED}")
    try:
        with LossyProxy(broker.port, LOSS, SEED) as proxy:
            _begin(broker, chairs, made := [boards(proxy.port, number) for number in range(1, 7)])
            for happening in (broker.restart, lambda: _again(gateway), lambda: _again(influxd), broker.restart):
                _run_for(made, 12)
                happening()
            _run_for(made, 12)
            expected = published(made)
            wait_until(lambda: not expected - in_influx(influxd).keys(), "every record to be in InfluxDB", 120)
            stored = in_influx(influxd)
            assert {record: count for record, count in stored.items() if count != 1} == {}
            assert sum(proxy.lost.values()) > 0
            assert {device for device, _, _ in expected} == set(chairs.values())
            assert {message.topic.rsplit("/", 1)[1] for board in made for message in board.published} >= {"cuff"}
            print(f"{len(expected)} records, {len(stored)} stored, proxy lost {sum(proxy.lost.values())}")
    finally:
        gateway.stop()


def _begin(broker, chairs, made):
    """Every board has said something, and every chair has a session, so that cuffs are measured."""
    topics = [wire.chair_topic(SITE, "+", "done"), wire.gateway_topic(SITE)]
    with Client(broker.port, *topics) as client:
        Watch(client, SITE).next_run()
        wait_until(lambda: len({device for device, _, _ in published(made)}) == len(made), "all boards", 60)
        for chair in chairs:
            start = wire.Do(id=f"start-{chair}", session="", who="Ann", action=wire.Start(protocol="demo", alias=chair))
            client.say(wire.chair_topic(SITE, chair, "do"), start)
            answer = client.next(
                wire.chair_topic(SITE, chair, "done"),
                wire.Done,
                lambda d, id=start.id: d.id == id,
                f"session at {chair}",
            )
            assert answer.ok, answer.reason


def _run_for(made, seconds):
    """Time is what is tested here: boards go on for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for board in made:
            board.check()
        time.sleep(0.2)


def _again(server):
    server.kill()
    server.start()
