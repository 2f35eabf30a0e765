"""MPX5050GP gauge pressure sensor behind a divider and a converter.

Datasheet: NXP MPX5050, Rev 11, 03/2010, transfer function:
v_out = supply * (gain_per_kpa * pressure_kpa + offset), -+2.5 % of full scale over 0..85 degC. That is 9 mmHg, so
a board is calibrated against a manometer; the constants below are what an uncalibrated one falls back to.
"""

from chair import pins
from micropython import const

_MMHG_PER_KPA = const(7.50062)
ZERO_V = pins.PRESSURE_DIVIDER * pins.PRESSURE_SUPPLY_V * pins.PRESSURE_OFFSET
MMHG_PER_V = _MMHG_PER_KPA / (pins.PRESSURE_DIVIDER * pins.PRESSURE_SUPPLY_V * pins.PRESSURE_GAIN_PER_KPA)


_READS_PER_CHECK = const(50)  # once a second at the cuff supervisor's pace


def convert(adc_v, zero_v=ZERO_V, mmhg_per_v=MMHG_PER_V):
    """Gauge pressure in mmHg from volts at the converter. Judges nothing: 0 V is below zero pressure."""
    return (adc_v - zero_v) * mmhg_per_v


class Mpx5050:
    """The sensor on a converter that offers `read_v()` and `check()`.

    `calibration` is the `pressure` part of a board's calibration, {"zero_v": ..., "mmhg_per_v": ...}.
    """

    def __init__(self, adc, calibration=None):
        self._adc = adc
        self._zero_v = calibration["zero_v"] if calibration else ZERO_V
        self._mmhg_per_v = calibration["mmhg_per_v"] if calibration else MMHG_PER_V
        self._reads = 0

    def read_mmhg(self):
        """Gauge pressure in mmHg; OSError when the converter does not answer or has lost its configuration."""
        self._reads += 1
        if self._reads == _READS_PER_CHECK:
            self._reads = 0
            self._adc.check()
        return convert(self._adc.read_v(), self._zero_v, self._mmhg_per_v)
