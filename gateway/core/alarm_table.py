"""One rule is one condition with levels; this is its table, and the moves that the table names.

Condition, after IEC 60601-1-8 (structure; no clause text was read):

                 beyond a limit            for its delay                 inside, margin kept
    normal ───────────────────▶ pending ─────────────────▶ active ◀──────────────────▶ clearing
      ▲  ▲ ◀─────────────────────┘ inside                      again beyond                │
      │  └─────────────────────────────────────────────────────────────────────────────────┤ inside for clear_s
      └── acknowledged ── latched ◀── an unacknowledged high physiological one ─────────────┘

Apart from the condition stand the level, the acknowledgement, the audio (sounding, paused until, off), escalation and
suppression. `TABLE` says what each event does in each condition; docs/explanation/how-an-alarm-lives.md shows it.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import tiers
from gateway.core.alarm import CONDITIONS, Alarm, Change, What
from gateway.core.protocol import RANK, Rule
from gateway.wire import Level

Event = Literal[
    "calm", "beyond", "holds", "inside", "rises", "falls", "acknowledge", "pause", "pause_end", "audio_off", "audio_on",
    "escalate", "suppress", "unsuppress", "phase_over", "end",
]  # fmt: skip
# Nothing changes; and what cannot be: no level holds in these conditions.
STAYS, NEVER = "·", "-"
TABLE: dict[Event, tuple[str, str, str, str, str]] = {
    #               normal     pending    active         clearing       latched
    "calm":        (STAYS,     "rest",    "over",        "over",        STAYS),
    "beyond":      ("wait",    "wait",    "over",        "over",        STAYS),
    "holds":       ("raise",   "raise",   STAYS,         "return",      "raise"),
    "inside":      (NEVER,     NEVER,     "clear",       STAYS,         NEVER),
    "rises":       (NEVER,     NEVER,     "rise",        "rise",        NEVER),
    "falls":       (NEVER,     NEVER,     "fall",        "fall",        NEVER),
    "acknowledge": (STAYS,     STAYS,     "acknowledge", "acknowledge", "dismiss"),
    "pause":       (STAYS,     STAYS,     "pause",       "pause",       STAYS),
    "pause_end":   (STAYS,     STAYS,     "sound",       "sound",       STAYS),
    "audio_off":   (STAYS,     STAYS,     "mute",        "mute",        STAYS),
    "audio_on":    (STAYS,     STAYS,     "unmute",      "unmute",      STAYS),
    "escalate":    (STAYS,     STAYS,     "escalate",    "escalate",    STAYS),
    "suppress":    (STAYS,     STAYS,     "suppress",    "suppress",    STAYS),
    "unsuppress":  (STAYS,     STAYS,     "signal",      "signal",      STAYS),
    "phase_over":  (STAYS,     "forget",  "leave",       "leave",       STAYS),
    "end":         (STAYS,     "forget",  "close",       "close",       "close"),
}  # fmt: skip
ESCALATES = ("medium", "high")
"""A low one asks for awareness: nobody has to come."""


class Given(Struct, frozen=True, kw_only=True):
    """What an event brings along; each move takes what it needs."""

    now_ms: int
    who: str = ""
    reason: str = ""
    until_ms: int = 0
    by: str = ""
    level: Level = "none"
    episode: str = ""
    sampled: bool = False


Did = tuple[Alarm, list[Change]]


def happens(event: Event, rule: Rule, alarm: Alarm, given: Given) -> Did:
    """The alarm after one event, by the table."""
    name = TABLE[event][CONDITIONS.index(alarm.condition)]
    if name == STAYS:
        return alarm, []
    move, what = MOVES[name]
    after = move(rule, alarm, given)
    if what is None:
        return after, []
    if what == "cleared" and after.condition == "latched":
        what = "latched"
    condition_ms, signal_ms = _delays(rule, after, given) if what == "raised" or name == "rise" else (None, None)
    change = Change(
        rule=rule,
        what=what,
        before=alarm,
        after=after,
        at_mono_ms=given.now_ms,
        who=given.who,
        reason=given.reason,
        condition_delay_ms=condition_ms,
        signal_delay_ms=signal_ms,
    )
    return after, [change]


def _rest(rule: Rule, alarm: Alarm, given: Given) -> Alarm:
    """Nothing left of an episode but what the tiers say: normal, or pending."""
    if tiers.found(alarm.tiers) == "calm":
        return Alarm(tiers=alarm.tiers, sample=alarm.sample)
    began_ms, _ = tiers.began(alarm.tiers)
    return Alarm(condition="pending", tiers=alarm.tiers, sample=alarm.sample, began_mono_ms=began_ms)


def _raise(rule: Rule, alarm: Alarm, given: Given) -> Alarm:
    began_ms, origin = tiers.began(alarm.tiers)
    return Alarm(
        condition="active",
        level=given.level,
        # One that latched and that nobody has seen goes on in this one: it latches again.
        peak=max(given.level, alarm.peak, key=RANK.__getitem__),
        # Named by the record that began it: a gateway that comes back from a crash says the same name.
        id=f"{given.episode}-{origin}",
        tiers=alarm.tiers,
        sample=alarm.sample,
        began_mono_ms=began_ms,
        raised_mono_ms=given.now_ms,
        unseen_mono_ms=given.now_ms,
    )


def _over(rule: Rule, alarm: Alarm, given: Given) -> Alarm:
    if not rule.latches(alarm.peak) or alarm.acknowledged_by:
        return _rest(rule, alarm, given)
    return replace(
        alarm,
        condition="latched",
        level=alarm.peak,
        paused_until_mono_ms=None,
        audio_off_by="",
        escalated_mono_ms=None,
        suppressed_by="",
        suppressed_until_mono_ms=None,
    )


def _rise(rule: Rule, alarm: Alarm, given: Given) -> Alarm:
    """Sounds anew, whatever was said to the gentler one."""
    return replace(
        alarm,
        level=given.level,
        peak=max(given.level, alarm.peak, key=RANK.__getitem__),
        unseen_mono_ms=given.now_ms,
        acknowledged_by="",
        paused_until_mono_ms=None,
        audio_off_by="",
        escalated_mono_ms=None,
        suppressed_by="" if rule.latches(given.level) else alarm.suppressed_by,
        suppressed_until_mono_ms=None if rule.latches(given.level) else alarm.suppressed_until_mono_ms,
    )


def _acknowledge(rule: Rule, alarm: Alarm, given: Given) -> Alarm:
    return replace(alarm, acknowledged_by=given.who, paused_until_mono_ms=None, audio_off_by="", escalated_mono_ms=None)


def _with(**fields: Callable[[Given], object]) -> Callable[[Rule, Alarm, Given], Alarm]:
    """A move that sets these fields from what is given and leaves the others."""
    return lambda rule, alarm, given: replace(alarm, **{name: value(given) for name, value in fields.items()})


# What each word of the table does, and what is told of it.
MOVES: dict[str, tuple[Callable[[Rule, Alarm, Given], Alarm], What | None]] = {
    "rest": (_rest, None),
    "wait": (_rest, None),
    "forget": (lambda rule, alarm, given: Alarm(), None),
    "raise": (_raise, "raised"),
    "clear": (_with(condition=lambda given: "clearing"), "clearing"),
    "return": (_with(condition=lambda given: "active"), "returned"),
    "over": (_over, "cleared"),
    "rise": (_rise, "level"),
    "fall": (_with(level=lambda given: given.level), "level"),
    "acknowledge": (_acknowledge, "acknowledged"),
    "dismiss": (_rest, "acknowledged"),
    "pause": (_with(paused_until_mono_ms=lambda given: given.until_ms), "paused"),
    "sound": (
        _with(paused_until_mono_ms=lambda given: None, unseen_mono_ms=lambda given: given.now_ms),
        "sounding",
    ),
    "mute": (
        _with(
            audio_off_by=lambda given: given.who,
            audio_off_mono_ms=lambda given: given.now_ms,
            paused_until_mono_ms=lambda given: None,
        ),
        "audio_off",
    ),
    "unmute": (
        _with(audio_off_by=lambda given: "", unseen_mono_ms=lambda given: given.now_ms),
        "audio_on",
    ),
    "escalate": (_with(escalated_mono_ms=lambda given: given.now_ms), "escalated"),
    "suppress": (
        _with(suppressed_by=lambda given: given.by, suppressed_until_mono_ms=lambda given: given.until_ms),
        "suppressed",
    ),
    "signal": (
        _with(
            suppressed_by=lambda given: "",
            suppressed_until_mono_ms=lambda given: None,
            unseen_mono_ms=lambda given: given.now_ms,
        ),
        "unsuppressed",
    ),
    "leave": (lambda rule, alarm, given: _over(rule, replace(alarm, tiers=()), given), "cleared"),
    "close": (lambda rule, alarm, given: Alarm(), "cleared"),
}


def _delays(rule: Rule, alarm: Alarm, given: Given) -> tuple[int, int]:
    """From the first reading beyond the limit to the condition, and from the condition to its signal. A reading makes
    the condition when it is judged; a delay that time ends, at its end, which a tick finds."""
    tier, state = next((t, s) for t, s in zip(rule.tiers, alarm.tiers, strict=True) if t.level == alarm.level)
    exists_ms = given.now_ms
    if not given.sampled and alarm.sample is not None:
        due_ms = tiers.holds_at_ms(tier, state)
        arrived_ms = alarm.sample.at_mono_ms + alarm.sample.delay_ms
        exists_ms = min(given.now_ms, max(due_ms if due_ms is not None else given.now_ms, arrived_ms))
    began_ms = state.beyond_mono_ms if state.beyond_mono_ms is not None else alarm.began_mono_ms
    return max(0, exists_ms - began_ms), given.now_ms - exists_ms
