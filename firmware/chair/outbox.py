"""Keeps every record until the gateway says that it is durable, in one block of memory.

The block holds entries in the order of `seq`, packed without gaps: a 11 byte head and the record's body. Removing
moves the rest down (a `memmove`, under a millisecond), so the heap never fragments and a record costs its own bytes.
Bodies are kept short by `wire.pack`: ten minutes of vitals take 27 KB. When there is no room the oldest vitals go
first, then the oldest of what is left; each is counted in `dropped`.

An entry is sent *live* once, when it was made; after that by `due`, as a late one:
    uncovered 5 s after its last sending, while acks arrive
    sent or made before the last reconnect, or before the gateway's `run` changed
Times are this boot's milliseconds; kept here in tenths of a second, so 32 bit last for 13 years.
"""

import gc
import struct

from chair import wire

_HEAD = "<HBII"  # bytes of body, kind, seq, last sending in tenths of a second (0: never)
_HEAD_BYTES = 11
_SENT_AT = 7
_RESEND = 50  # tenths of a second
_ACK_FRESH = 30


_BLOCK_BYTES_MIN = 8192
_BLOCK_BYTES_MAX = 32768


def reserve():
    """The block, in the size that the heap allows. To be taken before the program is loaded and the heap in pieces."""
    gc.collect()
    return bytearray(max(_BLOCK_BYTES_MIN, min(_BLOCK_BYTES_MAX, gc.mem_free() // 4)))


class Outbox:
    """`block` is the bytearray that bounds it, at least 2 KB. `dropped`: records given up since boot."""

    def __init__(self, boot, block):
        self._boot = boot
        self._block = block
        self._view = memoryview(self._block)
        self._used = 0
        self._seq = 0
        self._run = None
        self._resend_before = 0
        self._acked = None
        self._live_at = 0  # where the records begin that were made since the link came up and wait to be sent
        self.dropped = 0
        self.held = [0, 0, 0]  # records held, by kind

    def add(self, kind, body):
        """Keep a new record; while the link is up it is the next that `live` returns."""
        self._seq += 1
        body = wire.pack(body)
        size = _HEAD_BYTES + len(body)
        while self._used + size > len(self._block):
            self._drop()
        at = self._used
        struct.pack_into(_HEAD, self._block, at, len(body), kind, self._seq, 0)
        self._view[at + _HEAD_BYTES : at + size] = body
        self._used = at + size
        self.held[kind] += 1

    def live(self, now_ms):
        """(kind, payload) of the next record made since `link_up` and not yet sent; None when there is none."""
        at = self._live_at
        if at >= self._used:
            return None
        length, kind, seq, _ = struct.unpack_from(_HEAD, self._block, at)
        self._live_at += _HEAD_BYTES + length
        return kind, self._take(at, _HEAD_BYTES + length, seq, now_ms, False)

    def base(self):
        """The lowest seq still held, or the next one."""
        return struct.unpack_from(_HEAD, self._block, 0)[2] if self._used else self._seq + 1

    def due(self, now_ms):
        """(kind, payload) of the next record to send again, cuff and events first; None when there is none."""
        now = now_ms // 100
        if self._acked is None or now - self._acked > _ACK_FRESH:
            return None  # nobody would take it
        first = None
        for at, size, kind, seq, sent in self._entries():
            if at >= self._live_at:
                break
            if sent > self._resend_before and now - sent < _RESEND:
                continue
            if kind != wire.VITALS:
                return kind, self._take(at, size, seq, now_ms, True)
            if first is None:
                first = at, size, seq
            if not self.held[wire.CUFF] and not self.held[wire.EVENT]:
                break
        if first is None:
            return None
        at, size, seq = first
        return wire.VITALS, self._take(at, size, seq, now_ms, True)

    def link_up(self, now_ms):
        """After a (re)connect: what was sent before may be lost. Sending again waits for the first ack."""
        self._resend_before = now_ms // 100
        self._acked = None
        self._live_at = self._used

    def ack(self, run, upto, have, now_ms):
        """Forget what is durable: every seq to `upto`, and the ranges. What was never sent cannot be durable."""
        now = now_ms // 100
        if run != self._run:
            if self._run is not None:
                self._resend_before = now
            self._run = run
        self._acked = now
        to = 0
        live_at = self._live_at
        for at, size, kind, seq, sent in self._entries():
            covered = seq <= upto
            for a, b in have:
                covered = covered or a <= seq <= b
            if covered and sent:
                self.held[kind] -= 1
                if at < live_at:
                    self._live_at -= size
                continue
            if to != at:
                self._view[to : to + size] = self._view[at : at + size]
            to += size
        self._used = to

    def _take(self, at, size, seq, now_ms, late):
        struct.pack_into("<I", self._block, at + _SENT_AT, max(1, now_ms // 100))
        body = wire.unpack(self._block[at + _HEAD_BYTES : at + size])
        return wire.record(self._boot, seq, self.base(), late, body)

    def _drop(self):
        """Give up the oldest vitals, or the oldest of all when there are none."""
        for at, size, kind, _, _ in self._entries():
            if kind == wire.VITALS or not self.held[wire.VITALS]:
                self._view[at : self._used - size] = self._view[at + size : self._used]
                self._used -= size
                if at < self._live_at:
                    self._live_at -= size
                self.held[kind] -= 1
                self.dropped += 1
                return

    def _entries(self):
        """(at, whole size, kind, seq, sent) of each entry. The one just yielded may be moved down."""
        at = 0
        while at < self._used:
            length, kind, seq, sent = struct.unpack_from(_HEAD, self._block, at)
            size = _HEAD_BYTES + length
            yield at, size, kind, seq, sent
            at += size
