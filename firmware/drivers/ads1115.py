"""ADS1115 16 bit converter: one single-ended input, converting all the time.

Datasheet: Texas Instruments SBAS444E, December 2024; register map in section 8.

The chip has no id register: that the configuration reads back as written is the check. It is repeated while the
chip is in use, because one that browned out falls back to power-down and then repeats its last conversion for ever.
"""

from micropython import const

from drivers import ChipFault

_CONVERSION = const(0x00)
_CONFIG = const(0x01)
# AIN0 against ground, +-4.096 V, continuous, 250 samples/s, comparator off. 250/s gives the supervisor, which
# samples every 20 ms, a value at most 4 ms old; faster is noisier.
_SETTING = const(0x42A3)
_OS = const(0x8000)  # reads as "no conversion is running": not ours to write
_LSB_V = const(0.000125)  # 4.096 V / 2**15


def convert(raw):
    """Volts out of the two conversion bytes: two's complement, most significant first."""
    counts = raw[0] << 8 | raw[1]
    return (counts - 0x10000 if counts & 0x8000 else counts) * _LSB_V


class Ads1115:
    """One chip on a bus that offers `readfrom_mem_into` and `writeto_mem`. Raises OSError when the bus fails."""

    def __init__(self, i2c, address=0x48):
        self._i2c = i2c
        self._address = address
        self._two = bytearray(2)
        self._configure()
        self.check()

    def check(self):
        """ChipFault when the chip does not hold our configuration, which is then written again for the next read."""
        self._i2c.readfrom_mem_into(self._address, _CONFIG, self._two)
        config = self._two[0] << 8 | self._two[1]
        if config & ~_OS != _SETTING:
            self._configure()
            raise ChipFault(f"ADS1115: configuration 0x{config:04x}, not 0x{_SETTING:04x}")

    def read_v(self):
        """The newest conversion in volts, -4.096..4.096."""
        self._i2c.readfrom_mem_into(self._address, _CONVERSION, self._two)
        return convert(self._two)

    def _configure(self):
        self._two[0] = _SETTING >> 8
        self._two[1] = _SETTING & 0xFF
        self._i2c.writeto_mem(self._address, _CONFIG, self._two)
