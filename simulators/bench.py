"""The simulated bench: a board in virtual time, a patient one can set, and just enough gateway to answer the board.

`calibrated(device, seed)` walks a board through reference points, as the biomedical engineer does with a simulator
of patients and a manometer, and returns what belongs into the board's `calibration.json`. The reference is the
simulated patient's true value; the board's side comes from its own records. Nothing of the physics is shared.
"""

from __future__ import annotations

import contextlib
import queue
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import msgspec

from gateway import wire
from hardware.bench import calibrate
from simulators.conductor import SimBoard
from simulators.mqtt_packets import Published
from simulators.process import BoardError
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient
from simulators.world.pulse import Shape, finger_volume

SPO2_POINTS_PCT = (99.5, 96.0, 90.0, 88.0, 81.0, 77.0, 72.0)
CUFF_POINTS_MMHG = ((110.0, 70.0), (135.0, 85.0), (180.0, 110.0), (145.0, 95.0), (88.0, 54.0))
SETTLE_S = 12.0
READ_S = 8.0
CUFF_S_MAX = 200.0
SESSION = "bench"


class Bench:
    """One board on the bench; use as a context manager. `beat()` goes out each second while time runs."""

    def __init__(
        self,
        device: str,
        seed: int,
        flash_dir: Path,
        *,
        calibration: Mapping[str, object] | None = None,
        shape: Shape = finger_volume,
    ) -> None:
        self.patient = Patient()
        self.world = ChairWorld(self.patient, seed, shape=shape)
        self.board = SimBoard(device, self.world, flash_dir, calibration=calibration, on_publish=self._published)
        self.vitals: list[wire.Vitals] = []
        self.cuffs: list[wire.Cuff] = []
        self.replies: list[wire.Reply] = []
        # Pairs of the board's cuff pressure and the manometer's at the moment the board stated it.
        self.pressures_mmhg: list[tuple[float, float]] = []
        self._topic = f"chairside/v1/dev/{device}/"
        self._beat = 0
        self._commands = 0
        self._boot = ""
        self._up_ms = 0
        self._up_at_us = 0

    def __enter__(self) -> Bench:
        self.board.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.kill()

    def run(self, seconds: float) -> None:
        """Let time pass while the gateway's beat goes on."""
        end_us = self.board.now_us + round(seconds * 1e6)
        while self.board.now_us < end_us:
            self._send_beat()
            self.board.run_for(min(1.0, (end_us - self.board.now_us) / 1e6))

    def read_vitals(self, seconds: float) -> list[wire.Vitals]:
        """The good readings of the next seconds."""
        before = len(self.vitals)
        self.run(seconds)
        return [reading for reading in self.vitals[before:] if reading.quality == "good"]

    def measure(self, within_s: float = CUFF_S_MAX) -> wire.Cuff:
        """Order one cuff measurement and wait for its record. Raises TimeoutError."""
        self._commands += 1
        up_ms = self._up_ms + (self.board.now_us - self._up_at_us) // 1000
        command = wire.Cmd(
            id=f"bench-{self._commands}",
            kind="measure",
            session=SESSION,
            boot=self._boot,
            valid_until_up_ms=up_ms + 4000,
        )
        before = len(self.cuffs)
        self._send("cmd", command, qos=1)
        end_us = self.board.now_us + round(within_s * 1e6)
        while len(self.cuffs) == before:
            if self.board.now_us > end_us:
                raise TimeoutError(f"no cuff record within {within_s} s; replies {self.replies[-1:]}")
            self.run(1.0)
        return self.cuffs[-1]

    def _send_beat(self) -> None:
        self._beat += 1
        beat = wire.Annunciate(
            run="bench", beat=self._beat, level="none", sound=False, session=SESSION, cuff_interval_s=0
        )
        self._send("annunciate", beat)

    def _send(self, leaf: str, message: msgspec.Struct, qos: int = 0) -> None:
        self.board.peer.publish(self._topic + leaf, msgspec.json.encode(message), qos=qos)

    def _published(self, message: Published) -> None:
        leaf = message.topic.removeprefix(self._topic)
        record: wire.Record
        if leaf == "vitals":
            vitals = record = msgspec.json.decode(message.payload, type=wire.Vitals)
            self.vitals.append(vitals)
            if vitals.cuff == "deflating" and isinstance(vitals.cuff_mmhg, float):
                manometer = self.world.cuff.pressure_mmhg(self.board.now_s())
                self.pressures_mmhg.append((vitals.cuff_mmhg, manometer))
        elif leaf == "cuff":
            cuff = record = msgspec.json.decode(message.payload, type=wire.Cuff)
            self.cuffs.append(cuff)
        elif leaf == "event":
            record = msgspec.json.decode(message.payload, type=wire.Event)
        else:
            if leaf == "reply":
                self.replies.append(msgspec.json.decode(message.payload, type=wire.Reply))
            return
        self._boot = record.boot
        self._up_ms, self._up_at_us = record.up_ms, message.at_us
        self._send("ack", wire.Ack(boot=record.boot, run="bench", upto=record.seq))


