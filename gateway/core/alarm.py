"""What an alarm is: its condition, and apart from it level, acknowledgement, audio, escalation and suppression."""

from typing import Literal

from msgspec import Struct

from gateway.core.protocol import Rule
from gateway.core.tiers import Sample, Tiers
from gateway.wire import Level

Condition = Literal["normal", "pending", "active", "clearing", "latched"]
CONDITIONS: tuple[Condition, ...] = ("normal", "pending", "active", "clearing", "latched")
What = Literal[
    "raised", "level", "clearing", "returned", "latched", "cleared", "acknowledged", "paused", "sounding",
    "audio_off", "audio_on", "suppressed", "unsuppressed", "escalated",
]  # fmt: skip


class Alarm(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    condition: Condition = "normal"
    level: Level = "none"
    peak: Level = "none"
    """The gravest level of this episode; what decides about latching."""
    id: str = ""
    tiers: Tiers = ()
    sample: Sample | None = None
    began_mono_ms: int = 0
    raised_mono_ms: int = 0
    unseen_mono_ms: int = 0
    """Since when it calls for somebody: raised, risen, or signalling again."""
    acknowledged_by: str = ""
    paused_until_mono_ms: int | None = None
    audio_off_by: str = ""
    audio_off_mono_ms: int = 0
    escalated_mono_ms: int | None = None
    suppressed_by: str = ""
    suppressed_until_mono_ms: int | None = None

    @property
    def present(self) -> bool:
        return self.condition in ("active", "clearing")

    @property
    def sounding(self) -> bool:
        return (
            self.present
            and not self.acknowledged_by
            and self.paused_until_mono_ms is None
            and not self.audio_off_by
            and not self.suppressed_by
        )

    @property
    def shown(self) -> bool:
        return self.present or self.condition == "latched"


class Change(Struct, frozen=True, kw_only=True):
    """One transition, for the wire and the record. A level that comes to hold has two delays: from its first reading
    beyond the limit to the condition, and from there to the signal."""

    rule: Rule
    what: What
    before: Alarm
    after: Alarm
    at_mono_ms: int
    who: str = ""
    reason: str = ""
    condition_delay_ms: int | None = None
    signal_delay_ms: int | None = None
