"""`socket` of the simulated board. Live: the real one, and every byte sent is also told to the conductor.

Virtual: a byte stream to the conductor's own MQTT peer, with the errors that the board's sockets raise; and datagrams
to its time server.
"""

import link
import usocket
from micropython import const

AF_INET = usocket.AF_INET
SOCK_STREAM = usocket.SOCK_STREAM
SOCK_DGRAM = usocket.SOCK_DGRAM
SOL_SOCKET = usocket.SOL_SOCKET
SO_REUSEADDR = usocket.SO_REUSEADDR
IPPROTO_TCP = 6
TCP_NODELAY = 1

# The unix port's numbers, as its `errno` has them.
_EAGAIN = const(11)
_ECONNRESET = const(104)
_ENOTCONN = const(107)
_ETIMEDOUT = const(110)
_ECONNREFUSED = const(111)
_EINPROGRESS = const(115)
_POLLIN = const(1)
_POLLOUT = const(4)
_POLLERR = const(8)
_POLLHUP = const(16)

_FOUND = const(107)  # k, from the conductor
_NO_NAME = const(-202)  # what the ESP32 raises after it has asked in vain

# Streams have the numbers below, datagram sockets the others: so the peer knows them apart.
_DATAGRAM = const(128)
_count = 0


def _number():
    global _count
    _count = _count % (_DATAGRAM - 1) + 1
    return _count


def getaddrinfo(host, port, family=0, kind=0, *rest):
    if link.live:
        return usocket.getaddrinfo(host, port, family, kind or SOCK_STREAM)
    if not host.replace(".", "").isdigit() and link.ask(b"D")[0] != _FOUND:
        raise OSError(_NO_NAME)
    return [(AF_INET, SOCK_STREAM, 0, "", (host, port))]


class _Live:
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, proto=0, inner=None, number=None):
        self.inner = inner or usocket.socket(family, kind, proto)
        self._id = number or bytes([_number()])
        for name in (
            "setblocking",
            "settimeout",
            "setsockopt",
            "fileno",
            "recv",
            "read",
            "readinto",
            "readline",
            "sendto",
        ):
            if hasattr(self.inner, name):  # a TLS socket has not all of them
                setattr(self, name, getattr(self.inner, name))

    def secured(self, inner):
        """This connection with TLS on it: what is written from now on is told before it is encrypted."""
        return _Live(inner=inner, number=self._id)

    def connect(self, address):
        link.send(b"o", self._id)
        self.inner.connect(address)

    def write(self, data):
        return self._tapped(self.inner.write, data)

    def send(self, data):
        return self._tapped(self.inner.send, data)

    def _tapped(self, put, data):
        # Told before it is sent, so that the stamp is never later than what a receiver sees.
        at = link.now_us()
        sent = put(data)
        if sent:
            link.send(b"t", self._id + at.to_bytes(8, "little") + bytes(data[:sent]))
        return sent

    def sendall(self, data):
        self.inner.sendall(data)
        link.send(b"t", self._id + link.now_us().to_bytes(8, "little") + bytes(data))

    def close(self):
        self.inner.close()


class _Virtual:
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, proto=0):
        self._number = _number()
        self._buffer = bytearray()
        self._state = "new"  # new, opening, open, ended (peer closed), failed, closed
        self._error = 0
        self._timeout_us = None
        link.sockets[self._number] = self

    # From the conductor: o opened, r refused, d data, c closed by the peer.
    def arrive(self, kind, data):
        if kind == b"o":
            self._state = "open"
        elif kind == b"r":
            self._state, self._error = "failed", _ECONNREFUSED
        elif kind == b"c":
            self._state = "ended"
        else:
            self._buffer.extend(data)

    def poll_events(self, mask):
        event = 0
        if self._buffer or self._state in ("ended", "closed"):
            event |= _POLLIN
        if self._state == "open":
            event |= _POLLOUT
        if self._state == "ended":
            return event & mask | _POLLHUP
        if self._state == "failed":
            return _POLLERR | _POLLHUP
        return event & mask

    def setsockopt(self, level, option, value):
        pass

    def setblocking(self, flag):
        self._timeout_us = None if flag else 0

    def settimeout(self, seconds):
        self._timeout_us = None if seconds is None else int(seconds * 1_000_000)

    def connect(self, address):
        host, port = address
        self._state = "opening"
        link.send(b"o", bytes([self._number]) + port.to_bytes(2, "little") + host.encode())
        if self._timeout_us == 0:
            raise OSError(_EINPROGRESS)
        self._wait_while(lambda: self._state == "opening")
        if self._state != "open":
            raise OSError(self._error)

    def _wait_while(self, condition):
        until_us = link.now_us() + self._timeout_us if self._timeout_us is not None else 1 << 60
        while condition():
            if link.now_us() >= until_us:
                raise OSError(_ETIMEDOUT)
            link.wait(until_us)

    def _check_open(self):
        if self._state == "failed":
            raise OSError(self._error)
        if self._state != "open":
            raise OSError(_ECONNRESET if self._state == "ended" else _ENOTCONN)

    def write(self, data):
        if self._state == "opening":
            return None
        self._check_open()
        link.send(b"s", bytes([self._number]) + bytes(data))
        return len(data)

    send = write
    sendall = write

    def _take(self, size):
        """Up to `size` bytes (-1: all), b"" at the end, None when a non-blocking socket has nothing."""
        if self._state == "failed":
            raise OSError(self._error)
        if not self._buffer and self._timeout_us != 0:
            self._wait_while(lambda: not self._buffer and self._state == "open")
        if not self._buffer:
            return b"" if self._state in ("ended", "closed") else None
        size = len(self._buffer) if size < 0 else min(size, len(self._buffer))
        data = bytes(self._buffer[:size])
        self._buffer = self._buffer[size:]
        return data

    def read(self, size=-1):
        return self._take(size)

    def recv(self, size):
        data = self._take(size)
        if data is None:
            raise OSError(_EAGAIN)
        return data

    def readinto(self, buffer, size=-1):
        data = self._take(len(buffer) if size < 0 else min(size, len(buffer)))
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    def readline(self):
        end = self._buffer.find(b"\n") + 1
        return self._take(end or -1)

    def close(self):
        if self._state != "closed":
            self._state = "closed"
            link.sockets.pop(self._number, None)
            link.send(b"c", bytes([self._number]))


class _Datagrams:
    """A non-blocking UDP socket."""

    def __init__(self):
        self._number = _DATAGRAM + _number()
        self._arrived = []
        link.sockets[self._number] = self

    def arrive(self, kind, data):
        self._arrived.append(data)

    def setblocking(self, flag):
        if flag:
            raise ValueError("only a non-blocking datagram socket is simulated")

    def sendto(self, data, address):
        link.send(b"s", bytes([self._number]) + address[1].to_bytes(2, "little") + bytes(data))

    def recv(self, size):
        if not self._arrived:
            raise OSError(_EAGAIN)
        return self._arrived.pop(0)[:size]

    def close(self):
        link.sockets.pop(self._number, None)


def socket(family=AF_INET, kind=SOCK_STREAM, proto=0):
    if link.live:
        return _Live(family, kind, proto)
    return _Datagrams() if kind == SOCK_DGRAM else _Virtual(family, kind, proto)
