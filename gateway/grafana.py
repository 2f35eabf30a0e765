"""From the journal to Grafana: alarms and phases as regions, readiness, doses and sessions as marks, live vitals as a
stream.

A thread of its own; Grafana may be away for a day, and nothing is missing when it is back. Annotations have no key
there, so each carries its id as a tag and is searched before it is made: what was told twice is there once.

https://grafana.com/docs/grafana/latest/developers/http_api/annotations/
"""

import random
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import quote

import structlog
from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaBadInputError, GrafanaClientError, GrafanaException
from msgspec import Struct

from gateway.clock import utc_ms
from gateway.config import GrafanaConfig
from gateway.journal import Journal
from gateway.journal_reader import JournalReader, StoredRow
from gateway.line_protocol import line

TOLD = ("alarm", "readiness", "session")
MARK = "grafana_upto"
POLL_S = 0.5
ROWS_MAX = 200
LIVE_AGE_MS_MAX = 3_000
TIMEOUT_S = 5.0
RETRY_S_MIN, RETRY_S_MAX = 0.5, 30.0
RETRY_REFUSED_S = 60.0
STREAM = "chairside"
PHASES = {
    "started": "before the dose",
    "dose_first": "dosing",
    "dose_further": "dosing",
    "dose_end": "recovery",
    "ended": "",
}
"""What begins with a mark of the session's record, where the phase before it ends."""
PHASES_MAX = 100
"""Of one session."""
State = Literal["off", "ok", "down", "refused"]

log = structlog.get_logger(part="grafana")


class Mark(Struct, frozen=True, kw_only=True):
    """One annotation as it must be: a region if it has an end."""

    id: str
    begin_ms: int
    end_ms: int | None = None
    text: str
    tags: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"id:{self.id}"


def marks(row: StoredRow, site: str) -> Iterator[Mark]:
    """What a row says to whoever looks at a chart: nothing, or one annotation in its present state."""
    at_ms = row.time_ns // 1_000_000
    where = _where(row, site)
    what = str(row.fields.get("what", ""))
    if what == "cleared" and "lasted_ms" not in row.fields:
        return  # It latched, and its region ended there.
    if row.measurement == "alarm" and what in ("raised", "level", "latched", "cleared"):
        lasted_ms = int(_number(row, "lasted_ms"))
        yield Mark(
            id=str(row.fields["id"]),
            begin_ms=at_ms - lasted_ms,
            end_ms=at_ms if what in ("latched", "cleared") else None,
            text=str(row.fields["reason"]),
            tags=(*where, f"rule:{row.tags['rule']}", f"level:{row.tags['priority']}"),
        )
    elif row.measurement == "readiness" and row.tags.get("criterion") == "overall":
        text = f"{row.fields['state']}: {row.fields.get('detail', '')}"
        yield Mark(id=f"readiness-{row.time_ns}", begin_ms=at_ms, text=text, tags=(*where, "readiness"))
    elif row.measurement == "session" and (what.startswith("dose_") or what in ("started", "ended")):
        text = f"{what.replace('_', ' ')}, {row.fields.get('who', '')}"
        yield Mark(id=f"session-{row.time_ns}", begin_ms=at_ms, text=text, tags=(*where, "session"))


