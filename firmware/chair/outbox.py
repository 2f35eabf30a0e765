"""Keeps every record until the gateway says that it is durable, in one block of memory.

The block holds entries in the order they were made, packed without gaps: a 11 byte head and the record's body.
Removing moves the rest down (a `memmove`, under a millisecond), so the heap never fragments and a record costs its
own bytes. Bodies are kept short by `packed`: ten minutes of vitals take 25 KB. When there is no room the oldest vitals
go first, then all cuff results but the last 20, then the oldest events; each is counted in `dropped`.

An entry is sent *live* once, when it was made; after that by `due`, as a late one:
    uncovered 5 s after its last sending, while acks arrive
    sent or made before the last reconnect, or before the gateway's `run` changed
One that stays uncovered through 15 such sendings, while later ones are covered, is refused by the gateway: it is given
up and counted. Times are this boot's milliseconds; kept here in tenths of a second, so 32 bit last for 13 years.

A board that restarts by itself takes its entries along, and what it gave up unheard (chair/carried.py). They keep their
boot and seq. An ack speaks
of one boot: where none comes for a former one, its entries are given up, and counted, after four sendings.
"""

import gc
import os
import struct

from chair import packed, wire
from micropython import const

FILE = "outbox.bin"
_HEAD = const("<HBII")  # bytes of body, what it is, seq, last sending in tenths of a second (0: never)
_HEAD_BYTES = const(11)
_WHAT_AT = const(2)  # from the lowest: two bits of kind, two of whose boot, four of resends
_SENT_AT = const(7)
_RESEND = const(50)  # tenths of a second
_ACK_FRESH = const(30)
_RESENDS_MAX = const(15)  # for more than a minute
_FORMER_RESENDS_MAX = const(3)
_CUFFS_KEPT = const(20)
_FORMERS_MAX = const(3)


_BLOCK_BYTES_MIN = const(8192)
_BLOCK_BYTES_MAX = const(32768)


