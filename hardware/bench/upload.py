"""What to send next of an update, from what the board answered. Knows no network and no clock."""

import base64
import hashlib
from typing import Any

from hardware.bench.bundle import MANIFEST, Bundle

CHUNK_BYTES = 1125  # 1500 characters of base64
TRIES_MAX = 10

SAID = {
    "busy": "a session runs or there is air in the cuff; send it again when the chair is free",
    "trial": "the board still tries out an update; send it again in six minutes",
    "no_key": "the board has no update key; put update.pub into its flash",
    "signature": "the board does not know the key that signed this",
    "board": "this is for another kind of board",
    "older": "the board has confirmed an update with a higher security counter",
    "replayed": "the board has confirmed an update with this security counter; make it with a higher one",
    "space": "the board's flash has no room for it",
}


class UpdateError(Exception):
    """The board did not take the update; the text says why."""


class Upload:
    """The steps that bring one bundle to one board. `done` when the board is going to try it."""

    def __init__(self, bundle: Bundle) -> None:
        self._digest = hashlib.sha256(bundle.manifest).hexdigest()
        self._files = [(MANIFEST, bundle.manifest), *bundle.files.items()]
        self._total = sum(len(data) for _, data in self._files)
        self._setbacks = 0
        self.done = False
        self.restart()

    def restart(self) -> None:
        """The board began anew: it still holds what it got."""
        self._begun = False
        self._file = 0
        self._at = 0

    @property
    def sent(self) -> float:
        """Share of the bytes that the board holds."""
        before = sum(len(data) for _, data in self._files[: self._file])
        return (before + self._at) / self._total

    def step(self) -> dict[str, Any]:
        """What to send next."""
        if not self._begun:
            return {"step": "begin", "file": self._digest}
        if self._file == len(self._files):
            return {"step": "apply"}
        name, data = self._files[self._file]
        piece = data[self._at : self._at + CHUNK_BYTES]
        return {"step": "chunk", "file": name, "at": self._at, "data": base64.b64encode(piece).decode()}

    def answered(self, reason: str) -> None:
        """Take the board's answer to `step`, "" when it was accepted. Raises UpdateError when that is the end."""
        if not reason:
            if not self._begun:
                self._begun = True
            elif self._file == len(self._files):
                self.done = True
            else:
                self._go_on(self._at + CHUNK_BYTES)
            return
        kind, _, rest = reason.partition(" ")
        if kind == "at":
            self._go_on(int(rest))
        elif kind == "restart":
            self.restart()
        elif kind in ("hash", "truncated", "no_manifest") and self._setbacks < TRIES_MAX:
            self._setbacks += 1
            names = [name for name, _ in self._files]
            self._begun = kind != "no_manifest"
            self._file = names.index(rest) if rest in names else 0
            self._at = 0
        else:
            raise UpdateError(SAID.get(reason, f"the board refuses it: {reason}"))

    def _go_on(self, at: int) -> None:
        self._at = at
        if at >= len(self._files[self._file][1]):
            self._file += 1
            self._at = 0
