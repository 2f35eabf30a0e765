"""MAX30102 pulse oximeter at register level, from its data sheet (Maxim 19-7740, rev. 1).

Bus face: registers, and a FIFO of 32 samples that fills by itself at the set rate and is read by bursts.
Physical face: `light(t, red_ma, ir_ma)` returns the two photodiode currents in nA at world time t for
these LED currents; `ambient_na` is the steady current of the room's light, which a canceller subtracts as far as it
reaches. Not modelled: the interrupt line, proximity.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from simulators.chips.i2c import UnknownRegister

Light = Callable[[float, float, float], tuple[float, float]]

STATUS_1, STATUS_2, ENABLE_1, ENABLE_2 = 0x00, 0x01, 0x02, 0x03
WRITE_POINTER, OVERFLOW_COUNTER, READ_POINTER, FIFO_DATA = 0x04, 0x05, 0x06, 0x07
FIFO_CONFIG, MODE_CONFIG, SPO2_CONFIG = 0x08, 0x09, 0x0A
LED1_CURRENT, LED2_CURRENT = 0x0C, 0x0D
SLOTS_21, SLOTS_43 = 0x11, 0x12
TEMP_INTEGER, TEMP_FRACTION, TEMP_CONFIG = 0x1F, 0x20, 0x21
REVISION_ID, PART_ID = 0xFE, 0xFF

READ_ONLY = {STATUS_1, STATUS_2, TEMP_INTEGER, TEMP_FRACTION, REVISION_ID, PART_ID}
PLAIN = {ENABLE_1, ENABLE_2, FIFO_CONFIG, SPO2_CONFIG, LED1_CURRENT, LED2_CURRENT, SLOTS_21, SLOTS_43}
KNOWN = READ_ONLY | PLAIN | {WRITE_POINTER, OVERFLOW_COUNTER, READ_POINTER, FIFO_DATA, MODE_CONFIG, TEMP_CONFIG}

A_FULL, PPG_READY, ALC_OVERFLOW, POWER_READY, TEMP_READY = 0x80, 0x40, 0x20, 0x01, 0x02
SHUTDOWN, RESET = 0x80, 0x40
MODE_HEART_RATE, MODE_SPO2, MODE_MULTI = 2, 3, 7

RATES_HZ = (50, 100, 200, 400, 800, 1000, 1600, 3200)
AVERAGES = (1, 2, 4, 8, 16, 32, 32, 32)
FULL_SCALES_NA = (2048.0, 4096.0, 8192.0, 16384.0)
# Highest rate with two LEDs for each pulse width 69, 118, 215, 411 us (data sheet, table 11).
RATE_HZ_MAX = (1600, 1000, 800, 400)
FIFO_DEPTH = 32
STEP_MA = 0.2
TEMP_CONVERSION_S = 0.029
CANCELLER_NA_MAX = 200_000.0
CANCELLER_LEAVES = 1e-4  # of what it reaches; a guess, on the pessimistic side


class Max30102:
    """One chip on a bus. `clock_error` is its sampling clock's relative error; `part_id` may be a clone's."""

    def __init__(self, light: Light, *, clock_error: float = 0.0, part_id: int = 0x15) -> None:
        self.light = light
        self.clock_error = clock_error
        self.part_id = part_id
        self.die_temp_c = 31.0
        self.ambient_na = 0.0
        self.lost = 0  # samples that a full FIFO had no room for, since ever
        self._pointer = 0
        self._now = 0.0
        self._power_on()

    def _power_on(self) -> None:
        self._registers = dict.fromkeys(PLAIN | {MODE_CONFIG}, 0)
        self._status_1 = POWER_READY
        self._status_2 = 0
        self._fifo: list[bytes] = []
        self._read_pointer = 0
        self._overflow = 0
        self._byte_index = 0
        self._stale = bytes(6)
        self._next_sample_s = math.inf
        self._pending: list[tuple[float, float]] = []
        self._temp_raw = 0
        self._temp_due_s = math.inf

    # --- bus face

    def write(self, t: float, data: bytes) -> None:
        self._advance(t)
        self._pointer = data[0]
        self._check()
        for value in data[1:]:
            self._write_register(self._pointer, value)
            self._step_pointer()

    def read(self, t: float, length: int) -> bytes:
        self._advance(t)
        self._check()
        out = bytearray()
        if self._pointer == FIFO_DATA and self._byte_index == 0 and self._fifo:
            # Whole samples at once: a burst is most of what crosses the bus.
            whole = min(len(self._fifo), length // len(self._fifo[0]))
            out += b"".join(self._fifo[:whole])
            self._taken(whole)
        for _ in range(length - len(out)):
            self._check()
            out.append(self._read_register(self._pointer))
            self._step_pointer()
        return bytes(out)

    def _check(self) -> None:
        if self._pointer not in KNOWN:
            raise UnknownRegister(f"MAX30102 has no register 0x{self._pointer:02x}")

    def _step_pointer(self) -> None:
        # The address counts up by itself, but stays on the FIFO so that a burst empties it.
        if self._pointer != FIFO_DATA:
            self._pointer = (self._pointer + 1) & 0xFF

    def _write_register(self, register: int, value: int) -> None:
        self._pointer = register
        self._check()
        if register in READ_ONLY:
            raise UnknownRegister(f"MAX30102 register 0x{register:02x} is read-only")
        if register == MODE_CONFIG and value & RESET:
            self._power_on()
        elif register in (WRITE_POINTER, READ_POINTER):
            self._move_pointer(register, value & 0x1F)
        elif register == OVERFLOW_COUNTER:
            self._overflow = value & 0x1F
        elif register == TEMP_CONFIG:
            if value & 1:
                self._temp_due_s = self._now + TEMP_CONVERSION_S
        elif register != FIFO_DATA:
            self._registers[register] = value
            if register in (MODE_CONFIG, SPO2_CONFIG, FIFO_CONFIG):
                self._restart_sampling()

    def _move_pointer(self, register: int, value: int) -> None:
        write_pointer = (self._read_pointer + len(self._fifo)) % FIFO_DEPTH
        if register == WRITE_POINTER:
            write_pointer = value
        else:
            self._read_pointer = value
        waiting = (write_pointer - self._read_pointer) % FIFO_DEPTH
        self._fifo = (self._fifo + [self._stale] * FIFO_DEPTH)[:waiting]
        self._byte_index = 0

    def _read_register(self, register: int) -> int:
        if register == STATUS_1:
            value, self._status_1 = self._status_1, 0
            return value
        if register == STATUS_2:
            value, self._status_2 = self._status_2, 0
            return value
        if register == WRITE_POINTER:
            return (self._read_pointer + len(self._fifo)) % FIFO_DEPTH
        if register == FIFO_DATA:
            return self._read_fifo_byte()
        fixed = {
            OVERFLOW_COUNTER: self._overflow,
            READ_POINTER: self._read_pointer,
            TEMP_INTEGER: self._temp_raw >> 4 & 0xFF,
            TEMP_FRACTION: self._temp_raw & 0x0F,
            TEMP_CONFIG: int(self._temp_due_s < math.inf),
            REVISION_ID: 0x03,
            PART_ID: self.part_id,
        }
        return fixed[register] if register in fixed else self._registers[register]

    def _read_fifo_byte(self) -> int:
        self._status_1 &= ~(A_FULL | PPG_READY)
        if not self._fifo:
            return self._stale[self._byte_index % 6]
        sample = self._fifo[0]
        value = sample[self._byte_index]
        self._byte_index += 1
        if self._byte_index >= len(sample):
            self._byte_index = 0
            self._taken(1)
        return value

    def _taken(self, count: int) -> None:
        """Samples have left the FIFO."""
        if count:
            self._stale = self._fifo[count - 1].ljust(6, b"\0")
            del self._fifo[:count]
            self._read_pointer = (self._read_pointer + count) % FIFO_DEPTH
            self._overflow = 0
            self._status_1 &= ~(A_FULL | PPG_READY)

    # --- sampling

    @property
    def sample_period_s(self) -> float:
        """Time between conversions, before averaging, by the chip's own clock."""
        config = self._registers[SPO2_CONFIG]
        rate_hz = min(RATES_HZ[config >> 2 & 7], RATE_HZ_MAX[config & 3])
        return 1.0 / (rate_hz * (1.0 + self.clock_error))

    def _restart_sampling(self) -> None:
        mode = self._registers[MODE_CONFIG]
        running = not mode & SHUTDOWN and mode & 7 in (MODE_HEART_RATE, MODE_SPO2, MODE_MULTI)
        self._pending.clear()
        self._next_sample_s = self._now + self.sample_period_s if running else math.inf

    def _advance(self, t: float) -> None:
        self._now = max(self._now, t)
        if self._temp_due_s <= t:
            self._temp_raw = round(self.die_temp_c * 16)
            self._temp_due_s = math.inf
            self._status_2 |= TEMP_READY
        period_s = self.sample_period_s
        while self._next_sample_s <= t:
            self._convert(self._next_sample_s)
            self._next_sample_s += period_s

    def _convert(self, t: float) -> None:
        registers = self._registers
        red_ma, ir_ma = registers[LED1_CURRENT] * STEP_MA, registers[LED2_CURRENT] * STEP_MA
        red_na, ir_na = self.light(t, red_ma, ir_ma)
        if self.ambient_na:
            left_na = self._uncancelled_na()
            red_na, ir_na = red_na + left_na, ir_na + left_na
        count = AVERAGES[registers[FIFO_CONFIG] >> 5]
        if count > 1:
            self._pending.append((red_na, ir_na))
            if len(self._pending) < count:
                return
            red_na = sum(sample[0] for sample in self._pending) / count
            ir_na = sum(sample[1] for sample in self._pending) / count
            self._pending.clear()
        mode = registers[MODE_CONFIG] & 7
        if mode == MODE_HEART_RATE:
            channels = [red_na]
        elif mode == MODE_SPO2:
            channels = [red_na, ir_na]
        else:
            channels = self._slot_channels(red_na, ir_na)
        if channels:
            self._push(b"".join([self._quantise(current_na) for current_na in channels]))

    def _uncancelled_na(self) -> float:
        """What is left of the ambient light; beyond the canceller's range all of it, and the status says so."""
        beyond_na = self.ambient_na - CANCELLER_NA_MAX
        if beyond_na > 0.0:
            self._status_1 |= ALC_OVERFLOW
        return min(self.ambient_na, CANCELLER_NA_MAX) * CANCELLER_LEAVES + max(0.0, beyond_na)

    def _slot_channels(self, red_na: float, ir_na: float) -> list[float]:
        low, high = self._registers[SLOTS_21], self._registers[SLOTS_43]
        slots = (low & 7, low >> 4 & 7, high & 7, high >> 4 & 7)
        return [{1: red_na, 2: ir_na}[slot] for slot in slots if slot in (1, 2)]

    def _quantise(self, current_na: float) -> bytes:
        """18 bits, left-justified: the low bits stay 0 at the shorter pulse widths."""
        config = self._registers[SPO2_CONFIG]
        bits = 15 + (config & 3)
        full_scale_na = FULL_SCALES_NA[config >> 5 & 3]
        count = int(current_na / full_scale_na * (1 << bits))
        return (max(0, min(count, (1 << bits) - 1)) << (18 - bits)).to_bytes(3, "big")

    def _push(self, sample: bytes) -> None:
        config = self._registers[FIFO_CONFIG]
        if len(self._fifo) == FIFO_DEPTH:
            self.lost += 1
            self._overflow = min(self._overflow + 1, 0x1F)
            if not config & 0x10:  # no roll-over: the new sample is lost
                return
            self._fifo.pop(0)
            self._read_pointer = (self._read_pointer + 1) % FIFO_DEPTH
            self._byte_index = 0
        self._fifo.append(sample)
        self._status_1 |= PPG_READY
        if len(self._fifo) >= FIFO_DEPTH - (config & 0x0F):
            self._status_1 |= A_FULL
