"""A stand-in for Grafana's annotations and Live API, because Grafana has no package here.

It answers as https://grafana.com/docs/grafana/latest/developers/http_api/annotations/ says, and can be made to fail:
`mode` is ok, unauthorised, forbidden, limited, broken, hangs or old.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ANSWERS = {
    "unauthorised": (401, {"message": "Unauthorized"}),
    "forbidden": (403, {"message": "You'll need additional permissions to perform this action"}),
    "limited": (429, {"message": "Too many requests"}),
    "broken": (500, {"message": "Internal server error"}),
    "old": (404, {"message": "Not found"}),
}
HANGS_S = 30.0


class GrafanaDouble:
    """`start` and `stop` keep the annotations, as a restart of Grafana would."""

    def __init__(self, token: str) -> None:
        self.token, self.mode = token, "ok"
        self.annotations: dict[int, dict[str, Any]] = {}
        self.pushed: list[str] = []
        self.requests = 0
        self.refused_texts: set[str] = set()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._stopped.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._stopped.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def tagged(self, tag: str) -> list[dict[str, Any]]:
        return [one for one in self.annotations.values() if tag in one["tags"]]

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        self.requests += 1
        if self.mode == "hangs":
            self._stopped.wait(HANGS_S)
        if self.mode in ANSWERS:
            return ANSWERS[self.mode]
        if headers.get("Authorization") != f"Bearer {self.token}":
            return ANSWERS["unauthorised"]
        parts = urlsplit(target)
        if parts.path.startswith("/api/live/push/"):
            self.pushed.append(body.decode())
            return 200, {}
        if parts.path == "/api/annotations" and method == "GET":
            return 200, self._found(parse_qs(parts.query))
        if parts.path == "/api/annotations" and method == "POST":
            return self._added(json.loads(body))
        if parts.path.startswith("/api/annotations/") and method == "PATCH":
            return self._patched(int(parts.path.rsplit("/", 1)[1]), json.loads(body))
        return ANSWERS["old"]

    def _found(self, asked: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Those with every tag, or with `matchAny` with one of them, that touch the range; the newest first."""
        wanted = set(asked.get("tags", []))
        enough = len(wanted) if asked.get("matchAny", ["false"])[0] != "true" else min(1, len(wanted))
        begin_ms, end_ms = (int(asked.get(name, [text])[0]) for name, text in (("from", "0"), ("to", "9" * 15)))
        found = [
            one
            for one in self.annotations.values()
            if len(wanted & set(one["tags"])) >= enough and one["time"] <= end_ms and one["timeEnd"] >= begin_ms
        ]
        return sorted(found, key=lambda one: (-one["timeEnd"], -one["time"]))[: int(asked.get("limit", ["100"])[0])]

    def _added(self, given: dict[str, Any]) -> tuple[int, Any]:
        if not given.get("text") or given["text"] in self.refused_texts:
            return 400, {"message": "Failed to save annotation"}
        number = len(self.annotations) + 1
        # A point is a region without length.
        end_ms = given.get("timeEnd") or given["time"]
        self.annotations[number] = {
            "id": number, "time": given["time"], "timeEnd": end_ms, "tags": given["tags"], "text": given["text"],
        }  # fmt: skip
        return 200, {"message": "Annotation added", "id": number}

    def _patched(self, number: int, given: dict[str, Any]) -> tuple[int, Any]:
        if number not in self.annotations:
            return 404, {"message": "Annotation not found"}
        self.annotations[number] |= {name: given[name] for name in ("text", "tags", "time", "timeEnd") if name in given}
        return 200, {"message": "Annotation patched"}


def _handler(double: GrafanaDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = double.answer(self.command, self.path, self.headers, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _do

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    return Handler
