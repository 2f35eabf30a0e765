"""The board's UTC: what to add to its own milliseconds, asked for by SNTP (RFC 4330).

It labels records (`at_ms`) and tells TLS the day; no timer, age or alarm uses it, so an answer may move it freely.
The request carries 8 random bytes that the answer must repeat: what nobody asked for is not taken.
"""

import asyncio
import errno
import os
import socket
import struct

from micropython import const

PORT = 123
_WAIT_MS_MAX = const(1000)
_LOOK_MS = const(10)
_FROM_1900_S = const(2208988800)
_ERA_S = const(4294967296)  # the 32 bit seconds begin again in February 2036
_EARLIEST_MS = const(1767225600000)  # 2026-01-01: this firmware is younger


class Utc:
    """`utc_ms` is the UTC of this boot's millisecond 0, None until an answer came. `earliest_ms`: no answer before this
    time is believed."""

    def __init__(self, clock, earliest_ms=0):
        self._clock = clock
        self.earliest_ms = max(earliest_ms, _EARLIEST_MS)
        self.utc_ms = None

    async def ask(self, address):
        """Whether the server at `address` gave a good answer within a second. Blocks nothing."""
        query = bytearray(48)
        query[0] = 0x23  # version 4, client
        query[40:] = os.urandom(8)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sent_ms = self._clock.up_ms()
            sock.sendto(query, address)
            while True:
                await asyncio.sleep_ms(_LOOK_MS)
                now_ms = self._clock.up_ms()
                if now_ms - sent_ms > _WAIT_MS_MAX:
                    return False
                try:
                    answer = sock.recv(48)
                except OSError as error:
                    if error.errno != errno.EAGAIN:
                        raise
                    continue
                server_ms = answered_ms(query, answer)
                if server_ms is not None and server_ms >= self.earliest_ms:
                    self.utc_ms = server_ms - (sent_ms + now_ms) // 2
                    return True
        except OSError:
            return False  # nobody listens there, or there is no way
        finally:
            sock.close()


def answered_ms(query, answer):
    """UTC at the server, halfway between what it received and sent; None for an answer that must not be believed: of
    another kind or to another question, or of a server without a clock (stratum 0, "kiss of death"; leap 3)."""
    if len(answer) < 48 or answer[0] & 7 != 4 or answer[0] >> 6 == 3 or not 1 <= answer[1] <= 15:
        return None
    if answer[24:32] != query[40:]:
        return None
    received_s, received, sent_s, sent = struct.unpack_from("!IIII", answer, 32)
    return (_utc_ms(received_s, received) + _utc_ms(sent_s, sent)) // 2


def _utc_ms(seconds, fraction):
    if seconds < _ERA_S // 2:
        seconds += _ERA_S
    return (seconds - _FROM_1900_S) * 1000 + (fraction * 1000 >> 32)
