"""What the web process knows of the site: the last message about each chair, and when it came.

Time here is this process's own monotonic clock in ms. An age is what this process measured since it received
a message; a screen adds its own time to it. A message delivered with the retain flag is history until a live
one follows. A `Key` names one thing that a screen shows; `render` gives it as JSON, with its age by then.
"""

from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from gateway.wire import (
    STATE_BYTES_MAX,
    AlarmTransition,
    GatewayMessage,
    Heartbeat,
    M,
    Refused,
    State,
    chair_topic,
    decode,
    gateway_topic,
)

CHAIRS_MAX = 256
TRANSITIONS_MAX = 12
"""Alarm transitions kept for each chair, for its list of what happened lately."""


class Key(NamedTuple):
    kind: Literal["site", "chair", "lately", "beat"]
    chair: str = ""


class Heard(Struct, frozen=True):
    """A message, when it came, and whether it was history already."""

    message: State | Heartbeat
    received_ms: int
    retained: bool


class Known:
    """The site as this process has heard of it. A configured chair is shown from the start."""

    def __init__(self, site: str, chairs: Iterable[str], protocols: Iterable[str], version: str) -> None:
        self.site = site
        self.protocols = list(protocols)
        self.version = version
        self.chairs: dict[str, Heard | None] = dict.fromkeys(chairs)
        self.gateway: Heard | None = None
        self.broker_connected = False
        self._configured = frozenset(self.chairs)
        self._lately: dict[str, deque[AlarmTransition]] = {}
        self._epoch = 0

    def state(self, chair: str) -> State | None:
        heard = self.chairs.get(chair)
        return heard.message if heard and isinstance(heard.message, State) else None

    def message(self, topic: str, payload: bytes, retained: bool, received_ms: int) -> list[Key]:
        """What screens have to be told about this message. Raises `Refused`: a bad one changes nothing."""
        if topic == gateway_topic(self.site):
            heartbeat = self._decode(payload, Heartbeat)
            self.gateway = Heard(heartbeat, received_ms, retained)
            return [Key("beat")]
        chair, leaf = topic.split("/")[-2:]
        if topic != chair_topic(self.site, chair, leaf):
            raise Refused("topic", topic)
        if leaf == "state":
            return self._state(chair, payload, retained, received_ms)
        if retained:  # a transition is news once; kept by the broker it would be told again
            raise Refused("retained", topic)
        transition = self._decode(payload, AlarmTransition)
        if chair not in self.chairs:
            raise Refused("chair", topic)
        self._lately.setdefault(chair, deque(maxlen=TRANSITIONS_MAX)).append(transition)
        return [Key("lately", chair)]

    def snapshot(self) -> list[Key]:
        """All that a new screen has to be told, in this order."""
        chairs = [Key("chair", chair) for chair in self.chairs]
        return [Key("site"), Key("beat"), *chairs, *(Key("lately", chair) for chair in self._lately)]

    def render(self, key: Key, now_ms: int) -> str:
        """The event's data. `sent_ms` lets a screen notice that an event was long under way."""
        body: dict[str, object] = {"sent_ms": now_ms}
        if key.kind == "site":
            body |= {"site": self.site, "chairs": list(self.chairs), "protocols": self.protocols}
            body["version"] = self.version
        elif key.kind == "beat":
            body |= {"broker": self.broker_connected, **_aged("gateway", self.gateway, now_ms)}
        elif key.kind == "chair":
            body |= {"chair": key.chair, **_aged("state", self.chairs.get(key.chair), now_ms)}
        else:
            body |= {"chair": key.chair, "transitions": list(self._lately.get(key.chair, ()))}
        return msgspec.json.encode(body).decode()

    def _state(self, chair: str, payload: bytes, retained: bool, received_ms: int) -> list[Key]:
        if not payload:  # the gateway cleared the topic: the chair was removed or moved
            if chair in self._configured:
                self.chairs[chair] = None
                return [Key("chair", chair)]
            self.chairs.pop(chair, None)
            self._lately.pop(chair, None)
            return [Key("site")]
        state = self._decode(payload, State)
        if (state.site, state.chair) != (self.site, chair):
            raise Refused("topic", f"{state.site} {state.chair} on the topic of {chair}")
        if chair not in self.chairs and len(self.chairs) >= CHAIRS_MAX:
            raise Refused("chair", f"more than {CHAIRS_MAX} chairs")
        self.chairs[chair] = Heard(state, received_ms, retained)
        return [Key("chair", chair)]

    def _decode(self, payload: bytes, kind: type[M]) -> M:
        message = decode(payload, kind, STATE_BYTES_MAX)
        if isinstance(message, GatewayMessage):
            if message.epoch < self._epoch:
                raise Refused("epoch", f"{message.epoch}, {self._epoch} was seen")
            self._epoch = message.epoch
        return message


def _aged(name: str, heard: Heard | None, now_ms: int) -> dict[str, object]:
    if heard is None:
        return {name: None}
    return {name: heard.message, "age_ms": now_ms - heard.received_ms, "retained": heard.retained}
