"""What happened, in the order it happened: one JSON object a line, each with its virtual time in milliseconds."""

from __future__ import annotations

from typing import Any

import msgspec

Entry = dict[str, Any]


class Log:
    """`entries` in order; `text()` is the same byte for byte for the same seed."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, at_us: int, kind: str, **what: object) -> None:
        """`what` without a value is left out: absent is absent here too."""
        given = {name: value for name, value in what.items() if value is not None and value is not msgspec.UNSET}
        self.entries.append({"at_ms": at_us // 1000, "kind": kind, **given})

    def of(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["kind"] in kinds]

    def text(self) -> bytes:
        return b"".join(msgspec.json.encode(entry) + b"\n" for entry in self.entries)
