"""InfluxDB 1.x, 2.x and 3.x, each as one thing that prepares a database and writes a batch of lines into it."""

import base64
import importlib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import structlog

from gateway.config import InfluxConfig
from gateway.influx_answers import (
    REASON_CHARACTERS_MAX,
    BadLines,
    Forbidden,
    Unavailable,
    Untrusted,
    judge,
    meaning,
    trust,
)
from gateway.influx_setup import COPY, RAW, SINCE_START_S, TASK, copied, flux, influxql, resolution_lines, task

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 65_536

log = structlog.get_logger(part="influx")


class Writer(Protocol):
    """Raises Unavailable or Forbidden."""

    def set_up(self) -> None:
        """Make the database and its copy by the minute; what is there already stays. Raises BadLines too."""

    def write(self, lines: list[str]) -> None:
        """One batch, whole or not. Raises BadLines too. Only the answer that the protocol gives for taken lines is
        one: any other, be it 200 with a page of a login, is none."""

    def copy(self, since_ns: int, until_ns: int) -> None:
        """Make the copy by the minute again, of whole minutes."""

    def probe(self) -> None:
        """Ask for login, database and rights; nothing is made. Raises Missing and Untrusted too."""


def writer_for(config: InfluxConfig) -> Writer:
    return Influx1(config) if config.version == 1 else Influx2(config)


class Influx1:
    """InfluxDB 1.x: POST /write. A database that is missing is created, which the server allows to be repeated."""

    def __init__(self, config: InfluxConfig) -> None:
        self._config = config
        self._url = urlsplit(config.url)
        self._database, self._keep_days = config.database, config.keep_days
        self._headers = {"Content-Type": "text/plain; charset=utf-8"}
        if config.user:
            login = base64.b64encode(f"{config.user}:{config.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"

    def set_up(self) -> None:
        for statement in influxql(self._database, self._keep_days):
            self._query(statement)
        judge(*self._post(self._where(COPY), "\n".join(resolution_lines()).encode()))
        since_ns = int(time.time() - SINCE_START_S) // 60 * 60 * 10**9
        try:
            self._copy(f"time >= {since_ns}")
        except (Unavailable, Forbidden) as error:
            log.warning("older rows have no copy by the minute", why=str(error))

    def copy(self, since_ns: int, until_ns: int) -> None:
        self._copy(f"time >= {since_ns} AND time < {until_ns}")

    def _copy(self, within: str) -> None:
        """Minutes of work, so the server does it after its answer."""
        self._query(copied(self._database, within), asynchronous=True)

    def write(self, lines: list[str]) -> None:
        body = "\n".join(lines).encode()
        status, words = self._post(self._where(RAW), body)
        if status == 404:
            try:
                self.set_up()
            except BadLines as error:  # not of these lines
                raise Forbidden(str(error)) from None
            log.info("database created", database=self._database)
            status, words = self._post(self._where(RAW), body)
        judge(status, words)

    def probe(self) -> None:
        try:
            judge(*self._post(self._where(RAW), b""))
        except BadLines as error:
            raise Forbidden(f"not as InfluxDB 1 answers: {error}") from None

    def _where(self, retention_policy: str) -> str:
        return "/write?" + urlencode({"db": self._database, "rp": retention_policy, "precision": "ns"})

    def _query(self, statement: str, *, asynchronous: bool = False) -> None:
        given = {"q": statement} | ({"async": "true"} if asynchronous else {})
        status, words = self._post("/query?" + urlencode(given), b"")
        if status >= 500:
            raise Unavailable(f"{status} {words.strip()[:REASON_CHARACTERS_MAX]}")
        if status not in (200, 204) or '"error"' in words:
            raise Forbidden(f"{status} {words.strip()[:REASON_CHARACTERS_MAX]}")

    def _post(self, where: str, body: bytes) -> tuple[int, str]:
        connection = self._connection()
        try:
            connection.connect()
            # One that refuses a large body may close before it has read it, and its answer says why.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", self._url.path.rstrip("/") + where, body, self._headers)
            answer: HTTPResponse = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES_MAX).decode(errors="replace")
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"its certificate: {error.verify_message}") from None
        except (OSError, HTTPException) as error:
            raise Unavailable(str(error) or type(error).__name__) from None
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            return HTTPSConnection(host, port, timeout=TIMEOUT_S, context=self._context)
        return HTTPConnection(host, port, timeout=TIMEOUT_S)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return trust(self._config)


