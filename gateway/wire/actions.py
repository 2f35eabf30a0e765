"""What people do at a screen, and the answer."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.wire.base import AlarmId, GatewayMessage, Message, Name, Text


class Start(Struct, kw_only=True, tag_field="kind", tag="start"):
    """Begin a session. The baseline is typed, or absent until one is typed."""

    protocol: Name
    alias: Annotated[str, Meta(min_length=1, max_length=12)]
    baseline_sys_mmhg: Annotated[float, Meta(ge=50, le=260)] | UnsetType = UNSET
    baseline_dia_mmhg: Annotated[float, Meta(ge=20, le=180)] | UnsetType = UNSET


class Dose(Struct, kw_only=True, tag_field="kind", tag="dose"):
    """`first`, a `further` one, or its `end` (infusion stopped, injection given, last spray)."""

    what: Literal["first", "further", "end"]


class Observe(Struct, kw_only=True, tag_field="kind", tag="observe"):
    """What staff saw. Every item is optional; an absent one stays unknown."""

    moaas: Annotated[int, Meta(ge=0, le=5)] | UnsetType = UNSET
    dissociation: bool | UnsetType = UNSET
    nausea: Annotated[int, Meta(ge=0, le=10)] | UnsetType = UNSET
    gait_steady: bool | UnsetType = UNSET
    oriented: bool | UnsetType = UNSET
    escort: bool | UnsetType = UNSET


class Acknowledge(Struct, kw_only=True, tag_field="kind", tag="acknowledge"):
    """Acknowledge the alarms named, and what is listed of the outage; naming neither means all there is now."""

    alarms: Annotated[list[AlarmId], Meta(max_length=32)] = []
    outage: bool = False


class PauseAudio(Struct, kw_only=True, tag_field="kind", tag="pause_audio"):
    pass


class Measure(Struct, kw_only=True, tag_field="kind", tag="measure"):
    pass


class SignOff(Struct, kw_only=True, tag_field="kind", tag="sign_off"):
    pass


class Discharge(Struct, kw_only=True, tag_field="kind", tag="discharge"):
    pass


class Abort(Struct, kw_only=True, tag_field="kind", tag="abort"):
    reason: Text


Action = Start | Dose | Observe | Acknowledge | PauseAudio | Measure | SignOff | Discharge | Abort


class Do(Message, kw_only=True):
    """A staff action. Idempotent by `id`; the screen repeats it until `done`. `session` may be empty for a start."""

    id: Annotated[str, Meta(min_length=8, max_length=64)]
    session: Name
    who: Annotated[str, Meta(min_length=1, max_length=32)]
    action: Action


class Done(GatewayMessage, kw_only=True):
    id: Name
    ok: bool
    session: Name = ""
    reason: Text = ""
