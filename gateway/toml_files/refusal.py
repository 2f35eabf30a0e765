"""What is said of a file that must not be used."""

import difflib
from collections.abc import Iterable
from pathlib import Path as File
from typing import Any, NamedTuple

from gateway.toml_files.places import Path

WORDS_MAX = 60


class Fault(NamedTuple):
    """One thing that is wrong: where, under which key, what stands there, and what may. `line` 0: of the whole file."""

    file: str
    line: int
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        return f"{where}: {key}found {self.found}; allowed: {self.allowed}"


class Misfit(NamedTuple):
    """A fault before anybody knows in which file its key stands."""

    path: Path
    found: str
    allowed: str


class FileRefused(ValueError):
    """Everything that is wrong with one or more files, as far as it could be read. As text: the first of it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        more = len(self.faults) - 1
        super().__init__(f"{self.faults[0]}{f' (and {more} more; chairside check-config lists all)' if more else ''}")


def shown(value: Any) -> str:
    """A value as it stands in a file, as far as it fits; of a table not what is in it: that may be a secret."""
    if isinstance(value, bool):
        words = "true" if value else "false"
    elif isinstance(value, dict):
        words = "a table"
    elif isinstance(value, list | tuple):
        words = "[" + ", ".join(shown(item) for item in value[:8]) + "]"
    elif isinstance(value, str):
        words = "'" + "".join(sign if sign.isprintable() else "?" for sign in value[: 2 * WORDS_MAX]) + "'"
    elif isinstance(value, float):
        words = f"{value:g}"
    elif isinstance(value, int) and abs(value) > 10**20:
        words = "a number of more than 20 digits"
    else:
        words = str(value)
    return words if len(words) <= WORDS_MAX else words[: WORDS_MAX - 1] + "…"


def one_of(names: Iterable[str], found: object = None) -> str:
    """The names that are allowed, and which of them was meant."""
    known = list(names)
    near = difflib.get_close_matches(found, known, n=1, cutoff=0.7) if isinstance(found, str) else []
    meant = f" (did you mean {near[0]}?)" if near else ""
    return (", ".join(known) or "none") + meant


def key_of(path: Path, raw: Any) -> str:
    """A path as people say it: list entries by the name they have, a rule's tiers by their level."""
    words = ""
    for step in path:
        value = raw[step] if _has(raw, step) else None
        if isinstance(step, str):
            words += f".{step}"
        elif isinstance(value, dict) and isinstance(value.get("id"), str):
            words += f".{value['id']}"
        elif isinstance(value, dict) and isinstance(value.get("level"), str):
            words = words.removesuffix(".tiers") + f".{value['level']}"
        else:
            words += f"[{step + 1}]"
        raw = value
    return "".join(sign if sign.isprintable() else "?" for sign in words.removeprefix("."))


def unreadable(file: File, why: str, line: int = 0) -> Fault:
    """A file that is not TOML at all."""
    return Fault(str(file), line, "", why, "a file of TOML in UTF-8")


def _has(raw: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(raw, dict) and step in raw
    return isinstance(raw, list | tuple) and step < len(raw)
