"""InfluxDB away for half an hour under 50 chairs, then back while the gateway is killed twice: the record, the alarms.

Time is compressed by number, not by a clock: while InfluxDB is away each board says `FAST_HZ` readings a second instead
of one, until as many rows wait in the journal as 30 min of 50 chairs make; through the real broker, the real gateway
with its real queues, and InfluxDB 1.6.7 behind a door that is shut in two ways: it refuses, or it takes a connection
and never answers.

The alarm path is from a board's write of a reading under 85 % to the alarm at an MQTT observer. It is measured in short
blocks with the door open and shut in turn, in one run, and compared over all blocks of a kind. A machine that has no
time for us adds to either kind by chance, so a comparison that fails is given more blocks, twice; what slows alarms
whenever InfluxDB is away slows them in those too.
"""

import asyncio
import contextlib
import random
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any, Literal

import pytest
from gateway_process import Gateway
from servers import Influxd, Mosquitto

from gateway.journal_reader import JournalReader
from simulators.fleet.board import Board
from simulators.fleet.ledger import Late, Ledger, late
from simulators.fleet.screen import Screen
from simulators.fleet.site import PROTOCOL, SITE, Address, chairs
from simulators.fleet.ward import Ward, now_ms

CHAIRS = 50
USUAL_HZ, BLOCK_HZ, FAST_HZ = 1.0, 4.0, 24.0
AWAY_ROWS = 30 * 60 * CHAIRS
PAIRS, BLOCK_S, ROUNDS_MAX = 6, 3.0, 3
LOW_MS = 500
"""So long a patient is low, then as long well: an alarm of each chair every second."""
RATIO_MAX, NOISE_MS = 1.5, 3.0
"""One slice of another thread or one turn of the loop lasts about so long: less is no difference."""
RSS_RATIO_MAX = 1.10
KILL_AT = (0.85, 0.5)
"""The gateway is killed when so much of the backlog is left."""


