"""What the stack asks of InfluxDB 2 beside rows: set-up, organisations, buckets, mappings, tasks and authorizations, as
its API documents them. A bucket has a virtual mapping until it has one that was made, and the first that is made for a
database becomes its default, as in 2.7. Rows go through to VictoriaMetrics, a real server of the write protocol. There
is no InfluxDB 2 to install here.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from servers import VictoriaMetrics

ORG = {"id": "0a1b2c3d4e5f6a7b", "name": "chairside"}


class Influx2Double:
    """Use as a context manager. Anything but `admin` and the tokens it gave is refused with 401; a `fresh` one waits
    for its set-up and knows no token."""

    def __init__(self, admin: str, rows: VictoriaMetrics | None = None, *, fresh: bool = False) -> None:
        self.admin, self.rows, self.fresh = admin, rows, fresh
        self.given: dict[str, dict[str, Any]] = {}
        self.written = 0
        self.buckets: list[dict[str, Any]] = []
        self.mappings: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.queries: list[str] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, words = double.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(words)))
                self.end_headers()
                self.wfile.write(words)

            do_GET = do_POST = do_PATCH = do_DELETE = _answer

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Influx2Double":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        where, token = urlsplit(path), authorization.removeprefix("Token ")
        if where.path == "/api/v2/setup":
            if method == "POST":
                if not self.fresh:
                    return self._json(422, {"code": "unprocessable entity", "message": "already completed"})
                asked = json.loads(body)
                self.admin, self.fresh = asked["token"], (asked["org"], asked["bucket"]) != ("chairside", "chairside")
            return self._json(200, {"allowed": self.fresh})
        tokens = {self.admin, *(one["token"] for one in self.given.values())}
        if self.fresh or not authorization.startswith("Token ") or token not in tokens:
            return 401, b'{"code":"unauthorized","message":"unauthorized access"}'
        match method, where.path.split("/")[3:]:
            case "GET", ["orgs"]:
                return self._json(200, {"orgs": [ORG] if parse_qs(where.query).get("org") == [ORG["name"]] else []})
            case "GET", ["authorizations"]:
                return self._json(200, {"authorizations": [*self.given.values()]})
            case "POST", ["authorizations"]:
                number = f"{len(self.given) + 1:016x}"
                made = json.loads(body) | {"id": number, "token": f"token-{number}", "status": "active"}
                self.given[number] = made
                return self._json(201, made)
            case "DELETE", ["authorizations", number]:
                del self.given[number]
                return 204, b""
            case "POST", ["query"]:
                self.queries.append(json.loads(body)["query"])
                return 200, b""
            case "POST", ["write"] if self.rows is not None:
                self.written += body.count(b"\n") + 1
                return self.rows.request("POST", path, body)
        given = {} if method == "GET" or not body.startswith(b"{") else json.loads(body)
        found = self._prepared(method, where.path.split("/")[3:], given, parse_qs(where.query))
        if found is not None:
            return self._json(200, found)
        return self._json(404, {"code": "not found", "message": "path not found"})

    def _prepared(self, method: str, parts: list[str], asked: dict[str, Any], query: dict[str, list[str]]) -> Any:
        """Buckets, mappings and tasks: what is answered, None for anything else."""
        match method, parts:
            case "GET", ["buckets"]:
                name = query.get("name")
                return {"buckets": [one for one in self.buckets if name in (None, [one["name"]])]}
            case "POST", ["buckets"]:
                return self.bucket(**asked)
            case "PATCH", ["buckets", number]:
                bucket = next(one for one in self.buckets if one["id"] == number)
                bucket.update(asked)
                return bucket
            case "GET", ["dbrps"]:
                (number,), (policy,) = (query[name] for name in ("bucketID", "rp"))
                found = [one for one in self.mapped() if (one["bucketID"], one["retention_policy"]) == (number, policy)]
                return {"content": found}
            case "POST", ["dbrps"]:
                others = [one for one in self.mappings if one["database"] == asked["database"]]
                if asked.get("default"):
                    for one in others:
                        one["default"] = False
                made = asked | {
                    "id": f"{len(self.mappings) + 1:016x}",
                    "orgID": ORG["id"],
                    "default": asked.get("default") or not others,
                }
                self.mappings.append(made | {"virtual": False})
                return made
            case "GET", ["tasks"]:
                return {"tasks": self.tasks}
            case "POST", ["tasks"]:
                self.tasks.append(asked | {"id": "1", "name": "chairside minutes", "orgID": ORG["id"]})
                return self.tasks[-1]
            case "PATCH", ["tasks", _]:
                self.tasks[0].update(asked)
                return self.tasks[0]
        return None

    def bucket(self, name: str, retentionRules: list[dict[str, Any]] | None = None, **_: object) -> dict[str, Any]:
        """Make one."""
        rules = retentionRules or [{"everySeconds": 0, "type": "expire"}]
        self.buckets.append(
            {"id": f"{len(self.buckets) + 1:016x}", "name": name, "orgID": ORG["id"], "retentionRules": rules}
        )
        return self.buckets[-1]

    def mapped(self) -> list[dict[str, Any]]:
        """Every mapping, with the virtual ones of buckets that have no other."""
        made = {one["bucketID"] for one in self.mappings}
        virtual = [
            {"id": one["id"], "bucketID": one["id"], "orgID": ORG["id"], "database": one["name"], "virtual": True,
             "retention_policy": "autogen", "default": one["name"] not in {m["database"] for m in self.mappings}}
            for one in self.buckets if one["id"] not in made
        ]  # fmt: skip
        return [*self.mappings, *virtual]

    def _json(self, status: int, body: object) -> tuple[int, bytes]:
        return status, json.dumps(body).encode()
