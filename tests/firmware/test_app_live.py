"""The firmware in real time against a real broker, acknowledged by a small gateway written with paho."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from chair_board import DEVICE, topic
from servers import Mosquitto, Server, wait_until

from gateway import wire
from simulators.conductor import SimBoard
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient


class Acknowledger:
    """Takes every record of one board and acknowledges it, as the gateway does."""

    def __init__(self, port: int) -> None:
        self.status: list[tuple[wire.Status, bool]] = []
        self.records: list[tuple[wire.Record, bool]] = []
        self._lock = threading.Lock()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._connected
        self._client.on_message = self._message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _connected(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(topic("#"))

    def _message(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        leaf = message.topic.rsplit("/", 1)[1]
        if leaf == "status":
            self.status.append((wire.decode(message.payload, wire.Status), bool(message.retain)))
        elif leaf in ("vitals", "cuff", "event"):
            record = wire.decode(message.payload, wire.BOARD_TOPICS[leaf])
            assert isinstance(record, wire.Record)
            self.records.append((record, bool(message.retain)))
            ack = wire.Ack(boot=record.boot, run="g", upto=self.upto(record), have=[(record.seq, record.seq)])
            client.publish(topic("ack"), wire.encode(ack))

    def upto(self, record: wire.Record) -> int:
        seqs = {r.seq for r, _ in self.records}
        upto = record.base - 1
        while upto + 1 in seqs:
            upto += 1
        return upto

    def last(self) -> Any:
        return self.records[-1][0] if self.records else None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(make_server: Any) -> Server:
    server: Server = make_server(Mosquitto)
    return server


@pytest.fixture
def board(broker: Server, tmp_path: Path) -> Iterator[SimBoard]:
    board = SimBoard(DEVICE, ChairWorld(Patient()), tmp_path / "flash", mode="live", broker=("127.0.0.1", broker.port))
    board.start()
    yield board
    board.kill()


def test_a_real_broker_gets_right_vitals_and_the_acks_empty_the_outbox(broker: Server, board: SimBoard) -> None:
    """Retained birth, good readings of the patient, and a base that follows what was acknowledged."""
    gateway = Acknowledger(broker.port)
    wait_until(lambda: getattr(gateway.last(), "quality", "") == "good", "a good reading", 30)
    wait_until(lambda: gateway.last().seq - gateway.last().base <= 1, "an empty outbox", 10)
    vitals = gateway.last()
    assert abs(vitals.spo2_pct - board.world.patient.at("spo2_pct", board.now_s())) < 4
    assert abs(vitals.pulse_bpm - board.world.patient.at("pulse_bpm", board.now_s())) < 4
    assert gateway.status[-1][0].online
    assert not any(retained for _, retained in gateway.records)
    board.check()
    gateway.close()


def test_a_broker_restart_loses_no_record(broker: Server, board: SimBoard) -> None:
    """Killed and started again: the board is back by itself and what was on the way is sent again."""
    gateway = Acknowledger(broker.port)
    wait_until(lambda: gateway.last() is not None and gateway.last().seq >= 5, "first records", 30)
    broker.kill()
    broker.start()
    before = gateway.last().seq
    wait_until(
        lambda: {r.seq for r, _ in gateway.records} >= set(range(1, before + 6)) and gateway.last().late is False,
        "every record across the restart",
        60,
    )
    assert gateway.status[-1][0].conn >= 2
    assert board.resets == [1]
    board.check()
    gateway.close()


def test_a_board_that_loses_power_is_told_by_its_will(broker: Server, board: SimBoard) -> None:
    """The broker publishes the will of this boot and connection."""
    gateway = Acknowledger(broker.port)
    wait_until(lambda: gateway.status and gateway.status[-1][0].online, "the birth", 30)
    birth = gateway.status[-1][0]
    board.kill()
    wait_until(lambda: not gateway.status[-1][0].online, "the will", 30)
    will = gateway.status[-1][0]
    assert (will.boot, will.conn) == (birth.boot, birth.conn)
    gateway.close()
