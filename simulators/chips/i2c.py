"""An I2C bus: addresses to chips, and no acknowledge from an address where nothing answers."""

from __future__ import annotations

import random
from typing import Protocol


class Nack(Exception):
    """No chip acknowledged the address: absent, unpowered or made silent by a fault."""


class UnknownRegister(Exception):
    """The firmware touched a register that the data sheet does not define: a programming error."""


class Stuck(Exception):
    """A line of the bus is held low: the transfer gives up after the bus's timeout."""


class Chip(Protocol):
    """The bus face of a chip. Times are seconds of the simulated world and never go back."""

    def write(self, t: float, data: bytes) -> None:
        """One write transfer: the bytes after the address."""

    def read(self, t: float, length: int) -> bytes:
        """One read transfer from where the last write left the chip's pointer."""


class Bus:
    """Chips by address. `silent` holds the addresses that a fault keeps from answering, `nack_share` the share of
    transfers that an address fails to acknowledge, `stuck` that a line is held low, `hang_s` how long each transfer
    holds the program up."""

    def __init__(self) -> None:
        self.chips: dict[int, Chip] = {}
        self.silent: set[int] = set()
        self.nack_share: dict[int, float] = {}
        self.stuck = False
        self.hang_s = 0.0
        self._chance = random.Random(4)

    def scan(self) -> list[int]:
        return [] if self.stuck else sorted(set(self.chips) - self.silent)

    def transfer(self, t: float, address: int, data: bytes, read_length: int) -> bytes:
        """Write `data` (if any), then read (if asked) after a repeated start. Raises Nack, Stuck."""
        if self.stuck:
            raise Stuck
        chip = self.chips.get(address)
        share = self.nack_share.get(address, 0.0)
        if chip is None or address in self.silent or (share and self._chance.random() < share):
            raise Nack(f"nothing answers at 0x{address:02x}")
        if data:
            chip.write(t, data)
        return chip.read(t, read_length) if read_length else b""
