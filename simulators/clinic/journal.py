"""The journal in virtual time: what was put in is durable a little later, and a crash loses what was not.

It stands for `gateway/journal.py`, whose group commit it models by its two times; it keeps no file.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.outputs import Publish, RecordId, Row, Snapshot
from simulators.agenda import Agenda

COMMIT_US = 250_000
URGENT_US = 5_000
"""An urgent row is committed at once, with everything before it; a disk needs some milliseconds."""


class VirtualJournal:
    """`durable(records, published)` is called after each commit with what it covered."""

    def __init__(self, agenda: Agenda, durable: Callable[[list[RecordId], list[Publish]], None]) -> None:
        self.snapshots: dict[str, bytes] = {}
        self.have: dict[str, dict[str, set[int]]] = {}
        self._agenda = agenda
        self._durable = durable
        self._waiting: list[Row | Snapshot | Publish] = []
        self._commit_us: int | None = None

    def put(self, now_us: int, entries: list[Row | Snapshot | Publish]) -> None:
        """Write these down; a `Publish` among them waits until all before it is on the disk."""
        self._waiting += entries
        urgent = any(isinstance(entry, Publish) or (isinstance(entry, Row) and entry.urgent) for entry in entries)
        due_us = now_us + (URGENT_US if urgent else COMMIT_US)
        if self._commit_us is None or due_us < self._commit_us:
            self._commit_us = due_us
            self._agenda.at(due_us, lambda: self._commit(due_us))

    def crash(self) -> None:
        """What no commit has covered is gone."""
        self._waiting = []
        self._commit_us = None

    def ranges(self) -> dict[str, dict[str, list[tuple[int, int]]]]:
        """What a journal reports when it is opened: durable seq by device and boot."""
        return _ranges(self.have)

    def whole(self) -> tuple[dict[str, bytes], dict[str, dict[str, list[tuple[int, int]]]]]:
        """Snapshots and ranges, as if everything that was put in were on the disk."""
        waiting = [entry for entry in self._waiting if isinstance(entry, Row) and entry.seq]
        have = {device: {boot: set(seqs) for boot, seqs in boots.items()} for device, boots in self.have.items()}
        for row in waiting:
            have.setdefault(row.device, {}).setdefault(row.boot, set()).add(row.seq)
        kept = {entry.key: entry.body for entry in self._waiting if isinstance(entry, Snapshot)}
        return {**self.snapshots, **kept}, _ranges(have)

    def _commit(self, due_us: int) -> None:
        if self._commit_us != due_us:
            return  # an earlier one took it along, or the gateway is gone
        self._commit_us = None
        entries, self._waiting = self._waiting, []
        records = []
        for entry in entries:
            if isinstance(entry, Snapshot):
                self.snapshots[entry.key] = entry.body
            elif isinstance(entry, Row) and entry.seq:
                self.have.setdefault(entry.device, {}).setdefault(entry.boot, set()).add(entry.seq)
                records.append(RecordId(device=entry.device, boot=entry.boot, seq=entry.seq))
        self._durable(records, [entry for entry in entries if isinstance(entry, Publish)])


def _ranges(have: dict[str, dict[str, set[int]]]) -> dict[str, dict[str, list[tuple[int, int]]]]:
    return {device: {boot: _runs(sorted(seqs)) for boot, seqs in boots.items()} for device, boots in have.items()}


def _runs(seqs: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for seq in seqs:
        if runs and seq == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs
