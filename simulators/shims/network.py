"""`network` of the simulated board: a station that joins the Wi-Fi half a second after it is asked."""

import link

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010

_JOIN_US = 500_000
_HANGS = 2  # what the conductor says instead of "up": the radio joins nothing more until it is switched off


class WLAN:
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2
    IF_STA = STA_IF

    def __init__(self, interface=STA_IF):
        if interface != STA_IF:
            raise ValueError("only the station is simulated")
        self._active = False
        self._joined_us = None
        self._told = 1
        self._hangs = False

    def active(self, on=None):
        if on is not None:
            self._active = bool(on)
            if not on:
                self._joined_us = None
                self._hangs = False
        return self._active

    def config(self, *args, **settings):
        if args:
            raise ValueError("unknown config param")

    def connect(self, ssid=None, key=None, **options):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._joined_us = link.now_us() + _JOIN_US

    def disconnect(self):
        self._joined_us = None

    def isconnected(self):
        up, _ = self._radio()
        return up and self._joined_us is not None and link.now_us() >= self._joined_us

    def status(self, what=None):
        if what == "rssi":
            return self._radio()[1]
        if what is not None:
            raise ValueError("unknown status param")
        if self.isconnected():
            return STAT_GOT_IP
        return STAT_IDLE if self._joined_us is None else STAT_CONNECTING

    def ifconfig(self):
        return ("192.0.2.10", "255.255.255.0", "192.0.2.1", "192.0.2.1")

    def _radio(self):
        up, rssi = link.ask(b"N")[1]
        self._hangs = self._hangs or (up == _HANGS and self._told != _HANGS)
        self._told = up
        return bool(up) and not self._hangs, rssi - 256


def hostname(name=None):
    return name


def country(code=None):
    return code
