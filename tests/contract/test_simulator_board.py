"""The whole unmodified firmware under the conductor: in virtual time, and live against a real broker."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from servers import Server, wait_until

from simulators.bench import Bench
from simulators.conductor import PWRON_RESET, WDT_RESET, SimBoard
from simulators.plan import ROOT
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

PREFIX = "chairside/v1/dev/"


def decoded(board: SimBoard, leaf: str) -> list[dict]:
    return [json.loads(p.payload) for p in board.published if p.topic.endswith("/" + leaf)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench("cb-0000b1", 3, tmp_path / "flash") as bench:
        yield bench


def test_a_minute_of_a_chair(bench: Bench) -> None:
    """A birth, a start event, and one vitals record each second with no gap in seq."""
    bench.run(60)
    status = decoded(bench.board, "status")[0]
    assert status["online"]
    assert status["reset_cause"] == "power_on"
    vitals = decoded(bench.board, "vitals")
    assert 58 <= len({record["seq"] for record in vitals}) <= 60
    assert [record["quality"] for record in vitals].count("good") >= 48
    assert bench.world.cuff.facts.pump_s == 0


def test_a_quiet_second_costs_few_questions(bench: Bench) -> None:
    """50 pressures, 25 bursts of the oximeter and a few waits: neither buttons nor idle loops ask the conductor."""
    bench.run(20)
    before = bench.board.answers
    bench.run(20)
    assert 75 * 20 <= bench.board.answers - before < 120 * 20


def test_a_board_with_little_memory_does_the_same(tmp_path: Path) -> None:
    """256 KB serve on the unix port, whose objects are twice a board's."""
    world = ChairWorld(Patient())
    board = SimBoard("cb-0000b2", world, tmp_path / "flash", heap_bytes=256 * 1024)
    board.start()
    board.run_for(40)
    board.stop()
    assert decoded(board, "vitals")[-1]["quality"] == "good"


def test_a_heap_is_as_full_wherever_the_firmware_lies(tmp_path: Path) -> None:
    """A board has no path to its sources: how long that is here takes nothing of the heap."""
    free = []
    for folder in (tmp_path / "a", tmp_path / ("long" * 50)):
        shutil.copytree(ROOT / "firmware", folder / "firmware", ignore=shutil.ignore_patterns("__pycache__"))
        world = ChairWorld(Patient())
        board = SimBoard("cb-0000b2", world, folder / "flash", firmware_dir=folder / "firmware", heap_bytes=256 * 1024)
        board.start()
        board.run_until(lambda board=board: bool(decoded(board, "status")), 10)
        board.stop()
        free.append(decoded(board, "status")[0]["heap_free_bytes"])
    assert free[0] == free[1]


def test_a_lifted_finger_and_a_returned_one(bench: Bench) -> None:
    """The board says so within 3 s and gives no number; afterwards it settles again."""
    bench.run(15)
    bench.patient.set(finger_on=False)
    bench.run(4)
    lost = decoded(bench.board, "vitals")[-1]
    assert lost["quality"] == "no_finger"
    assert "spo2_pct" not in lost
    bench.patient.set(finger_on=True)
    bench.run(15)
    assert decoded(bench.board, "vitals")[-1]["quality"] == "good"


def silent_oximeter(world: ChairWorld) -> None:
    world.bus.silent.add(world.plan.oximeter_address)


def clone_oximeter(world: ChairWorld) -> None:
    world.oximeter.part_id = 0x11


@pytest.mark.parametrize(("breaks", "back"), [(silent_oximeter, True), (clone_oximeter, False)])
def test_a_missing_or_foreign_oximeter_is_a_fault_and_no_number(
    tmp_path: Path, breaks: Callable[[ChairWorld], None], back: bool
) -> None:
    """From the start the status names the fault and vitals carry none; a chip that comes back is used."""
    bench = Bench("cb-0000b3", 1, tmp_path / "flash")
    breaks(bench.world)
    with bench:
        bench.run(10)
        assert "oximeter" in decoded(bench.board, "status")[-1]["faults"]
        assert all("spo2_pct" not in record for record in decoded(bench.board, "vitals"))
        bench.world.bus.silent.clear()
        bench.run(20)
        assert (decoded(bench.board, "vitals")[-1]["quality"] == "good") == back


def broken_pump(world: ChairWorld) -> None:
    world.cuff.pump_dead = True


def leaking_cuff(world: ChairWorld) -> None:
    world.cuff.leak_size = 60.0


def frozen_sensor(world: ChairWorld) -> None:
    world.sensor_frozen = True


@pytest.mark.parametrize("breaks", [broken_pump, leaking_cuff, frozen_sensor])
def test_a_broken_cuff_fails_with_a_reason_and_lets_go(bench: Bench, breaks: Callable[[ChairWorld], None]) -> None:
    """The measurement fails with a named reason and no numbers, and the arm is free."""
    bench.run(5)
    breaks(bench.world)
    cuff = bench.measure()
    bench.run(30)
    assert cuff.quality == "failed"
    assert cuff.reason
    assert "sys_mmhg" not in decoded(bench.board, "cuff")[-1]
    assert bench.world.cuff.pressure_mmhg(bench.board.now_s()) < 15
    assert bench.world.cuff.facts.pressure_mmhg_max <= 300


