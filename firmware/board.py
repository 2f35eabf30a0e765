"""The board: the only file that imports `machine` or `network`. Pins come from `hardware/board.toml`.

The first act of importing it, before anything else can fail, is to make the cuff safe: pump off, dump valve and bleed
valve open. Nobody else may touch these three lines.
"""

import machine
from machine import PWM, Pin
from micropython import const, kbd_intr

try:
    from chair import pins
except Exception:
    # Without its pins the board cannot make itself safe after a soft reset, which leaves them driven. A hard reset
    # does: the pins float and their resistors decide. After that one, the fault is left for the console.
    if machine.reset_cause() == machine.SOFT_RESET:
        machine.reset()
    raise

_BLEED_HZ = const(1000)
_OPEN = const(65535)
_CTRL_C = const(3)

_pump = Pin(pins.PUMP, Pin.OUT, value=0)
_dump = Pin(pins.DUMP_VALVE, Pin.OUT, value=0)
# With power the bleed valve is a second way out, should the dump valve stick.
_bleed = PWM(Pin(pins.BLEED_VALVE), freq=_BLEED_HZ, duty_u16=_OPEN)
_timers = []

import time  # noqa: E402  (after the cuff is safe)

import network  # noqa: E402


def make_safe():
    """Pump off, both valves open, and no timer left that could change that. Never raises for want of one part."""
    for timer in _timers:
        timer.deinit()
    _pump.value(0)
    _dump.value(0)
    _bleed.duty_u16(_OPEN)


def reset():
    """Restart the processor; its pins float, so the pump is off and the valve is open."""
    make_safe()
    machine.reset()


class Board:
    """Lines, bus, radio and timers by what they mean."""

    def __init__(self):
        self.i2c = machine.I2C(0, scl=Pin(pins.I2C0_SCL_GPIO), sda=Pin(pins.I2C0_SDA_GPIO), freq=pins.I2C0_FREQ_HZ)
        self._lamps = [Pin(number, Pin.OUT, value=0) for number in (pins.LAMP_RED, pins.LAMP_YELLOW, pins.LAMP_CYAN)]
        self._sounder = PWM(Pin(pins.SOUNDER), freq=440, duty_u16=0)
        self._acknowledge = Pin(pins.BUTTON_ACKNOWLEDGE, Pin.IN)
        self._call = Pin(pins.BUTTON_CALL, Pin.IN)
        self._seat = (Pin(pins.SEAT_OCCUPIED, Pin.IN), Pin(pins.SEAT_EMPTY, Pin.IN))
        self._wlan = network.WLAN(network.STA_IF)
        self._watchdog = None

    # ---- cuff: what `Cuff` calls its valves

    def pump(self, on):
        _pump.value(1 if on else 0)

    def dump_valve(self, closed):
        _dump.value(1 if closed else 0)

    def bleed_valve(self, open_fraction):
        _bleed.duty_u16(int(max(0.0, min(1.0, open_fraction)) * _OPEN))

    # ---- lamp, sounder, buttons

    def lamps(self, red, yellow, cyan):
        for lamp, lit in zip(self._lamps, (red, yellow, cyan)):
            lamp.value(1 if lit else 0)

    def tone(self, freq_hz):
        """Square wave of `freq_hz`; 0 is silent."""
        if freq_hz:
            self._sounder.freq(freq_hz)
        self._sounder.duty_u16(32768 if freq_hz else 0)

    def buttons(self):
        """(acknowledge, call): whether each is pressed."""
        return not self._acknowledge.value(), not self._call.value()

    def heed_ctrl_c(self, heed):
        """Whether Ctrl-C on the USB line stops the program."""
        kbd_intr(_CTRL_C if heed else -1)

    def seat_lines(self):
        """(occupied, empty): whether each contact of the seat is closed."""
        return not self._seat[0].value(), not self._seat[1].value()

    def battery_v(self):
        """The cell's voltage."""
        adc = machine.ADC(Pin(pins.BATTERY), atten=machine.ADC.ATTN_11DB)
        return adc.read_uv() * 1e-6 / pins.BATTERY_DIVIDER

    # ---- time

    def every(self, period_ms, callback):
        """Call `callback()` by a hardware timer, also while the main loop waits for something slow."""
        timer = machine.Timer(len(_timers))
        _timers.append(timer)
        timer.init(mode=machine.Timer.PERIODIC, period=period_ms, callback=lambda _: callback())

    def start_watchdog(self, timeout_ms):
        """From now on, or with another time than before, the board restarts unless `feed` is called in time."""
        self._watchdog_ms = timeout_ms
        self._may_block = False
        self._watchdog = machine.WDT(timeout=timeout_ms)  # on the ESP32 there is one, and this sets its time anew
        self._watchdog.feed()

    def allow_block(self, ms):
        """Before the next `feed` the program may once stand still for so long; only with an empty cuff."""
        if ms > self._watchdog_ms:
            self._may_block = True
            machine.WDT(timeout=ms).feed()

    def feed(self):
        if self._may_block:
            self.start_watchdog(self._watchdog_ms)
        else:
            self._watchdog.feed()

    def set_calendar(self, utc_s):
        """The processor's calendar, by which TLS judges certificates."""
        since_s = 946684800 if time.gmtime(0)[0] == 2000 else 0  # the ESP32 counts from 2000-01-01
        year, month, day, hour, minute, second, weekday = time.gmtime(utc_s - since_s)[:7]
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))

    def reset(self):
        """Restart the processor, with the cuff safe first."""
        reset()

    # ---- radio

    def join(self, ssid, password):
        """Begin to join the Wi-Fi; `joined` says when."""
        self._wlan.active(True)
        # Power save would hold incoming packets back for up to 250 ms.
        self._wlan.config(pm=network.WLAN.PM_NONE)
        self._wlan.disconnect()
        self._wlan.connect(ssid, password)

    def restart_radio(self):
        """Switch it off; `join` switches it on again."""
        self._wlan.active(False)

    def joined(self):
        return self._wlan.isconnected()

    def rssi_dbm(self):
        """Signal strength, or None when the radio has none to tell."""
        try:
            return self._wlan.status("rssi")
        except OSError:
            return None

    # ---- identity

    def reset_cause(self):
        """Why the processor last started, as a word."""
        return {
            machine.PWRON_RESET: "power_on",
            machine.HARD_RESET: "reset",
            machine.WDT_RESET: "watchdog",
            machine.DEEPSLEEP_RESET: "deep_sleep",
            machine.SOFT_RESET: "soft_reset",
        }.get(machine.reset_cause(), "unknown")

    def unique_id(self):
        return machine.unique_id()
