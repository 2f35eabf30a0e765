"""What people do at a screen, and the answer."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.wire.base import AlarmId, Device, GatewayMessage, Level, Message, Name, Text

EntryId = Annotated[str, Meta(min_length=8, max_length=64)]
"""The id of the action that entered it."""
Systolic = Annotated[float, Meta(ge=50, le=260)]
Diastolic = Annotated[float, Meta(ge=20, le=180)]


class Start(Struct, kw_only=True, tag_field="kind", tag="start"):
    """Begin a session. The baseline is typed, or absent until there is one."""

    protocol: Name
    alias: Annotated[str, Meta(min_length=1, max_length=12)]
    baseline_sys_mmhg: Systolic | UnsetType = UNSET
    baseline_dia_mmhg: Diastolic | UnsetType = UNSET


class Baseline(Struct, kw_only=True, tag_field="kind", tag="baseline"):
    """What rises and readiness are measured against: typed, or without numbers the median of the good cuff readings of
    this session before the first dose, at least two."""

    sys_mmhg: Systolic | UnsetType = UNSET
    dia_mmhg: Diastolic | UnsetType = UNSET


class Dose(Struct, kw_only=True, tag_field="kind", tag="dose"):
    """`first`, a `further` one, or its `end` (infusion stopped, injection given, last spray), now or so long ago."""

    what: Literal["first", "further", "end"]
    minutes_ago: Annotated[float, Meta(ge=0, le=120)] | UnsetType = UNSET


class Observe(Struct, kw_only=True, tag_field="kind", tag="observe"):
    """What staff saw. Every item is optional; an absent one stays unknown."""

    moaas: Annotated[int, Meta(ge=0, le=5)] | UnsetType = UNSET
    cadss: Annotated[int, Meta(ge=0, le=92)] | UnsetType = UNSET
    dissociation: bool | UnsetType = UNSET
    nausea: Annotated[int, Meta(ge=0, le=10)] | UnsetType = UNSET
    pain: Annotated[int, Meta(ge=0, le=10)] | UnsetType = UNSET
    gait: Literal["steady", "help", "unable"] | UnsetType = UNSET
    oriented: bool | UnsetType = UNSET
    escort: bool | UnsetType = UNSET
    activity: Literal[0, 2, 4] | UnsetType = UNSET
    """Limbs that move when asked to."""
    breathing: Literal["deep", "limited", "apnoea"] | UnsetType = UNSET
    oxygen: bool | UnsetType = UNSET
    """Breathes oxygen; no: room air."""
    note: Text | UnsetType = UNSET


Fact = Dose | Baseline | Observe
"""What is entered, can be wrong and be corrected."""


class Correct(Struct, kw_only=True, tag_field="kind", tag="correct"):
    """The entry of that id was wrong: this instead of it, or nothing. A dose without `minutes_ago` keeps its time."""

    entry: EntryId
    instead: Fact | UnsetType = UNSET


class Away(Struct, kw_only=True, tag_field="kind", tag="away"):
    """The patient is off the sensors for so long at most: what says so does not sound, and the cuff waits."""

    minutes: Annotated[float, Meta(ge=1, le=15)]


class Back(Struct, kw_only=True, tag_field="kind", tag="back"):
    pass


class Acknowledge(Struct, kw_only=True, tag_field="kind", tag="acknowledge"):
    """Acknowledge the alarms named, and what is listed of the outage; naming neither means all there is now."""

    alarms: Annotated[list[AlarmId], Meta(max_length=32)] = []
    outage: bool = False
    upto: Level | UnsetType = UNSET
    """The gravest level that the screen showed: one that rose meanwhile is not acknowledged unseen."""


class PauseAudio(Struct, kw_only=True, tag_field="kind", tag="pause_audio"):
    pass


class AudioOff(Struct, kw_only=True, tag_field="kind", tag="audio_off"):
    """No sound of this chair's present alarms until it is switched on again; a reminder comes meanwhile."""

    on: bool
    """True: the sound is off."""


class Measure(Struct, kw_only=True, tag_field="kind", tag="measure"):
    pass


class Defer(Struct, kw_only=True, tag_field="kind", tag="defer"):
    """Not the next automatic measurement before so many minutes."""

    minutes: Annotated[float, Meta(ge=1, le=15)]


class SignOff(Struct, kw_only=True, tag_field="kind", tag="sign_off"):
    pass


class Discharge(Struct, kw_only=True, tag_field="kind", tag="discharge"):
    pass


class Abort(Struct, kw_only=True, tag_field="kind", tag="abort"):
    reason: Text


class Move(Struct, kw_only=True, tag_field="kind", tag="move"):
    """The patient goes to another, free chair; the session goes along."""

    to: Name


class Swap(Struct, kw_only=True, tag_field="kind", tag="swap"):
    """Another board for this chair."""

    device: Device


Action = (
    Start
    | Baseline
    | Dose
    | Observe
    | Correct
    | Away
    | Back
    | Acknowledge
    | PauseAudio
    | AudioOff
    | Measure
    | Defer
    | SignOff
    | Discharge
    | Abort
    | Move
    | Swap
)


class Do(Message, kw_only=True):
    """A staff action. Idempotent by `id`; the screen repeats it until `done`. `session` may be empty for a start."""

    id: EntryId
    session: Name
    who: Annotated[str, Meta(min_length=1, max_length=32)]
    action: Action


class Done(GatewayMessage, kw_only=True):
    id: Name
    ok: bool
    session: Name = ""
    reason: Text = ""
