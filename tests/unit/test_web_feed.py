"""A screen's unsent news, and actions that wait: bounded, newest first told, never lost in silence."""

import asyncio

import pytest
from msgspec.structs import replace

from gateway.web import deeds
from gateway.web.deeds import Asked, Busy, Deeds, read
from gateway.web.feed import Feed, Screens
from gateway.web.known import Key
from gateway.wire import Do, Done, Measure, Refused, decode, encode, gateway_topic

BAY_1, BAY_2, BEAT = Key("chair", "bay-1"), Key("chair", "bay-2"), Key("beat")
MEASURE = Asked(id="screen-1-0001", who="MK", session="s1", action=Measure())


def test_a_feed_holds_each_thing_once_in_order() -> None:
    """However often a chair changes, one entry waits for it, in the place where it first stood."""

    async def story() -> list[Key]:
        feed = Feed([BAY_1])
        for _ in range(1000):
            feed.put([BEAT, BAY_1, BAY_2])
        assert len(feed) == 3
        return [await feed.next() for _ in range(3)]

    assert asyncio.run(story()) == [BAY_1, BEAT, BAY_2]


def test_a_feed_waits_for_news() -> None:
    """An empty feed hands out what comes later."""

    async def story() -> Key:
        screens = Screens()
        feed = screens.add([])
        waiting = asyncio.create_task(feed.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        screens.tell([BAY_2])
        return await waiting

    assert asyncio.run(story()) == BAY_2


def test_an_action_is_repeated_until_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same message goes out until the answer with its id comes; an answer to another one changes nothing."""
    monkeypatch.setattr(deeds, "REPEAT_S", 0.01)
    sent: list[bytes] = []

    async def story() -> Done | None:
        waiting = Deeds("north", lambda _topic, payload: sent.append(payload))
        performing = asyncio.create_task(waiting.perform("bay-1", MEASURE))
        while len(sent) < 3:
            await asyncio.sleep(0.001)
        waiting.done(encode(Done(id="somebody-else", ok=False)))
        waiting.done(encode(Done(id=decode(sent[0], Do).id, ok=True)))
        return await performing

    done = asyncio.run(story())
    assert done is not None
    assert done.ok
    assert len(set(sent)) == 1


def test_without_an_answer_an_action_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last try there is no answer, and nothing waits any more."""
    monkeypatch.setattr(deeds, "REPEAT_S", 0.001)
    sent: list[bytes] = []

    async def story() -> None:
        waiting = Deeds("north", lambda _topic, payload: sent.append(payload))
        assert await waiting.perform("bay-1", MEASURE) is None
        waiting.done(encode(Done(id=decode(sent[0], Do).id, ok=True)))

    asyncio.run(story())
    assert len(sent) == deeds.TRIES_MAX


def test_waiting_actions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than `WAITING_MAX` is told at once that it would not help."""
    monkeypatch.setattr(deeds, "WAITING_MAX", 2)

    async def story() -> None:
        waiting = Deeds("north", lambda _topic, _payload: None)
        several = [replace(MEASURE, id=f"screen-1-{number:04d}") for number in range(3)]
        tasks = [asyncio.create_task(waiting.perform("bay-1", asked)) for asked in several[:2]]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await waiting.perform("bay-1", several[2])
        for task in tasks:
            task.cancel()

    asyncio.run(story())


def test_a_post_that_comes_again_is_the_same_action(monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen whose connection broke posts again with its id: the gateway is asked for one action, and both posts get
    its answer. One for the whole site goes to the site's topic."""
    monkeypatch.setattr(deeds, "REPEAT_S", 0.01)
    sent: list[tuple[str, bytes]] = []

    async def story() -> list[Done | None]:
        waiting = Deeds("north", lambda topic, payload: sent.append((topic, payload)))
        posts = [asyncio.create_task(waiting.perform(None, MEASURE)) for _ in range(2)]
        while len(sent) < 3:
            await asyncio.sleep(0.001)
        waiting.done(encode(Done(id=MEASURE.id, ok=True)))
        return await asyncio.gather(*posts)

    assert asyncio.run(story()) == [Done(id=MEASURE.id, ok=True)] * 2
    assert {topic for topic, _ in sent} == {gateway_topic("north", "do")}
    assert {decode(payload, Do).id for _, payload in sent} == {MEASURE.id}


@pytest.mark.parametrize("body", [b"", b"7", b"{}", b'{"who": "MK", "session": "", "action": {}}'])
def test_a_body_that_is_no_action_is_refused(body: bytes) -> None:
    """With a sentence, never with a crash."""
    with pytest.raises(Refused):
        read(body)
