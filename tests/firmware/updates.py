"""Updates for tests: a key of this run, bundles of small changes to the firmware, and a hand that sends them."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from chair_board import Chair
from cryptography.hazmat.primitives.asymmetric import rsa
from unix_port import FIRMWARE

from hardware.bench import bundle as bundles
from hardware.bench.bundle import Bundle
from hardware.bench.upload import Upload


@cache
def key() -> rsa.RSAPrivateKey:
    return bundles.new_key()


def provision(flash: Path) -> None:
    flash.mkdir(parents=True, exist_ok=True)
    (flash / "update.pub").write_text(bundles.public_part(key()))


def changed(folder: Path, version: str, changes: dict[str, tuple[str, str]] | None = None) -> Path:
    """A copy of the firmware that calls itself `version`, with one text replaced in each file of `changes`."""
    copy = folder / f"firmware-{version}"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    app = (copy / "chair/app.py").read_text()
    (copy / "chair/app.py").write_text(
        app.replace(f'FIRMWARE = "{bundles.version_of(FIRMWARE)}"', f'FIRMWARE = "{version}"')
    )
    for file, (text, instead) in (changes or {}).items():
        before = (copy / file).read_text()
        assert before.count(text) == 1, f"{file} has no single {text!r}"
        (copy / file).write_text(before.replace(text, instead))
    return copy


def signed(firmware: Path, security: int) -> Bundle:
    return bundles.sign(bundles.make(firmware, security), key())


def forged(bundle: Bundle, **entries: Any) -> Bundle:
    """Signed by the right key, with other entries in its manifest."""
    return bundles.sign(Bundle(line(bundle.entries | entries), bundle.files), key())


def line(entries: dict[str, Any]) -> bytes:
    """A manifest's text, unsigned."""
    return json.dumps(entries).encode()


class Sender:
    """Sends an upload to a simulated board as the command does, step by step, in virtual time."""

    def __init__(self, chair: Chair, bundle: Bundle) -> None:
        self.chair = chair
        self.upload = Upload(bundle)
        self.steps = 0

    def one(self) -> str:
        """Send the next step; the board's reason, "" when it was accepted."""
        chair = self.chair
        self.steps += 1
        id = f"u-{self.steps}-{chair.board.now_us}"
        status, at_us = self._newest()
        command = {"id": id, "kind": "update", "session": "", "boot": status["boot"], "update": self.upload.step()}
        up_ms = status["up_ms"] + (chair.board.now_us - at_us) // 1000
        chair.tell("cmd", command | {"valid_until_up_ms": up_ms + 30_000}, qos=1)
        chair.board.run_until(lambda: self._reply(id) is not None, within_s=5, step_s=0.05)
        reason = str(self._reply(id) or "")
        if reason == "restart":
            boot = self.chair.boot
            self.chair.board.run_until(lambda: self.chair.boot != boot, within_s=15)
        return reason

    def all(self, beat_every: int = 4) -> None:
        """Until the board is going to try it. Raises UpdateError."""
        while not self.upload.done:
            self.upload.answered(self.one())
            if self.chair.gateway and self.steps % beat_every == 0:
                self.chair.speak()

    def _newest(self) -> tuple[dict[str, Any], int]:
        sent = [p for p in self.chair.board.published if p.topic.endswith("/status")]
        return json.loads(sent[-1].payload), sent[-1].at_us

    def _reply(self, id: str) -> str | None:
        found = [reply for reply in self.chair.all("reply") if reply["id"] == id]
        return found[0].get("reason", "") if found else None
