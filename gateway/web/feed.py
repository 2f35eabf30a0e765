"""One screen's unsent news.

A screen is told the newest of each thing, so at most one entry waits for each key and a slow screen costs no
more than the number of chairs. What an entry says is made when it is sent: nothing grows old in here.
"""

import asyncio
from collections.abc import Iterable

from gateway.web.known import Key

SCREENS_MAX = 64


class Feed:
    def __init__(self, keys: Iterable[Key]) -> None:
        self._waiting = dict.fromkeys(keys)
        self._some = asyncio.Event()
        self._some.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, keys: Iterable[Key]) -> None:
        self._waiting.update(dict.fromkeys(keys))
        self._some.set()

    async def next(self) -> Key:
        """The key that waits longest."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        return key


class Screens:
    """Every screen that listens now."""

    def __init__(self) -> None:
        self._feeds: set[Feed] = set()
        self.dropped = 0
        """Screens that were cut off because they did not read; they reconnect by themselves."""

    def __len__(self) -> int:
        return len(self._feeds)

    def tell(self, keys: list[Key]) -> None:
        for feed in self._feeds:
            feed.put(keys)

    def add(self, keys: Iterable[Key]) -> Feed:
        feed = Feed(keys)
        self._feeds.add(feed)
        return feed

    def remove(self, feed: Feed) -> None:
        self._feeds.discard(feed)
