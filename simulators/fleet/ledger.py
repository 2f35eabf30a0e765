"""What was sent in the measured time, what came back of it, and how late. Times are milliseconds of one clock."""

from collections.abc import Mapping

from msgspec import Struct

from gateway import wire


class Late(Struct, frozen=True):
    """Percentiles of a delay in milliseconds, over `count` records."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def late(delays_ms: list[float]) -> Late | None:
    """None of nothing: a delay that was never seen is not zero."""
    if not delays_ms:
        return None
    ordered = sorted(delays_ms)

    def at(pct: float) -> float:
        return round(ordered[round(pct / 100 * (len(ordered) - 1))], 1)

    return Late(len(ordered), at(50), at(95), at(99), round(ordered[-1], 1))


class Ledger:
    """Records are noted while it is `open`; what became of them, always."""

    def __init__(self, boots: Mapping[str, str]) -> None:
        """`boots` names each board and its boot."""
        self.open = False
        self.boots = boots
        self.made = {"vitals": 0, "cuff": 0, "event": 0}
        self.resent = 0
        self.skipped_s = 0.0
        """Board-seconds for which no reading was made because this process was late."""
        self.seqs: dict[str, list[int]] = {device: [] for device in boots}
        self.ack_ms: list[float] = []
        self.state_ms: list[float] = []
        self._unacked: dict[str, dict[int, float | None]] = {device: {} for device in self.seqs}
        self._unshown: dict[str, dict[int, float]] = {device: {} for device in self.seqs}
        self._saturations: dict[str, dict[float, float]] = {device: {} for device in self.seqs}

    def note(self, device: str, leaf: str, seq: int) -> None:
        """A record was made, and is in an outbox."""
        if self.open:
            self.made[leaf] += 1
            self.seqs[device].append(seq)
            self._unacked[device][seq] = None

    def skip(self, skipped_s: float) -> None:
        if self.open:
            self.skipped_s += skipped_s

    def rate_ratio(self, measured_s: float) -> float:
        """The part of the rate that was held. Not made to asked: a board has one reading more or less in any time."""
        return max(0.0, 1 - self.skipped_s / (measured_s * len(self.boots)))

    def sent(self, device: str, record: wire.Record, at_ms: float) -> None:
        if record.late:
            self.resent += record.seq in self._unacked[device]
        elif record.seq in self._unacked[device]:
            self._unacked[device][record.seq] = at_ms
            if isinstance(record, wire.Vitals):
                if isinstance(record.spo2_pct, float):
                    self._saturations[device].setdefault(record.spo2_pct, at_ms)
                self._unshown[device][record.seq] = at_ms

    def acked(self, device: str, seqs: list[int], at_ms: float) -> None:
        waiting = self._unacked[device]
        for seq in seqs:
            if (sent_ms := waiting.pop(seq, None)) is not None:
                self.ack_ms.append(at_ms - sent_ms)

    def shown(self, device: str, boot: str, upto: int, at_ms: float) -> None:
        """A state came that shows this record, and so stands for all before it."""
        if boot != self.boots.get(device):
            return
        waiting = self._unshown[device]
        for seq in [seq for seq in waiting if seq <= upto]:
            self.state_ms.append(at_ms - waiting.pop(seq))

    def said_ms(self, device: str, spo2_pct: float) -> float | None:
        """When a board first said this saturation: in a fall, the moment of that reading."""
        return self._saturations[device].get(spo2_pct)

    @property
    def unacked(self) -> int:
        return sum(map(len, self._unacked.values()))

    @property
    def unshown(self) -> int:
        return sum(map(len, self._unshown.values()))