class Annotator:
    """`start`, `stop`, and `state` from any thread."""

    def __init__(self, journal: Journal, site: str, config: GrafanaConfig, jitter: random.Random) -> None:
        self._journal, self._site, self._config, self._jitter = journal, site, config, jitter
        self._api: Any = GrafanaApi.from_url(config.url, credential=config.token, timeout=TIMEOUT_S)
        self._reader: JournalReader | None = None
        self._upto = self._live_upto = 0
        self._is_live = config.live
        self._retry_s = RETRY_S_MIN
        self.state: State = "ok"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="grafana", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the request that is under way. What is untold stays in the journal."""
        self._stop.set()
        self._thread.join(TIMEOUT_S + 1)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            pause_s = self._turn()
        self._close_reader()

    def _turn(self) -> float:
        """Tell a batch. Returns how long to wait for the next."""
        try:
            last_id = self._journal.last_id()
            rows = self._next_rows()
            for row in rows:
                if self._stop.is_set():
                    return 0.0
                self._tell(row)
            if len(rows) < ROWS_MAX:
                # Up to here there is nothing more to tell: the vitals need not be gone through again.
                self._upto = max(self._upto, last_id)
            if self._is_live:
                self._stream()
        except GrafanaClientError as error:
            if error.status_code != 429:
                self._say("refused", str(error))
                return RETRY_REFUSED_S
            return self._later(error)
        except (GrafanaException, OSError) as error:
            return self._later(error)
        except sqlite3.Error as error:
            self._close_reader()
            return self._later(error)
        except Exception as error:
            # The client's own transport has errors of many families; none may end the thread.
            log.exception("error while telling Grafana")
            return self._later(error)
        self._retry_s = RETRY_S_MIN
        self._say("ok", "")
        return 0.0 if len(rows) == ROWS_MAX else POLL_S

    def _later(self, error: Exception) -> float:
        self._say("down", str(error))
        self._retry_s = min(self._retry_s * 2, RETRY_S_MAX)
        return self._retry_s * self._jitter.uniform(0.5, 1.0)

    def _next_rows(self) -> list[StoredRow]:
        if self._reader is not None and not self._reader.is_current():
            self._close_reader()
        if self._reader is None:
            self._reader = JournalReader(self._journal.path)
            self._upto = self._reader.mark(MARK)
            self._live_upto = 0
        return self._reader.after(self._upto, ROWS_MAX, TOLD)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _tell(self, row: StoredRow) -> None:
        try:
            for mark in marks(row, self._site):
                self._put(mark)
            if row.measurement == "session" and row.fields.get("what") in PHASES:
                self._phase(row, PHASES[str(row.fields["what"])])
        except (GrafanaBadInputError, KeyError) as error:
            # One that Grafana will not have, or that lacks what an annotation says, must not hold up those behind it;
            # the journal has it.
            log.error("annotation refused", row=row.id, why=str(error))
        self._upto = row.id
        self._journal.mark(MARK, row.id)

    def _put(self, mark: Mark) -> None:
        """Make the annotation, or bring the one that is there up to date."""
        annotations = self._api.annotations
        found = annotations.find_annotations(tags=["chairside", quote(mark.key)], limit=1)
        if not found:
            annotations.add_annotation(
                time_from=mark.begin_ms, time_to=mark.end_ms, tags=[*mark.tags, mark.key], text=mark.text
            )
            return
        changed: dict[str, object] = {"tags": [*mark.tags, mark.key], "text": mark.text}
        if mark.end_ms is not None:
            changed["timeEnd"] = mark.end_ms
        self._api.client.PATCH(f"/annotations/{found[0]['id']}", json=changed)

    def _phase(self, row: StoredRow, name: str) -> None:
        """The session's newest phase ends and the next begins; told again, both are as they were."""
        at_ms, tags = row.time_ns // 1_000_000, [*_where(row, self._site), "phase"]
        # In whatever chair it began.
        anywhere = [quote(tag) for tag in tags if not tag.startswith("chair:")]
        key = f"id:phase-{row.time_ns}"
        annotations = self._api.annotations
        if annotations.find_annotations(tags=["chairside", quote(key)], limit=1):
            return
        if before := annotations.find_annotations(tags=anywhere, limit=PHASES_MAX):
            newest = max(before, key=lambda one: one["time"])
            self._api.client.PATCH(f"/annotations/{newest['id']}", json={"timeEnd": at_ms})
        if name:
            annotations.add_annotation(time_from=at_ms, time_to=None, tags=[*tags, key], text=name)

    def _stream(self) -> None:
        """The newest vitals to Grafana Live, which shows and keeps none."""
        assert self._reader is not None
        rows = self._reader.newest("vitals", self._live_upto, ROWS_MAX)
        fresh = [row for row in rows if utc_ms() - row.time_ns // 1_000_000 <= LIVE_AGE_MS_MAX]
        if rows:
            self._live_upto = rows[-1].id
        if fresh:
            body = "\n".join(_live(row) for row in fresh)
            try:
                self._api.client.POST(f"/live/push/{STREAM}", data=body, accept_empty_json=True)
            except GrafanaClientError as error:
                if error.status_code == 429:
                    raise
                # Its account may annotate and not push: what is kept must not wait for what only shows.
                self._is_live = False
                log.warning("Grafana Live takes nothing, until the next start", why=str(error))

    def _say(self, state: State, why: str) -> None:
        if state != self.state:
            report = log.info if state == "ok" else log.warning
            report("grafana is " + state, why=why)
        self.state = state


def _where(row: StoredRow, site: str) -> tuple[str, ...]:
    session = str(row.fields.get("session", ""))
    return ("chairside", f"site:{site}", f"chair:{row.chair}", *([f"session:{session}"] if session else []))


def _live(row: StoredRow) -> str:
    quantities = {key: value for key, value in row.fields.items() if isinstance(value, float | int)}
    return line("vitals", {"chair": row.chair}, quantities, row.time_ns)


def _number(row: StoredRow, name: str) -> float:
    value = row.fields.get(name)
    return float(value) if isinstance(value, float | int) else 0.0
