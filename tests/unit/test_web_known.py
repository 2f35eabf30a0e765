"""What the web process makes of messages: newest counts, history is marked, bad ones change nothing."""

import json
from typing import Any

import pytest

from gateway.web.known import CHAIRS_MAX, TRANSITIONS_MAX, Key, Known
from gateway.wire import (
    AlarmTransition,
    Heartbeat,
    ReadinessView,
    Refused,
    State,
    chair_topic,
    encode,
    gateway_topic,
)


def known(*chairs: str) -> Known:
    return Known("north", chairs, ["demo"], "1")


def state(chair: str = "bay-1", **changes: Any) -> bytes:
    given = {
        "run": "r", "site": "north", "chair": chair, "device": "cb-1", "online": True, "session": "", "alias": "",
        "phase": "idle", "phase_s": 0.0, "level": "none", "sound": False, "alarms": [],
        "readiness": ReadinessView(state="NO_SESSION", criteria=[]),
    }  # fmt: skip
    return encode(State(**given | changes))


def transition(**changes: Any) -> bytes:
    given = {
        "run": "r", "id": "a", "site": "north", "chair": "bay-1", "device": "cb-1", "session": "s", "rule": "x",
        "from_condition": "pending", "to_condition": "active", "level": "high", "reason": "x", "at_ms": 1,
        "what": "raised",
    }  # fmt: skip
    return encode(AlarmTransition(**given | changes))


def rendered(site: Known, key: Key, now_ms: int) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(site.render(key, now_ms))
    return body


STATE = chair_topic("north", "bay-1", "state")
ALARM = chair_topic("north", "bay-1", "alarm")


def test_an_age_is_this_process_own_time_since_receipt() -> None:
    """Nothing that a sender says about time is in it."""
    site = known()
    assert site.message(STATE, state(), False, 1000) == [Key("chair", "bay-1")]
    body = rendered(site, Key("chair", "bay-1"), 4500)
    assert (body["age_ms"], body["sent_ms"], body["retained"]) == (3500, 4500, False)


def test_a_retained_message_is_history_until_a_live_one_follows() -> None:
    """Also when it comes again after a live one, as on a reconnect."""
    site = known()
    marks = []
    for retained in (True, False, True):
        site.message(STATE, state(), retained, 0)
        marks.append(rendered(site, Key("chair", "bay-1"), 0)["retained"])
    site.message(gateway_topic("north"), encode(Heartbeat(run="r", online=True)), True, 0)
    assert (marks, rendered(site, Key("beat"), 0)["retained"]) == ([True, False, True], True)


def test_a_lower_epoch_is_refused() -> None:
    """A gateway that was replaced cannot speak over its successor, about whatever chair."""
    site = known()
    site.message(STATE, state(epoch=2, alias="new"), False, 0)
    with pytest.raises(Refused, match="epoch"):
        site.message(chair_topic("north", "bay-2", "state"), state("bay-2", epoch=1), False, 0)
    with pytest.raises(Refused, match="epoch"):
        site.message(gateway_topic("north"), encode(Heartbeat(run="r", online=True, epoch=1)), False, 0)
    assert list(site.chairs) == ["bay-1"]
    assert site.gateway is None


def test_a_state_must_stand_on_its_own_topic() -> None:
    """One chair's state can never be shown as another's."""
    site = known()
    with pytest.raises(Refused, match="topic"):
        site.message(STATE, state("bay-2"), False, 0)
    assert site.chairs == {}


def test_a_cleared_topic_takes_the_chair_away_but_not_a_configured_one() -> None:
    """A configured chair goes back to not being heard of, and stays on the wall."""
    site = known("bay-1")
    for chair in ("bay-1", "bay-2"):
        site.message(chair_topic("north", chair, "state"), state(chair), False, 0)
    site.message(STATE, b"", False, 0)
    site.message(chair_topic("north", "bay-2", "state"), b"", False, 0)
    assert site.chairs == {"bay-1": None}
    assert rendered(site, Key("chair", "bay-1"), 0)["state"] is None


def test_chairs_and_transitions_are_bounded() -> None:
    """No sender can make this process grow."""
    site = known()
    for i in range(CHAIRS_MAX):
        site.message(chair_topic("north", f"bay-{i}", "state"), state(f"bay-{i}"), False, 0)
    with pytest.raises(Refused, match="more than"):
        site.message(chair_topic("north", "one-more", "state"), state("one-more"), False, 0)
    for i in range(TRANSITIONS_MAX + 5):
        site.message(ALARM, transition(at_ms=i), False, 0)
    told = rendered(site, Key("lately", "bay-1"), 0)["transitions"]
    assert [entry["at_ms"] for entry in told] == list(range(5, TRANSITIONS_MAX + 5))


def test_a_transition_is_news_only_once() -> None:
    """One that the broker kept, or of a chair that nobody heard of, is refused."""
    site = known("bay-1")
    with pytest.raises(Refused, match="retained"):
        site.message(ALARM, transition(), True, 0)
    with pytest.raises(Refused, match="chair"):
        site.message(chair_topic("north", "bay-2", "alarm"), transition(chair="bay-2"), False, 0)


def test_the_snapshot_begins_with_the_site_and_the_heartbeat() -> None:
    """A screen learns first whether what follows is live."""
    site = known("bay-1", "bay-2")
    site.message(ALARM, transition(), False, 0)
    chairs = [Key("chair", "bay-1"), Key("chair", "bay-2")]
    assert site.snapshot() == [Key("site"), Key("beat"), *chairs, Key("lately", "bay-1")]
