"""From the journal to InfluxDB, by a thread of its own: rows leave the journal's books only after the server took them.

A batch goes again for ever while the server is away. It is safe to send twice: a row's time and tags are fixed, so it
overwrites itself. A refused batch goes in halves until the bad line stands alone, and that goes into quarantine with
the server's words, if the same server takes what is good beyond doubt before and after it. A batch that gets no answer
goes in halves too: a slow server may not manage so many in time. What is taken lets batches grow again, so that a row
that nobody can store costs some requests once and holds up nothing. A server that refuses us is asked again seldom.

    ok: all sent   behind: sending, late   down: no answer   refused: it answers, and will not have us
"""

import random
import sqlite3
import threading
from typing import Literal

import structlog
from msgspec import Struct

from gateway.clock import monotonic_ms, utc_ms
from gateway.influx_answers import REASON_CHARACTERS_MAX, BadLines, Forbidden, Unavailable
from gateway.influx_schema import check
from gateway.influx_setup import LATE_S
from gateway.influx_writers import TIMEOUT_S, Writer
from gateway.journal import Journal
from gateway.journal_reader import JournalReader, StoredRow, Unreadable
from gateway.line_protocol import line

POLL_S = 0.5
"""The age at which a batch goes, however small."""
BATCH_ROWS_MAX = 1_000
BATCH_BYTES_MAX = 2_000_000
LINE_BYTES_MAX = 1_000_000
"""Ours have hundreds. InfluxDB takes words up to 1 MiB, and a whole request up to 25 MB unless told otherwise."""
TIME_NS_MAX = 2**63 - 2
RETRY_S_MIN, RETRY_S_MAX = 0.5, 15.0
RETRY_REFUSED_S = 30.0
MINUTE_NS, COPIED_AT_ONCE_NS = 60 * 10**9, 3_600 * 10**9
COPIED_NS_MAX = 31 * 86_400 * 10**9
"""Of a computer whose clock was years off, no more than this is gone through."""
COPY_RETRY_MS = 60_000
BEHIND_S = 10.0
State = Literal["ok", "behind", "down", "refused"]

log = structlog.get_logger(part="influx")


class SinkHealth(Struct, frozen=True):
    state: State
    lag_s: float
    """Age in the journal of the oldest row that was not sent."""
    unsent: int
    """Rows in the journal that were not sent."""
    quarantined: int


