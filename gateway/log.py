"""The log: lines for a person on a terminal, JSON for a service. No patient data ever reaches it."""

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog

REPEAT_MS = 60_000


def start_log() -> None:
    """Set up structlog once for the process, on stderr."""
    render: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Lossy())),
        cache_logger_on_first_use=True,
    )


class _Lossy:
    """stderr, which may be a file on a full disk or a pipe that nobody reads: a line is lost, not the thread."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


class OncePerMinute:
    """Lets one line of each kind through in a minute and counts the others, so that a flood cannot fill a
    disk."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, int]] = {}

    def say(self, kind: str, now_ms: int) -> int | None:
        """How many of this kind were kept back since the last line, or None: keep this one back as well."""
        said_ms, kept_back = self._said.get(kind, (now_ms - REPEAT_MS, 0))
        if now_ms - said_ms < REPEAT_MS:
            self._said[kind] = (said_ms, kept_back + 1)
            return None
        self._said[kind] = (now_ms, 0)
        return kept_back
