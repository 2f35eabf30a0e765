"""Alarms of the whole site: one cause for many chairs, and what the gateway itself suffers from.

Six sounds for one dead access point teach people to ignore sounds. Chairs that fall silent together become one alarm:

    silence of bay-1 ──┐
    silence of bay-2 ──┼──▶  at least `silent_chairs` within `silent_within_s`, and at least `silent_share_pct` of those
    silence of bay-3 ──┘     with a session: the group sounds for all its members, as urgent as the gravest of them

Each member's own alarm stands on its tile and in the record, and only its sound is carried. A chair that falls silent
later, or once the group was acknowledged or paused, is no member and sounds by itself; so does every member that is
still silent when the group ends. The engine of alarms is that of the chairs.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import UNSET, Meta, Struct
from msgspec.structs import replace

from gateway import wire
from gateway.core import alarms, measures, signal
from gateway.core.alarms import Alarm, Change
from gateway.core.chair_state import DONE_MAX, ChairState
from gateway.core.outputs import Health
from gateway.core.protocol import RANK, AlarmLevel, Rule, Tier
from gateway.core.tiers import Sample

SILENCE = "silence"
"""The rule of a chair whose sound a group may carry."""
GROUP = "many_silent"
STRAGGLERS = 2
"""The group holds while so many of its members are silent; the last one is an alarm of its own."""
LEVELS: tuple[AlarmLevel, ...] = ("low", "medium", "high")
JOURNAL: dict[wire.JournalWord, tuple[int, str]] = {
    "ok": (0, "The journal is written again"),
    "slow": (1, "The disk of the journal is slow"),
    "full": (2, "The disk is full: nothing is recorded"),
    "failed": (2, "The journal cannot be written: nothing is recorded"),
    "set_aside": (1, "The journal was damaged; it was set aside and a new one begun"),
    "altered": (1, "The audit trail of the journal was altered"),
}
"""What the journal says of itself: the rank of its alarm, and the reason. While it cannot be written, boards and staff
wait for their answers."""
Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class SiteLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of these alarms; `[site_alarms]` of the configuration changes them."""

    silent_chairs: Annotated[int, Meta(ge=2, le=1_000)] = 3
    silent_share_pct: Annotated[float, Meta(ge=1, le=100)] = 50
    silent_within_s: Annotated[float, Meta(ge=1, le=120)] = 15
    silent_clear_s: Annotated[float, Meta(ge=0, le=10)] = 5
    """How long the group waits for its last members, whose boards come back one after the other."""
    journal_s: Seconds = 10
    sink_s: Seconds = 600
    clock_s: Seconds = 600
    audio_pause_s: Annotated[float, Meta(gt=0, le=300)] = 120


USUAL = SiteLimits()


class Silent(Struct, frozen=True, kw_only=True):
    """A chair whose own alarm of silence is present."""

    level: wire.Level
    since_mono_ms: int
    """When it was last heard."""
    alarm: str


class SiteState(Struct, frozen=True, kw_only=True):
    alarms: dict[str, Alarm] = {}
    since_mono_ms: dict[str, int] = {}
    """The members of the group, and when each was last heard."""
    done: tuple[wire.Done, ...] = ()


class Carried(Struct, frozen=True, kw_only=True):
    """The group as its members are told of it."""

    alarm: str
    level: wire.Level
    sounding: bool
    members: frozenset[str]


def rules(limits: SiteLimits, state: SiteState, health: Health) -> list[Rule]:
    """Every rule of a site, with the words of this moment."""
    count = len(state.since_mono_ms)
    chairs = "1 chair" if count == 1 else f"{count} chairs"
    return [
        _rule(GROUP, f"No data from {chairs}: network or access point?", 3, clear_s=limits.silent_clear_s),
        _rule("journal", JOURNAL[health.journal][1], 2, delay_s=limits.journal_s),
        _rule("sink", "InfluxDB has taken nothing for long", 1, delay_s=limits.sink_s),
        _rule("clock", "No time service keeps the gateway's clock", 1, delay_s=limits.clock_s),
        _rule("unread", "A chair was forgotten at the restart: look at every patient, begin their sessions anew", 3),
    ]


def silent(chairs: Mapping[str, ChairState], members: Mapping[str, int], now_ms: int) -> dict[str, Silent]:
    """`members` are those whose last reading is known already."""
    found: dict[str, Silent] = {}
    for name, state in chairs.items():
        alarm = state.alarms.get(SILENCE)
        if state.session is None or alarm is None or not alarm.present or alarm.suppressed_by:
            continue
        since_ms = members.get(name)
        if since_ms is None:
            since_ms = now_ms - round(measures.from_time(state, now_ms)["vitals_age_s"] * 1000)
        found[name] = Silent(level=alarm.level, since_mono_ms=since_ms, alarm=alarm.id)
    return found


