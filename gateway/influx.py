"""From the journal to InfluxDB, by a thread of its own: rows leave the journal's books only after the server took them.

A batch goes again for ever while the server is away. It is safe to send twice: a row's time and tags are fixed, so it
overwrites itself. A 400 is never retried as it is: the batch is halved until the one bad line stands alone, and that
goes into quarantine with the server's words. A server that refuses us (login, database) is asked again seldom.

    ok: all sent   behind: sending, late   down: no answer   refused: it answers, and will not have us
"""

import base64
import random
import sqlite3
import threading
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Literal, Protocol
from urllib.parse import urlencode, urlsplit

import structlog
from msgspec import Struct

from gateway.clock import utc_ms
from gateway.config import InfluxConfig
from gateway.journal import Journal
from gateway.journal_reader import JournalReader, StoredRow
from gateway.line_protocol import line

POLL_S = 0.5
"""The age at which a batch goes, however small."""
BATCH_ROWS_MAX = 1_000
TIMEOUT_S = 10.0
RETRY_S_MIN, RETRY_S_MAX = 0.5, 15.0
RETRY_REFUSED_S = 30.0
BEHIND_S = 10.0
REASON_CHARACTERS_MAX = 200
State = Literal["ok", "behind", "down", "refused"]

log = structlog.get_logger(part="influx")


class Unavailable(Exception):
    """No answer, or one that says to come again."""


class BadLines(Exception):
    """The server stored the good lines of the batch and not all were good; or the batch is too large for it."""


class Forbidden(Exception):
    """The server will not have us: login, rights, or a database that is not there."""


class Writer(Protocol):
    """One write of a batch of lines. Raises Unavailable, BadLines or Forbidden."""

    def write(self, lines: list[str]) -> None: ...


def writer_for(config: InfluxConfig) -> Writer:
    return Influx1(config) if config.version == 1 else Influx2(config)


def _judge(status: int, words: str) -> None:
    """What an answer means to us. 5xx and 429 pass; so does nothing else."""
    words = words.strip()[:REASON_CHARACTERS_MAX]
    if status in (400, 413, 422):
        raise BadLines(words)
    if status == 429 or status >= 500:
        raise Unavailable(f"{status} {words}")
    if status != 204:
        raise Forbidden(f"{status} {words}")


class Influx1:
    """InfluxDB 1.x: POST /write. A database that is missing is created, which the server allows to be repeated."""

    def __init__(self, config: InfluxConfig) -> None:
        self._url = urlsplit(config.url)
        self._database = config.database
        self._headers = {"Content-Type": "text/plain; charset=utf-8"}
        if config.user:
            login = base64.b64encode(f"{config.user}:{config.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"

    def write(self, lines: list[str]) -> None:
        where = "/write?" + urlencode({"db": self._database, "precision": "ns"})
        body = "\n".join(lines).encode()
        status, words = self._post(where, body)
        if status == 404:
            name = self._database.replace("\\", "\\\\").replace('"', '\\"')
            created, why = self._post("/query?" + urlencode({"q": f'CREATE DATABASE "{name}"'}), b"")
            if created != 200:
                raise Forbidden(f"{created} {why.strip()[:REASON_CHARACTERS_MAX]}")
            log.info("database created", database=self._database)
            status, words = self._post(where, body)
        _judge(status, words)

    def _post(self, where: str, body: bytes) -> tuple[int, str]:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", self._url.path.rstrip("/") + where, body, self._headers)
            answer: HTTPResponse = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise Unavailable(str(error) or type(error).__name__) from None
        finally:
            connection.close()


class Influx2:
    """InfluxDB 2.x and 3.x by `influxdb-client`, synchronously: its batching mode drops what it cannot send."""

    def __init__(self, config: InfluxConfig) -> None:
        # Imported here: it takes a second on a Pi, and a site with InfluxDB 1 does without.
        from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415
        from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: PLC0415

        client = InfluxDBClient(config.url, token=config.token, org=config.org, timeout=int(TIMEOUT_S * 1000))
        self._api = client.write_api(write_options=SYNCHRONOUS)
        self._bucket = config.bucket

    def write(self, lines: list[str]) -> None:
        from influxdb_client.domain.write_precision import WritePrecision  # noqa: PLC0415
        from influxdb_client.rest import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            self._api.write(self._bucket, record="\n".join(lines), write_precision=WritePrecision.NS)  # type: ignore[arg-type]
        except ApiException as error:
            _judge(error.status or 503, str(error.body or error.reason or ""))
        except (HTTPError, OSError) as error:
            raise Unavailable(str(error)) from None


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
