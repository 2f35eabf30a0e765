"""`network` of the simulated board: a station that joins the Wi-Fi half a second after it is asked."""

import link

from micropython import const

STA_IF = 0

_JOIN_US = const(500_000)
_HANGS = const(2)  # what the conductor says instead of "up": the radio joins nothing more until it is switched off


class WLAN:
    PM_NONE = 0

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

    def status(self, what):
        if what == "rssi":
            return self._radio()[1]
        raise ValueError("unknown status param")

    def _radio(self):
        up, rssi = link.ask(b"N")[1]
        self._hangs = self._hangs or (up == _HANGS and self._told != _HANGS)
        self._told = up
        return bool(up) and not self._hangs, rssi - 256
