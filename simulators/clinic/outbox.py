"""The records of a modelled board until the gateway has them: what is kept, what is sent again."""

from __future__ import annotations

import math

from msgspec.structs import replace

from gateway import wire

RECORDS_MAX = 900
UNCOVERED_US = 5_000_000
ACKS_US = 3_000_000
AGAIN_MAX = 5


class Outbox:
    """`seq` from 1; what has to make room is gone, and `base` says so."""

    def __init__(self) -> None:
        self._seq = 0
        self._kept: dict[int, wire.Record] = {}
        self._sent_us: dict[int, float] = {}
        self._acked_us = -math.inf

    def made(self, kind: type[wire.Record], /, **given: object) -> wire.Record:
        self._seq += 1
        self._kept[self._seq] = record = kind(seq=self._seq, base=min(self._kept, default=self._seq), **given)  # type: ignore[arg-type]
        self._sent_us[self._seq] = -math.inf
        while len(self._kept) > RECORDS_MAX:
            self._drop(min(self._kept))
        return record

    def sent(self, seq: int, now_us: int) -> None:
        self._sent_us[seq] = now_us

    def forget_sending(self) -> None:
        """A new connection or a new run: nobody knows what arrived."""
        self._sent_us = dict.fromkeys(self._sent_us, -math.inf)

    def acknowledged(self, ack: wire.Ack, now_us: int) -> None:
        self._acked_us = now_us
        base = min(self._kept, default=1)
        for first, last in [(base, ack.upto), *ack.have]:
            for seq in range(max(first, base), last + 1):
                self._drop(seq)

    def again(self, now_us: int) -> list[wire.Record]:
        """What was not covered for too long although acks arrive: pressures and events first."""
        if now_us - self._acked_us > ACKS_US:
            return []
        due = [seq for seq, at_us in self._sent_us.items() if now_us - at_us >= UNCOVERED_US]
        due.sort(key=lambda seq: (isinstance(self._kept[seq], wire.Vitals), seq))
        base = min(self._kept, default=1)
        for seq in due[:AGAIN_MAX]:
            self._sent_us[seq] = now_us
        return [replace(self._kept[seq], base=base, late=True) for seq in due[:AGAIN_MAX]]

    def _drop(self, seq: int) -> None:
        self._kept.pop(seq, None)
        self._sent_us.pop(seq, None)
