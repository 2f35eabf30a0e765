"""kill -9 of a gateway at a hundred moments under load, and an observer who forgets nothing."""

import asyncio
import contextlib
import json
import random
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_process import Gateway
from kill_observer import Observer
from servers import Mosquitto

from gateway import wire
from gateway.journal_reader import JournalReader
from simulators.fleet import connection
from simulators.fleet.board import Board
from simulators.fleet.connection import Connection
from simulators.fleet.ledger import Ledger, late
from simulators.fleet.site import SITE, Address, chairs
from simulators.fleet.ward import Ward, now_ms
from simulators.mqtt_packets import Published

CHAIRS = 16
KILLS = 100
SEED = 22
REPEAT_S = 0.5
BACK_MS_MAX = 2_000.0
BARE_STARTS = 20


class Acted:
    """A patient whose values somebody sets."""

    def __init__(self, sys_mmhg: float) -> None:
        self.spo2_pct, self.sys_mmhg = 97.0, sys_mmhg

    def vitals(self, _passed_s: float) -> dict[str, float]:
        return {"spo2_pct": self.spo2_pct, "pulse_bpm": 70.0, "pi_pct": 3.0}

    def pressure(self) -> tuple[float, float, float]:
        return self.sys_mmhg, 80.0, 100.0


class Screen:
    """Says each action until it is answered, as a screen does; hears what the observer hears."""

    def __init__(self, observer: Observer, port: int) -> None:
        self.observer = observer
        self.acted = asyncio.Event()
        """Something that must not get lost is under way."""
        self._up = asyncio.Event()
        self._answers: dict[str, asyncio.Future[wire.Done]] = {}
        self._people = 0
        filters = tuple((topic, 0) for topic in (
            wire.gateway_topic(SITE), wire.device_topic("+", "vitals"), wire.device_topic("+", "ack"),
            *(wire.chair_topic(SITE, "+", leaf) for leaf in ("do", "done", "alarm", "state"))))  # fmt: skip
        self._link = Connection("kill-observer", filters, self._took, self._up.set, lambda: None)
        self._port = port

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self._link, "127.0.0.1", self._port)
        await self._up.wait()

    def close(self) -> None:
        self._link.close()

    async def tend(self) -> None:
        while True:
            self._link.tend()
            await asyncio.sleep(1)

    async def does(self, chair: str, session: str, action: wire.Action) -> wire.Done:
        self._people += 1
        do = wire.Do(id=secrets.token_hex(8), session=session, who=f"nurse {self._people}", action=action)
        answer = self._answers[do.id] = asyncio.get_running_loop().create_future()
        while not answer.done():
            self._link.publish(wire.chair_topic(SITE, chair, "do"), wire.encode(do), qos=1)
            self.acted.set()
            await asyncio.wait([answer], timeout=REPEAT_S)
        return answer.result()

    def _took(self, message: Published) -> None:
        self.observer.took(message.topic, message.payload, message.retain, time.monotonic())
        if message.topic.endswith("/alarm"):
            self.acted.set()
        if message.topic.endswith("/done"):
            self.acted.set()
            done = wire.decode(message.payload, wire.Done)
            answer = self._answers.get(done.id)
            if answer is not None and not answer.done():
                answer.set_result(done)


async def stay(chair: str, patient: Acted, screen: Screen, chance: random.Random, over: asyncio.Event) -> None:
    """Sessions of one chair with falls of the saturation and what staff do about them, until it is `over`."""
    while not over.is_set():
        started = await screen.does(chair, "", wire.Start(
            protocol="demo", alias="Fox", baseline_sys_mmhg=patient.sys_mmhg, baseline_dia_mmhg=80.0))  # fmt: skip
        does = lambda action, session=started.session: screen.does(chair, session, action)  # noqa: E731
        await does(wire.Dose(what="first"))
        for _ in range(chance.randrange(3, 7)):
            if over.is_set():
                return
            patient.spo2_pct = chance.choice([82.0, 82.0, 88.0])
            await asyncio.sleep(chance.uniform(1, 5) if patient.spo2_pct < 85 else chance.uniform(8, 14))
            await does(chance.choice([wire.Acknowledge(), wire.PauseAudio(), wire.Observe(moaas=4)]))
            if chance.random() < 0.3:
                patient.spo2_pct = 81.0
                await asyncio.sleep(chance.uniform(1, 3))
            await does(chance.choice([wire.Acknowledge(), wire.Dose(what="further"), wire.Observe(nausea=2)]))
            patient.spo2_pct = 97.0
            await asyncio.sleep(chance.uniform(6, 9))
        await does(wire.Abort(reason="the next one"))


