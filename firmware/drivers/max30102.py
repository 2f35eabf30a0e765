"""MAX30102 pulse oximeter front end: red and infrared photocurrent, 18 bit.

Datasheet: Maxim 19-7740, Rev 1, 10/18. Register names and fields as there.

    chip = Max30102(i2c)                    # ChipFault: not this part; OSError: bus
    red, ir = array("i", bytes(4 * DEPTH)), array("i", bytes(4 * DEPTH))
    count, lost = chip.read(red, ir)        # at least every 320 ms

Samples are raw counts 0..262143 of 4096 nA; what they mean is decided in chair/oximetry.py.
"""

import time

from micropython import const

from drivers import ChipFault

DEPTH = const(32)  # samples the FIFO holds: 320 ms at 100/s
_COUNTS_MAX = const(262143)  # 18 bit: the ADC is clipped here

_FIFO_WR_PTR = const(0x04)
_FIFO_DATA = const(0x07)
_FIFO_CONFIG = const(0x08)
_MODE_CONFIG = const(0x09)
_SPO2_CONFIG = const(0x0A)
_LED1_PA = const(0x0C)  # red
_LED2_PA = const(0x0D)  # infrared
_PART_ID = const(0xFF)

_PART = const(0x15)
_RESET = const(0x40)
_RESET_POLLS_MAX = const(50)
_SPO2_MODE = const(0x03)
# No averaging, no rollover: a full FIFO keeps its 32 contiguous samples and counts those that came after them, so
# the gap lies behind what was read and its length is known. With rollover old samples vanish under the reader.
_FIFO_SETTING = const(0x00)
_SPO2_SETTING = const(0x27)  # 4096 nA full scale, 100 samples/s, 411 us pulses (18 bit)
_SAMPLE_BYTES = const(6)  # red, then infrared, three bytes each


def convert(raw, at=0):
    """Counts out of three FIFO bytes at `at`: left-justified to 18 bit, the six bits above are undefined."""
    return (raw[at] & 0x03) << 16 | raw[at + 1] << 8 | raw[at + 2]


class Max30102:
    """One chip on a bus that offers `readfrom_mem_into` and `writeto_mem`. `led_ma` is 0..51 in steps of 0.2."""

    def __init__(self, i2c, address=0x57, led_ma=7.2):
        self._i2c = i2c
        self._address = address
        self._one = bytearray(1)
        self._pointers = bytearray(3)  # write pointer, overflow counter, read pointer
        self._burst = memoryview(bytearray(DEPTH * _SAMPLE_BYTES))
        part = self._get(_PART_ID)
        if part != _PART:
            raise ChipFault(f"MAX30102: part id 0x{part:02x}, not 0x{_PART:02x}")
        self._reset()
        current = round(led_ma / 0.2)
        self._set(_FIFO_CONFIG, _FIFO_SETTING)
        self._set(_SPO2_CONFIG, _SPO2_SETTING)
        self.set_leds(current, current)
        for register in (_FIFO_WR_PTR, _FIFO_WR_PTR + 1, _FIFO_WR_PTR + 2):
            self._set(register, 0)
        self._set(_MODE_CONFIG, _SPO2_MODE)  # last: sampling begins with everything set

    def set_leds(self, red, ir):
        """LED currents as register values, 0..255 in steps of 0.2 mA; from the next conversion on."""
        self._set(_LED1_PA, red)
        self._set(_LED2_PA, ir)

    def read(self, red, ir):
        """Fill `red` and `ir` with what is waiting; returns (count, lost).

        `lost` samples should have followed these; the chip's counter ends at 31, so that means 31 or more.
        """
        pointers = self._pointers
        self._i2c.readfrom_mem_into(self._address, _FIFO_WR_PTR, pointers)
        lost = pointers[1] & 0x1F
        count = (pointers[0] - pointers[2]) & 0x1F
        if lost:
            count = DEPTH  # equal pointers mean empty or full; only a full FIFO loses samples
        if count == 0:
            return 0, 0
        burst = self._burst[: count * _SAMPLE_BYTES]
        self._i2c.readfrom_mem_into(self._address, _FIFO_DATA, burst)
        at = 0
        for i in range(count):
            red[i] = convert(burst, at)
            ir[i] = convert(burst, at + 3)
            at += _SAMPLE_BYTES
        return count, lost

    def _reset(self):
        """Power-on state; the chip clears the bit when done, within a millisecond."""
        self._set(_MODE_CONFIG, _RESET)
        for _ in range(_RESET_POLLS_MAX):
            if not self._get(_MODE_CONFIG) & _RESET:
                return
            time.sleep_ms(1)
        raise ChipFault(f"MAX30102: reset did not end within {_RESET_POLLS_MAX} ms")

    def _get(self, register):
        self._i2c.readfrom_mem_into(self._address, register, self._one)
        return self._one[0]

    def _set(self, register, value):
        self._one[0] = value
        self._i2c.writeto_mem(self._address, register, self._one)
