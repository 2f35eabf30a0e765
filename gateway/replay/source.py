"""What there is to replay: a CSV of any monitor, the log of a simulated stay, or a part of a journal."""

from pathlib import Path

from msgspec import Struct

from gateway.journal_reader import JournalReader
from gateway.replay import journal, monitor, stay_log, times
from gateway.replay.journal import Stay
from gateway.replay.recording import Recording, RecordingError


class Part(Struct, frozen=True, kw_only=True):
    """Which part of a journal: a session, or a chair's time from and to, as people write them."""

    chair: str = ""
    session: str = ""
    from_: str = ""
    to: str = ""

    def __bool__(self) -> bool:
        return bool(self.chair or self.session or self.from_ or self.to)


class Undecided(RecordingError):
    """The journal holds more than one thing to replay: `stays` are its sessions."""

    def __init__(self, path: Path, stays: list[Stay]) -> None:
        count = "1 session" if len(stays) == 1 else f"{len(stays)} sessions"
        super().__init__(
            f"{path} is a journal with {count}: choose one with --session, or a chair with --chair and --from, --to"
        )
        self.stays = stays


def read(path: Path, cadence_s: float | None = None, part: Part = Part()) -> Recording:  # noqa: B008 - it is frozen
    """Raises RecordingError; Undecided where a journal has no such part."""
    try:
        if journal.is_journal(path):
            return _of_journal(path, part)
        if part:
            raise RecordingError(f"{path} is no journal: --chair, --session, --from and --to choose a part of one")
        return stay_log.read(path) if path.suffix == ".jsonl" else monitor.read(path, cadence_s)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: {error}") from None


def _of_journal(path: Path, part: Part) -> Recording:
    reader = journal.opened(path)
    stays = journal.stays(reader)
    if not part:
        raise Undecided(path, stays)
    if part.session:
        stay = next((stay for stay in stays if stay.session == part.session), None)
        if stay is None:
            raise RecordingError(
                f"{path}: no session {part.session!r}; there are {_listed([s.session for s in stays])}"
            )
        if part.chair and part.chair != stay.chair:
            raise RecordingError(f"{path}: session {stay.session} was in {stay.chair}, not in {part.chair}")
        if part.from_ or part.to:
            raise RecordingError(f"{path}: give --session, or --from and --to, not both")
        return journal.of_stay(reader, path.name, stay)
    chair = chair_of(path, reader, part.chair)
    try:
        from_ms, to_ms = (times.parsed(text, last_ms(reader)) if text else None for text in (part.from_, part.to))
    except ValueError as error:
        raise RecordingError(f"{path}: {error}") from None
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise RecordingError(f"{path}: --from {times.told(from_ms)} is not before --to {times.told(to_ms)}")
    return journal.of_span(reader, path.name, chair, from_ms, to_ms)


def chair_of(path: Path, reader: JournalReader, name: str) -> str:
    """The chair of that name, or the only one. Raises RecordingError."""
    chairs = [chair for chair in reader.chairs() if chair]
    if name in chairs:
        return name
    if not name and len(chairs) == 1:
        return chairs[0]
    found = f"no chair {name!r}" if name else "give --chair"
    raise RecordingError(f"{path}: {found}; there are {_listed(chairs)}")


def last_ms(reader: JournalReader) -> int:
    """UTC of the newest row."""
    return reader.came_ms(reader.ids()[1]) or 0


def _listed(names: list[str]) -> str:
    return ", ".join(names[-12:]) or "none"
