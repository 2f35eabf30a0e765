"""TLS to the broker, and in words why there is none.

    tls = Tls(host, may_block)
    socket = await tls.secure(sock, packet)     # handshake, then `packet` is sent; mqtt.Refused or OSError

The broker must show a certificate that `ca.der` signed, for the host of the configuration and good today; we show
`client.der` with the key `client.key.der`. mbedTLS checks all three. The ESP32 judges "today" by its own calendar,
which begins in the year 2000 and is set first: see chair/utc.py.

A handshake computes for a second or two on the ESP32, in pieces that stop the program. So none begins with air in
the cuff, and while `busy` no measurement may begin.
"""

import asyncio
import ssl

from chair.mqtt import Refused
from micropython import const

FILES = ("ca.der", "client.der", "client.key.der")
_HANDSHAKE_MS = const(10000)
_TURN_MS = const(20)

_WHY = (
    ("not correctly signed", "wrong CA: ca.der has not signed the broker's certificate"),
    ("has expired", "the broker's certificate has expired"),
    ("starts in the future", "the broker's certificate is not valid yet, or this board's clock is behind"),
    ("does not match", "the broker's certificate is not for mqtt_host"),
)
# Alerts (RFC 5246, 7.2.2; RFC 8446, 6.2) with which a broker turns a client's certificate down.
_ALERTS = {
    42: "bad",
    43: "unsupported",
    44: "revoked",
    45: "expired",
    46: "unacceptable",
    48: "foreign",
    116: "missing",
}
_ALERT_BYTES = const(7)
_ALERT = const(21)


class Tls:
    """`host` is the name or address that the broker's certificate must carry; `may_block()` says whether the program
    may stand still now."""

    def __init__(self, host, may_block):
        self._host = host
        self._may_block = may_block
        self._context = None
        self.busy = False

    async def secure(self, sock, packet):
        """The TLS socket over a connected `sock`, with `packet` sent on it."""
        while not self._may_block():
            await asyncio.sleep_ms(100)
        self.busy = True
        try:
            if self._context is None:
                self._context = _context()
            return await asyncio.wait_for_ms(self._shake_hands(sock, packet), _HANDSHAKE_MS)
        finally:
            self.busy = False

    async def _shake_hands(self, sock, packet):
        turns = 0
        try:
            secure = self._context.wrap_socket(sock, server_hostname=self._host, do_handshake_on_connect=False)
            # The handshake is done by the first write; until then it says that it would block.
            while secure.write(packet) is None:
                turns += 1
                await asyncio.sleep_ms(_TURN_MS)
            return secure
        except ValueError as error:
            text = str(error)
            for words, why in _WHY:
                if words in text:
                    raise Refused("TLS: " + why)
            raise Refused("TLS: " + text.strip())
        except OSError:
            if turns == 0:
                raise  # nothing was said yet: it is the connection that failed
            raise Refused("TLS: " + _turned_down(sock))


def _context():
    for name in FILES:
        try:
            open(name, "rb").close()
        except OSError:
            raise Refused("TLS: %s is missing; provision the board" % name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]
    try:
        context.load_verify_locations(FILES[0])
        context.load_cert_chain(FILES[1], FILES[2])
    except ValueError as error:
        raise Refused("TLS: %s cannot be used: %s" % (", ".join(FILES), error))
    return context


def _turned_down(sock):
    """Why the broker ended the handshake: its alert may still lie unread below the failed write."""
    try:
        alert = sock.read(_ALERT_BYTES)
    except OSError:
        alert = None
    if alert and len(alert) == _ALERT_BYTES and alert[0] == _ALERT and alert[6] in _ALERTS:
        return "the broker refuses this board's certificate (client.der): it is %s" % _ALERTS[alert[6]]
    return "the broker ended the handshake: it refuses client.der, or speaks no TLS on this port"
