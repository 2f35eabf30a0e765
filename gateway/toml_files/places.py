"""The line of every key of a TOML text.

`tomllib` gives values without their lines. This walks over a text that `tomllib` has read before, so it need not find
out whether it is TOML.
"""

import re

Path = tuple[str | int, ...]
"""Keys from the outside in; the items of a list by number from 0."""

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TEXT = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\])*"|\'[^\']*\'', re.DOTALL)
_PLAIN = re.compile(r"[^,\]}#\n]+")


def lines(text: str) -> dict[Path, int]:
    """Where each table and key of a valid text stands, counted from 1."""
    walk = _Walk(text)
    walk.document()
    return walk.found


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = self.line = 0
        self.counted = 0
        self.found: dict[Path, int] = {}
        self.items: dict[Path, int] = {}
        """How many tables each list of tables has by now."""

    def document(self) -> None:
        table: Path = ()
        while self._skip(_GAP) < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line = self._line()
        many = self.text.startswith("[[", self.at)
        self.at += 1 + many
        self._skip(_GAP)
        table: Path = ()
        names = self._names()
        for number, name in enumerate(names, 1):
            table = (*table, name)
            if number == len(names) and many:
                self.items[table] = self.items.get(table, 0) + 1
            if table in self.items:
                self.found.setdefault(table, line)
                table = (*table, self.items[table] - 1)
            self.found.setdefault(table, line)
        self._skip(_GAP)
        self.at += 1 + many
        return table

    def _pair(self, table: Path) -> None:
        line = self._line()
        for name in self._names():
            table = (*table, name)
            self.found.setdefault(table, line)
        self._skip(_GAP)
        self.at += 1  # the =
        self._skip(_GAP)
        self._value(table)

    def _names(self) -> list[str]:
        names = [self._name()]
        while (dot := _DOT.match(self.text, self.at)) is not None:
            self.at = dot.end()
            names.append(self._name())
        return names

    def _name(self) -> str:
        quoted = self.text[self.at] in "\"'"
        match = (_TEXT if quoted else _KEY).match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return match[0][1:-1] if quoted else match[0]

    def _value(self, path: Path) -> None:
        if self.text[self.at] == "[":
            self._inside("]", path)
        elif self.text[self.at] == "{":
            self._inside("}", path)
        else:
            self._skip(_TEXT if self.text[self.at] in "\"'" else _PLAIN)

    def _inside(self, end: str, path: Path) -> None:
        """A list or a table within a line, which may go over several."""
        self.at += 1
        number = 0
        while self.text[self._skip(_GAP)] != end:
            if end == "}":
                self._pair(path)
            else:
                self.found[*path, number] = self._line()
                self._value((*path, number))
            number += 1
            if self.text[self._skip(_GAP)] == ",":
                self.at += 1
        self.at += 1

    def _skip(self, what: re.Pattern[str]) -> int:
        match = what.match(self.text, self.at)
        self.at = match.end() if match is not None else self.at
        return self.at

    def _line(self) -> int:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line + 1