def reserve():
    """The block, in the size that the heap allows. To be taken before the program is loaded and the heap in pieces."""
    gc.collect()
    return bytearray(max(_BLOCK_BYTES_MIN, min(_BLOCK_BYTES_MAX, gc.mem_free() // 4)))


class Outbox:
    """`block` is the bytearray that bounds it, at least 2 KB. `dropped`: records given up, also by a former boot that
    could tell nobody. `utc_ms`: the UTC of this boot's millisecond 0, as soon as it is known."""

    def __init__(self, boot, block):
        self._boots = [boot]  # and those before it, newest first: an entry's `whose` counts from here
        self._utc_ms = [None]
        self._block = block
        self._view = memoryview(self._block)
        self._used = 0
        self._seq = 0
        self._run = None
        self._resend_before = 0
        self._acked = None
        self._covered = 0  # the highest seq of this boot that was ever covered
        self._live_at = 0  # where the records begin that were made since the link came up and wait to be sent
        self.dropped = 0
        self.held = [0, 0, 0]  # records held, by kind

    @property
    def utc_ms(self):
        return self._utc_ms[0]

    @utc_ms.setter
    def utc_ms(self, utc_ms):
        self._utc_ms[0] = utc_ms

    def add(self, kind, body):
        """Keep a new record; while the link is up it is the next that `live` returns."""
        self._seq += 1
        body = packed.pack(body)
        size = _HEAD_BYTES + len(body)
        while self._used + size > len(self._block):
            if kind == wire.VITALS and not self.held[wire.VITALS] and not self.held[wire.EVENT]:
                self.dropped += 1  # only cuff results are left, and a reading does not push one out
                return
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
        size = _HEAD_BYTES + struct.unpack_from("<H", self._block, at)[0]
        self._live_at += size
        return self._take(at, size, now_ms, False)

    def base(self, whose=0):
        """The lowest seq still held of a boot, or the next one of this boot."""
        for _, _, what, seq, _ in self._entries():
            if what >> 2 & 3 == whose:
                return seq
        return self._seq + 1

    def due(self, now_ms):
        """(kind, payload) of the next record to send again, cuff and events first; None when there is none."""
        now = now_ms // 100
        if self._acked is None or now - self._acked > _ACK_FRESH:
            return None  # nobody would take it
        first = again = None
        for at, size, what, seq, sent in self._entries():
            if at >= self._live_at:
                break
            if sent > self._resend_before:
                if now - sent < _RESEND:
                    continue
                if self._is_refused(what, seq):
                    self._give_up(at, size)
                    return None
                again = again or (at, size)
            else:
                first = first or (at, size)
            if what & 3 != wire.VITALS:
                return self._take(at, size, now_ms, True)
            if first and not self.held[wire.CUFF] and not self.held[wire.EVENT]:
                break
        # What was not sent on this link yet goes before what nobody acknowledges.
        first = first or again
        return first and self._take(first[0], first[1], now_ms, True)

    def _is_refused(self, what, seq):
        resends = what >> 4
        if what >> 2 & 3:
            return resends >= _FORMER_RESENDS_MAX
        return resends >= _RESENDS_MAX and seq < self._covered

    def link_up(self, now_ms):
        """After a (re)connect: what was sent before may be lost. Sending again waits for the first ack."""
        self._resend_before = now_ms // 100
        self._acked = None
        self._live_at = self._used

    def ack(self, ack, now_ms):
        """Forget what is durable of the boot that `ack` (wire.Decoder) names: every seq to `upto`, and the ranges of
        `have`. What was never sent cannot be durable."""
        boot, upto, have = ack["boot"], ack["upto"], ack["have"]
        if boot not in self._boots:
            return
        now = now_ms // 100
        whose = self._boots.index(boot)
        if whose == 0:
            if ack["run"] != self._run:
                if self._run is not None:
                    self._resend_before = now
                self._run = ack["run"]
            self._acked = now
            self._covered = max(self._covered, upto, max([b for _, b in have], default=0))
        to = 0
        live_at = self._live_at
        for at, size, what, seq, sent in self._entries():
            covered = seq <= upto
            for a, b in have:
                covered = covered or a <= seq <= b
            if covered and sent and what >> 2 & 3 == whose:
                self.held[what & 3] -= 1
                if at < live_at:
                    self._live_at -= size
                continue
            if to != at:
                self._view[to : to + size] = self._view[at : at + size]
            to += size
        self._used = to
        self._forget_formers()

    # ---- across a restart ----------------------------------------------------------------------------------

    def save(self):
        """Into the flash, for the next boot. False when that cannot hold it."""
        from chair import carried  # once in a boot, and not in every one

        return carried.save(list(zip(self._boots, self._utc_ms)), self.dropped, self._view[: self._used])

    def restore(self):
        """Take over what the last boot saved. The flash keeps it until the gateway has it."""
        try:
            os.stat(FILE)
        except OSError:
            return
        from chair import carried

        formers, self.dropped, self._used = carried.load(self._view)
        for boot, utc_ms in formers[:_FORMERS_MAX]:
            self._boots.append(boot)
            self._utc_ms.append(utc_ms)
        self._live_at = self._used
        lost = 0
        for at, size, what, seq, _ in self._entries():
            whose = (what >> 2 & 3) + 1
            if whose > _FORMERS_MAX:  # the first ones
                lost += 1
                whose = _FORMERS_MAX
            struct.pack_into(_HEAD, self._block, at, size - _HEAD_BYTES, what & 3 | whose << 2, seq, 0)
            self.held[what & 3] += 1
        for _ in range(lost):
            self._give_up(0, _HEAD_BYTES + struct.unpack_from("<H", self._block)[0])
        self._forget_formers()

    def _forget_formers(self):
        if len(self._boots) > 1 and not (self._used and self._block[_WHAT_AT] >> 2 & 3):
            from chair import carried

            carried.forget()
            del self._boots[1:]
            del self._utc_ms[1:]

    # ---- entries -------------------------------------------------------------------------------------------

    def _take(self, at, size, now_ms, late):
        _, what, seq, sent = struct.unpack_from(_HEAD, self._block, at)
        if late and sent > self._resend_before and what >> 4 < _RESENDS_MAX:
            # Only a sending counts that was followed by 5 s of acks on one link, not what an outage swallowed.
            self._block[at + _WHAT_AT] = what + 16
        struct.pack_into("<I", self._block, at + _SENT_AT, max(1, now_ms // 100))
        body = packed.unpack(self._view[at + _HEAD_BYTES : at + size])
        whose = what >> 2 & 3
        return what & 3, wire.record(self._boots[whose], seq, self.base(whose), late, body, self._utc_ms[whose])

    def _drop(self):
        """Give up one record: of the kind that can best be spared, the oldest."""
        if self.held[wire.VITALS]:
            spared = wire.VITALS
        elif self.held[wire.CUFF] > _CUFFS_KEPT or not self.held[wire.EVENT]:
            spared = wire.CUFF
        else:
            spared = wire.EVENT
        for at, size, what, _, _ in self._entries():
            if what & 3 == spared:
                self._give_up(at, size)
                return

    def _give_up(self, at, size):
        self.held[self._block[at + _WHAT_AT] & 3] -= 1
        self._view[at : self._used - size] = self._view[at + size : self._used]
        self._used -= size
        if at < self._live_at:
            self._live_at -= size
        self.dropped += 1
        self._forget_formers()

    def _entries(self):
        """(at, whole size, what, seq, sent) of each. The one just yielded may be moved down."""
        at = 0
        while at < self._used:
            length, what, seq, sent = struct.unpack_from(_HEAD, self._block, at)
            size = _HEAD_BYTES + length
            yield at, size, what, seq, sent
            at += size
