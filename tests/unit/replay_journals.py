"""Writes a story's rows into a real journal, as a gateway does, and gives back what the replay makes of it."""

from pathlib import Path

from core_helpers import Story

from gateway import protocols, wire
from gateway.core.outputs import Output, Publish, Row
from gateway.core.protocol import Protocol
from gateway.journal_file import Batch, JournalFile
from gateway.replay import play, source
from gateway.replay.play import Episode, Result
from gateway.replay.recording import Recording
from gateway.replay.source import Part


def journal_of(path: Path, *stories: Story) -> Path:
    """One journal of a gateway's runs, each story one run."""
    file = JournalFile(path, 1_000_000_000)
    file.open()
    file.commit(Batch(rows=[output for story in stories for output in story.outputs if isinstance(output, Row)]))
    file.release()
    return path


def of_session(path: Path, session: str) -> Recording:
    return source.read(path, part=Part(session=session))


def replayed(recording: Recording, protocol: Protocol) -> Result:
    return play.play(recording, protocol)


def told(outputs: list[Output], rule: str = "") -> list[tuple[int, str, str, str, str]]:
    """What the gateway said of alarms: when, which, what, how grave, and by whom."""
    changes = [o.message for o in outputs if isinstance(o, Publish) and isinstance(o.message, wire.AlarmTransition)]
    return [
        (change.at_ms, change.id, change.what, change.level, "" if change.who is wire.UNSET else str(change.who))
        for change in changes
        if rule in ("", change.rule)
    ]


def said_again(recording: Recording, protocol: Protocol) -> list[tuple[int, str, str, str, str]]:
    """The same of the replay."""
    found = []
    for moment in play.moments(recording, protocol):
        for decision in moment.decisions:
            if isinstance(decision, play.AlarmChanged):
                change = decision.change
                alarm = change.after if change.after.id else change.before
                found.append((moment.at_ms, alarm.id, change.what, alarm.level, change.who))
    return found


def spans(episodes: list[Episode]) -> list[tuple[str, str, float, float | None]]:
    return [(one.rule, one.level, one.raised_s, one.cleared_s) for one in episodes]


def demo() -> Protocol:
    return protocols.load_all()["demo"]
