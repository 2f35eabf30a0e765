"""Reads `gateway/protocols/*.toml` into `core.protocol` types, or says exactly what is wrong and where.

One protocol may say only how it differs from another that it `extends`; `new_rules`, `new_criteria` and
`new_observations` are what the other does not have:

    extends = "iv-ketamine"

    [rules.spo2_low]
    clear_s = 5

A clinic's own values stand in one file of their own, in the same words, for every protocol that has the name or only
for one. What it names must be there:

    [rules.spo2_low]
    medium = { below = 92, delay_s = 15 }

    [only.esketamine.cuff]
    dosing_s = 900

A protocol's file ends with its own name, so that one that was cut off is known from one that says less. A clinic's
file may, too:

    [end]
    of = "clinic"
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.core.protocol import Protocol
from gateway.protocol_files import checks, criteria, merge
from gateway.toml_files import document, shape
from gateway.toml_files.document import Document
from gateway.toml_files.refusal import Fault, FileRefused, Misfit, one_of, shown

FOLDER = Path(__file__).parent / "protocols"
ProtocolError = FileRefused
"""A protocol file that must not be used: names the file, the line, the key, what was found, what is allowed."""


def load(path: Path, limits: Path | None = None) -> Protocol:
    """The protocol in `path`, with the values that the file `limits` changes. Raises ProtocolError."""
    return _load(path, _read(limits, may_end_open=True) if limits is not None else None)


def load_all(folder: Path = FOLDER, limits: Path | None = None) -> dict[str, Protocol]:
    """Every protocol of a folder by its id, with a clinic's values. Raises ProtocolError with all that is wrong; a
    folder without any is wrong too."""
    protocols: dict[str, Protocol] = {}
    faults: list[Fault] = []
    site = _read(limits, may_end_open=True) if limits is not None else None
    for path in sorted(folder.glob("*.toml")):
        try:
            protocols[path.stem] = _load(path, site)
        except ProtocolError as error:
            faults += error.faults
    if not protocols and not faults:
        faults.append(Fault(str(folder), 0, "", "no protocol", "a folder with at least one protocol (*.toml)"))
    if faults:
        raise ProtocolError(faults)
    return protocols


def whole(path: Path, limits: Path | None = None) -> Document:
    """A good protocol as its files say it, with the file and line of each value."""
    put_together = _whole(path)
    if limits is not None:
        merge.with_site(put_together, _read(limits, may_end_open=True), lambda *_: True)
    return put_together


def _load(path: Path, site: Document | None) -> Protocol:
    whole = _whole(path)
    protocol = _made(whole)
    if site is None:
        return protocol
    beside = {other.stem: other for other in path.parent.glob("*.toml")}

    def elsewhere(part: str, name: str) -> bool:
        return any(_has(_whole(other), part, name) for other in beside.values())

    faults = merge.misnamed(site, beside) + merge.with_site(whole, site, elsewhere)
    return _made(whole, faults, site.file)


def _made(whole: Document, faults: Sequence[Fault] = (), changed_by: Path | None = None) -> Protocol:
    """What a file, or several together, say. `faults` are of what could not be put together."""
    found = [*faults, *whole.faults(shape.misfits(whole.raw, Protocol))]
    if not found:
        protocol = msgspec.convert(whole.raw, Protocol)
        misfits = [*checks.check(protocol), *criteria.check(protocol)]
        if protocol.id != whole.file.stem:
            misfits.append(Misfit(("id",), shown(protocol.id), f"the file's name, {whole.file.stem!r}"))
        found = whole.faults(misfits)
        if not found:
            return protocol
    if changed_by is not None:
        # The other file is good by itself.
        together = f" (together with {changed_by})"
        found = [one if one.file == str(changed_by) else one._replace(allowed=one.allowed + together) for one in found]
    raise ProtocolError(found)


def _read(path: Path, *, may_end_open: bool = False) -> Document:
    """A file down to its end."""
    read = document.read(path)
    if may_end_open and "end" not in read.raw:
        return read
    end = read.raw.pop("end", None)
    name = f'[end] of = "{path.stem}", as the last lines: what was cut off must not look whole'
    if end != {"of": path.stem}:
        found = shown(end.get("of", end)) if isinstance(end, dict) else "nothing" if end is None else shown(end)
        raise ProtocolError([read.fault(Misfit(("end",), found, name))])
    if read.places["end",].line < max([place.line for keys, place in read.places.items() if keys[0] != "end"] or [0]):
        raise ProtocolError([read.fault(Misfit(("end",), "more after it", name))])
    return read


def _whole(path: Path) -> Document:
    """A protocol's file together with the one that it extends. Raises ProtocolError if they do not fit together."""
    own = _read(path)
    if "extends" not in own.raw:
        return own
    base = own.raw["extends"]
    known = sorted(other.stem for other in path.parent.glob("*.toml") if other != path)
    if base not in known:
        raise ProtocolError([own.fault(Misfit(("extends",), shown(base), one_of(known, base)))])
    whole = _read(path.parent / f"{base}.toml")
    if "extends" in whole.raw:
        plain = "a protocol that extends none"
        raise ProtocolError([own.fault(Misfit(("extends",), f"{base!r}, which extends another", plain))])
    _made(whole)
    faults = merge.extended(own, whole)
    _made(whole, faults, own.file)
    return whole


def _has(whole: Document, part: str, name: str) -> bool:
    entries = whole.raw.get(part, [])
    return isinstance(entries, list) and any(isinstance(one, dict) and one.get("id") == name for one in entries)
