"""`chairside explain`: finds what was asked about in the journal, and tells it."""

import collections
import difflib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from gateway.core.protocol import Protocol, Rule, content_hash
from gateway.explain import moment, story, words
from gateway.explain.numbers import Source
from gateway.explain.story import Line
from gateway.journal_reader import JournalReader, StoredRow
from gateway.replay import journal, play, source, times
from gateway.replay.journal import Stay
from gateway.replay.play import Moment
from gateway.replay.recording import Ended, Recording, RecordingError
from gateway.replay.report import COLOURS, MARKS

LEAD_MS = 60_000
NEAREST_MAX = 3
COLOUR_OF = {
    "alarm": "red",
    "latched": "yellow",
    "waits": "yellow",
    "not_judged": "dim",
    "not_measured": "dim",
    "inside": "green",
}


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm, as it is told."""

    id: str
    chair: str
    device: str
    session: str
    rule: str
    protocol: str
    reason: str
    level: str
    numbers: list[str]
    stands: list[str]
    timeline: list[Line]
    notes: list[str]


def alarm(path: Path, protocols: Source, id_: str, *, as_json: bool) -> None:
    """Raises RecordingError, ProtocolError."""
    with journal.opened(path) as reader:
        rows = [row for row in _alarm_rows(reader) if row.fields["id"] == id_]
        if not rows:
            raise RecordingError(f"{path}: no alarm {id_!r}; {_nearest(reader, id_)}")
        explained = _explained(reader, path, protocols, rows)
    if as_json:
        _write_json({**msgspec.to_builtins(explained), "timeline": [_builtins(line) for line in explained.timeline]})
    else:
        _tell(Console(), explained)


def absence(path: Path, protocols: Source, chair: str, at: str, rule: str, *, as_json: bool) -> None:
    """Raises RecordingError, ProtocolError."""
    with journal.opened(path) as reader:
        chair = source.chair_of(path, reader, chair)
        try:
            at_ms = times.parsed(at, source.last_ms(reader))
        except ValueError as error:
            raise RecordingError(f"--at: {error}") from None
        recording = _until(reader, path, chair, at_ms)
        known = protocols.load()
        protocol = _protocol(known, recording.protocol, protocols)
        if rule and rule not in [one.id for one in protocol.rules]:
            listed = ", ".join(one.id for one in protocol.rules)
            raise RecordingError(f"--rule: {protocol.id} has no rule {rule!r}; it has {listed}")
        last = _last(recording, protocol)
    ahead_ms = at_ms - last.at_ms
    found = moment.verdicts(protocol, last.state, last.at_ms, lambda mono_ms: times.clock(mono_ms + ahead_ms))
    found = [verdict for verdict in found if rule in ("", verdict.rule)]
    session = last.state.session
    if as_json:
        _write_json(
            {
                "chair": chair, "at": times.iso(at_ms), "session": session.id if session else "",
                "phase": session.phase if session else "", "protocol": protocol.id,
                "rules": [msgspec.to_builtins(one) for one in found],
            }
        )  # fmt: skip
        return
    where = f"session {session.id}, phase {session.phase}" if session else "no session"
    table = Table(title=f"{chair} at {times.told(at_ms)}: {where}, {protocol.id}", title_justify="left")
    for column in ("rule", "limits", "at that moment"):
        table.add_column(column, overflow="fold")
    for verdict in sorted(found, key=lambda verdict: list(COLOUR_OF).index(verdict.because)):
        said = f"[{COLOUR_OF[verdict.because]}]{verdict.words}[/]" + (f"\n{verdict.alarm}" if verdict.alarm else "")
        table.add_row(verdict.rule, "\n".join(verdict.limits), said)
    Console().print(table)


# ---- the journal ----------------------------------------------------------------------------------------------


def _alarm_rows(reader: JournalReader) -> list[StoredRow]:
    rows = [row for chair in reader.chairs() for row in reader.rows("alarm", chair, 0, rows_max=1_000_000)]
    return sorted(rows, key=lambda row: row.id)


def _nearest(reader: JournalReader, id_: str) -> str:
    """Ids that look like it, else the newest."""
    known = list(dict.fromkeys(str(row.fields["id"]) for row in _alarm_rows(reader)))
    close = difflib.get_close_matches(id_, known, NEAREST_MAX)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"the newest are {', '.join(known[-NEAREST_MAX:])}" if known else "the journal has no alarm"


def _explained(reader: JournalReader, path: Path, protocols: Source, rows: list[StoredRow]) -> Explained:
    last, id_ = rows[-1], str(rows[0].fields["id"])
    session = str(last.fields["session"])
    stay = next((stay for stay in journal.stays(reader) if stay.session == session), None)
    known = protocols.load()
    protocol = _protocol(known, stay.protocol if stay else "", protocols)
    rule = next((one for one in protocol.rules if one.id == last.tags["rule"]), None)
    begun, notes = None, _notes(stay, protocol, rule, last.tags["rule"])
    if rule is not None and last.chair:
        begun = story.begun(_around(reader, path, stay, rows), protocol, rule.id, id_)
        if begun is None:
            notes.append("Replayed with today's numbers it is not raised: what follows is only what was recorded.")
    recorded = story.transitions(rows)
    return Explained(
        id=id_, chair=last.chair, device=last.device, session=session, rule=last.tags["rule"],
        protocol=protocol.id if rule is not None else "", reason=recorded[0][1].reason,
        level=max((change.level for _, change in recorded), key=list(MARKS).index),
        numbers=[words.level(rule, tier) for tier in rule.tiers] + [words.ends(rule)] if rule is not None else [],
        stands=protocols.stands(protocol.id, last.tags["rule"]),
        timeline=story.told(recorded, rule, begun, _first_row(reader, last.device, id_)),
        notes=notes,
    )  # fmt: skip


def _protocol(known: dict[str, Protocol], name: str, protocols: Source) -> Protocol:
    name = name or protocols.first or next(iter(known))
    if name not in known:
        raise RecordingError(
            f"the session ran under protocol {name!r}, which is not there; there are {', '.join(known)}"
        )
    return known[name]


def _notes(stay: Stay | None, protocol: Protocol, rule: Rule | None, name: str) -> list[str]:
    if rule is None:
        return [] if stay is None else [f"{protocol.id} has no rule {name} any more."]
    today = content_hash(protocol)
    if stay is not None and stay.protocol_hash not in ("", today):
        return [
            f"The session was judged by other numbers of {protocol.id} ({stay.protocol_hash}) than today's ({today})."
        ]
    return []


def _around(reader: JournalReader, path: Path, stay: Stay | None, rows: list[StoredRow]) -> Recording:
    if stay is not None:
        return journal.of_stay(reader, path.name, stay)
    from_ms = rows[0].time_ns // 1_000_000 - LEAD_MS
    return journal.of_span(reader, path.name, rows[0].chair, from_ms, rows[-1].time_ns // 1_000_000)


def _first_row(reader: JournalReader, device: str, id_: str) -> StoredRow | None:
    """The record that the alarm's id names."""
    named = re.search(r"-([0-9a-f]{16})-([0-9]+)$", id_)
    return reader.record(device, named[1], int(named[2])) if named else None