def test_killed_in_mid_inflation_the_cuff_opens(bench: Bench) -> None:
    """Power lost while the pump runs: the pins float, the valve opens, the arm is free within 10 s."""
    bench.run(5)
    bench.board.run_until(lambda: bench.board.peer.connected, 5)
    with pytest.raises(TimeoutError):
        bench.measure(within_s=6)
    assert bench.world.cuff.pressure_mmhg(bench.board.now_s()) > 60
    bench.board.kill()
    bench.board.run_for(10)
    assert bench.world.cuff.pressure_mmhg(bench.board.now_s()) < 15


# ---- live


class Listener:
    """A real MQTT client that notes what arrives and when, by the clock of the wire tap."""

    def __init__(self, port: int, topic: str) -> None:
        self.arrived: list[tuple[int, str, bytes, bool]] = []
        self._subscribed = threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda client, data, message: self.arrived.append(
            (time.monotonic_ns() // 1000, message.topic, message.payload, message.retain)
        )
        self.client.on_subscribe = lambda *args: self._subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(topic)
        self.client.loop_start()
        assert self._subscribed.wait(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listen(mosquitto: Server) -> Iterator[Callable[[str], Listener]]:
    listeners: list[Listener] = []

    def make(device: str) -> Listener:
        listeners.append(Listener(mosquitto.port, f"{PREFIX}{device}/#"))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.client.publish(f"{PREFIX}cb-0000c1/status", b"", retain=True).wait_for_publish(5)
        listener.close()


@pytest.fixture
def live(tmp_path: Path, mosquitto: Server) -> Iterator[Callable[[str], SimBoard]]:
    boards: list[SimBoard] = []

    def make(device: str, **options) -> SimBoard:
        address = ("127.0.0.1", mosquitto.port)
        boards.append(
            SimBoard(device, ChairWorld(Patient()), tmp_path / device, mode="live", broker=address, **options)
        )
        boards[-1].start()
        return boards[-1]

    yield make
    for board in boards:
        board.kill()


def test_live_the_wire_tap_is_what_a_subscriber_gets(
    live: Callable[..., SimBoard], listen: Callable[[str], Listener]
) -> None:
    """Every PUBLISH that the board wrote arrives once, in order, and never before its stamp."""
    listener = listen("cb-0000c1")
    board = live("cb-0000c1")
    wait_until(lambda: len(listener.arrived) >= 5, "five messages")
    board.stop()
    wait_until(lambda: len(listener.arrived) > len(board.published), "the will behind what the board said")
    for sent, (at_us, topic, payload, _) in zip(board.published, listener.arrived, strict=False):
        assert (sent.topic, sent.payload) == (topic, payload)
        assert sent.at_us <= at_us
    assert json.loads(listener.arrived[-1][2])["online"] is False


def test_live_a_paused_board_is_silent_and_goes_on(live: Callable[..., SimBoard]) -> None:
    """While its process is stopped nothing is published; continued, it publishes again without a restart."""
    board = live("cb-0000c1")
    wait_until(lambda: len(board.published) >= 2, "two messages")
    board.pause()
    time.sleep(0.2)  # what it had written before may still be on its way through the pipe
    count = len(board.published)
    time.sleep(1.5)
    assert len(board.published) == count
    board.resume()
    wait_until(lambda: len(board.published) > count, "a message after the pause")
    assert board.resets == [PWRON_RESET]
    board.stop()


def test_live_a_killed_board_starts_again_as_after_power_on(live: Callable[..., SimBoard]) -> None:
    """kill() cuts the power, start() restores it: another boot, counted from its own zero."""
    board = live("cb-0000c1")
    wait_until(lambda: decoded(board, "vitals"), "vitals")
    board.kill()
    assert not board.running
    board.start()
    wait_until(lambda: len({record["boot"] for record in decoded(board, "vitals")}) == 2, "a second boot")
    board.stop()


def test_live_a_program_that_hangs_is_bitten_by_its_watchdog(tmp_path: Path, live: Callable[..., SimBoard]) -> None:
    """A loop without end does not stop the watchdog: the board restarts with that cause."""
    (tmp_path / "main.py").write_text(
        "import machine, time\n"
        "if machine.reset_cause() == machine.WDT_RESET:\n"
        "    print('bitten')\n"
        "    time.sleep(1000)\n"
        "machine.WDT(timeout=200)\n"
        "while True: pass\n"
    )
    board = live("cb-0000c1", main=tmp_path / "main.py")
    wait_until(lambda: "bitten" in board.log_path.read_text(), "the restart")
    assert board.resets == [PWRON_RESET, WDT_RESET]
    board.stop()


ORPHAN = """
import os, sys, time
from pathlib import Path
from simulators.conductor import SimBoard
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient
board = SimBoard("cb-0000c1", ChairWorld(Patient()), Path(sys.argv[1]), mode="live", broker=("127.0.0.1", 1))
board.start()
while board.world.output("bleed_valve") == 0:
    time.sleep(0.01)
print(board.pid)
sys.stdout.flush()
os._exit(1)
"""


def test_live_a_board_does_not_outlive_its_conductor(tmp_path: Path) -> None:
    """The conductor dies without a word: the board's process ends too."""
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "flash")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    process = Path("/proc") / done.stdout.strip()
    wait_until(lambda: not process.exists() or " Z " in (process / "stat").read_text(), "the end of the board")


def test_live_errors_reach_stop(tmp_path: Path, live: Callable[..., SimBoard]) -> None:
    """A live board whose program ends says so when it is stopped."""
    (tmp_path / "main.py").write_text("import machine\nraise ValueError('out of tea')\n")
    board = live("cb-0000c1", main=tmp_path / "main.py")
    wait_until(lambda: board.error is not None, "the error")
    with pytest.raises(Exception, match="out of tea"):
        board.stop()
