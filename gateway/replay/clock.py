"""One clock that runs on through a journal's rows: rows are labelled with UTC, which may have been set meanwhile.

Every ten seconds the gateway writes both its clocks down. If UTC went another way than the monotonic clock between two
such lines, it was set in between: where two rows are furthest apart for it. If the monotonic clock began anew, the
computer was off.
"""

import itertools
from collections.abc import Iterable, Iterator

from msgspec import Struct

from gateway.core.recovery import SAME_CLOCK_MS, WasOff
from gateway.journal_reader import StoredRow
from gateway.replay.recording import Restarted

STEP_MS_MIN = 20
"""A clock that is only slewed goes 5 ms apart in ten seconds."""


class Both(Struct, frozen=True):
    """Both clocks at one moment of a run of the gateway."""

    run: str
    host_boot: str
    mono_ms: int
    utc_ms: int
    utc_trusted: bool

    @property
    def offset_ms(self) -> int:
        return self.utc_ms - self.mono_ms


def utc_ms(row: StoredRow) -> int:
    """When the gateway had it: a record's own time is its sensor's."""
    return row.time_ns // 1_000_000 + round(delay_ms(row) or 0)


def delay_ms(row: StoredRow) -> float | None:
    """Sensor to gateway; None for what is no record, or one whose time nobody knows."""
    delay = row.fields.get("delay_ms", row.fields.get("late_ms"))
    return delay if isinstance(delay, float) else None


def both(row: StoredRow) -> Both | None:
    run, mono_ms = row.fields.get("run"), row.fields.get("mono_ms")
    if row.measurement != "gateway" or not isinstance(run, str) or not isinstance(mono_ms, float):
        return None
    host_boot, trusted = str(row.fields.get("host_boot", "")), bool(row.fields.get("utc_trusted"))
    return Both(run, host_boot, round(mono_ms), row.time_ns // 1_000_000, trusted)


def running(rows: Iterable[StoredRow]) -> Iterator[tuple[int, int, StoredRow | Restarted]]:
    """Each row with its time on the running clock and with what UTC is ahead of that clock, in ms; and restarts.

    The clock begins as UTC."""
    ahead_ms = 0
    last: Both | None = None
    last_ms: int | None = None
    waiting: list[StoredRow] = []
    for row in itertools.chain(rows, (None,)):
        now = both(row) if row is not None else None
        if row is not None and now is None:
            waiting.append(row)
            continue
        step_ms = _stepped(last, now)
        at = _where(last, waiting, now) if step_ms and last and now else len(waiting)
        for number, one in enumerate(waiting):
            if number == at:
                ahead_ms += step_ms
            if last_ms is not None and utc_ms(one) - ahead_ms < last_ms - STEP_MS_MIN:
                # Set back, and no line of both clocks follows to say by how much.
                ahead_ms = utc_ms(one) - last_ms
            last_ms = utc_ms(one) - ahead_ms
            yield last_ms, ahead_ms, one
        if step_ms and at == len(waiting):
            ahead_ms += step_ms
        waiting = []
        if now is None or row is None:
            return
        if last is not None and last_ms is not None and now.run != last.run:
            off = None if _same_computer(last, now) else WasOff(known=last.utc_trusted and now.utc_trusted)
            if off is not None and not off.known:
                # UTC may even have gone back.
                ahead_ms = min(ahead_ms, now.utc_ms - last_ms)
            yield now.utc_ms - ahead_ms, ahead_ms, Restarted(since_ms=last_ms, off=off)
        last_ms = now.utc_ms - ahead_ms
        yield last_ms, ahead_ms, row
        last = now


def _same_computer(last: Both, now: Both) -> bool:
    """Is it one monotonic clock? As `core.recovery` judges it."""
    if last.run == now.run:
        return True
    if last.host_boot != now.host_boot or now.mono_ms < last.mono_ms:
        return False
    return bool(now.host_boot) or abs(now.offset_ms - last.offset_ms) <= SAME_CLOCK_MS


def _stepped(last: Both | None, now: Both | None) -> int:
    """By how much UTC was set between two lines of one monotonic clock."""
    if last is None or now is None or not _same_computer(last, now):
        return 0
    step_ms = now.offset_ms - last.offset_ms
    return step_ms if abs(step_ms) >= STEP_MS_MIN else 0


def _where(last: Both, rows: list[StoredRow], now: Both) -> int:
    """The number of the first row after the step; how many there are, if it was after all of them."""
    times = [last.utc_ms, *map(utc_ms, rows), now.utc_ms]
    apart = [after - before for before, after in itertools.pairwise(times)]
    return apart.index(max(apart) if now.offset_ms > last.offset_ms else min(apart))
