"""The conductor of one simulated board: runs the unmodified firmware and answers all that it touches.

Live: real time and real sockets, one thread for each board; what it publishes is read off its own writes.
Virtual: the conductor owns time and is the broker (`simulators.peer`); `run_for(60)` takes a second or two.

    board = SimBoard("cb-000001", ChairWorld(Patient()), tmp_path)
    board.start()
    board.run_for(60)
    board.published[-1].payload

A board that resets itself, or whose watchdog expires, is started again with that reset cause. A misuse of a
chip or a pin, an endless loop and a program that ends are errors: they stop the board and reach its driver.
"""

from __future__ import annotations

import hashlib
import json
import signal
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from simulators import mqtt_packets as mqtt
from simulators.agenda import NEVER_US, Agenda
from simulators.chips.i2c import Nack, Stuck, UnknownRegister
from simulators.mqtt_packets import Published
from simulators.peer import Peer
from simulators.plan import ROOT
from simulators.process import BoardError, BoardProcess, Frame, console_tail, find_micropython
from simulators.world.chair import ChairWorld, UnknownPin

PWRON_RESET, HARD_RESET, WDT_RESET, SOFT_RESET = 1, 2, 3, 5
BOOT_US = 300_000
# Longest a virtual board may compute without touching its clock, in seconds of its processor, before it counts as
# hung: then its watchdog bites, or without one the run ends.
HUNG_S = 5.0
LOOK_S = 0.1
BUS_TIMEOUT_US = 50_000
DNS_FAILS_US = 14_000_000
RESETS_MAX = 50
PUBLISHED_MAX = 200_000

# Kinds of frame from the board. An upper-case letter is answered. "W" (wait) belongs to the virtual loop.
FRAMES = {
    b"H": "hello",
    b"I": "i2c",
    b"S": "scan",
    b"B": "bus_pins",
    b"R": "pin_read",
    b"N": "radio",
    b"G": "collect",
    b"D": "look_up",
    b"F": "flash",
    b"p": "pin_write",
    b"d": "watchdog",
    b"x": "reset",
    b"e": "callback_error",
    b"o": "socket_open",
    b"c": "socket_close",
    b"s": "socket_send",
    b"t": "tap",
}


@dataclass
class Costs:
    """What stops the program on the board and costs nothing here, in microseconds of virtual time. Measured on ESP32s
    by others (MicroPython's issue tracker): a lookup about 1 s, a collection 2 to 286 ms by size of the heap."""

    collect_us: int = 5_000
    look_up_us: int = 1_000_000
    erase_us: int = 50_000