def _until(reader: JournalReader, path: Path, chair: str, at_ms: int) -> Recording:
    """The chair's rows up to a moment. Raises RecordingError if the journal does not reach there."""
    first, last = reader.came_ms(reader.ids()[0]) or 0, source.last_ms(reader)
    if not first <= at_ms <= last:
        there = f"it goes from {times.told(first)} to {times.told(last)}"
        raise RecordingError(f"{path}: nothing of {times.told(at_ms)}; {there}")
    return journal.of_span(reader, path.name, chair, at_ms - LEAD_MS, at_ms)


def _last(recording: Recording, protocol: Protocol) -> Moment:
    [last] = collections.deque(play.moments(recording, protocol), maxlen=1)
    if isinstance(last.happening, Ended) and last.happening.away_since_ms is not None:
        since = times.lasted((last.at_ms - last.happening.away_since_ms) / 1000)
        raise RecordingError(f"{recording.name}: the gateway did not run then, since {since}: nothing was judged")
    return last


# ---- words ----------------------------------------------------------------------------------------------------


def _tell(console: Console, told: Explained) -> None:
    colour = COLOURS[told.level]
    console.print(f"[{colour}]{MARKS[told.level]} {told.reason}[/], alarm {told.id}", highlight=False, soft_wrap=True)
    where = f"{told.chair or 'the site'}, board {told.device or 'none'}, session {told.session or 'none'}"
    console.print(f"{where}; times are local ({times.zone_now()})", highlight=False, soft_wrap=True)
    if told.numbers:
        console.print(f"\n[bold]Rule[/] {told.rule} of {told.protocol}", highlight=False)
        for words_ in [*told.numbers, *(f"[dim]{one}[/]" for one in told.stands)]:
            console.print(f"  {words_}", highlight=False, soft_wrap=True)
    table = Table(title="\nWhat happened", title_justify="left", box=None)
    for column in ("time", "", "what"):
        table.add_column(column, justify="right" if column == "" else "left", no_wrap=column != "what")
    raised_ms = next(line.at_ms for line in told.timeline if line.what == "raised")
    for line in told.timeline:
        table.add_row(times.clock(line.at_ms), f"{(line.at_ms - raised_ms) / 1000:+.1f} s", line.words)
    console.print(table)
    for note in told.notes:
        console.print(f"[yellow]{note}[/]", highlight=False, soft_wrap=True)


def _builtins(line: Line) -> dict[str, Any]:
    return {"at": times.iso(line.at_ms), **{k: v for k, v in msgspec.to_builtins(line).items() if k != "at_ms"}}


def _write_json(document: dict[str, Any]) -> None:
    Console().file.write(json.dumps(document, indent=1) + "\n")
