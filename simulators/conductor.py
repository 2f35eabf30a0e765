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

import json
import signal
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from simulators import mqtt_packets as mqtt
from simulators.chips.i2c import Nack, UnknownRegister
from simulators.mqtt_packets import Published
from simulators.peer import Peer
from simulators.plan import ROOT
from simulators.process import BoardError, BoardProcess, Frame, console_tail, find_micropython
from simulators.world.chair import ChairWorld, UnknownPin

PWRON_RESET, HARD_RESET, WDT_RESET, SOFT_RESET = 1, 2, 3, 5
BOOT_US = 300_000
# Longest a virtual board may compute without touching its clock, in real seconds, before it counts as hung.
HUNG_S = 30.0
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
    b"p": "pin_write",
    b"d": "watchdog",
    b"x": "reset",
    b"e": "callback_error",
    b"o": "socket_open",
    b"c": "socket_close",
    b"s": "socket_send",
    b"t": "tap",
}


class SimBoard:
    """One board. `broker` is (host, port), live; `ticks_start_ms` lets a run begin just before a wrap."""

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
        self._process: BoardProcess | None = None
        self._epoch_us = _monotonic_us() if self.live else 0
        self._now_us = 0
        self._limit_us = 0
        self._waiting: Frame | None = None
        self._watchdog_us: tuple[int, int] | None = None  # (due, timeout)
        self._paused_at_us: int | None = None
        self._taps: dict[int, mqtt.Stream] = {}
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.RLock()
        self.peer = Peer(lambda: self._now_us, on_publish)
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
    def now_us(self) -> int:
        """This board's clock: virtual microseconds, or in live mode the machine's monotonic ones."""
        return _monotonic_us() if self.live else self._now_us

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
        while self._now_us < self._limit_us:
            self.check()
            if self._process is None:
                self._now_us = self._limit_us
                return
            try:
                self._turn_virtual()
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
                        self._handle(frame)
                    elif self._watchdog_us and not self._paused_at_us and self.now_us > self._watchdog_us[0]:
                        self._reset(WDT_RESET)
            except EOFError:
                self._fail("its program ended")
            except Exception as error:  # noqa: BLE001  nobody else would see what ends this thread
                self._fail(f"{type(error).__name__}: {error}")

    # --- virtual

    def _turn_virtual(self) -> None:
        """Answer one frame, or move time towards what the board waits for."""
        assert self._process is not None
        if self._waiting is None:
            frame = self._process.read(HUNG_S)
            if frame is None:
                self._fail(f"it neither waited nor looked at its clock for {HUNG_S:.0f} s")
                return
            self._now_us = max(self._now_us, frame.at_us)
            if self._watchdog_us and self._now_us >= self._watchdog_us[0]:
                self._reset(WDT_RESET)
            elif frame.kind == b"W":
                self._waiting = frame
            else:
                self._handle(frame)
            return
        wanted_us = struct.unpack("<q", self._waiting.payload)[0]
        goals_us = [wanted_us, self._limit_us]
        if (arrival_us := self.peer.next_us()) is not None:
            goals_us.append(arrival_us)
        if self._watchdog_us:
            goals_us.append(self._watchdog_us[0])
        self._now_us = max(self._now_us, min(goals_us))
        if self._watchdog_us and self._now_us >= self._watchdog_us[0]:
            self._reset(WDT_RESET)
            return
        events = self.peer.take(self._now_us)
        if events or self._now_us >= wanted_us:
            packed = b"".join(
                struct.pack("<BcH", event.socket, event.kind, len(event.data)) + event.data for event in events
            )
            self._waiting = None
            self._process.answer(self._now_us, packed)

    # --- what the board asks and tells: one method for each kind of frame

    def _handle(self, frame: Frame) -> None:
        getattr(self, "_on_" + FRAMES[frame.kind])(frame, self._process)

    def _on_i2c(self, frame: Frame, process: BoardProcess) -> None:
        address, count = struct.unpack_from("<BH", frame.payload)
        t = self._seconds(frame.at_us)
        try:
            process.answer(self._now_us, self.world.bus.transfer(t, address, frame.payload[3:], count))
        except Nack:
            process.answer(self._now_us, status=b"n")

    def _on_scan(self, frame: Frame, process: BoardProcess) -> None:
        process.answer(self._now_us, bytes(self.world.bus.scan()))

    def _on_bus_pins(self, frame: Frame, process: BoardProcess) -> None:
        if tuple(frame.payload) != (self.world.plan.scl_gpio, self.world.plan.sda_gpio):
            raise UnknownPin(f"the I2C bus is not on GPIO {frame.payload[0]} and {frame.payload[1]}")
        process.answer(self._now_us)

    def _on_pin_write(self, frame: Frame, process: BoardProcess) -> None:
        gpio, level = struct.unpack("<BH", frame.payload)
        self.world.write_pin(self._seconds(frame.at_us), gpio, level / 65535)

    def _on_pin_read(self, frame: Frame, process: BoardProcess) -> None:
        process.answer(self._now_us, bytes([self.world.read_pin(frame.payload[0])]))

    def _on_radio(self, frame: Frame, process: BoardProcess) -> None:
        process.answer(self._now_us, bytes([self.world.wifi_up, self.world.rssi_dbm + 256]))

    def _on_hello(self, frame: Frame, process: BoardProcess) -> None:
        mac = b"\x24\x0a\xc4" + bytes.fromhex(self.device.removeprefix("cb-").rjust(6, "0")[-6:])
        hello = struct.pack("<BBqq", self.live, self._cause, self._boot_us, self._ticks_start_us)
        process.answer(self._now_us, hello + mac)

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
