"""A TOML file as it was read: its values, and the file and line of each."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path as File
from typing import Any, NamedTuple

from gateway.toml_files import places
from gateway.toml_files.places import Path
from gateway.toml_files.refusal import Fault, FileRefused, Misfit, key_of, unreadable

BYTES_MAX = 1_000_000
SECRET = re.compile(r"((?:password|token|url)[\"']?\s*=).*")
"""What a refusal must not repeat: people paste it into a question."""


class Place(NamedTuple):
    file: str
    line: int


class Document:
    """Values, changed in place by what another file says; `places` follows them."""

    def __init__(self, file: File, text: str, raw: dict[str, Any]) -> None:
        self.file, self.text, self.raw = file, text, raw
        self.places: dict[Path, Place] = {path: Place(str(file), line) for path, line in places.lines(text).items()}

    def put(self, path: Path, source: "Document", source_path: Path) -> None:
        """Set the value at `path`, in a table or list that is there, to the one at `source_path` of another file."""
        value, into = source.get(source_path), self.get(path[:-1])
        if isinstance(into, list):
            into.append(value)
        else:
            into[path[-1]] = value
        self.places = {old: place for old, place in self.places.items() if old[: len(path)] != path}
        for old, place in source.places.items():
            if old[: len(source_path)] == source_path:
                self.places[*path, *old[len(source_path) :]] = place

    def get(self, path: Path) -> Any:
        """The value at a path that is there."""
        value: Any = self.raw
        for step in path:
            value = value[step]
        return value

    def fault(self, misfit: Misfit) -> Fault:
        """Where it stands: at the key, or at the nearest table around it."""
        path = misfit.path
        while path and path not in self.places:
            path = path[:-1]
        place = self.places.get(path, Place(str(self.file), 0))
        return Fault(place.file, place.line, key_of(misfit.path, self.raw), misfit.found, misfit.allowed)

    def faults(self, misfits: Iterable[Misfit]) -> list[Fault]:
        return [self.fault(misfit) for misfit in misfits]


def read(file: File) -> Document:
    """Raises FileRefused for a file that is not there or not TOML."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise FileRefused([unreadable(file, f"no file that can be read ({error.strerror})")]) from None
    if len(content) > BYTES_MAX:
        raise FileRefused([unreadable(file, f"{len(content)} bytes, more than {BYTES_MAX}")])
    try:
        # As tomllib does with what it reads itself.
        text = content.decode("utf-8").replace("\r\n", "\n")
        return Document(file, text, tomllib.loads(text))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefused([unreadable(file, f"the byte 0x{content[error.start]:02x}", line)]) from None
    except RecursionError:
        raise FileRefused([unreadable(file, "lists nested without end")]) from None
    except tomllib.TOMLDecodeError as error:
        raise FileRefused([_not_toml(file, text, str(error))]) from None
    except ValueError:
        raise FileRefused([unreadable(file, "a number of thousands of digits")]) from None


def _not_toml(file: File, text: str, error: str) -> Fault:
    """tomllib's words, with the line itself."""
    words, _, where = error.partition(" (at ")
    at = re.match(r"line (\d+)", where)
    number = int(at[1]) if at else max(1, text.count("\n") + (not text.endswith("\n")))
    line = text.splitlines()[number - 1].strip() if text.strip() else ""
    line = SECRET.sub(r"\1***", line)
    end = "" if at else " at its end"
    return unreadable(file, f"what is not TOML{end}: {words[:1].lower()}{words[1:]}, in {line[:60]!r}", number)
