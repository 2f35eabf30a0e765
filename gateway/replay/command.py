"""`chairside replay`: what was asked, put together."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import protocols as files
from gateway.core.protocol import Protocol, content_hash
from gateway.replay import play, plot, report, source, times
from gateway.replay.journal import Stay
from gateway.replay.play import Result
from gateway.replay.recording import Recording, RecordingError

DEFAULT = "iv-ketamine"


def replay(
    path: Path,
    *,
    protocol: str | None,
    compare: str | None,
    limits: Path | None,
    cadence_s: float | None,
    part: source.Part,
    svg: Path | None,
    as_json: bool,
) -> None:
    """Raises RecordingError, files.ProtocolError."""
    recording = source.read(path, cadence_s, part)
    first = protocol or recording.protocol or DEFAULT
    judges = [(first if limits is None else f"{first} with {limits.name}", loaded(first, limits))]
    if compare is not None:
        judges.append((compare, loaded(compare)))
    results = [_played(recording, name, rules) for name, rules in judges]
    other = recording.protocol_hash not in ("", content_hash(judges[0][1]))
    as_recorded = recording.told and first == recording.protocol and not other
    differs = play.differences(play.recorded(recording), results[0].alarms) if as_recorded else None
    told = report.Told(recording=recording, results=results, differs=differs)
    if svg is not None:
        try:
            svg.write_text(plot.svg(recording, judges[0][1], results), encoding="utf-8")
        except OSError as error:
            raise RecordingError(f"--svg: {error}") from None
    if as_json:
        report.write_json(Console(), told)
        for words in report.notes(told):
            Console(stderr=True).print(words, highlight=False, soft_wrap=True)
    else:
        report.text(Console(), told)


def loaded(name: str, limits: Path | None = None) -> Protocol:
    """Raises RecordingError, files.ProtocolError."""
    known = sorted(path.stem for path in files.FOLDER.glob("*.toml"))
    if name not in known:
        raise RecordingError(f"no protocol {name!r}; there are {', '.join(known)}")
    return files.load(files.FOLDER / f"{name}.toml", limits)


def _played(recording: Recording, name: str, protocol: Protocol) -> Result:
    with Console(stderr=True).status(f"{escape(recording.name)} under {name}") as status:

        def reached(at_ms: int) -> None:
            so_far = times.lasted((at_ms - recording.from_ms) / 1000)
            status.update(f"{escape(recording.name)} under {name}: {so_far} of it")

        return play.play(recording, protocol, name, reached)


def stays(console: Console, found: list[Stay]) -> None:
    """The sessions of a journal, to choose from."""
    table = Table("session", "chair", "protocol", "began", "lasted", title="Sessions", title_justify="left")
    for stay in found:
        lasted = "goes on" if stay.ended_ms is None else times.lasted((stay.ended_ms - stay.began_ms) / 1000)
        table.add_row(stay.session, stay.chair, stay.protocol, times.told(stay.began_ms), lasted)
    console.print(table)
