"""A board's outbox by the contract: a record stays until an ack covers it, and is sent again when it should have been.

A record is sent *live* once, when it is made. After that it is due, as a late one, cuff and events first,
    5 s after its last sending without being covered, while acks arrive
    once the first ack came after a reconnect, or when the gateway's `run` changed
The caller asks `due` at most five times a second.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from gateway import wire

RECORDS_MAX = 600
"""Ten minutes of vitals, as a real board's memory holds."""
RESEND_MS = 5_000
ACK_FRESH_MS = 3_000


class Entry(Struct):
    record: wire.Record
    sent_ms: int | None = None


class Outbox:
    """Times are the board's own milliseconds. `dropped` counts records given up for want of room."""

    def __init__(self, records_max: int = RECORDS_MAX) -> None:
        self.dropped = 0
        self._records_max = records_max
        self._held: dict[int, Entry] = {}
        self._unsent: list[int] = []
        self._seq = 0
        self._run: str | None = None
        self._resend_before_ms = -1
        self._acked_ms: int | None = None

    def __len__(self) -> int:
        return len(self._held)

    @property
    def base(self) -> int:
        """The lowest seq still held, or the next one."""
        return next(iter(self._held), self._seq + 1)

    def next_seq(self) -> int:
        """The number of the record that is being made; every one is given to `add`."""
        self._seq += 1
        return self._seq

    def add(self, record: wire.Record) -> None:
        if len(self._held) >= self._records_max:
            self._drop()
        self._held[record.seq] = Entry(record)
        self._unsent.append(record.seq)

    def live(self, now_ms: int) -> Iterator[wire.Record]:
        """Records made since the link came up and not sent yet."""
        unsent, self._unsent = self._unsent, []
        for seq in unsent:
            if (entry := self._held.get(seq)) is not None:
                yield self._taken(entry, now_ms, late=False)

    def due(self, now_ms: int) -> wire.Record | None:
        """The next record to send again."""
        if not self._held or self._acked_ms is None or now_ms - self._acked_ms > ACK_FRESH_MS:
            return None  # nobody would take it
        first: Entry | None = None
        unsent = set(self._unsent)
        for seq, entry in self._held.items():
            if seq in unsent:
                continue
            sent_ms = entry.sent_ms
            if sent_ms is not None and sent_ms > self._resend_before_ms and now_ms - sent_ms < RESEND_MS:
                continue
            if not isinstance(entry.record, wire.Vitals):
                return self._taken(entry, now_ms, late=True)
            first = first or entry
        return None if first is None else self._taken(first, now_ms, late=True)

    def link_up(self, now_ms: int) -> None:
        """After a (re)connect: what was sent before may be lost, and what was made meanwhile is late."""
        self._resend_before_ms = now_ms
        self._acked_ms = None
        self._unsent = []

    def ack(self, run: str, upto: int, have: Sequence[tuple[int, int]], now_ms: int) -> list[int]:
        """Forget what is durable and return its numbers. What was never sent cannot be durable."""
        if run != self._run:
            if self._run is not None:
                self._resend_before_ms = now_ms
            self._run = run
        self._acked_ms = now_ms
        covered = [seq for seq, entry in self._held.items() if entry.sent_ms is not None and _covers(upto, have, seq)]
        for seq in covered:
            del self._held[seq]
        return covered

    def _taken(self, entry: Entry, now_ms: int, *, late: bool) -> wire.Record:
        entry.sent_ms = now_ms
        entry.record.late = late
        entry.record.base = self.base
        return entry.record

    def _drop(self) -> None:
        """Give up the oldest vitals, or the oldest of all when there are none."""
        vitals = (seq for seq, entry in self._held.items() if isinstance(entry.record, wire.Vitals))
        del self._held[next(vitals, self.base)]
        self.dropped += 1


def _covers(upto: int, have: Iterable[tuple[int, int]], seq: int) -> bool:
    return seq <= upto or any(first <= seq <= last for first, last in have)
