"""The simulated chips, held to their data sheets."""

import pytest

from simulators.chips.ads1115 import Ads1115
from simulators.chips.i2c import Bus, Nack, UnknownRegister
from simulators.chips.max30102 import Max30102


def oximeter(**options) -> Max30102:
    """100 samples/s, 18 bit, 4096 nA, red and infrared, running from t = 0."""
    chip = Max30102(lambda t, red_ma, ir_ma: (100.0 * red_ma, 200.0 * ir_ma), **options)
    chip.write(0.0, bytes([0x0A, 0x27]))
    chip.write(0.0, bytes([0x0C, 25, 25]))
    chip.write(0.0, bytes([0x09, 0x03]))
    return chip


def ask(chip, t: float, register: int, length: int = 1) -> bytes:
    chip.write(t, bytes([register]))
    return chip.read(t, length)


def test_oximeter_names_itself_and_wakes_up_asleep() -> None:
    """After power-on the part id is 0x15, the power-ready bit is set once, and nothing is sampled."""
    chip = Max30102(lambda t, red_ma, ir_ma: (1.0, 1.0))
    assert ask(chip, 0.0, 0xFF) == b"\x15"
    assert ask(chip, 0.0, 0x00) == b"\x01"
    assert ask(chip, 0.0, 0x00) == b"\x00"
    assert ask(chip, 5.0, 0x04, 3) == b"\0\0\0"


def test_oximeter_fills_its_fifo_at_the_set_rate() -> None:
    """At 100/s ten samples wait after 105 ms; a burst empties them, and both colours are what the light was."""
    chip = oximeter()
    write_pointer, overflow, read_pointer = ask(chip, 0.105, 0x04, 3)
    assert (write_pointer, overflow, read_pointer) == (10, 0, 0)
    burst = ask(chip, 0.105, 0x07, 60)
    # 25 steps of 0.2 mA are 5 mA: 500 and 1000 nA of 4096 nA in 2**18 counts.
    assert int.from_bytes(burst[:3], "big") == 500 * 64
    assert int.from_bytes(burst[3:6], "big") == 1000 * 64
    assert ask(chip, 0.105, 0x06) == b"\x0a"


def test_oximeter_counts_what_a_full_fifo_loses_and_keeps_the_oldest() -> None:
    """Without roll-over 32 samples stay, later ones are counted up to 31, and reading clears the count."""
    chip = oximeter()
    write_pointer, overflow, read_pointer = ask(chip, 0.405, 0x04, 3)
    assert (write_pointer, overflow, read_pointer) == (0, 8, 0)
    assert ask(chip, 9.0, 0x05) == b"\x1f"
    ask(chip, 9.0, 0x07, 6)
    assert ask(chip, 9.0, 0x05) == b"\0"


def test_oximeter_rolls_over_when_told() -> None:
    """With roll-over the newest 32 stay and the read pointer moves with them."""
    chip = oximeter()
    chip.write(0.0, bytes([0x08, 0x10]))
    write_pointer, overflow, read_pointer = ask(chip, 0.405, 0x04, 3)
    assert (write_pointer, overflow, read_pointer) == (8, 8, 8)


def test_oximeter_flags_an_almost_full_fifo() -> None:
    """A_FULL is set once as few places are left as were set, and is cleared by reading the status."""
    chip = oximeter()
    chip.write(0.0, bytes([0x08, 0x0F]))
    assert ask(chip, 0.165, 0x00)[0] & 0x80 == 0
    assert ask(chip, 0.175, 0x00)[0] & 0x80
    ask(chip, 0.175, 0x07, 6 * 17)
    assert ask(chip, 0.175, 0x00)[0] & 0x80 == 0


def test_oximeter_clips_at_full_scale() -> None:
    """More light than the converter's range gives the highest count, not a wrapped one."""
    chip = oximeter()
    chip.light = lambda t, red_ma, ir_ma: (1e6, -5.0)
    assert ask(chip, 0.011, 0x07, 6) == b"\x03\xff\xff\0\0\0"


def test_oximeter_cancels_ambient_light_as_far_as_it_reaches() -> None:
    """Of 100 uA a trace is left in both colours; 1 uA beyond its range adds to them and is flagged, 10 uA blind it."""
    found = {}
    for ambient_na in (0.0, 1e5, 2.01e5, 2.1e5):
        chip = oximeter()
        chip.ambient_na = ambient_na
        ask(chip, 0.0, 0x00)
        flagged = ask(chip, 0.011, 0x00)[0] & 0x20 > 0
        burst = ask(chip, 0.011, 0x07, 6)
        found[ambient_na] = [int.from_bytes(burst[:3], "big"), int.from_bytes(burst[3:], "big"), flagged]
    assert found == {
        0.0: [500 * 64, 1000 * 64, False],
        1e5: [510 * 64, 1010 * 64, False],
        2.01e5: [1520 * 64, 2020 * 64, True],
        2.1e5: [2**18 - 1, 2**18 - 1, True],
    }


def test_oximeter_averages_and_slows_down() -> None:
    """Averaging four samples makes a quarter of the FIFO's rate."""
    chip = oximeter()
    chip.write(0.0, bytes([0x08, 0x40]))
    assert ask(chip, 0.401, 0x04) == b"\x0a"


def test_oximeter_cannot_sample_faster_than_its_pulse_width_allows() -> None:
    """A rate that does not fit the pulse width becomes the highest that does."""
    chip = oximeter()
    chip.write(0.0, bytes([0x0A, 0x3F]))  # 3200/s with 411 us
    assert chip.sample_period_s == pytest.approx(1 / 400)