class UsbBench:
    """One board on the bench that is asked over its USB line, `port`. Its time is virtual, and passes in a thread while
    an answer is awaited, so that nothing depends on how fast the host is. Use as a context manager."""

    def __init__(
        self,
        device: str,
        seed: int,
        flash_dir: Path,
        *,
        calibration: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
        heap_bytes: int | None = None,
    ) -> None:
        self.patient = Patient()
        self.world = ChairWorld(self.patient, seed)
        self.board = SimBoard(
            device,
            self.world,
            flash_dir,
            calibration=calibration,
            settings={"console": True} if settings is None else settings,
            console=True,
            heap_bytes=heap_bytes,
        )
        self._actions: queue.Queue[tuple[Callable[[], object], threading.Event]] = queue.Queue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def port(self) -> str:
        """What a host opens."""
        assert self.board.console
        return self.board.console.path

    def __enter__(self) -> UsbBench:
        self.board.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self.board.kill()
        assert self.board.console
        self.board.console.close()
        if kind is None:
            self.board.check()

    def run(self, seconds: float) -> None:
        """Let time pass without a question."""
        self.do(lambda: self.board.run_for(seconds))

    def do(self, action: Callable[[], object]) -> None:
        """Carry out `action` between two moments of the board, and wait until it is done."""
        done = threading.Event()
        self._actions.put((action, done))
        if not done.wait(30):
            raise BoardError(f"the board stands still: {self.board.error}")

    def _run(self) -> None:
        assert self.board.console
        while not self._ending.is_set() and self.board.error is None:
            with contextlib.suppress(BoardError, queue.Empty):  # the board keeps its error, and raises it at the end
                if self.board.console.waiting and self._actions.empty():
                    self.board.run_for(0.05)
                else:
                    action, done = self._actions.get(timeout=0.01)
                    action()
                    done.set()


def calibrated(device: str, seed: int) -> dict[str, object]:
    """Calibrate one simulated board; returns the content of its `calibration.json`. Takes some ten seconds."""
    with tempfile.TemporaryDirectory() as folder, Bench(device, seed, Path(folder) / device) as bench:
        spo2_points = []
        for spo2_pct in SPO2_POINTS_PCT:
            bench.patient.set(spo2_pct=spo2_pct)
            bench.run(SETTLE_S)
            for reading in bench.read_vitals(READ_S):
                if isinstance(reading.ratio, float):
                    spo2_points.append((reading.ratio, spo2_pct))
        bench.patient.set(spo2_pct=98.0)
        cuff_points = []
        for sys_mmhg, dia_mmhg in CUFF_POINTS_MMHG:
            bench.patient.set(sys_mmhg=sys_mmhg, dia_mmhg=dia_mmhg)
            bench.run(SETTLE_S)
            cuff = bench.measure()
            if cuff.envelope:
                cuff_points.append((cuff.envelope, sys_mmhg, dia_mmhg))
        return calibrate.fit(device, spo2_points, cuff_points, bench.pressures_mmhg)
