"""The story of one alarm: what the record says of it, and the timers that the same core had when it judged.

The record is the fact. The replay adds what no row holds: since when each level was beyond its limit, how far its delay
had come, and how many readings were missing meanwhile.
"""

from collections.abc import Iterator

from msgspec import UNSET, Struct

from gateway import wire
from gateway.core.alarm import Alarm, Change
from gateway.core.chair_state import AlarmChanged, CuffRead, VitalsRead
from gateway.core.protocol import Protocol, Rule
from gateway.core.tiers import Sample
from gateway.explain import words
from gateway.journal_reader import StoredRow
from gateway.replay import journal, play
from gateway.replay.recording import Recording
from gateway.replay.times import lasted

OVER = {
    "raised": "raised, {level}: {reason}",
    "level": "level now {level}",
    "clearing": "back inside the limit",
    "returned": "beyond the limit again",
    "latched": "over, and shown until somebody acknowledges it",
    "acknowledged": "acknowledged by {who}",
    "paused": "sound paused by {who}",
    "sounding": "sounds again: the pause is over",
    "audio_off": "sound switched off by {who}",
    "audio_on": "sound switched on by {who}",
    "suppressed": "no signal: {reason}",
    "unsuppressed": "signals again: {reason}",
    "escalated": "nobody acknowledged it: signalled a level higher",
    "cleared": "over",
}


class Line(Struct, frozen=True, kw_only=True):
    """One moment of the story; `at_ms` is UTC."""

    at_ms: int
    what: str
    words: str
    level: str = ""
    value: float | None = None
    limit: float | None = None
    who: str = ""


class Begun(Struct, frozen=True, kw_only=True):
    """How the replay saw the alarm begin."""

    at_ms: int
    change: Change
    first: Sample | None
    readings: int
    missing: dict[str, int]


def told(
    recorded: list[tuple[int, wire.AlarmTransition]],
    rule: Rule | None,
    begun: Begun | None,
    first_row: StoredRow | None,
) -> list[Line]:
    """The story in order of time; `recorded` is what the gateway said of the alarm, in UTC, and `first_row` the
    record that its id names."""
    lines: list[Line] = []
    raised_ms, raised = recorded[0]
    began_ms = raised_ms - (raised.condition_delay_ms if raised.condition_delay_ms is not UNSET else 0)
    if begun is not None:
        began_ms = raised_ms - (begun.at_ms - begun.change.after.began_mono_ms)
    if rule is not None:
        lines += _beyond(rule, began_ms, begun, first_row)
        lines += _waited(rule, raised_ms, begun)
    for at_ms, change in recorded:
        lines.append(_line(at_ms, change, rule))
    return lines


def _beyond(rule: Rule, began_ms: int, begun: Begun | None, row: StoredRow | None) -> Iterator[Line]:
    said = "beyond the limit" + (f" ({words.limit(rule, rule.tiers[0])})" if rule.unit else "")
    value = None
    if begun is not None and begun.first is not None:
        value = begun.first.value
        said = f"first {said}" + (f": {words.number(rule, value)}" if rule.unit else "")
    if row is not None:
        delay_ms = row.fields.get("delay_ms", row.fields.get("late_ms"))
        said += f"; {row.measurement} record {row.seq} of boot {row.boot}"
        if isinstance(delay_ms, float):
            said += f", {delay_ms:.0f} ms from the sensor to the gateway"
            if "late_ms" in row.fields:
                said += " (resent)"
    yield Line(at_ms=began_ms, what="beyond", words=said, value=value, limit=rule.tiers[0].limit)


def _waited(rule: Rule, raised_ms: int, begun: Begun | None) -> Iterator[Line]:
    if begun is None:
        return
    said = "; ".join(words.timers(rule, begun.change.after, begun.change.at_mono_ms))
    if begun.readings:
        said += f"; {begun.readings} readings meanwhile"
    if begun.missing:
        said += ", of them without a value: " + ", ".join(
            f"{count} ({words.QUALITIES.get(quality, quality)})" for quality, count in begun.missing.items()
        )
    yield Line(at_ms=raised_ms, what="timers", words=said)


def _line(at_ms: int, change: wire.AlarmTransition, rule: Rule | None) -> Line:
    who = "" if change.who is UNSET else str(change.who)
    said = OVER.get(change.what, change.what).format(level=f"{change.level}", reason=change.reason, who=who or "nobody")
    value = None if change.value is UNSET else change.value
    limit = None if change.limit is UNSET else change.limit
    if (
        value is not None
        and limit is not None
        and change.what in ("raised", "level", "clearing", "returned", "cleared")
    ):
        unit = rule.unit if rule is not None else ""
        said += f"; {value:.4g} {unit}".rstrip() + f", limit {limit:.4g} {unit}".rstrip()
    if change.what == "raised":
        said += _delays(change)
    if change.what in ("cleared", "latched"):
        said += _why_over(change, rule, who)
    return Line(at_ms=at_ms, what=change.what, words=said, level=change.level, value=value, limit=limit, who=who)


def _delays(change: wire.AlarmTransition) -> str:
    named = (
        ("sensor to gateway", change.sensor_delay_ms),
        ("first reading beyond to alarm", change.condition_delay_ms),
        ("alarm to signal", change.signal_delay_ms),
    )
    said = ", ".join(f"{name} {ms} ms" for name, ms in named if ms is not UNSET)
    return f"; measured: {said}" if said else ""


def _why_over(change: wire.AlarmTransition, rule: Rule | None, who: str) -> str:
    """A reason of its own is that of an end from outside: a session, a phase, a person."""
    if rule is None or change.reason != rule.reason:
        return f" because {change.reason}" + (f" by {who}" if who else "")
    inside = f" because the value was inside the limit for {lasted(rule.clear_s)}" if rule.clear_s else ""
    after = "" if change.lasted_ms is UNSET else f", {lasted(change.lasted_ms / 1000)} after it was raised"
    return (inside or " because the value was inside the limit") + after


def begun(recording: Recording, protocol: Protocol, rule: str, id_: str) -> Begun | None:
    """How the replayed core saw this alarm begin; None if today's numbers do not raise it."""
    first: Sample | None = None
    readings, missing = 0, dict[str, int]()
    condition = "normal"
    for moment in play.moments(recording, protocol):
        change = next((one for one in _changes(moment) if one.after.id == id_ and one.what == "raised"), None)
        alarm = change.after if change is not None else moment.state.alarms.get(rule, Alarm())
        if alarm.condition in ("pending", "active") and condition in ("normal", "latched"):
            first, readings, missing = alarm.sample, 0, {}
        waiting = alarm.condition == "pending" or change is not None
        if waiting and isinstance(moment.happening, VitalsRead | CuffRead):
            readings += 1
            quality = moment.happening.record.quality
            if quality != "good":
                missing[quality] = missing.get(quality, 0) + 1
        condition = alarm.condition
        if change is not None:
            return Begun(at_ms=moment.at_ms, change=change, first=first, readings=readings, missing=missing)
    return None


def _changes(moment: play.Moment) -> Iterator[Change]:
    for decision in moment.decisions:
        if isinstance(decision, AlarmChanged):
            yield decision.change


def transitions(rows: list[StoredRow]) -> list[tuple[int, wire.AlarmTransition]]:
    return [(row.time_ns // 1_000_000, journal.transition(row)) for row in rows]