def test_oximeter_reset_and_shutdown_stop_sampling() -> None:
    """Shutdown keeps the registers; reset brings back the power-on values."""
    chip = oximeter()
    chip.write(0.055, bytes([0x09, 0x83]))
    assert ask(chip, 1.0, 0x04) == b"\x05"
    assert ask(chip, 1.0, 0x0C) == b"\x19"
    chip.write(1.0, bytes([0x09, 0x40]))
    assert ask(chip, 2.0, 0x0C) == b"\0"
    assert ask(chip, 2.0, 0x04, 3) == b"\0\0\0"


def test_oximeter_clock_may_be_off() -> None:
    """A chip whose clock is 5 % slow delivers 95 samples in a second."""
    chip = oximeter(clock_error=-0.05)
    waiting = 0
    for step in range(10):
        pointers = ask(chip, (step + 1) * 0.1, 0x04, 3)
        count = (pointers[0] - pointers[2]) % 32
        waiting += count
        ask(chip, (step + 1) * 0.1, 0x07, 6 * count)
    assert waiting in (94, 95)


def test_oximeter_measures_its_temperature() -> None:
    """The die temperature is there 29 ms after it was asked for, in sixteenths of a degree."""
    chip = oximeter()
    chip.die_temp_c = 30.5
    chip.write(0.0, bytes([0x21, 1]))
    assert ask(chip, 0.01, 0x01) == b"\0"
    assert ask(chip, 0.03, 0x01) == b"\x02"
    assert ask(chip, 0.03, 0x1F, 2) == bytes([30, 8])


@pytest.mark.parametrize("register", [0x0B, 0x0E, 0x10, 0x22, 0x30, 0xFD])
def test_oximeter_refuses_a_register_it_does_not_have(register: int) -> None:
    """A reserved address is an error, in reading and in writing."""
    chip = oximeter()
    with pytest.raises(UnknownRegister):
        ask(chip, 0.0, register)
    with pytest.raises(UnknownRegister):
        chip.write(0.0, bytes([register, 0]))


def test_oximeter_refuses_to_write_its_identity() -> None:
    """The part id is read-only."""
    with pytest.raises(UnknownRegister):
        oximeter().write(0.0, b"\xff\x15")


def converter(volts: float = 1.0, **options) -> Ads1115:
    return Ads1115(lambda channel, t: volts if channel == 0 else 0.0, **options)


def test_converter_wakes_up_with_the_data_sheet_values() -> None:
    """Power-on: conversion 0, configuration 0x8583, thresholds 0x8000 and 0x7FFF."""
    chip = converter()
    assert [ask(chip, 0.0, register, 2).hex() for register in range(4)] == ["0000", "8583", "8000", "7fff"]


def test_converter_single_shot_takes_its_time() -> None:
    """The top bit reads 0 while it converts; then the value is there and stays."""
    chip = converter(1.024)
    chip.write(0.0, b"\x01" + (0xC3A3).to_bytes(2, "big"))  # AIN0, 4.096 V, single, 250/s
    assert ask(chip, 0.003, 0x01, 2)[0] & 0x80 == 0
    assert ask(chip, 0.003, 0x00, 2) == b"\0\0"
    assert ask(chip, 0.0041, 0x01, 2)[0] & 0x80
    assert int.from_bytes(ask(chip, 9.0, 0x00, 2), "big") == 8192


def test_converter_continuous_gives_the_last_finished_conversion() -> None:
    """In continuous mode a ramp reads as it was at the last conversion, not as it is now."""
    chip = Ads1115(lambda channel, t: t)
    chip.write(0.0, b"\x01" + (0x4283).to_bytes(2, "big"))  # AIN0, 4.096 V, continuous, 128/s
    volts = int.from_bytes(ask(chip, 1.0049, 0x00, 2), "big") * 4.096 / 32768
    assert volts == pytest.approx(1.0 - 0.5 / 128, abs=0.001)


@pytest.mark.parametrize(
    ("mux", "gain", "expected"),
    [(0b100, 0b001, 1.0 / 4.096), (0b000, 0b010, 1.0 / 2.048), (0b101, 0b001, 0.0), (0b100, 0b101, 1.0)],
)
def test_converter_mux_and_gain(mux: int, gain: int, expected: float) -> None:
    """Single-ended, differential, another input, and a range that is too small (clipped)."""
    chip = converter(1.0)
    chip.write(0.0, b"\x01" + (mux << 12 | gain << 9 | 0x00E3).to_bytes(2, "big"))
    count = int.from_bytes(ask(chip, 1.0, 0x00, 2), "big", signed=True)
    assert count == pytest.approx(min(32767, expected * 32768), abs=1)


def test_converter_refuses_an_unknown_register_and_half_a_word() -> None:
    """There are four registers of two bytes, and the conversion is read-only."""
    chip = converter()
    for bad in (b"\x04", b"\x01\x12", b"\x00\x12\x34"):
        with pytest.raises(UnknownRegister):
            chip.write(0.0, bad)


def test_bus_answers_only_where_a_chip_is() -> None:
    """An empty address and a chip silenced by a fault do not acknowledge."""
    bus = Bus()
    bus.chips[0x48] = converter()
    assert bus.scan() == [0x48]
    assert bus.transfer(0.0, 0x48, b"\x01", 2) == b"\x85\x83"
    with pytest.raises(Nack):
        bus.transfer(0.0, 0x57, b"\xff", 1)
    bus.silent.add(0x48)
    assert bus.scan() == []
    with pytest.raises(Nack):
        bus.transfer(0.0, 0x48, b"\x01", 2)