class Door:
    """A TCP proxy before InfluxDB. `open`, or `refuse` each connection, or let each `hang`."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.state: Literal["open", "refuse", "hang"] = "open"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._held: list[socket.socket] = []
        threading.Thread(target=self._accept, name="door", daemon=True).start()

    def turn(self, state: Literal["open", "refuse", "hang"]) -> None:
        """What is under way ends in the middle."""
        self.state = state
        held, self._held = self._held, []
        for sock in held:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def close(self) -> None:
        self.turn("refuse")
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.state == "refuse":
                    client.close()
                    continue
                self._held.append(client)
                if self.state == "open":
                    server = socket.create_connection(("127.0.0.1", self._behind))
                    self._held.append(server)
                    for source, target in ((client, server), (server, client)):
                        threading.Thread(target=_pump, args=(source, target), name="door", daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class Restless:
    """A patient whose saturation falls under the limit of the high level and comes back, again and again. `said` is
    when each low value, all of which differ, was first said."""

    sys_mmhg, dia_mmhg = 120.0, 78.0

    def __init__(self, phase_ms: float) -> None:
        self.restless = False
        self.said: dict[float, float] = {}
        self._phase_ms, self._value, self._was_low = phase_ms, 75.0, False

    def vitals(self, _passed_s: float) -> dict[str, float]:
        low = self.restless and (now_ms() + self._phase_ms) // LOW_MS % 2 == 1
        if low and not self._was_low:
            self._value = round(75.0 + (self._value - 74.9) % 9.9, 1)
            self.said[self._value] = now_ms()
        self._was_low = low
        return {"spo2_pct": self._value if low else 97.0, "pulse_bpm": 70.0, "pi_pct": 3.0, "resp_bpm": 14.0}

    def pressure(self) -> tuple[float, float, float]:
        return 120.0, 78.0, 92.0


class Clinic:
    """Boards, a screen and the door, and what was seen."""

    def __init__(self, broker: Mosquitto, door: Door, gateway: Gateway) -> None:
        self.door, self.gateway = door, gateway
        began_ms, chance = int(now_ms()) - 1_000, random.Random(6)
        self.patients = {
            device: Restless(number * 2 * LOW_MS / CHAIRS) for number, device in enumerate(chairs(CHAIRS).values())
        }
        self.boards = [
            Board(device, secrets.token_hex(8), patient, chance, began_ms)  # type: ignore[arg-type]
            for device, patient in self.patients.items()
        ]
        ledger = Ledger({board.device: board.boot for board in self.boards})
        address = Address("127.0.0.1", broker.port)
        self.ward = Ward(self.boards, BLOCK_HZ, address, ledger)
        self.screen = Screen(SITE, address, ledger)
        self.delays_ms: dict[str, list[float]] = {}

    def set(self, rate_hz: float, *, restless: bool) -> None:
        self.ward._period_s = 1 / rate_hz
        for patient in self.patients.values():
            patient.restless = restless

    def compared(self) -> tuple[Late, Late]:
        """Of all blocks so far: present, away."""
        present, away = (late(self.delays_ms[name]) for name in ("present", "away"))
        assert present is not None
        assert away is not None
        return present, away

    async def measure(self, name: str, seconds: float) -> None:
        """The delays of the alarms that came in the next seconds, under this name."""
        self.screen.alarms.clear()
        await asyncio.sleep(seconds)
        found = self.delays_ms.setdefault(name, [])
        for at_ms, alarm in self.screen.alarms:
            said = self.patients[alarm.device].said if alarm.device in self.patients else {}
            if alarm.rule == "spo2_low" and alarm.what in ("raised", "returned") and alarm.value in said:
                found.append(at_ms - said[alarm.value])

    def unsent(self) -> int:
        beat = self.screen.heartbeat
        return beat.queued.get("influx", 0) if beat is not None else 0

    def rss_bytes(self) -> int:
        process = self.gateway.process
        assert process is not None
        status = Path(f"/proc/{process.pid}/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    async def until(self, condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
        deadline_s = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline_s, f"waited {within_s:g} s for {what}"
            await asyncio.sleep(0.02)


async def half_an_hour(clinic: Clinic) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    async with asyncio.TaskGroup() as tasks:
        await clinic.screen.connect(30)
        tending = tasks.create_task(_tend(clinic.screen))
        await clinic.ward.connect(60)
        clinic.ward.speak()
        await clinic.screen.begin(list(chairs(CHAIRS)), dict.fromkeys(chairs(CHAIRS), (120.0, 78.0)), 60)
        clinic.set(BLOCK_HZ, restless=True)
        await asyncio.sleep(2)
        for seen["rounds"] in range(1, ROUNDS_MAX + 1):
            await in_turn(clinic)
            if _is_as_fast(*clinic.compared()):
                break
        seen["rss"], seen["away"] = await long_outage(clinic)
        await clinic.measure("away", BLOCK_S)
        began_s, seen["killed_at"] = time.monotonic(), []
        clinic.set(USUAL_HZ, restless=False)
        clinic.door.turn("open")
        for share in KILL_AT:
            await clinic.until(lambda share=share: 0 < clinic.unsent() < share * seen["away"], "the catching up")
            clinic.gateway.kill()
            seen["killed_at"].append(clinic.unsent())
            clinic.screen.heartbeat = None
            await asyncio.to_thread(clinic.gateway.start)
        await clinic.until(lambda: _is_up(clinic), "the backlog to be sent", 120)
        seen["caught_up_s"] = time.monotonic() - began_s
        await clinic.until(lambda: all(len(board.outbox) < 3 for board in clinic.boards), "the outboxes", 120)
        clinic.ward.leave()
        clinic.screen.heartbeat = None
        await asyncio.sleep(1)
        await clinic.until(lambda: clinic.screen.heartbeat is not None and clinic.unsent() == 0, "the last rows")
        tending.cancel()
        clinic.screen.close()
    return seen


async def in_turn(clinic: Clinic) -> None:
    """Blocks with InfluxDB there and away."""
    for number in range(PAIRS):
        clinic.door.turn("open")
        await clinic.until(lambda: _is_up(clinic), "InfluxDB to have caught up")
        await clinic.measure("present", BLOCK_S)
        clinic.door.turn("hang" if number % 2 else "refuse")
        await clinic.until(lambda: clinic.unsent() > 2 * CHAIRS * BLOCK_HZ, "rows that wait")
        await clinic.measure("away", BLOCK_S)
    clinic.door.turn("open")
    await clinic.until(lambda: _is_up(clinic), "InfluxDB to have caught up")


async def long_outage(clinic: Clinic) -> tuple[list[int], int]:
    """Returns the gateway's memory in bytes, each second of it, and how many rows wait at its end."""
    clinic.door.turn("refuse")
    clinic.set(FAST_HZ, restless=True)
    rss: list[int] = []
    await clinic.until(lambda: clinic.unsent() > AWAY_ROWS // 20, "the outage to begin")
    while clinic.unsent() < AWAY_ROWS:
        if clinic.unsent() > AWAY_ROWS // 2 and clinic.door.state == "refuse":
            clinic.door.turn("hang")
        await clinic.measure("half an hour", 1.0)
        rss.append(clinic.rss_bytes())
    clinic.set(BLOCK_HZ, restless=True)
    await clinic.measure("the queues to empty", 1.0)
    return rss, clinic.unsent()


def _is_up(clinic: Clinic) -> bool:
    beat = clinic.screen.heartbeat
    return beat is not None and beat.sink == "ok" and clinic.unsent() < 2 * CHAIRS * BLOCK_HZ


def _is_as_fast(present: Late, away: Late) -> bool:
    return away.p99_ms <= max(RATIO_MAX * present.p99_ms, present.p99_ms + NOISE_MS)


async def _tend(screen: Screen) -> None:
    while True:
        screen.tend()
        await asyncio.sleep(1)


@pytest.mark.long
def test_half_an_hour_without_influxdb(make_server: Any, tmp_path: Path) -> None:
    """Every row is in InfluxDB exactly once, the gateway's memory is flat, and alarms are as fast as before."""
    broker, influxd = make_server(Mosquitto), make_server(Influxd)
    door = Door(influxd.port)
    influx = f'[influx]\nversion = 1\nurl = "http://127.0.0.1:{door.port}"\ndatabase = "chairside"\n'
    gateway = Gateway(tmp_path / "gateway", broker.url, SITE, chairs(CHAIRS), influx)
    gateway.config.write_text(gateway.config.read_text() + f'[protocols]\ndefault = "{PROTOCOL}"\n')
    gateway.start()
    try:
        clinic = Clinic(broker, door, gateway)
        began_s = time.monotonic()
        seen = asyncio.run(half_an_hour(clinic))
    finally:
        gateway.stop()
        door.close()
    present, away = clinic.compared()
    rss = seen["rss"]
    quarter = max(1, len(rss) // 4)
    flat = mean(rss[-quarter:]) / mean(rss[:quarter])
    rows, boards = _compared(gateway.journal, influxd, clinic.boards)
    print(
        f"\n{seen['away']} rows waited ({AWAY_ROWS} are 30 min of {CHAIRS} chairs), {rows} in all, {boards} of boards; "
        f"killed with {seen['killed_at']} left; caught up in {seen['caught_up_s']:.1f} s; "
        f"run of {time.monotonic() - began_s:.0f} s, {seen['rounds']} rounds\n"
        f"alarm path: present {present}\nalarm path: away {away}\n"
        f"p99 ratio {away.p99_ms / present.p99_ms:.2f}; in the long outage {late(clinic.delays_ms['half an hour'])}\n"
        f"memory: {mean(rss[:quarter]) / 1e6:.1f} MB, then {mean(rss[-quarter:]) / 1e6:.1f} MB, ratio {flat:.3f}"
    )
    assert seen["away"] >= AWAY_ROWS
    assert min(seen["killed_at"]) > 0
    assert flat <= RSS_RATIO_MAX
    assert min(present.count, away.count) >= 400
    assert _is_as_fast(present, away)


def _compared(journal: Path, influxd: Influxd, boards: list[Board]) -> tuple[int, int]:
    """Every row of the journal that counts as sent, among them all that boards made and were told to be durable,
    against InfluxDB: the number of each measurement, and each record by device, boot and seq. Returns how many rows and
    how many records there are."""
    stored: Counter[str] = Counter()
    expected: Counter[tuple[str, str, int]] = Counter()
    with JournalReader(journal) as reader:
        assert reader.quarantined() == {}
        upto, sent_upto = 0, reader.sent_upto()
        while rows := [row for row in reader.after(upto, 5_000) if row.id <= sent_upto]:
            upto = rows[-1].id
            stored.update(row.measurement for row in rows)
            expected.update((row.device, row.boot, row.seq) for row in rows if row.seq)
    assert set(expected.values()) == {1}
    for board in boards:
        held = board.outbox._held.keys()
        made = {(board.device, board.boot, seq) for seq in range(1, board.outbox._seq + 1) if seq not in held}
        assert board.outbox.dropped == 0
        assert made <= expected.keys()
    found: Counter[tuple[str, str, int]] = Counter()
    for board in boards:
        query = f"SELECT seq, boot FROM vitals, cuff, \"device\" WHERE device = '{board.device}'"
        found.update((board.device, row["boot"], int(row["seq"])) for row in influxd.rows(query) if row["seq"])
    assert found == expected
    counted = {measurement: influxd.count(measurement) for measurement in stored}
    assert counted == stored
    return sum(stored.values()), len(expected)
