"""Pins, addresses and analogue constants of chairside-c1.

Written by `chairside bench pins` from hardware/board.toml: change that file, not this one.
"""

from micropython import const

BOARD = "chairside-c1"

# 1 runs the pump; out, 0 in reset
PUMP = const(25)
# 1 closes the valve; without power it is open; out, 0 in reset
DUMP_VALVE = const(26)
# duty opens the valve in proportion; 0 is closed; pwm, 0 in reset
BLEED_VALVE = const(27)
# 1 lights the red lamp; out, 0 in reset
LAMP_RED = const(32)
# 1 lights the yellow lamp; out, 0 in reset
LAMP_YELLOW = const(33)
# 1 lights the cyan lamp; out, 0 in reset
LAMP_CYAN = const(4)
# square wave into the amplifier; pwm, 0 in reset
SOUNDER = const(13)
# 0 while pressed; in, 1 in reset
BUTTON_ACKNOWLEDGE = const(34)
# 0 while pressed; in, 1 in reset
BUTTON_CALL = const(35)
# 0 while somebody sits; in, 1 in reset
SEAT_OCCUPIED = const(18)
# 0 while nobody sits; in, 1 in reset
SEAT_EMPTY = const(19)
# the battery's voltage through its divider; adc, 0 in reset
BATTERY = const(36)

I2C0_SCL_GPIO = const(22)
I2C0_SDA_GPIO = const(21)
I2C0_FREQ_HZ = const(400000)
OXIMETER_ADDRESS = const(0x57)
PRESSURE_ADC_ADDRESS = const(0x48)
PRESSURE_ADC_FULL_SCALE_V = 4.096

# MPX5050GP: v_adc = divider * supply_v * (gain_per_kpa * kpa + offset)
PRESSURE_SUPPLY_V = 5.0
PRESSURE_GAIN_PER_KPA = 0.018
PRESSURE_OFFSET = 0.04
PRESSURE_DIVIDER = 0.6
PRESSURE_FULL_SCALE_MMHG = 375.0

# 18650, 3.7 V, 2600 mAh: v_adc = divider * v; volts and per cent of charge left
BATTERY_DIVIDER = 0.5
BATTERY_CURVE = ((3.3, 0), (3.5, 8), (3.6, 15), (3.7, 33), (3.8, 55), (3.9, 70), (4.0, 83), (4.1, 94), (4.2, 100))
