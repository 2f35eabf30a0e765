"""ADS1115 16-bit converter at register level, from its data sheet (Texas Instruments SBAS444, rev. D).

Bus face: a pointer register and four 16-bit registers. Physical face: `volts(channel, t)`, the voltage at an
input (0..3) at world time t. Not modelled: the comparator and its ALERT line, the conversion's averaging.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from simulators.chips.i2c import UnknownRegister

Volts = Callable[[int, float], float]

CONVERSION, CONFIG, LOW_THRESHOLD, HIGH_THRESHOLD = 0, 1, 2, 3
START = 0x8000
SINGLE_SHOT = 0x0100
FULL_SCALES_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
RATES_HZ = (8, 16, 32, 64, 128, 250, 475, 860)
DIFFERENTIAL = {0: (0, 1), 1: (0, 3), 2: (1, 3), 3: (2, 3)}
WAKE_UP_S = 25e-6


class Ads1115:
    """One chip on a bus. `clock_error` is the relative error of its oscillator (data sheet: at most 0.1)."""

    def __init__(self, volts: Volts, *, supply_v: float = 3.3, clock_error: float = 0.0) -> None:
        self.volts = volts
        self.supply_v = supply_v
        self.clock_error = clock_error
        self._pointer = CONVERSION
        self._registers = {CONVERSION: 0, CONFIG: 0x8583, LOW_THRESHOLD: 0x8000, HIGH_THRESHOLD: 0x7FFF}
        self._due_s = math.inf

    def write(self, t: float, data: bytes) -> None:
        self._advance(t)
        if data[0] not in self._registers:
            raise UnknownRegister(f"ADS1115 has no register 0x{data[0]:02x}")
        self._pointer = data[0]
        if len(data) == 1:
            return
        if len(data) != 3 or self._pointer == CONVERSION:
            raise UnknownRegister(f"ADS1115 register {self._pointer} cannot take {len(data) - 1} bytes")
        value = int.from_bytes(data[1:], "big")
        self._registers[self._pointer] = value
        if self._pointer == CONFIG:
            if not value & SINGLE_SHOT:
                self._due_s = t + self._conversion_s
            elif value & START:
                self._due_s = t + WAKE_UP_S + self._conversion_s
            else:
                self._due_s = math.inf

    def read(self, t: float, length: int) -> bytes:
        self._advance(t)
        value = self._registers[self._pointer]
        if self._pointer == CONFIG:
            # The top bit reads 1 when no conversion runs; in continuous mode one always does.
            value = value & ~START | (START if self._due_s == math.inf else 0)
        return (value.to_bytes(2, "big") * (length // 2 + 1))[:length]

    @property
    def _conversion_s(self) -> float:
        return 1.0 / (RATES_HZ[self._registers[CONFIG] >> 5 & 7] * (1.0 + self.clock_error))

    def _advance(self, t: float) -> None:
        if self._due_s > t:
            return
        done_s = self._due_s
        if self._registers[CONFIG] & SINGLE_SHOT:
            self._due_s = math.inf
        else:
            # Only the last finished conversion can be read, so the ones before it need no computing.
            done_s += math.floor((t - done_s) / self._conversion_s) * self._conversion_s
            self._due_s = done_s + self._conversion_s
        self._registers[CONVERSION] = self._convert(done_s - self._conversion_s / 2) & 0xFFFF

    def _convert(self, t: float) -> int:
        config = self._registers[CONFIG]
        mux = config >> 12 & 7
        plus, minus = DIFFERENTIAL.get(mux, (mux - 4, None))
        volts = self._pin_v(plus, t) - (0.0 if minus is None else self._pin_v(minus, t))
        full_scale_v = FULL_SCALES_V[config >> 9 & 7]
        return max(-32768, min(32767, round(volts / full_scale_v * 32768)))

    def _pin_v(self, channel: int, t: float) -> float:
        return max(-0.3, min(self.supply_v + 0.3, self.volts(channel, t)))