class Sink:
    """`start`, `stop`, and `health` from any thread."""

    def __init__(self, journal: Journal, site: str, writer: Writer, jitter: random.Random) -> None:
        self._journal = journal
        self._site = site
        self._writer = writer
        self._jitter = jitter
        self._reader: JournalReader | None = None
        self._is_set_up = False
        self._upto = 0
        self._is_upto_known = False
        self._rows_max = BATCH_ROWS_MAX
        self._takes = False
        """Was the last request taken?"""
        self._quarantined = 0
        self._retry_s = RETRY_S_MIN
        self._state: State = "ok"
        self._late_ns: tuple[int, int] | None = None
        """From and to: rows that went later than the copy by the minute looks back."""
        self._copy_due_ms = 0
        self._oldest_ms: int | None = None
        """UTC at which the oldest unsent row was stored, None if there is none."""
        self._turn_began_ms: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="influx", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the write that is under way. What is unsent stays in the journal."""
        self._stop.set()
        self._thread.join(TIMEOUT_S + 1)

    def health(self) -> SinkHealth:
        """As it is now, also while a write gets no answer, or one that does not end."""
        oldest_ms, began_ms = self._oldest_ms, self._turn_began_ms
        lag_s = 0.0 if oldest_ms is None else max(0.0, (utc_ms() - oldest_ms) / 1000)
        state = "behind" if self._state == "ok" and lag_s > BEHIND_S else self._state
        if state != "refused" and began_ms is not None and monotonic_ms() - began_ms > 2_000 * TIMEOUT_S:
            state = "down"
        unsent = max(0, self._journal.last_id() - self._upto) if self._is_upto_known else 0
        return SinkHealth(state, lag_s, unsent, self._quarantined)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            self._turn_began_ms = monotonic_ms()
            pause_s = self._turn()
            self._turn_began_ms = None
        self._close_reader()

    def _turn(self) -> float:
        """Send one batch. Returns how long to wait for the next."""
        try:
            last_id = self._journal.last_id()
            rows = self._next_rows()
            self._oldest_ms = next((row.stored_ms for row in rows if isinstance(row, StoredRow)), None)
            self._set_up()
            if not self._send(rows):
                return 0.0
            if self._upto >= last_id:
                self._copy_late()
        except Unavailable as error:
            self._rows_max = max(1, self._rows_max // 2)
            self._say("down", str(error))
            self._retry_s = min(self._retry_s * 2, RETRY_S_MAX)
            return self._retry_s * self._jitter.uniform(0.5, 1.0)
        except Forbidden as error:
            # Whoever lets us in later may let us prepare the database too.
            self._is_set_up = False
            self._say("refused", str(error))
            return RETRY_REFUSED_S
        except (sqlite3.Error, OSError) as error:
            # There may be no journal yet, or a new one is about to take its place.
            self._close_reader()
            self._say("down", f"journal cannot be read: {error}")
            return RETRY_S_MIN
        except Exception:
            log.exception("error in the sink")
            self._say("down", "error in the sink")
            return RETRY_S_MAX
        self._retry_s = RETRY_S_MIN
        self._say("ok", "")
        if not rows:
            # What was committed and is not there any more was trimmed, or lies in a file that was set aside.
            self._upto = max(self._upto, last_id)
        if self._upto < last_id:
            return 0.0
        self._oldest_ms = None
        return POLL_S

    def _set_up(self) -> None:
        """Once for each start. A login that may not do this may still write."""
        if self._is_set_up:
            return
        try:
            self._writer.set_up()
        except (Forbidden, BadLines) as error:
            if self._state != "refused":
                log.warning("the database could not be prepared, writing all the same", why=str(error))
        self._is_set_up = True

    def _next_rows(self) -> list[StoredRow | Unreadable]:
        if self._reader is not None and not self._reader.is_current():
            self._close_reader()
        if self._reader is None:
            self._reader = JournalReader(self._journal.path)
            self._upto = max(self._upto, self._reader.sent_upto())
            self._is_upto_known = True
            self._quarantined = max(self._quarantined, self._reader.quarantine_size())
        return self._reader.outgoing(self._upto, self._rows_max, BATCH_BYTES_MAX)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _send(self, rows: list[StoredRow | Unreadable]) -> bool:
        """Send them and mark them. False if it is to be tried again at once, with fewer or knowing more. Raises
        Unavailable, Forbidden."""
        if not rows:
            return True
        quarantine: dict[int, str] = {}
        lines: dict[int, str] = {}
        for row in rows:
            try:
                lines[row.id] = self._line(row)
            except (TypeError, ValueError) as error:
                quarantine[row.id] = str(error)
        if lines:
            takes = self._takes
            try:
                self._write(list(lines.values()))
                self._rows_max = min(2 * self._rows_max, BATCH_ROWS_MAX)
            except BadLines as error:
                if len(lines) > 1 and error.dropped != len(lines):
                    self._rows_max = max(1, len(rows) // 2)
                    return False
                self._prove(error)
                if not takes:
                    return False
                quarantine |= dict.fromkeys(lines, str(error))
        quarantine = {row_id: why[:REASON_CHARACTERS_MAX] for row_id, why in quarantine.items()}
        self._upto = rows[-1].id
        self._note_late([row.time_ns for row in rows if isinstance(row, StoredRow) and row.id not in quarantine])
        self._quarantined += len(quarantine)
        self._journal.mark_sent(self._upto, quarantine)
        if quarantine:
            first = min(quarantine)
            log.error("rows quarantined", rows=len(quarantine), first=first, reason=quarantine[first])
        return True

    def _note_late(self, times_ns: list[int]) -> None:
        before_ns = (utc_ms() - 1000 * LATE_S) * 10**6
        late = [time_ns for time_ns in times_ns if time_ns < before_ns]
        if late:
            known = self._late_ns or (late[0], late[0])
            self._late_ns = (min(known[0], *late), max(known[1], *late))

    def _copy_late(self) -> None:
        """After an outage of hours, once all is there: an hour at a time, in whole minutes, which are replaced."""
        if self._late_ns is None or monotonic_ms() < self._copy_due_ms:
            return
        since_ns, upto_ns = self._late_ns
        since_ns = max(since_ns - since_ns % MINUTE_NS, upto_ns - upto_ns % MINUTE_NS - COPIED_NS_MAX)
        until_ns = min(since_ns + COPIED_AT_ONCE_NS, upto_ns - upto_ns % MINUTE_NS + MINUTE_NS)
        try:
            self._writer.copy(since_ns, until_ns)
        except Unavailable as error:
            self._copy_due_ms = monotonic_ms() + COPY_RETRY_MS
            log.warning("rows that came late have no copy by the minute yet", why=str(error))
            return
        except (Forbidden, BadLines) as error:
            log.warning("rows that came late have no copy by the minute", why=str(error))
            until_ns = upto_ns + 1
        self._late_ns = (until_ns, upto_ns) if until_ns <= upto_ns else None

    def _line(self, row: StoredRow | Unreadable) -> str:
        """Raises ValueError, TypeError if no server could store it, or it is not of the schema."""
        if isinstance(row, Unreadable):
            raise ValueError(row.why)
        if not 0 <= row.time_ns <= TIME_NS_MAX:
            raise ValueError(f"time is {row.time_ns} ns")
        tags = row.tags | {"site": self._site, "chair": row.chair, "device": row.device}
        fields = {key: value for key, value in row.fields.items() if value is not None}
        check(row.measurement, tags, fields)
        text = line(row.measurement, tags, fields, row.time_ns)
        if (size := len(text.encode())) > LINE_BYTES_MAX:
            raise ValueError(f"line of {size} bytes, at most {LINE_BYTES_MAX}")
        return text

    def _write(self, lines: list[str]) -> None:
        self._takes = False
        self._writer.write(lines)
        self._takes = True

    def _prove(self, refusal: BadLines) -> None:
        """Is it these lines that are refused, or all that we say? What answers may be no InfluxDB at all. Raises
        Forbidden, and then nothing goes into quarantine."""
        good = line("gateway", {"site": self._site}, {"sink_quarantined": float(self._quarantined)}, utc_ms() * 10**6)
        try:
            self._write([good])
        except BadLines:
            raise Forbidden(f"it refuses every line: {refusal}"[: 2 * REASON_CHARACTERS_MAX]) from None

    def _say(self, state: State, why: str) -> None:
        if state != self._state:
            report = log.info if state == "ok" else log.warning
            report("influx is " + state, why=why)
        self._state = state
