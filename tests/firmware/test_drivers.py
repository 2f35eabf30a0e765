"""The chips' drivers on a bus that writes down every transfer: exact bytes, refused strangers, bounded waits."""

from typing import Any

import pytest
from unix_port import run

BUS = """
class Bus:
    def __init__(self, registers):
        self.registers = {int(key): value for key, value in registers.items()}
        self.log = []

    def readfrom_mem_into(self, address, register, into):
        self.log.append(["r", address, register, len(into)])
        value = self.registers[register]
        if isinstance(value[0], list):
            value = value.pop(0) if len(value) > 1 else value[0]
        for i in range(len(into)):
            into[i] = value[i]

    def writeto_mem(self, address, register, data):
        self.log.append(["w", address, register, list(data)])

def attempt(make):
    try:
        return make()
    except OSError as fault:
        return str(fault)
"""
MAX30102 = 0x57
ADS1115 = 0x48
OUR_CONFIG = [0x42, 0xA3]


def play(script: str, **given: Any) -> Any:
    return run(BUS + script, **given)


def test_max30102_is_configured_by_the_datasheet() -> None:
    """Id, reset, FIFO without rollover, 4096 nA, 100/s, 411 us, 7.2 mA, cleared pointers, and the mode last."""
    log = play(
        "from drivers.max30102 import Max30102\nb = Bus(regs)\nMax30102(b)\nresult = b.log",
        regs={0xFF: [0x15], 0x09: [[0x40], [0x00]]},
    )
    assert log == [
        ["r", MAX30102, 0xFF, 1],
        ["w", MAX30102, 0x09, [0x40]],
        ["r", MAX30102, 0x09, 1],
        ["r", MAX30102, 0x09, 1],
        ["w", MAX30102, 0x08, [0x00]],
        ["w", MAX30102, 0x0A, [0x27]],
        ["w", MAX30102, 0x0C, [36]],
        ["w", MAX30102, 0x0D, [36]],
        ["w", MAX30102, 0x04, [0]],
        ["w", MAX30102, 0x05, [0]],
        ["w", MAX30102, 0x06, [0]],
        ["w", MAX30102, 0x09, [0x03]],
    ]


def test_max30102_refuses_another_chip() -> None:
    """A part id that is not 0x15 is a named fault before anything is written."""
    text, log = play(
        "from drivers.max30102 import Max30102\nb = Bus(regs)\nresult = [attempt(lambda: Max30102(b)), b.log]",
        regs={0xFF: [0x11]},
    )
    assert "0x11" in text
    assert [entry for entry in log if entry[0] == "w"] == []


def test_max30102_reset_is_bounded() -> None:
    """A chip that never leaves reset is a named fault, not an endless wait."""
    text = play(
        "from drivers.max30102 import Max30102\nresult = attempt(lambda: Max30102(Bus(regs)))",
        regs={0xFF: [0x15], 0x09: [0x40]},
    )
    assert "reset" in text


READ = """
from array import array
from drivers.max30102 import DEPTH, Max30102
b = Bus(regs)
chip = Max30102(b)
b.log.clear()
red, ir = array("i", bytes(4 * DEPTH)), array("i", bytes(4 * DEPTH))
count, lost = chip.read(red, ir)
result = [count, lost, list(red)[:count], list(ir)[:count], b.log]
"""


def samples(count: int) -> list[int]:
    """FIFO bytes; the six bits above the eighteen are noise."""
    values = [value for i in range(count) for value in (1000 + i, 262143 - i)]
    return [byte for value in values for byte in (0xFC | value >> 16, value >> 8 & 0xFF, value & 0xFF)]


@pytest.mark.parametrize(
    ("pointers", "count", "lost"),
    [([5, 0, 5], 0, 0), ([9, 0, 5], 4, 0), ([3, 0, 30], 5, 0), ([7, 3, 7], 32, 3), ([0, 31, 0], 32, 31)],
    ids=["empty", "some", "wrapped", "full", "counter at its end"],
)
def test_max30102_reads_in_two_bursts(pointers: list[int], count: int, lost: int) -> None:
    """Pointers and overflow counter in one transfer, all samples in another; red first; lost ones counted."""
    found = play(READ, regs={0xFF: [0x15], 0x09: [0x00], 0x04: pointers, 0x07: samples(count) or [0]})
    assert found[:2] == [count, lost]
    assert found[2] == [1000 + i for i in range(count)]
    assert found[3] == [262143 - i for i in range(count)]
    bursts = [["r", MAX30102, 0x04, 3], ["r", MAX30102, 0x07, 6 * count]]
    assert found[4] == (bursts if count else bursts[:1])


def test_ads1115_is_configured_and_read_back() -> None:
    """AIN0 to ground, 4.096 V, continuous, 250/s, comparator off; the busy bit is not ours to judge."""
    log, volts = play(
        "from drivers.ads1115 import Ads1115\nb = Bus(regs)\nc = Ads1115(b)\nresult = [b.log, c.read_v()]",
        regs={0x01: [0xC2, 0xA3], 0x00: [0x03, 0xC0]},
    )
    assert log[:2] == [["w", ADS1115, 0x01, OUR_CONFIG], ["r", ADS1115, 0x01, 2]]
    assert volts == pytest.approx(0.12)


def test_ads1115_that_does_not_hold_its_configuration_is_a_fault() -> None:
    """What answers but is no ADS1115, at start or after losing its supply, is named and configured again."""
    text, later, log = play(
        """
from drivers.ads1115 import Ads1115
text = attempt(lambda: Ads1115(Bus({"1": [0x85, 0x83]})))
b = Bus({"1": [[0x42, 0xA3], [0x85, 0x83]]})
c = Ads1115(b)
b.log.clear()
result = [text, attempt(c.check), b.log]
"""
    )
    assert "0x8583" in text
    assert "0x8583" in later
    assert log[-1] == ["w", ADS1115, 0x01, OUR_CONFIG]


@pytest.mark.parametrize(
    ("raw", "volts"), [((0x00, 0x00), 0), ((0x7F, 0xFF), 4.095875), ((0x80, 0x00), -4.096), ((0xFF, 0xFF), -0.000125)]
)
def test_ads1115_counts_are_twos_complement(raw: tuple[int, int], volts: float) -> None:
    """The four corners of the converter's range."""
    found = play("from drivers.ads1115 import convert\nresult = convert(bytes(raw))", raw=list(raw))
    assert found == pytest.approx(volts)


def test_mpx5050_follows_its_transfer_function() -> None:
    """0.12 V is zero and 0.12 V + 0.054 V for each kPa above it; a calibration replaces both numbers."""
    zero, full, calibrated = play("""
from drivers.mpx5050 import Mpx5050, convert
class Adc:
    def read_v(self):
        return 1.0
result = [convert(0.12), convert(0.12 + 50 * 0.054), Mpx5050(Adc(), {"zero_v": 0.5, "mmhg_per_v": 100}).read_mmhg()]
""")
    assert zero == pytest.approx(0)
    assert full == pytest.approx(375.03, abs=0.01)
    assert calibrated == pytest.approx(50)


def test_mpx5050_looks_after_its_converter_once_a_second() -> None:
    """A converter that fell back to power-down repeats its last conversion: one read in fifty asks it."""
    faults = play("""
from drivers.mpx5050 import Mpx5050
class Adc:
    def check(self):
        raise OSError("lost")
    def read_v(self):
        return 1.0
s = Mpx5050(Adc())
result = [attempt(s.read_mmhg) for _ in range(100)].count("lost")
""")
    assert faults == 2
