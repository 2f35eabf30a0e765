"""What the stack asks of InfluxDB 2 beside rows: organisations, buckets and authorizations, as its API documents them.
Rows go through to VictoriaMetrics, a real server of the write protocol. There is no InfluxDB 2 to install here.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from servers import VictoriaMetrics

ORG = {"id": "0a1b2c3d4e5f6a7b", "name": "chairside"}


class Influx2Double:
    """Use as a context manager. Anything but `admin` and the tokens it gave is refused with 401."""

    def __init__(self, admin: str, rows: VictoriaMetrics | None = None) -> None:
        self.admin, self.rows = admin, rows
        self.given: dict[str, dict[str, Any]] = {}
        self.written = 0
        double = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, words = double.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(words)))
                self.end_headers()
                self.wfile.write(words)

            do_GET = do_POST = do_DELETE = _answer

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
        if not authorization.startswith("Token ") or token not in {
            self.admin,
            *(one["token"] for one in self.given.values()),
        }:
            return 401, b'{"code":"unauthorized","message":"unauthorized access"}'
        match method, where.path.split("/")[3:]:
            case "GET", ["orgs"]:
                return self._json(200, {"orgs": [ORG] if parse_qs(where.query).get("org") == [ORG["name"]] else []})
            case "GET", ["buckets"]:
                return self._json(200, {"buckets": []})
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
            case "POST", ["write"] if self.rows is not None:
                self.written += body.count(b"\n") + 1
                return self.rows.request("POST", path, body)
        return self._json(404, {"code": "not found", "message": "path not found"})

    def _json(self, status: int, body: object) -> tuple[int, bytes]:
        return status, json.dumps(body).encode()
