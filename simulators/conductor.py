"""The conductor of one simulated board: runs the unmodified firmware and answers all that it touches.

Live: real time and real sockets, one thread for each board; what it publishes is read off its own writes.
Virtual: the conductor owns time and is the broker (`simulators.peer`); `run_for(60)` takes a second or two.

    board = SimBoard("cb-000001", ChairWorld(Patient()), tmp_path)
    board.start()
    board.run_for(60)
    board.published[-1].payload

A board that resets itself, or whose watchdog expires, is started again with that reset cause. A misuse of a
chip or a pin, an endless loop and a program that ends are errors: they stop the board and reach its driver.

Its processor is `simulators.power`, what it asks of the world `simulators.answers`, its USB line `simulators.console`.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from simulators.agenda import NEVER_US, Agenda
from simulators.answers import Answers
from simulators.chips.i2c import UnknownRegister
from simulators.console import Console
from simulators.mqtt_packets import Published
from simulators.peer import Peer
from simulators.plan import ROOT
from simulators.power import HARD_RESET, PWRON_RESET, SOFT_RESET, WDT_RESET, Power
from simulators.process import BoardError, BoardProcess, Frame, console_tail, find_micropython
from simulators.provision import write_flash
from simulators.world.chair import ChairWorld, UnknownPin

__all__ = ["HARD_RESET", "PWRON_RESET", "SOFT_RESET", "WDT_RESET", "Costs", "SimBoard"]

BOOT_US = 300_000
# Longest a virtual board may compute without touching its clock, in seconds of its processor, before it counts as
# hung: then its watchdog bites, or without one the run ends.
HUNG_S = 5.0
LOOK_S = 0.1
RESETS_MAX = 50


@dataclass
class Costs:
    """What stops the program on the board and costs nothing here, in microseconds of virtual time. Measured on ESP32s
    by others (MicroPython's issue tracker): a lookup about 1 s, a collection 2 to 286 ms by size of the heap."""

    collect_us: int = 5_000
    look_up_us: int = 1_000_000
    erase_us: int = 50_000


class SimBoard:
    """One board. `broker` is (host, port), live; `settings` are optional keys of its configuration; `console` gives it
    a USB line. `ticks_start_ms` lets a run begin just before a wrap, `ticks_ppm` is the error of its crystal. `agenda`
    is what else happens in its virtual time; `seed` is its chance."""

    def __init__(
        self,
        device: str,
        world: ChairWorld,
        flash_dir: Path,
        *,
        mode: Literal["live", "virtual"] = "virtual",
        broker: tuple[str, int] = ("127.0.0.1", 1883),
        calibration: Mapping[str, object] | None = None,
        same_limb: bool = False,
        settings: Mapping[str, object] | None = None,
        console: bool = False,
        firmware_dir: Path = ROOT / "firmware",
        main: Path | None = None,
        micropython: str | None = None,
        heap_bytes: int | None = None,
        ticks_start_ms: int = 0,
        ticks_ppm: int = 0,
        seed: int = 0,
        agenda: Agenda | None = None,
        on_publish: Callable[[Published], None] | None = None,
    ) -> None:
        self.device = device
        self.world = world
        self.flash_dir = flash_dir
        self.log_path = flash_dir.with_name(flash_dir.name + ".log")
        self.live = mode == "live"
        self.on_publish = on_publish
        self.callback_errors: list[str] = []
        self.error: BoardError | None = None
        self.agenda = agenda or Agenda()
        self.costs = Costs()
        self.names_answer = True
        self.flash_full = False
        self.ticks_ppm = ticks_ppm
        self.ticks_start_us = ticks_start_ms * 1000
        self.seed = seed
        self.peer = Peer(lambda: self.now_us, on_publish)
        write_flash(flash_dir, device, broker, {"same_limb": same_limb, **(settings or {})}, calibration)
        self.console = Console(self.log_path) if console else None
        micropython = micropython or find_micropython()
        self.power = Power(
            lambda: BoardProcess(
                micropython=micropython,
                firmware=firmware_dir,
                main=main or firmware_dir / "main.py",
                flash=flash_dir,
                log=self.log_path,
                heap_bytes=heap_bytes,
                console=self.console,
            )
        )
        self._frames = Answers(self)
        self._epoch_us = _monotonic_us() if self.live else 0
        self._now_us = 0
        self._limit_us = 0
        self._waiting: int | None = None  # until when, in microseconds
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.RLock()
        world.patient.clock = self.now_s

    # --- for tests and the demo

    @property
    def published(self) -> list[Published]:
        """What the board published so far, oldest first."""
        return list(self._frames.tapped) if self.live else self.peer.published

    @property
    def resets(self) -> list[int]:
        """The cause of every start."""
        return self.power.resets

    @property
    def running(self) -> bool:
        return self.power.process is not None

    @property
    def pid(self) -> int | None:
        """The MicroPython process, while the power is on."""
        return self.power.process.pid if self.power.process else None

    @property
    def answers(self) -> int:
        """How often this boot's program was answered: what a virtual second costs."""
        return self.power.process.answers if self.power.process else 0

    @property
    def now_us(self) -> int:
        """This board's clock: virtual microseconds, or in live mode the machine's monotonic ones."""
        if self.live:
            return _monotonic_us()
        return self._now_us if self.agenda.acting_us is None else self.agenda.acting_us

    def now_s(self) -> float:
        """World time in seconds."""
        return self.seconds(self.now_us)

    def start(self) -> None:
        """Switch the power on."""
        with self._lock:
            self._launch(PWRON_RESET)
        if self.live:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._serve, name=f"sim-{self.device}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Switch the power off and raise what went wrong, if anything did."""
        self.kill()
        self.check()

    def kill(self) -> None:
        """Cut the power: no farewell, every line floats."""
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None
        with self._lock:
            self._power_off()

    def cut_power(self) -> None:
        """The board is off until `restore_power`; in virtual mode also from the agenda."""
        if self.live:
            self.kill()
        else:
            self._power_off()

    def restore_power(self) -> None:
        if not self.running and self.error is None:
            self.start()

    def pause(self) -> None:
        """Freeze the processor (live): its pins stay as they are and its watchdog with it."""
        with self._lock:
            self.power.pause(self.now_us)

    def resume(self) -> None:
        with self._lock:
            self.power.resume(self.now_us)

    def run_for(self, seconds: float) -> None:
        """Virtual mode: let this much time pass. Raises BoardError."""
        self._limit_us = self._now_us + round(seconds * 1e6)
        while self._now_us < self._limit_us and self.error is None:
            try:
                if self.power.process is None:
                    self._turn_without_power()
                else:
                    self._turn_virtual(self.power.process)
            except EOFError:
                self._fail("its program ended")
            except (UnknownRegister, UnknownPin, ValueError) as error:
                self._fail(f"{type(error).__name__}: {error}")
        self.check()

    def run_until(self, condition: Callable[[], bool], within_s: float, step_s: float = 0.25) -> None:
        """Virtual mode: run until the condition holds; raises BoardError when it does not in that time."""
        end_us = self._now_us + round(within_s * 1e6)
        while not condition():
            if self._now_us >= end_us:
                raise BoardError(f"{self.device}: the condition did not come true within {within_s} s\n{self._tail()}")
            self.run_for(step_s)

    def check(self) -> None:
        """Raise the error that stopped this board, if one did."""
        if self.error:
            raise self.error

    # --- for its parts

    def seconds(self, at_us: int) -> float:
        """World time of a moment on this board's clock."""
        return (at_us - self._epoch_us) * 1e-6

    def answer(self, data: bytes, status: bytes, held_us: int) -> None:
        """Answer the board's question after its program has stood still for a time."""
        if self.power.process:
            self.power.process.answer(self._now_us + held_us, data, status, self._horizon_us())

    def reset(self, cause: int) -> None:
        """The processor starts again."""
        # A soft reset starts the interpreter again and leaves the pins as they were driven.
        self._power_off(float_pins=cause != SOFT_RESET)
        if len(self.resets) > RESETS_MAX:
            self._fail(f"it reset itself {RESETS_MAX} times")
            return
        if not self.live:
            self._now_us += BOOT_US
        self._launch(cause)

    # --- power

    def _launch(self, cause: int) -> None:
        self._waiting = None
        self._frames.clear()
        self.power.on(cause, self.now_us)

    def _power_off(self, *, float_pins: bool = True) -> None:
        if not self.running:
            return
        self.power.off()
        self._waiting = None
        self.peer.reset()
        if float_pins:
            self.world.float_pins(self.now_s())

    def _fail(self, why: str) -> None:
        self._power_off()  # what it said last is in its log then
        self.error = BoardError(f"{self.device}: {why}\n{self._tail()}")

    def _tail(self) -> str:
        return console_tail(self.log_path)

    # --- live

    def _serve(self) -> None:
        while not self._stopping.is_set() and self.error is None:
            process = self.power.process
            if process is None:
                return
            try:
                frame = process.read(0.05)
                with self._lock:
                    if frame is not None:
                        self._frames.take(frame)
                    elif self.power.bitten(self.now_us):
                        self.reset(WDT_RESET)
            except EOFError:
                self._fail("its program ended")
            except Exception as error:  # noqa: BLE001  nobody else would see what ends this thread
                self._fail(f"{type(error).__name__}: {error}")

    # --- virtual

    def _turn_without_power(self) -> None:
        self._now_us = max(self._now_us, min(self._limit_us, self.agenda.next_us))
        self.agenda.run_until(self._now_us)

    def _turn_virtual(self, process: BoardProcess) -> None:
        """Answer one frame, or move time towards what the board waits for."""
        if self._waiting is not None:
            self._move_on(process, self._waiting)
            return
        frame = process.read(LOOK_S)
        if frame is None:
            frame = self._read_slowly(process)
            if frame is None:
                return
        self._now_us = max(self._now_us, frame.at_us)
        if self._overtaken(process):
            return
        if frame.kind == b"W":
            self._waiting = struct.unpack("<q", frame.payload)[0]
        else:
            self._frames.take(frame)

    def _read_slowly(self, process: BoardProcess) -> Frame | None:
        """A board that computes for long: wait for it, but not for ever."""
        before_s = process.computed_s()
        while process.computed_s() - before_s < HUNG_S:
            frame = process.read(LOOK_S)
            if frame is not None:
                return frame
        if self.power.watchdog_us:
            self._now_us = max(self._now_us, self.power.watchdog_us[0])
            self.reset(WDT_RESET)
        else:
            self._fail(f"it neither waited nor looked at its clock for {HUNG_S:g} s of its processor")
        return None

    def _move_on(self, process: BoardProcess, wanted_us: int) -> None:
        goal_us = min(wanted_us, self._horizon_us())
        self._now_us = max(self._now_us, goal_us)
        if self._overtaken(process):
            return
        events = [
            struct.pack("<BcH", event.socket, event.kind, len(event.data)) + event.data
            for event in self.peer.take(self._now_us)
        ]
        for gpio, level in self._frames.changed_inputs():
            events.append(struct.pack("<BcHBB", 0, b"i", 2, gpio, level))
        if events or self._now_us >= wanted_us:
            self._waiting = None
            process.answer(self._now_us, b"".join(events), horizon_us=self._horizon_us())

    def _overtaken(self, process: BoardProcess) -> bool:
        """Carry out what fell due; whether the board that was being served is gone with it."""
        if self.agenda.next_us <= self._now_us:
            self.agenda.run_until(self._now_us)
        if self.power.process is process and self.power.bitten(self._now_us):
            self.reset(WDT_RESET)
        return self.power.process is not process

    def _horizon_us(self) -> int:
        """Until when nothing can happen to the board that it does not do itself."""
        return min(
            self._limit_us,
            self.agenda.next_us,
            self.peer.next_us() or NEVER_US,
            self.power.watchdog_us[0] if self.power.watchdog_us else NEVER_US,
        )


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000
