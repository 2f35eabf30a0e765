"""A rule's numbers and where they stand: the protocol's file, the clinic's own."""

from pathlib import Path
from typing import Self

from msgspec import Struct

from gateway import protocols
from gateway.config import ProtocolsConfig
from gateway.core.protocol import Protocol
from gateway.toml_files.document import Place
from gateway.toml_files.refusal import FileRefused


class Source(Struct, frozen=True, kw_only=True):
    """Where the protocols of a journal are."""

    folder: Path = protocols.FOLDER
    limits: Path | None = None
    first: str = ""
    """The one that judges without a session; empty: the first of the folder."""

    @classmethod
    def of(cls, config: ProtocolsConfig) -> Self:
        limits = Path(config.limits) if config.limits else None
        return cls(folder=Path(config.dir) if config.dir else protocols.FOLDER, limits=limits, first=config.default)

    def load(self) -> dict[str, Protocol]:
        """Raises ProtocolError."""
        return protocols.load_all(self.folder, self.limits)

    def stands(self, protocol: str, rule: str) -> list[str]:
        """The file and line of a rule, then each of its values that another file changed."""
        try:
            whole = protocols.whole(self.folder / f"{protocol}.toml", self.limits)
        except FileRefused:
            return []
        number = next((n for n, entry in enumerate(whole.raw["rules"]) if entry["id"] == rule), None)
        if number is None:
            return []
        rule_, at = whole.raw["rules"][number], whole.places["rules", number]
        changed = [
            f"{'.'.join(_named(rule_, path[2:]))} = {whole.get(path)!r} in {_shown(place)}"
            for path, place in whole.places.items()
            if path[:2] == ("rules", number) and place.file != at.file and not isinstance(whole.get(path), dict | list)
        ]
        return [_shown(at), *changed]


def _shown(place: Place) -> str:
    return f"{place.file}:{place.line}"


def _named(rule: dict[str, list[dict[str, str]]], path: tuple[str | int, ...]) -> list[str]:
    """`tiers`, 0, `below` as the clinic writes it: medium, below."""
    if path[0] == "tiers" and len(path) > 1:
        return [rule["tiers"][int(path[1])]["level"], *map(str, path[2:])]
    return [str(one) for one in path]