class SimBoard:
    """One board. `broker` is (host, port), live; `ticks_start_ms` lets a run begin just before a wrap, `ticks_ppm`
    is the error of its crystal. `agenda` is what else happens in its virtual time; `seed` is its chance."""

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
        self.resets: list[int] = []
        self.callback_errors: list[str] = []
        self.error: BoardError | None = None
        self._firmware_dir = firmware_dir
        self._main = main or firmware_dir / "main.py"
        self._micropython = micropython or find_micropython()
        self._heap_bytes = heap_bytes
        self._ticks_start_us = ticks_start_ms * 1000
        self._seed = seed
        self.agenda = agenda or Agenda()
        self.costs = Costs()
        self.names_answer = True
        self.flash_full = False
        self.ticks_ppm = ticks_ppm
        self._process: BoardProcess | None = None
        self._epoch_us = _monotonic_us() if self.live else 0
        self._now_us = 0
        self._limit_us = 0
        self._waiting: int | None = None  # until when, in microseconds
        self._watchdog_us: tuple[int, int] | None = None  # (due, timeout)
        self._paused_at_us: int | None = None
        self._taps: dict[int, mqtt.Stream] = {}
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.RLock()
        self._told_inputs: dict[int, int] = {}
        self._handlers = {kind: getattr(self, "_on_" + name) for kind, name in FRAMES.items()}
        self.peer = Peer(lambda: self.now_us, on_publish)
        self._tapped: deque[Published] = deque(maxlen=PUBLISHED_MAX)
        world.patient.clock = self.now_s
        self._write_flash(broker, calibration, same_limb)

    # --- for tests and the demo

    @property
    def published(self) -> list[Published]:
        """What the board published so far, oldest first."""
        return list(self._tapped) if self.live else self.peer.published

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """The MicroPython process, while the power is on."""
        return self._process.pid if self._process else None

    @property
    def answers(self) -> int:
        """How often this boot's program was answered: what a virtual second costs."""
        return self._process.answers if self._process else 0

    @property
    def now_us(self) -> int:
        """This board's clock: virtual microseconds, or in live mode the machine's monotonic ones."""
        if self.live:
            return _monotonic_us()
        return self._now_us if self.agenda.acting_us is None else self.agenda.acting_us

    def now_s(self) -> float:
        """World time in seconds."""
        return (self.now_us - self._epoch_us) * 1e-6

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
        if self._process is None and self.error is None:
            self.start()

    def pause(self) -> None:
        """Freeze the processor (live): its pins stay as they are and its watchdog with it."""
        with self._lock:
            if self._process:
                self._process.signal(signal.SIGSTOP)
                self._paused_at_us = _monotonic_us()

    def resume(self) -> None:
        with self._lock:
            if self._process and self._paused_at_us is not None:
                if self._watchdog_us:
                    due_us, timeout_us = self._watchdog_us
                    self._watchdog_us = (due_us + _monotonic_us() - self._paused_at_us, timeout_us)
                self._paused_at_us = None
                self._process.signal(signal.SIGCONT)

    def run_for(self, seconds: float) -> None:
        """Virtual mode: let this much time pass. Raises BoardError."""
        self._limit_us = self._now_us + round(seconds * 1e6)
        while self._now_us < self._limit_us and self.error is None:
            try:
                if self._process is None:
                    self._turn_without_power()
                else:
                    self._turn_virtual(self._process)
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

    # --- power

    def _write_flash(self, broker: tuple[str, int], calibration: Mapping[str, object] | None, same_limb: bool) -> None:
        self.flash_dir.mkdir(parents=True, exist_ok=True)
        config = {
            "v": 1,
            "device": self.device,
            "wifi_ssid": "simulated",
            "wifi_password": "simulated",
            "mqtt_host": broker[0],
            "mqtt_port": broker[1],
            "same_limb": same_limb,
        }
        (self.flash_dir / "config.json").write_text(json.dumps(config))
        if calibration is not None:
            (self.flash_dir / "calibration.json").write_text(json.dumps(calibration))

    def _launch(self, cause: int) -> None:
        self._boot_us = _monotonic_us() if self.live else self._now_us
        self._cause = cause
        self._watchdog_us = None
        self._waiting = None
        self._told_inputs.clear()
        self._taps.clear()
        self.resets.append(cause)
        self._process = BoardProcess(
            micropython=self._micropython,
            firmware=self._firmware_dir,
            main=self._main,
            flash=self.flash_dir,
            log=self.log_path,
            heap_bytes=self._heap_bytes,
        )

    def _power_off(self, *, float_pins: bool = True) -> None:
        if self._process is None:
            return
        self._process.end()
        self._process = None
        self._waiting = None
        self._paused_at_us = None
        self.peer.reset()
        if float_pins:
            self.world.float_pins(self.now_s())

    def _reset(self, cause: int) -> None:
        # A soft reset starts the interpreter again and leaves the pins as they were driven.
        self._power_off(float_pins=cause != SOFT_RESET)
        if len(self.resets) > RESETS_MAX:
            self._fail(f"it reset itself {RESETS_MAX} times")
            return
        if not self.live:
            self._now_us += BOOT_US
        self._launch(cause)

    def _fail(self, why: str) -> None:
        self.error = BoardError(f"{self.device}: {why}\n{self._tail()}")
        self._power_off()

    def _tail(self) -> str:
        return console_tail(self.log_path)

    # --- live

    def _serve(self) -> None:
        while not self._stopping.is_set() and self.error is None:
            process = self._process
            if process is None:
                return
            try:
                frame = process.read(0.05)
                with self._lock:
                    if frame is not None:
                        self._handlers[frame.kind](frame, process)
                    elif self._watchdog_us and not self._paused_at_us and self.now_us > self._watchdog_us[0]:
                        self._reset(WDT_RESET)
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
            self._handlers[frame.kind](frame, process)

    def _read_slowly(self, process: BoardProcess) -> Frame | None:
        """A board that computes for long: wait for it, but not for ever."""
        before_s = process.computed_s()
        while process.computed_s() - before_s < HUNG_S:
            frame = process.read(LOOK_S)
            if frame is not None:
                return frame
        if self._watchdog_us:
            self._now_us = max(self._now_us, self._watchdog_us[0])
            self._reset(WDT_RESET)
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
        for gpio in self._told_inputs:
            level = self.world.read_pin(gpio)
            if level != self._told_inputs[gpio]:
                self._told_inputs[gpio] = level
                events.append(struct.pack("<BcHBB", 0, b"i", 2, gpio, level))
        if events or self._now_us >= wanted_us:
            self._waiting = None
            process.answer(self._now_us, b"".join(events), horizon_us=self._horizon_us())

    def _overtaken(self, process: BoardProcess) -> bool:
        """Carry out what fell due; whether the board that was being served is gone with it."""
        if self.agenda.next_us <= self._now_us:
            self.agenda.run_until(self._now_us)
        if self._process is process and self._watchdog_us and self._now_us >= self._watchdog_us[0]:
            self._reset(WDT_RESET)
        return self._process is not process

    def _horizon_us(self) -> int:
        """Until when nothing can happen to the board that it does not do itself."""
        return min(
            self._limit_us,
            self.agenda.next_us,
            self.peer.next_us() or NEVER_US,
            self._watchdog_us[0] if self._watchdog_us else NEVER_US,
        )

    # --- what the board asks and tells: one method for each kind of frame

    def _on_i2c(self, frame: Frame, process: BoardProcess) -> None:
        address, count = struct.unpack_from("<BH", frame.payload)
        t = self._seconds(frame.at_us)
        bus = self.world.bus
        held_us = round(bus.hang_s * 1e6)
        try:
            data, status = bus.transfer(t, address, frame.payload[3:], count), b"k"
        except Nack:
            data, status = bytes(count), b"n"
        except Stuck:
            data, status, held_us = bytes(count), b"t", held_us + BUS_TIMEOUT_US
        self._answer(process, data, status, held_us)

    def _answer(self, process: BoardProcess, data: bytes = b"", status: bytes = b"k", held_us: int = 0) -> None:
        """Answer after the program has stood still for a time."""
        process.answer(self._now_us + held_us, data, status, self._horizon_us())

    def _on_collect(self, frame: Frame, process: BoardProcess) -> None:
        self._answer(process, held_us=self.costs.collect_us)

    def _on_flash(self, frame: Frame, process: BoardProcess) -> None:
        self._answer(process, status=b"n" if self.flash_full else b"k", held_us=self.costs.erase_us)

    def _on_look_up(self, frame: Frame, process: BoardProcess) -> None:
        if self.names_answer and self.world.wifi_up:
            self._answer(process, held_us=self.costs.look_up_us)
        else:
            self._answer(process, status=b"n", held_us=DNS_FAILS_US)

    def _on_scan(self, frame: Frame, process: BoardProcess) -> None:
        self._answer(process, bytes(self.world.bus.scan()))

    def _on_bus_pins(self, frame: Frame, process: BoardProcess) -> None:
        if tuple(frame.payload) != (self.world.plan.scl_gpio, self.world.plan.sda_gpio):
            raise UnknownPin(f"the I2C bus is not on GPIO {frame.payload[0]} and {frame.payload[1]}")
        self._answer(process)

    def _on_pin_write(self, frame: Frame, process: BoardProcess) -> None:
        gpio, level = struct.unpack("<BH", frame.payload)
        self.world.write_pin(self._seconds(frame.at_us), gpio, level / 65535)

    def _on_pin_read(self, frame: Frame, process: BoardProcess) -> None:
        gpio = frame.payload[0]
        self._told_inputs[gpio] = self.world.read_pin(gpio)
        self._answer(process, bytes([self._told_inputs[gpio]]))

    def _on_radio(self, frame: Frame, process: BoardProcess) -> None:
        self._answer(process, bytes([self.world.wifi_up, self.world.rssi_dbm + 256]))

    def _on_hello(self, frame: Frame, process: BoardProcess) -> None:
        mac = b"\x24\x0a\xc4" + bytes.fromhex(self.device.removeprefix("cb-").rjust(6, "0")[-6:])
        hello = struct.pack("<BBqqi", self.live, self._cause, self._boot_us, self._ticks_start_us, self.ticks_ppm)
        # Another boot draws other numbers; the same boot of the same seed the same ones.
        chance = hashlib.sha256(f"{self._seed} {self.device} {len(self.resets)}".encode()).digest()[:8]
        self._answer(process, hello + mac + chance)

    def _on_watchdog(self, frame: Frame, process: BoardProcess) -> None:
        timeout_us = struct.unpack("<I", frame.payload)[0] * 1000
        self._watchdog_us = (frame.at_us + timeout_us, timeout_us)

    def _on_reset(self, frame: Frame, process: BoardProcess) -> None:
        self._reset(SOFT_RESET if frame.payload == b"soft" else HARD_RESET)

    def _on_callback_error(self, frame: Frame, process: BoardProcess) -> None:
        self.callback_errors.append(frame.payload.decode(errors="replace"))

    def _on_socket_open(self, frame: Frame, process: BoardProcess) -> None:
        self._taps[frame.payload[0]] = mqtt.Stream()
        if not self.live:
            self.peer.open(frame.payload[0])

    def _on_socket_close(self, frame: Frame, process: BoardProcess) -> None:
        self.peer.close(frame.payload[0])

    def _on_socket_send(self, frame: Frame, process: BoardProcess) -> None:
        self.peer.receive(frame.payload[0], frame.payload[1:])

    def _on_tap(self, frame: Frame, process: BoardProcess) -> None:
        payload = frame.payload
        self._tap(payload[0], int.from_bytes(payload[1:9], "little"), payload[9:])

    def _seconds(self, at_us: int) -> float:
        return (at_us - self._epoch_us) * 1e-6

    def _tap(self, number: int, at_us: int, data: bytes) -> None:
        stream = self._taps.setdefault(number, mqtt.Stream())
        for kind, flags, body in stream.feed(data):
            if kind == mqtt.PUBLISH:
                message = mqtt.read_publish(at_us, flags, body)
                self._tapped.append(message)
                if self.on_publish:
                    self.on_publish(message)


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000
