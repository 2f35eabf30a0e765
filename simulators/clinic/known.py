"""The gateway's protocols, read and checked once in a process."""

from __future__ import annotations

from functools import cache

from gateway import protocols
from gateway.core.protocol import Protocol


@cache
def by_name() -> dict[str, Protocol]:
    return protocols.load_all()
