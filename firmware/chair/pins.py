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