class Influx2:
    """InfluxDB 2.x and 3.x by `influxdb-client`, synchronously: its batching mode drops what it cannot send."""

    def __init__(self, config: InfluxConfig) -> None:
        # Loaded here and not above: it takes a second on a Pi, and a site with InfluxDB 1 does without.
        _untyped()
        self._config = config
        self._bucket, self._org, self._keep_days = config.bucket, config.org, config.keep_days

    @cached_property
    def _client(self) -> Any:
        """Follows no redirect: the page at its end would answer for a write that nobody did."""
        config = self._config
        return _untyped().InfluxDBClient(
            config.url,
            token=config.token,
            org=config.org,
            timeout=int(TIMEOUT_S * 1000),
            ssl_context=trust(config) if config.url.startswith("https:") else None,
            retries=False,
        )

    def set_up(self) -> None:
        """Both buckets, their names for InfluxQL, and the task that fills the copy."""
        copy = f"{self._bucket}_{COPY}"
        try:
            with _meant():
                self._mapped(self._has_bucket(self._bucket, self._keep_days), RAW)
                self._mapped(self._has_bucket(copy, 0), COPY)
                self._scheduled(task(self._bucket, copy))
        except (IndexError, ValueError, AttributeError, TypeError) as error:
            # What answers is not InfluxDB 2: InfluxDB 3 and others only take its writes.
            raise Forbidden(f"no InfluxDB 2 answers: {error}") from None
        self._post(copy, resolution_lines())

    def copy(self, since_ns: int, until_ns: int) -> None:
        begin, end = (f"time(v: {time_ns})" for time_ns in (since_ns, until_ns))
        script = flux(self._bucket, f"{self._bucket}_{COPY}", begin, end)
        with _meant():
            # What is written is also the answer, which nobody needs.
            self._client.query_api().query(script + "    |> filter(fn: (r) => false)\n", org=self._org)

    def _scheduled(self, script: str) -> None:
        """The task, as this version says it."""
        tasks = self._client.tasks_api()
        if found := tasks.find_tasks(name=TASK):
            if found[0].flux != script:
                tasks.update_task_request(found[0].id, _untyped().TaskUpdateRequest(flux=script))
            return
        organisation = self._client.organizations_api().find_organizations(org=self._org)[0]
        tasks.create_task(_untyped().TaskCreateRequest(flux=script, org_id=organisation.id, status="active"))

    def _has_bucket(self, name: str, keep_days: int) -> Any:
        buckets = self._client.buckets_api()
        kept_s, shard_s = keep_days * 86_400, min(keep_days, 7) * 86_400
        rule = _untyped().BucketRetentionRules(
            type="expire", every_seconds=kept_s, shard_group_duration_seconds=shard_s or None
        )
        rules = [rule] if keep_days else []
        found = buckets.find_bucket_by_name(name)
        if found is not None:
            if sum(rule.every_seconds for rule in found.retention_rules or ()) != kept_s:
                found.retention_rules = rules
                buckets.update_bucket(found)
            return found
        return buckets.create_bucket(bucket_name=name, org=self._org, retention_rules=rules)

    def _mapped(self, bucket: Any, retention_policy: str) -> None:
        """Give a bucket the names by which InfluxQL asks for it. A virtual mapping, which a bucket has by itself, does
        not count: the first that is made becomes the database's default, whatever it says."""
        service = _untyped().DBRPsService(self._client.api_client)
        known = service.get_dbr_ps(org=self._org, bucket_id=bucket.id, rp=retention_policy).content or ()
        if any(not one.virtual for one in known):
            return
        service.post_dbrp(
            dbrp_create=_untyped().DBRPCreate(
                org=self._org,
                bucket_id=bucket.id,
                database=self._bucket,
                retention_policy=retention_policy,
                default=retention_policy == RAW,
            )
        )

    def write(self, lines: list[str]) -> None:
        self._post(self._bucket, lines)

    def probe(self) -> None:
        try:
            self._post(self._bucket, [])
        except BadLines as error:
            # It wants points: so it let us in. Its refusals are JSON with a code.
            if '"code"' not in str(error):
                raise Forbidden(f"not as InfluxDB 2 answers: {error}") from None

    def _post(self, bucket: str, lines: list[str]) -> None:
        """By the client's inner service, which tells the status: `write_api` is content with any 2xx."""
        service = _untyped().WriteService(self._client.api_client)
        try:
            with _meant():
                _, status, _ = service.post_write_with_http_info(
                    self._org,
                    bucket,
                    "\n".join(lines).encode(),
                    precision="ns",
                    content_type="text/plain; charset=utf-8",
                )
        except UnicodeDecodeError as error:
            raise Forbidden(f"no InfluxDB 2 answers: {error}") from None
        judge(status, "")


@contextmanager
def _meant() -> Iterator[None]:
    """What the client raises within, as what it means."""
    from influxdb_client.rest import ApiException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        yield
    except ApiException as error:
        words = str(error.body or error.reason or "")
        if not error.status and "CERTIFICATE_VERIFY_FAILED" in words:
            # Without a status it is of TLS.
            raise Untrusted(f"its certificate: {words.splitlines()[-1][:REASON_CHARACTERS_MAX]}") from None
        raise meaning(error.status or 503, words) or Forbidden(words) from None
    except (HTTPError, OSError) as error:
        raise Unavailable(str(error)) from None


def _untyped() -> Any:
    """The client's generated half, which has no types."""
    return importlib.import_module("influxdb_client")
