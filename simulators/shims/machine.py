"""`machine` of the simulated board: pins, PWM, I2C, timers and watchdog, each forwarded to the conductor."""

import link
import struct

from micropython import const

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_ENODEV = const(19)
_ETIMEDOUT = const(116)  # as the ESP32 has it

# How the conductor answers a transfer.
_OK = const(107)  # k
_STUCK = const(116)  # t: a line is held low


def reset():
    link.halt(b"reset")


def soft_reset():
    link.halt(b"soft")


def reset_cause():
    return link.reset_cause


def unique_id():
    return link.unique_id


def freq(hz=None):
    return 240_000_000


def idle():
    link.wait(link.now_us() + 1000)


_driven = {}


def _drive(number, level):
    """An output line takes a level; one that it has already changes nothing."""
    if _driven.get(number) != level:
        _driven[number] = level
        link.send(b"p", struct.pack("<BH", number, level))


class Pin:
    IN = 1
    OUT = 3

    def __init__(self, number, mode=-1, *, value=None):
        self.number = number
        self._mode = mode
        self._level = 0
        if mode == Pin.OUT:
            self.value(value or 0)

    def init(self, mode=-1, *, value=None):
        self.__init__(self.number, mode, value=value)

    def value(self, level=None):
        if level is None:
            if self._mode == Pin.OUT:
                return self._level
            return link.read_input(self.number)
        self._level = 1 if level else 0
        _drive(self.number, 65535 * self._level)

    def __call__(self, level=None):
        return self.value(level)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)


class PWM:
    def __init__(self, pin, freq=5000, duty_u16=0):
        self._number = pin.number
        self._freq = freq
        self._duty_u16 = 0
        self.duty_u16(duty_u16)

    def init(self, freq=None, duty_u16=None):
        if freq is not None:
            self._freq = freq
        if duty_u16 is not None:
            self.duty_u16(duty_u16)

    def freq(self, hz=None):
        if hz is None:
            return self._freq
        self._freq = hz

    def duty_u16(self, value=None):
        if value is None:
            return self._duty_u16
        self._duty_u16 = max(0, min(65535, value))
        _drive(self._number, self._duty_u16)

    def deinit(self):
        self.duty_u16(0)


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin, *, atten=0):
        self._number = pin.number
        # Where the ESP32's converter begins and ends to be linear, in microvolts (MicroPython's ADC documentation).
        self._range_uv = (150_000, 2_450_000) if atten == ADC.ATTN_11DB else (100_000, 950_000)

    def read_uv(self):
        uv = struct.unpack("<I", link.ask(b"A", bytes([self._number]), 4)[1])[0]
        return max(self._range_uv[0], min(self._range_uv[1], uv))


class I2C:
    def __init__(self, bus=0, *, scl=None, sda=None, freq=400_000, timeout=50_000):
        self._byte_us = 9_000_000 / freq  # eight bits and an acknowledge
        link.ask(b"B", bytes([scl.number, sda.number]))

    def _transfer(self, address, data, count):
        status, answer = link.ask(b"I", struct.pack("<BH", address, count) + data, count)
        if not link.live:
            link.charge(int((2 + len(data) + count) * self._byte_us) + 1)
        if link.now_us() >= link.next_timer_us():
            link.run_timers()
        if status != _OK:
            raise OSError(_ETIMEDOUT if status == _STUCK else _ENODEV)
        return answer

    def scan(self):
        return list(link.ask(b"S")[1])

    def writeto(self, address, data, stop=True):
        self._transfer(address, bytes(data), 0)
        return len(data)

    def readfrom_into(self, address, buffer, stop=True):
        buffer[:] = self._transfer(address, b"", len(buffer))

    def writeto_mem(self, address, register, data):
        self._transfer(address, bytes([register]) + bytes(data), 0)

    def readfrom_mem(self, address, register, count):
        return self._transfer(address, bytes([register]), count)

    def readfrom_mem_into(self, address, register, buffer):
        buffer[:] = self._transfer(address, bytes([register]), len(buffer))


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, number=-1, **settings):
        self.number = number
        self.due_us = 0
        self.callback = None
        if settings:
            self.init(**settings)

    def init(self, *, mode=PERIODIC, period=-1, freq=-1, callback=None, hard=False):
        self.deinit()
        self._period_us = int(1_000_000 / freq) if freq > 0 else period * 1000
        self._repeats = mode == Timer.PERIODIC
        self.callback = callback
        self.due_us = link.now_us() + self._period_us
        link.set_timer(self)

    def step(self, now_us):
        """The callback is about to run: set the next time on its grid; periods slept through are lost."""
        if self._repeats:
            self.due_us += ((now_us - self.due_us) // self._period_us + 1) * self._period_us
        else:
            self.deinit()

    def deinit(self):
        link.clear_timer(self)


class RTC:
    """The calendar. Nothing here goes by it: a live board's TLS uses the computer's."""

    def datetime(self, when=None):
        if when is not None and len(when) != 8:
            raise TypeError("datetime of 8 parts")


class WDT:
    """There is one: whoever makes another sets the time of all."""

    _timeout = 5000

    def __init__(self, id=0, timeout=5000):
        WDT._timeout = timeout
        self.feed()
        link.flush()  # a program may hang before it next asks for anything

    def feed(self):
        link.send(b"d", struct.pack("<I", WDT._timeout))


if not link.live:
    import collector

    collector.settle()
