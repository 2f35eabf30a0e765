"""`chairside web`: serves the wall page, its live events, and staff actions.

It sees only MQTT. If it dies, alarms do not notice; the pages say within 3 s that they are no longer live.
"""

import asyncio
import contextlib
import hashlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.clock import monotonic_ms
from gateway.config import MqttConfig
from gateway.log import OncePerMinute
from gateway.web.broker import Arrived, Broker
from gateway.web.deeds import BODY_BYTES_MAX, Busy, Deeds, read
from gateway.web.feed import SCREENS_MAX, Screens
from gateway.web.known import Key, Known
from gateway.wire import Refused

log = structlog.get_logger()
STATIC = Path(__file__).parent / "static"
BEAT_S = 1.0
SEND_S_MAX = 5.0
"""A screen that takes nothing for so long is cut off; it reconnects when it reads again."""
SEND_BUFFER_BYTES = 65536
"""Bounds how much of the past the kernel can hold for a slow screen."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


class CannotServe(Exception):
    """The address cannot be had; the text says which one and what to do."""


def run(
    broker: MqttConfig,
    site: str,
    host: str,
    port: int,
    *,
    chairs: Iterable[str] = (),
    protocols: Iterable[str] = (),
) -> None:
    """Serve until SIGTERM or SIGINT. Raises `CannotServe` before anything is started."""
    listener = listen(host, port)
    config = uvicorn.Config(
        Wall(broker, site, chairs, protocols).app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # the kernel, too, gives a screen up that reads nothing
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotServe(
            f"Cannot serve the wall page on {host}:{port} ({error.strerror}): "
            "end what uses this port, or choose another with --port."
        ) from None
    return listener


class Wall:
    """The parts and the routes that join them."""

    def __init__(self, broker: MqttConfig, site: str, chairs: Iterable[str], protocols: Iterable[str]) -> None:
        self.known = Known(site, chairs, protocols, _version())
        self.screens = Screens()
        self._refused: Counter[str] = Counter()
        self._once = OncePerMinute()
        self._broker_config = broker
        self._broker: Broker
        self._deeds: Deeds
        routes = [
            Route("/", lambda _: FileResponse(STATIC / "index.html")),
            Route("/events", self._events),
            Route("/do", self._do, methods=["POST"]),
            Route("/do/{chair}", self._do, methods=["POST"]),
            Route("/healthz", self._healthz),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        self.app = _with_headers(Starlette(routes=routes, lifespan=self._lifespan))

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        self._broker = Broker(self._broker_config, self.known.site, loop, self._arrived, self._connected)
        self._deeds = Deeds(self.known.site, self._broker.publish)
        self._broker.start()
        beats = asyncio.create_task(self._beats())
        try:
            yield
        finally:
            beats.cancel()
            await asyncio.to_thread(self._broker.stop)

    def _arrived(self, arrived: Arrived) -> None:
        topic, payload, retained, received_ms = arrived
        try:
            if not topic.endswith("/done"):
                self.screens.tell(self.known.message(topic, payload, retained, received_ms))
            elif not retained:
                self._deeds.done(payload)
        except Refused as refused:
            self._refused[refused.kind] += 1
            kept_back = self._once.say(refused.kind, received_ms)
            if kept_back is not None:
                log.warning("refused", topic=topic, reason=str(refused), more=kept_back)

    def _connected(self, up: bool) -> None:
        self.known.broker_connected = up
        self.screens.tell([Key("beat")])

    async def _beats(self) -> None:
        while True:
            self.screens.tell([Key("beat")])
            await asyncio.sleep(BEAT_S)

    async def _events(self, _request: Request) -> Response:
        if len(self.screens) >= SCREENS_MAX:
            return _sentence(503, f"{SCREENS_MAX} screens listen already.")
        return _Events(self)

    async def stream(self) -> AsyncIterator[ServerSentEvent]:
        """What one screen is told: everything known, then what changes."""
        feed = self.screens.add(self.known.snapshot())
        try:
            yield ServerSentEvent(comment="chairside", retry=1000)
            while True:
                key = await feed.next()
                yield ServerSentEvent(self.known.render(key, monotonic_ms()), event=key.kind)
        finally:
            self.screens.remove(feed)

    async def _do(self, request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return _sentence(415, "An action is sent as application/json.")
        if request.headers.get("origin") != f"{request.url.scheme}://{request.headers.get('host')}":
            return _sentence(403, "An action is taken only from this page itself.")
        chair = request.path_params.get("chair")
        if chair is not None and chair not in self.known.chairs:
            return _sentence(404, f"There is no chair {chair!r}.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                return _sentence(400, f"An action has at most {BODY_BYTES_MAX} bytes.")
        try:
            done = await self._deeds.perform(chair, read(body))
        except Refused as refused:
            return _sentence(400, str(refused))
        except Busy:
            return _sentence(503, "Too many actions wait for the gateway: try again when it answers.")
        if done is None:
            return _sentence(504, "The gateway did not answer. Look at the chair before you try again.")
        return _json(200, {"ok": done.ok, "reason": done.reason, "session": done.session})

    async def _healthz(self, _request: Request) -> Response:
        gateway = self.known.gateway
        body: dict[str, object] = {
            "broker_connected": self.known.broker_connected,
            "gateway_age_ms": None if gateway is None or gateway.retained else monotonic_ms() - gateway.received_ms,
            "chairs": len(self.known.chairs),
            "screens": len(self.screens),
            "screens_dropped": self.screens.dropped,
            "inbox_dropped": self._broker.dropped,
            "refused": dict(self._refused),
        }
        return _json(200 if self.known.broker_connected else 503, body)


class _Events(EventSourceResponse):
    def __init__(self, wall: Wall) -> None:
        super().__init__(wall.stream(), ping=3600, send_timeout=SEND_S_MAX)
        self._wall = wall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            self._wall.screens.dropped += 1


def _with_headers(app: ASGIApp) -> ASGIApp:
    """No middleware of Starlette's: those that see responses hold up streams."""
    extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_extra(message: Any) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                cache = [] if b"cache-control" in names else [(b"cache-control", b"no-cache")]
                message["headers"] = [*message["headers"], *extra, *cache]
            await send(message)

        await app(scope, receive, with_extra)

    return wrapped


def _version() -> str:
    """Changes with the page's files: a screen that runs for months reloads itself when they do."""
    files = sorted(path for path in STATIC.iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _json(status: int, body: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def _sentence(status: int, sentence: str) -> Response:
    return _json(status, {"error": sentence})
