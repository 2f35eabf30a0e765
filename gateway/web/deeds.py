"""Staff actions from a screen: sent as `do`, repeated each second until `done`, answered within bounds."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gateway.wire import Action, Do, Done, EntryId, Name, Refused, chair_topic, decode, encode, gateway_topic

TRIES_MAX = 10
REPEAT_S = 1.0
WAITING_MAX = 32
BODY_BYTES_MAX = 4096


class Asked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a screen posts. `session` is the one that it showed: an action meant for another is refused. `id` is the
    screen's own: a post that broke off is posted again, and done once."""

    id: EntryId
    who: Annotated[str, Meta(min_length=1, max_length=32, pattern=r"\S")]
    session: Name
    action: Action


class Deeds:
    """Actions that wait for their `done`."""

    def __init__(self, site: str, publish: Callable[[str, bytes], None]) -> None:
        self._site, self._publish = site, publish
        self._waiting: dict[str, asyncio.Future[Done]] = {}

    async def perform(self, chair: str | None, asked: Asked) -> Done | None:
        """The gateway's answer, for a chair or for the whole site; None without one after `TRIES_MAX` tries. Raises
        `Busy`."""
        if asked.id in self._waiting:  # posted again: the first post is still under way
            return await self._repeat(self._waiting[asked.id], lambda: None)
        if len(self._waiting) >= WAITING_MAX:
            raise Busy
        do = Do(id=asked.id, session=asked.session, who=asked.who.strip(), action=asked.action)
        topic = gateway_topic(self._site, "do") if chair is None else chair_topic(self._site, chair, "do")
        answer = self._waiting[do.id] = asyncio.get_running_loop().create_future()
        try:
            return await self._repeat(answer, lambda: self._publish(topic, encode(do)))
        finally:
            del self._waiting[do.id]

    async def _repeat(self, answer: "asyncio.Future[Done]", say: Callable[[], None]) -> Done | None:
        for _ in range(TRIES_MAX):
            say()
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(answer), REPEAT_S)
        return None

    def done(self, payload: bytes) -> None:
        """A `done` came; one that answers another screen, or nobody, is ignored. Raises `Refused`."""
        done = decode(payload, Done)
        answer = self._waiting.get(done.id)
        if answer is not None and not answer.done():
            answer.set_result(done)


class Busy(Exception):
    """So many actions wait for the gateway that another would not help."""


def read(body: bytes) -> Asked:
    """Raises `Refused` with a sentence that a person can act on."""
    try:
        return msgspec.json.decode(body, type=Asked)
    except msgspec.DecodeError as error:  # a ValidationError is one too
        raise Refused("invalid", str(error)) from None
