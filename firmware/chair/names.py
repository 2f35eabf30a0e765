"""From the names in the configuration to addresses.

Asking for one stops the program, on the ESP32 for 14 s where no name server answers. So it is asked for with an empty
cuff, not again soon, and less often while an old answer may still serve.
"""

import socket

from chair import utc
from micropython import const

_LOOK_UP_MS_MAX = const(15000)
_UNKNOWN_MS = const(30000)
_STALE_MS = const(300000)
_WITHOUT_MS = const(60000)


class Names:
    def __init__(self, board, config, clock):
        self._board = board
        self._config = config
        self._clock = clock
        self._address = None  # the broker's
        self._asked_ms = clock.up_ms() - _STALE_MS

    def broker(self, without_ms):
        """The broker's address: the last one, unless there has been no link with it for some time. OSError without."""
        since_ms = self._clock.up_ms() - self._asked_ms
        again_ms = _UNKNOWN_MS if self._address is None else _STALE_MS
        if since_ms >= again_ms and (self._address is None or without_ms >= _WITHOUT_MS):
            try:
                self._address = self._look_up(self._config.mqtt_host, self._config.mqtt_port, socket.SOCK_STREAM)
            except OSError:
                pass  # an old one may still serve
            self._asked_ms = self._clock.up_ms()
        if self._address is None:
            raise OSError("no address for mqtt_host %s" % self._config.mqtt_host)
        return self._address

    def time_server(self):
        """Its address, or OSError."""
        if self._config.time_host == self._config.mqtt_host and type(self._address) is tuple:
            return (self._address[0], utc.PORT)  # as sockets of the ESP32 have it
        return self._look_up(self._config.time_host, utc.PORT, socket.SOCK_DGRAM)

    def _look_up(self, host, port, kind):
        self._board.allow_block(_LOOK_UP_MS_MAX)
        return socket.getaddrinfo(host, port, 0, kind)[0][-1]
