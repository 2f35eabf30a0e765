"""What every message shares: version, bounds, and the words and ranges of fields."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

VERSION = 1
BOARD_BYTES_MAX = 2048
STATE_BYTES_MAX = 16384

Boot = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", max_length=16)]
Device = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$")]
Name = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=200)]
AlarmId = Annotated[str, Meta(max_length=128)]
"""Session, rule, boot and seq: longer than a name."""
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seq = Annotated[int, Meta(ge=1, le=2**53)]
Pct = Annotated[float, Meta(ge=0, le=100)]
Mmhg = Annotated[float, Meta(ge=0, le=400)]
Bpm = Annotated[float, Meta(ge=0, le=300)]
Version = Literal[1]

Level = Literal["none", "low", "medium", "high"]
Quality = Literal[
    "good", "settling", "no_finger", "low_perfusion", "motion", "saturation", "ambient", "sensor_fault",
    "cuff_hold", "below_range",
]  # fmt: skip
JournalWord = Literal["ok", "slow", "full", "failed", "set_aside", "altered"]
CuffPhase = Literal["idle", "zeroing", "inflating", "deflating", "dumping", "fault"]


class Message(Struct, kw_only=True):
    """What every message has: the contract's version."""

    v: Version = 1


class GatewayMessage(Message, kw_only=True):
    epoch: Count = 0
