"""What an answer of InfluxDB means to us."""

import re
import ssl

from gateway.config import InfluxConfig

REASON_CHARACTERS_MAX = 200
_DROPPED = re.compile(r' dropped=(\d+)"?}?$')
"""The server's own count ends its words; a line that it repeats in them may hold anything."""


class Unavailable(Exception):
    """No answer, or one that says to come again."""


class BadLines(Exception):
    """The server stored the good lines of the batch and not all were good; or the batch is too large for it."""

    @property
    def dropped(self) -> int:
        """How many lines it says that it dropped; 0 if it does not say."""
        found = _DROPPED.search(str(self))
        return int(found[1]) if found else 0


class Forbidden(Exception):
    """The server will not have us: login, rights, or a database that is not there."""


class Missing(Forbidden):
    """There is no such database or bucket, or no such place on this server."""


class Untrusted(Forbidden):
    """Its certificate is not of an authority that we know, or not of its name; or `ca` is no certificate."""


def meaning(status: int, words: str) -> Exception | None:
    """What 408, 429 and 5xx say passes; all else needs somebody. None: the lines were taken."""
    if status == 204:
        return None
    if status in (400, 413, 422):
        return BadLines(words.strip() or f"{status}")
    words = words.strip()[:REASON_CHARACTERS_MAX]
    if status in (408, 429) or status >= 500:
        return Unavailable(f"{status} {words}")
    return Missing(f"{status} {words}") if status == 404 else Forbidden(f"{status} {words}")


def judge(status: int, words: str) -> None:
    meant = meaning(status, words)
    if meant is not None:
        raise meant


def trust(config: InfluxConfig) -> ssl.SSLContext:
    """Made with the first connection: a file that is missing is no reason not to watch patients. Raises Untrusted."""
    try:
        return ssl.create_default_context(cafile=config.ca or None)
    except OSError as error:
        raise Untrusted(f"{config.ca}: {error}") from None
