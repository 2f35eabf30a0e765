"""What a simulated board asks and tells, and what the world answers: one method for each kind of frame.

A misuse of a chip or a pin raises UnknownRegister or UnknownPin, and stops the board.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from typing import TYPE_CHECKING

from simulators import mqtt_packets as mqtt
from simulators.chips.i2c import Nack, Stuck
from simulators.mqtt_packets import Published
from simulators.power import HARD_RESET, SOFT_RESET
from simulators.process import Frame
from simulators.world.chair import UnknownPin

if TYPE_CHECKING:
    from simulators.conductor import SimBoard

BUS_TIMEOUT_US = 50_000
DNS_FAILS_US = 14_000_000
PUBLISHED_MAX = 200_000

# Kinds of frame from the board. An upper-case letter is answered. "W" (wait) belongs to the virtual loop.
FRAMES = {
    b"H": "hello",
    b"I": "i2c",
    b"S": "scan",
    b"B": "bus_pins",
    b"R": "pin_read",
    b"A": "adc",
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


class Answers:
    """The board's view of the world. `told_inputs` are the input lines that the program has read, with the level that
    it knows; `tapped` is what a live board published."""

    def __init__(self, board: SimBoard) -> None:
        self._board = board
        self.told_inputs: dict[int, int] = {}
        self.tapped: deque[Published] = deque(maxlen=PUBLISHED_MAX)
        self._taps: dict[int, mqtt.Stream] = {}
        self._handlers = {kind: getattr(self, "_on_" + name) for kind, name in FRAMES.items()}

    def take(self, frame: Frame) -> None:
        """Carry out one frame and answer it, if its kind is answered."""
        self._handlers[frame.kind](frame)

    def clear(self) -> None:
        """Another boot begins."""
        self.told_inputs.clear()
        self._taps.clear()

    def changed_inputs(self) -> list[tuple[int, int]]:
        """(gpio, level) of each line that is not any more as the program knows it; from now on it counts as told."""
        changed = []
        for gpio, told in self.told_inputs.items():
            level = self._board.world.read_pin(gpio)
            if level != told:
                self.told_inputs[gpio] = level
                changed.append((gpio, level))
        return changed

    def _answer(self, data: bytes = b"", status: bytes = b"k", held_us: int = 0) -> None:
        """Answer after the program has stood still for a time."""
        self._board.answer(data, status, held_us)

    # --- bus and pins

    def _on_i2c(self, frame: Frame) -> None:
        address, count = struct.unpack_from("<BH", frame.payload)
        bus = self._board.world.bus
        held_us = round(bus.hang_s * 1e6)
        try:
            data = bus.transfer(self._board.seconds(frame.at_us), address, frame.payload[3:], count)
            status = b"k"
        except Nack:
            data, status = bytes(count), b"n"
        except Stuck:
            data, status, held_us = bytes(count), b"t", held_us + BUS_TIMEOUT_US
        self._answer(data, status, held_us)

    def _on_scan(self, frame: Frame) -> None:
        self._answer(bytes(self._board.world.bus.scan()))

    def _on_bus_pins(self, frame: Frame) -> None:
        plan = self._board.world.plan
        if tuple(frame.payload) != (plan.scl_gpio, plan.sda_gpio):
            raise UnknownPin(f"the I2C bus is not on GPIO {frame.payload[0]} and {frame.payload[1]}")
        self._answer()

    def _on_pin_write(self, frame: Frame) -> None:
        gpio, level = struct.unpack("<BH", frame.payload)
        self._board.world.write_pin(self._board.seconds(frame.at_us), gpio, level / 65535)

    def _on_pin_read(self, frame: Frame) -> None:
        gpio = frame.payload[0]
        self.told_inputs[gpio] = self._board.world.read_pin(gpio)
        self._answer(bytes([self.told_inputs[gpio]]))

    def _on_adc(self, frame: Frame) -> None:
        self._answer(struct.pack("<I", round(self._board.world.read_adc_v(frame.payload[0]) * 1e6)))

    # --- processor

    def _on_hello(self, frame: Frame) -> None:
        board = self._board
        mac = b"\x24\x0a\xc4" + bytes.fromhex(board.device.removeprefix("cb-").rjust(6, "0")[-6:])
        hello = struct.pack(
            "<BBqqi", board.live, board.power.cause, board.power.boot_us, board.ticks_start_us, board.ticks_ppm
        )
        # Another boot draws other numbers; the same boot of the same seed the same ones.
        chance = hashlib.sha256(f"{board.seed} {board.device} {len(board.resets)}".encode()).digest()[:8]
        self._answer(hello + mac + chance)

    def _on_collect(self, frame: Frame) -> None:
        self._answer(held_us=self._board.costs.collect_us)

    def _on_flash(self, frame: Frame) -> None:
        self._answer(status=b"n" if self._board.flash_full else b"k", held_us=self._board.costs.erase_us)

    def _on_watchdog(self, frame: Frame) -> None:
        timeout_us = struct.unpack("<I", frame.payload)[0] * 1000
        self._board.power.watchdog_us = (frame.at_us + timeout_us, timeout_us)

    def _on_reset(self, frame: Frame) -> None:
        self._board.reset(SOFT_RESET if frame.payload == b"soft" else HARD_RESET)

    def _on_callback_error(self, frame: Frame) -> None:
        self._board.callback_errors.append(frame.payload.decode(errors="replace"))

    # --- radio and network

    def _on_radio(self, frame: Frame) -> None:
        self._answer(bytes([self._board.world.wifi_up, self._board.world.rssi_dbm + 256]))

    def _on_look_up(self, frame: Frame) -> None:
        if self._board.names_answer and self._board.world.wifi_up:
            self._answer(held_us=self._board.costs.look_up_us)
        else:
            self._answer(status=b"n", held_us=DNS_FAILS_US)

    def _on_socket_open(self, frame: Frame) -> None:
        self._taps[frame.payload[0]] = mqtt.Stream()
        if not self._board.live:
            self._board.peer.open(frame.payload[0])

    def _on_socket_close(self, frame: Frame) -> None:
        self._board.peer.close(frame.payload[0])

    def _on_socket_send(self, frame: Frame) -> None:
        self._board.peer.receive(frame.payload[0], frame.payload[1:])

    def _on_tap(self, frame: Frame) -> None:
        """What a live board writes to its socket, with the time by its own clock."""
        stream = self._taps.setdefault(frame.payload[0], mqtt.Stream())
        at_us = int.from_bytes(frame.payload[1:9], "little")
        for kind, flags, body in stream.feed(frame.payload[9:]):
            if kind == mqtt.PUBLISH:
                message = mqtt.read_publish(at_us, flags, body)
                self.tapped.append(message)
                if self._board.on_publish:
                    self._board.on_publish(message)
