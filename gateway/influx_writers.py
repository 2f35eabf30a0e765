"""InfluxDB 1.x, 2.x and 3.x, each as one thing that prepares a database and writes a batch of lines into it."""

import base64
import importlib
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import structlog

from gateway.config import InfluxConfig
from gateway.influx_setup import COPY, RAW, copied, flux, influxql, resolution_lines

TIMEOUT_S = 10.0
REASON_CHARACTERS_MAX = 200

log = structlog.get_logger(part="influx")


class Unavailable(Exception):
    """No answer, or one that says to come again."""


class BadLines(Exception):
    """The server stored the good lines of the batch and not all were good; or the batch is too large for it."""


class Forbidden(Exception):
    """The server will not have us: login, rights, or a database that is not there."""


class Missing(Forbidden):
    """There is no such database or bucket, or no such place on this server."""


class Writer(Protocol):
    """Raises Unavailable, BadLines or Forbidden."""

    def set_up(self) -> None:
        """Make the database and its copy by the minute; what is there already stays."""

    def write(self, lines: list[str]) -> None:
        """One batch, whole or not."""

    def probe(self) -> None:
        """Ask for login, database and rights; nothing is made. Raises Missing too."""


def writer_for(config: InfluxConfig) -> Writer:
    return Influx1(config) if config.version == 1 else Influx2(config)


def _judge(status: int, words: str) -> None:
    """What an answer means to us. 5xx and 429 pass; so does nothing else."""
    words = words.strip()[:REASON_CHARACTERS_MAX]
    if status in (400, 413, 422):
        raise BadLines(words)
    if status == 429 or status >= 500:
        raise Unavailable(f"{status} {words}")
    if status == 404:
        raise Missing(f"{status} {words}")
    if status != 204:
        raise Forbidden(f"{status} {words}")


class Influx1:
    """InfluxDB 1.x: POST /write. A database that is missing is created, which the server allows to be repeated."""

    def __init__(self, config: InfluxConfig) -> None:
        self._url = urlsplit(config.url)
        self._database, self._keep_days = config.database, config.keep_days
        self._headers = {"Content-Type": "text/plain; charset=utf-8"}
        if config.user:
            login = base64.b64encode(f"{config.user}:{config.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"

    def set_up(self) -> None:
        for statement in influxql(self._database, self._keep_days):
            self._query(statement)
        status, words = self._post(self._where(COPY), "\n".join(resolution_lines()).encode())
        _judge(status, words)
        try:
            # Of the whole history: minutes of work, so the server does it after its answer.
            self._query(copied(self._database), asynchronous=True)
        except (Unavailable, Forbidden) as error:
            log.warning("older rows have no copy by the minute", why=str(error))

    def write(self, lines: list[str]) -> None:
        body = "\n".join(lines).encode()
        status, words = self._post(self._where(RAW), body)
        if status == 404:
            self.set_up()
            log.info("database created", database=self._database)
            status, words = self._post(self._where(RAW), body)
        _judge(status, words)

    def probe(self) -> None:
        _judge(*self._post(self._where(RAW), b""))

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

        self._client: Any = InfluxDBClient(
            config.url, token=config.token, org=config.org, timeout=int(TIMEOUT_S * 1000)
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        self._bucket, self._org, self._keep_days = config.bucket, config.org, config.keep_days

    def set_up(self) -> None:
        """Both buckets, their names for InfluxQL, and the task that fills the copy."""
        from influxdb_client.rest import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        copy = f"{self._bucket}_{COPY}"
        try:
            self._mapped(self._has_bucket(self._bucket, self._keep_days), RAW)
            self._mapped(self._has_bucket(copy, 0), COPY)
            tasks = self._client.tasks_api()
            if not tasks.find_tasks(name=f"chairside {COPY}"):
                organisation = self._client.organizations_api().find_organizations(org=self._org)[0]
                script = flux(self._bucket, copy)
                tasks.create_task(_untyped().TaskCreateRequest(flux=script, org_id=organisation.id, status="active"))
            self._api.write(copy, record="\n".join(resolution_lines()))
        except ApiException as error:
            _judge(error.status or 503, str(error.body or error.reason or ""))
            raise Forbidden(str(error)) from None
        except (HTTPError, OSError) as error:
            raise Unavailable(str(error)) from None
        except (IndexError, ValueError, AttributeError, TypeError) as error:
            # What answers is not InfluxDB 2: InfluxDB 3 and others only take its writes.
            raise Forbidden(f"no InfluxDB 2 answers: {error}") from None

    def _has_bucket(self, name: str, keep_days: int) -> Any:
        buckets = self._client.buckets_api()
        found = buckets.find_bucket_by_name(name)
        if found is not None:
            return found
        rules = (
            [_untyped().BucketRetentionRules(type="expire", every_seconds=keep_days * 86_400)] if keep_days else None
        )
        return buckets.create_bucket(bucket_name=name, org=self._org, retention_rules=rules)

    def _mapped(self, bucket: Any, retention_policy: str) -> None:
        """Give a bucket the names by which InfluxQL asks for it."""
        service = _untyped().DBRPsService(self._client.api_client)
        if service.get_dbr_ps(org=self._org, bucket_id=bucket.id, rp=retention_policy).content:
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
        from influxdb_client.domain.write_precision import WritePrecision  # noqa: PLC0415
        from influxdb_client.rest import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            self._api.write(self._bucket, record="\n".join(lines), write_precision=WritePrecision.NS)  # type: ignore[arg-type]
        except ApiException as error:
            _judge(error.status or 503, str(error.body or error.reason or ""))
        except (HTTPError, OSError) as error:
            raise Unavailable(str(error)) from None

    def probe(self) -> None:
        self.write([])


def _untyped() -> Any:
    """The client's generated half, which has no types."""
    return importlib.import_module("influxdb_client")
