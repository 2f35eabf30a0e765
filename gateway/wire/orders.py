"""What the gateway tells a board."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.wire.base import Boot, Count, GatewayMessage, Level, Name


class Ack(GatewayMessage, kw_only=True):
    """Every seq from the board's `base` to `upto` is durable, and the ranges in `have` too."""

    boot: Boot
    run: Name
    upto: Count
    have: Annotated[list[tuple[int, int]], Meta(max_length=16)] = []


class FallbackLimits(Struct, kw_only=True):
    """What a board judges by when it is alone."""

    spo2_low_pct: float
    pulse_low_bpm: float
    pulse_high_bpm: float
    sys_low_mmhg: float
    sys_high_mmhg: float


class Annunciate(GatewayMessage, kw_only=True):
    """Lamp and sounder of a board; sent each second with a rising `beat`, by which boards count silence."""

    run: Name
    beat: Count
    level: Level
    sound: bool
    session: Name
    """Empty without a session."""
    cuff_interval_s: Count
    """0: no automatic measurement."""
    cuff_next_s: Count | UnsetType = UNSET
    limits: FallbackLimits | UnsetType = UNSET


class UpdateStep(Struct, kw_only=True):
    """One step of a firmware update; files come in chunks that fit a message."""

    step: Literal["begin", "chunk", "apply", "cancel"]
    file: Name | UnsetType = UNSET
    at: Count | UnsetType = UNSET
    """Offset of the chunk in its file, bytes."""
    data: Annotated[str, Meta(max_length=1500)] | UnsetType = UNSET
    """Base64."""


class Cmd(GatewayMessage, kw_only=True):
    id: Name
    kind: Literal["measure", "abort", "identify", "reboot", "waveform", "update"]
    session: Name
    boot: Boot
    valid_until_up_ms: Count
    update: UpdateStep | UnsetType = UNSET