async def killed_again_and_again(broker: Mosquitto, gateway: Gateway, observer: Observer) -> dict[str, list[float]]:
    """Returns milliseconds: from each kill to the first heartbeat after it, and what a bare start took meanwhile."""
    chance = random.Random(SEED)
    began_ms = int(now_ms()) - 1_000
    patients = {name: Acted(190.0 if n % 4 == 0 else 120.0) for n, name in enumerate(chairs(CHAIRS))}
    boards = [
        Board(device, secrets.token_hex(8), patients[name], chance, began_ms)  # type: ignore[arg-type]
        for name, device in chairs(CHAIRS).items()
    ]
    ledger = Ledger({board.device: board.boot for board in boards})
    ward = Ward(boards, 1.0, Address("127.0.0.1", broker.port), ledger)
    screen, over = Screen(observer, broker.port), asyncio.Event()
    figures: dict[str, list[float]] = {"back": [], "bare": []}
    async with asyncio.TaskGroup() as tasks:
        await screen.connect()
        tending = tasks.create_task(screen.tend())
        _start(gateway)
        await ward.connect(30)
        ward.speak()
        await _until(lambda: bool(observer.run), "the first heartbeat")
        stays = [tasks.create_task(stay(name, patients[name], screen, chance, over)) for name in patients]
        await _until(lambda: all(bed.owed for bed in observer.beds.values()), "a session in every chair")
        for kill in range(KILLS):
            if kill % (KILLS // BARE_STARTS) == 0:
                figures["bare"].append(await _bare_start_ms())
            await _some_moment(screen, chance)
            killed_s = time.monotonic()
            gateway.kill()
            observer.killed()
            _start(gateway)
            await _until(lambda: bool(observer.run), f"the gateway after kill {kill} of seed {SEED}")
            figures["back"].append(1000 * (observer.beat_s[observer.run] - killed_s))
            _nothing_is_wrong(observer, f"kill {kill}")
        over.set()
        await asyncio.gather(*stays)
        await _until(lambda: all(len(board.outbox) < 3 for board in boards), "the outboxes")
        ward.leave()
        tending.cancel()
        screen.close()
    return figures


def _nothing_is_wrong(observer: Observer, when: str) -> None:
    for wrong in observer.wrong[:1]:
        raise AssertionError(f"seed {SEED}, {when}: {observer.wrong}\n{observer.last_of(wrong.split(':')[0])}")


def _start(gateway: Gateway) -> None:
    """As a supervisor starts it: at once, and nobody waits for its first words."""
    with gateway.log_path.open("ab") as log:
        gateway.process = subprocess.Popen(gateway.command(), stdout=log, stderr=log, cwd=gateway.folder)


async def _bare_start_ms() -> float:
    """A Python that imports what the gateway imports and ends, beside everything else that runs now."""
    began_ms = now_ms()
    bare = await asyncio.create_subprocess_exec(sys.executable, "-c", "import gateway.cli")
    assert await bare.wait() == 0
    return now_ms() - began_ms


async def _some_moment(screen: Screen, chance: random.Random) -> None:
    """Any moment, or one within milliseconds of an alarm, an action or an answer."""
    if chance.random() < 0.5:
        await asyncio.sleep(chance.uniform(0, 1.5))
        return
    screen.acted.clear()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(screen.acted.wait(), 2)
    await asyncio.sleep(chance.uniform(0, 0.02))


async def _until(condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {within_s:g} s for {what}"
        await asyncio.sleep(0.005)


@pytest.mark.long
def test_nothing_is_lost_by_a_hundred_kills(make_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back within 2 s; no acknowledged alarm sounds again, no active one is missing, none has two names, no action is
    lost after its `done`. Half of the kills come within milliseconds of an alarm, an action or an answer."""
    broker = make_server(Mosquitto)
    gateway = Gateway(tmp_path / "gateway", broker.url, SITE, chairs(CHAIRS))
    gateway.config.write_text(gateway.config.read_text() + '[protocols]\ndefault = "demo"\n')
    observer = Observer({device: chair for chair, device in chairs(CHAIRS).items()})
    # An observer that loses its link to a broker that has no time could judge nothing.
    monkeypatch.setattr(connection, "ANSWER_S", 60.0)
    try:
        figures = asyncio.run(killed_again_and_again(broker, gateway, observer))
    finally:
        gateway.stop()
    back, bare = late(figures["back"]), late(figures["bare"])
    raised_ms = [s.raised_after_ms for bed in observer.beds.values() for s in bed.spells if s.raised_after_ms]
    print(f"\n{KILLS} kills, seed {SEED}: back after {back}\nbare start {bare}\n{observer.states} states, "
          f"{len(observer.alarms)} alarms, {len(observer.answers)} answers of {len(observer.asked)} actions; a delayed "
          f"alarm at most {max(raised_ms, default=0)} ms late")  # fmt: skip
    _nothing_is_wrong(observer, "the end")
    assert _unkept(observer, gateway.journal) == []
    # Back within 2 s. On a machine that is so busy that a bare start takes longer, twice that: the rest is ours.
    assert back is not None
    assert bare is not None
    assert back.p50_ms <= max(BACK_MS_MAX, 2 * bare.p50_ms)
    assert back.max_ms <= max(BACK_MS_MAX, 2 * bare.max_ms)


def _unkept(observer: Observer, journal: Path) -> list[str]:
    """What was promised on the wire and is not in the journal, or is there twice."""
    wrong: list[str] = []
    with JournalReader(journal) as reader:
        assert reader.broken_audit() is None
        for chair, bed in observer.beds.items():
            stored = Counter(row.seq for row in reader.rows("vitals", chair, 0, 10**6))
            stored.update(row.seq for kind in ("cuff", "device") for row in reader.rows(kind, chair, 0) if row.seq)
            wrong += [f"{chair}: {seq} was acknowledged" for seq in bed.acked if stored[seq] != 1]
            lines = reader.rows("session", chair, 0) + reader.rows("alarm", chair, 0)
            by = Counter((row.fields.get("who"), row.fields["what"], row.fields.get("id", "")) for row in lines)
            wrong += [f"{chair}: {line} {times} times" for line, times in by.items() if line[0] and times > 1]
            known = {who for who, _, _ in by if who}
            for name, (place, do) in observer.asked.items():
                if place == chair and name in observer.answers and observer.answers[name].ok != (do.who in known):
                    wrong.append(f"{chair}: {do.who} {json.loads(wire.encode(do))} {observer.answers[name]}")
    return wrong