def step(
    limits: SiteLimits, state: SiteState, chairs: Mapping[str, ChairState], health: Health, run: str, now_ms: int
) -> tuple[SiteState, list[Change]]:
    """What is true of the site by now. `run` names alarms that no record began."""
    quiet = silent(chairs, state.since_mono_ms, now_ms)
    sessions = sum(one.session is not None for one in chairs.values())
    state = replace(state, since_mono_ms=_members(limits, state, quiet, sessions))
    members = [quiet[name] for name in state.since_mono_ms]
    rank = max((RANK[one.level] for one in members), default=0)
    first = min(members, key=lambda one: one.since_mono_ms, default=None)
    values = {
        GROUP: (rank if len(members) >= STRAGGLERS else 0, first.alarm if first else ""),
        "journal": (JOURNAL[health.journal][0], f"{run}-{now_ms}"),
        "sink": (int(health.sink in ("down", "refused")), f"{run}-{now_ms}"),
        "clock": (int(not health.utc_trusted), f"{run}-{now_ms}"),
        # For as long as this run lasts: only people can find out what was lost.
        "unread": (3 if health.unread else 0, run),
    }
    after: dict[str, Alarm] = {}
    changes: list[Change] = []
    for rule in rules(limits, state, health):
        before = state.alarms.get(rule.id, Alarm())
        value, origin = values[rule.id]
        if rule.id == GROUP and before.present and not members:
            after[rule.id], changed = alarms.end(rule, before, "every chair is heard again", now_ms)
        else:
            sample = Sample(value=value, at_mono_ms=now_ms, origin=origin)
            after[rule.id], changed = alarms.judge(rule, before, sample, now_ms, f"site-{rule.id}")
        changes += changed
    return replace(state, alarms=after), changes


def act(
    limits: SiteLimits, state: SiteState, health: Health, do: wire.Do, why_not: str, now_ms: int
) -> tuple[SiteState, list[Change], wire.Done]:
    """What people do about the site's alarms: acknowledge and pause, once for each id. `why_not` says that this person
    may not."""
    answered = next((done for done in state.done if done.id == do.id), None)
    if answered is not None:
        return state, [], answered
    after = dict(state.alarms)
    changes: list[Change] = []
    why = why_not or "nothing is left to acknowledge"
    for rule in rules(limits, state, health) if not why_not else []:
        alarm = after.get(rule.id, Alarm())
        changed: list[Change] = []
        if isinstance(do.action, wire.Acknowledge):
            shown = do.action.upto is UNSET or RANK[alarm.level] <= RANK[do.action.upto]
            if shown and (not do.action.alarms or alarm.id in do.action.alarms):
                alarm, changed = alarms.acknowledge(rule, alarm, do.who, now_ms)
        elif isinstance(do.action, wire.PauseAudio):
            until_ms = now_ms + round(limits.audio_pause_s * 1000)
            alarm, changed = alarms.pause(rule, alarm, do.who, until_ms, now_ms)
            why = "nothing sounds"
        else:
            why = "the site as a whole takes only acknowledgements and pauses: choose a chair"
        after[rule.id] = alarm
        changes += changed
    done = wire.Done(id=do.id, ok=bool(changes), reason="" if changes else why)
    return replace(state, alarms=after, done=(*state.done, done)[-DONE_MAX:]), changes, done


def carried(state: SiteState) -> Carried | None:
    """The group that carries its members' sound; None while there is none."""
    group = state.alarms.get(GROUP)
    if group is None or not group.present:
        return None
    return Carried(alarm=group.id, level=group.level, sounding=group.sounding, members=frozenset(state.since_mono_ms))


def to_screen(message: wire.State, now: ChairState, group: Carried | None, now_ms: int) -> wire.State:
    """A member's state: its silence stands there as ever, and says who sounds for it."""
    if group is None or message.chair not in group.members:
        return message
    views = [replace(view, carried_by=group.alarm) if view.rule == SILENCE else view for view in message.alarms]
    return replace(message, alarms=views, sound=_sounds_besides(now, now_ms))


def to_board(
    message: wire.Annunciate, chair: str, now: ChairState, group: Carried | None, now_ms: int
) -> wire.Annunciate:
    """A member's board follows the group, and its chair's other alarms."""
    if group is None or chair not in group.members:
        return message
    level = max(message.level, group.level, key=RANK.__getitem__)
    return replace(message, level=level, sound=group.sounding or _sounds_besides(now, now_ms))


def _sounds_besides(now: ChairState, now_ms: int) -> bool:
    """The group carries the sound of a silence, not the reminder that somebody switched it off."""
    silence = now.alarms.get(SILENCE)
    if silence is not None and signal.reminds(silence, now_ms):
        return True
    others = {rule: alarm for rule, alarm in now.alarms.items() if rule != SILENCE}
    return signal.sounding(replace(now, alarms=others), now_ms)


def _members(limits: SiteLimits, state: SiteState, quiet: Mapping[str, Silent], sessions: int) -> dict[str, int]:
    within_ms = limits.silent_within_s * 1000
    group = state.alarms.get(GROUP, Alarm())
    if group.present:
        members = {name: ms for name, ms in state.since_mono_ms.items() if name in quiet}
        if not group.sounding or not members:
            return members
        first_ms = min(members.values())
        joined = {name: one.since_mono_ms for name, one in quiet.items() if name not in members}
        return members | {name: ms for name, ms in joined.items() if abs(ms - first_ms) <= within_ms}
    newest_ms = max((one.since_mono_ms for one in quiet.values()), default=0)
    together = {n: one.since_mono_ms for n, one in quiet.items() if newest_ms - one.since_mono_ms <= within_ms}
    many = len(together) >= limits.silent_chairs and len(together) * 100 >= limits.silent_share_pct * sessions
    return together if many else {}


def _rule(rule_id: str, reason: str, rank_max: int, *, delay_s: float = 0, clear_s: float = 0) -> Rule:
    """The value is the rank of the level."""
    tiers = tuple(
        Tier(level=level, reaches=rank, delay_s=delay_s) for rank, level in enumerate(LEVELS[:rank_max], start=1)
    )
    # No measure of a chair: the sample comes from here, and it is a switch, shown without a number.
    return Rule(id=rule_id, measure="board_fault", kind="technical", reason=reason, tiers=tiers, clear_s=clear_s)
