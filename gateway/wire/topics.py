"""The names of the topics."""

from gateway.wire.base import Message
from gateway.wire.board import Cuff, Event, Reply, Status, Vitals, Waveform

ROOT = "chairside/v1"
BOARD_TOPICS: dict[str, type[Message]] = {
    "status": Status,
    "vitals": Vitals,
    "cuff": Cuff,
    "event": Event,
    "reply": Reply,
    "waveform": Waveform,
}


def device_topic(device: str, leaf: str) -> str:
    return f"{ROOT}/dev/{device}/{leaf}"


def chair_topic(site: str, chair: str, leaf: str) -> str:
    return f"{ROOT}/site/{site}/chair/{chair}/{leaf}"


def gateway_topic(site: str, leaf: str = "") -> str:
    """The gateway's own topic, or one below it."""
    return f"{ROOT}/site/{site}/gateway{f'/{leaf}' if leaf else ''}"
