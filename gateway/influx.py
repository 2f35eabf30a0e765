"""From the journal to InfluxDB, by a thread of its own: rows leave the journal's books only after the server took them.

A batch goes again for ever while the server is away. It is safe to send twice: a row's time and tags are fixed, so it
overwrites itself. A 400 is never retried as it is: the batch is halved until the one bad line stands alone, and that
goes into quarantine with the server's words. A server that refuses us (login, database) is asked again seldom.

    ok: all sent   behind: sending, late   down: no answer   refused: it answers, and will not have us
"""

import random
import sqlite3
import threading
from typing import Literal

import structlog
from msgspec import Struct

from gateway.clock import utc_ms
from gateway.influx_writers import TIMEOUT_S, BadLines, Forbidden, Unavailable, Writer
from gateway.journal import Journal
from gateway.journal_reader import JournalReader, StoredRow
from gateway.line_protocol import line

POLL_S = 0.5
"""The age at which a batch goes, however small."""
BATCH_ROWS_MAX = 1_000
RETRY_S_MIN, RETRY_S_MAX = 0.5, 15.0
RETRY_REFUSED_S = 30.0
BEHIND_S = 10.0
State = Literal["ok", "behind", "down", "refused"]

log = structlog.get_logger(part="influx")


class SinkHealth(Struct, frozen=True):
    state: State
    lag_s: float
    """Age in the journal of the oldest row that was not sent."""
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
        self._quarantined = 0
        self._retry_s = RETRY_S_MIN
        self._health = SinkHealth("ok", 0.0, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="influx", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the write that is under way. What is unsent stays in the journal."""
        self._stop.set()
        self._thread.join(TIMEOUT_S + 1)

    def health(self) -> SinkHealth:
        return self._health

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            pause_s = self._turn()
        if self._reader is not None:
            self._reader.close()

    def _turn(self) -> float:
        """Send one batch. Returns how long to wait for the next."""
        oldest: StoredRow | None = None
        try:
            self._set_up()
            rows = self._next_rows()
            oldest = rows[0] if rows else None
            self._send(rows)
        except Unavailable as error:
            self._say("down", oldest, str(error))
            self._retry_s = min(self._retry_s * 2, RETRY_S_MAX)
            return self._retry_s * self._jitter.uniform(0.5, 1.0)
        except Forbidden as error:
            self._say("refused", oldest, str(error))
            return RETRY_REFUSED_S
        except (sqlite3.Error, OSError) as error:
            # There may be no journal yet, or a new one is about to take its place.
            self._close_reader()
            self._say("down", oldest, f"journal cannot be read: {error}")
            return RETRY_S_MIN
        except Exception:
            log.exception("error in the sink")
            self._say("down", oldest, "error in the sink")
            return RETRY_S_MAX
        self._retry_s = RETRY_S_MIN
        more = len(rows) == BATCH_ROWS_MAX
        late = more and oldest is not None and _age_s(oldest) > BEHIND_S
        self._say("behind" if late else "ok", oldest if more else None, "")
        return 0.0 if more else POLL_S

    def _set_up(self) -> None:
        """Once for each start. A login that may not do this may still write."""
        if self._is_set_up:
            return
        try:
            self._writer.set_up()
        except (Forbidden, BadLines) as error:
            log.warning("the database could not be prepared, writing all the same", why=str(error))
        self._is_set_up = True

    def _next_rows(self) -> list[StoredRow]:
        if self._reader is not None and not self._reader.is_current():
            self._close_reader()
        if self._reader is None:
            self._reader = JournalReader(self._journal.path)
            self._upto = max(self._upto, self._reader.sent_upto())
            self._quarantined = len(self._reader.quarantined())
        return self._reader.after(self._upto, BATCH_ROWS_MAX)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _send(self, rows: list[StoredRow]) -> None:
        if not rows:
            return
        quarantine: dict[int, str] = {}
        lines: list[tuple[int, str]] = []
        for row in rows:
            try:
                lines.append((row.id, self._line(row)))
            except (TypeError, ValueError) as error:
                quarantine[row.id] = str(error)
        if lines:
            self._write(lines, quarantine)
        self._upto = rows[-1].id
        self._quarantined += len(quarantine)
        self._journal.mark_sent(self._upto, quarantine)
        for row_id, reason in quarantine.items():
            log.error("row quarantined", row=row_id, reason=reason)

    def _line(self, row: StoredRow) -> str:
        tags = row.tags | {"site": self._site, "chair": row.chair, "device": row.device}
        fields = {key: value for key, value in row.fields.items() if value is not None}
        return line(row.measurement, tags, fields, row.time_ns)

    def _write(self, lines: list[tuple[int, str]], quarantine: dict[int, str]) -> None:
        """Halves a refused batch until the bad line stands alone; good ones sent again overwrite themselves."""
        try:
            self._writer.write([text for _, text in lines])
        except BadLines as error:
            if len(lines) == 1:
                quarantine[lines[0][0]] = str(error)
                return
            middle = len(lines) // 2
            self._write(lines[:middle], quarantine)
            self._write(lines[middle:], quarantine)

    def _say(self, state: State, oldest: StoredRow | None, why: str) -> None:
        if state != self._health.state:
            report = log.info if state == "ok" else log.warning
            report("influx is " + state, why=why)
        lag_s = 0.0 if oldest is None else _age_s(oldest)
        self._health = SinkHealth(state, lag_s, self._quarantined)


def _age_s(row: StoredRow) -> float:
    return max(0.0, (utc_ms() - row.stored_ms) / 1000)
