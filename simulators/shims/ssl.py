"""`ssl` of the simulated board. Live: the real one; what goes into it is told to the conductor, as `socket` does.

Virtual: the bytes pass as they are, and nobody's certificate is looked at; but a handshake takes a turn of the
network, and then stops the program for as long as it computes on the board.
"""

import link
import tls

from micropython import const

CERT_NONE = tls.CERT_NONE
CERT_OPTIONAL = tls.CERT_OPTIONAL
CERT_REQUIRED = tls.CERT_REQUIRED
PROTOCOL_TLS_CLIENT = tls.PROTOCOL_TLS_CLIENT
PROTOCOL_TLS_SERVER = tls.PROTOCOL_TLS_SERVER
MBEDTLS_VERSION = tls.MBEDTLS_VERSION

_HANDSHAKE_US = const(2_000_000)


class SSLContext:
    def __init__(self, protocol):
        self._context = tls.SSLContext(protocol)

    @property
    def verify_mode(self):
        return self._context.verify_mode

    @verify_mode.setter
    def verify_mode(self, mode):
        self._context.verify_mode = mode

    def load_verify_locations(self, cafile=None, cadata=None):
        self._context.load_verify_locations(_bytes(cafile) if cafile else cadata)

    def load_cert_chain(self, certfile, keyfile):
        self._context.load_cert_chain(_bytes(certfile), _bytes(keyfile))

    def wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True, server_hostname=None):
        if not link.live:
            return _Virtual(sock)
        return sock.secured(
            self._context.wrap_socket(
                sock.inner,
                server_side=server_side,
                do_handshake_on_connect=do_handshake_on_connect,
                server_hostname=server_hostname,
            )
        )


def _bytes(file):
    if not isinstance(file, str):
        return file
    with open(file, "rb") as opened:
        return opened.read()


class _Virtual:
    def __init__(self, sock):
        self._writes = 0
        self._sock = sock
        for name in ("read", "readinto", "readline", "setblocking", "poll_events", "close"):
            setattr(self, name, getattr(sock, name))

    def write(self, data):
        if self._writes < 2 and not self._sock.poll_events(4):
            return self._sock.write(data)  # not connected: nothing to shake hands with
        self._writes += 1
        if self._writes == 1:
            return None  # our first word is out, the other's is awaited
        if self._writes == 2:
            link.charge(_HANDSHAKE_US)
        return self._sock.write(data)
