"""A simulated board with the unmodified firmware, and a gateway that acknowledges and annunciates as told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulators.conductor import SimBoard
from simulators.peer import DATAGRAM, Peer
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

DEVICE = "cb-000001"


def topic(leaf: str) -> str:
    return f"chairside/v1/dev/{DEVICE}/{leaf}"


class Chair:
    """`run(seconds)` lets time pass, with a gateway that speaks once a second while `gateway` is true."""

    def __init__(self, folder: Path, patient: Patient | None = None, **options: Any) -> None:
        self.world = ChairWorld(patient or Patient(), same_limb=options.get("same_limb", False))
        self.board = SimBoard(DEVICE, self.world, folder / "flash", **options)
        self.gateway = False
        self.annunciate: dict[str, Any] = {"level": "none", "sound": False, "session": "s-1", "cuff_interval_s": 0}
        self.beat = 0
        self.loses: Callable[[bytes], bool] = lambda data: False
        self.writes: list[bytes] = []
        self.opened_s: list[float] = []
        self._watch(self.board.peer)
        self.board.start()

    def _watch(self, peer: Peer) -> None:
        receive, opened = peer.receive, peer.open

        def receiving(number: int, data: bytes) -> None:
            if number < DATAGRAM:
                self.writes.append(data)
            if not self.loses(data):
                receive(number, data)

        def opening(number: int) -> None:
            self.opened_s.append(self.board.now_s())
            opened(number)

        peer.receive = receiving  # type: ignore[method-assign]
        peer.open = opening  # type: ignore[method-assign]

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            if self.gateway:
                self.speak()
            self.board.run_for(1)

    def speak(self) -> None:
        """What the gateway says each second, once it knows the board."""
        if not self.all("status"):
            return
        self.beat += 1
        self.tell("annunciate", {"run": "g", "beat": self.beat} | self.annunciate, qos=1)
        seqs = {r["seq"] for r in self.records(boot=self.boot)}
        if seqs:
            base = self.records(boot=self.boot)[-1]["base"]
            upto = base - 1
            while upto + 1 in seqs:
                upto += 1
            have: list[list[int]] = []
            for seq in sorted(s for s in seqs if s > upto):
                if have and have[-1][1] == seq - 1:
                    have[-1][1] = seq
                else:
                    have.append([seq, seq])
            self.tell("ack", {"boot": self.boot, "run": "g", "upto": upto, "have": have[:16]})

    def tell(self, leaf: str, fields: dict[str, Any], **flags: Any) -> None:
        self.board.peer.publish(topic(leaf), json.dumps({"v": 1} | fields).encode(), **flags)

    def command(self, kind: str, id: str, ahead_ms: int = 4000, **more: Any) -> None:
        self.tell(
            "cmd",
            {"id": id, "kind": kind, "session": "s-1", "boot": self.boot, "valid_until_up_ms": self.up_ms + ahead_ms}
            | more,
            qos=1,
        )

    def all(self, leaf: str) -> list[dict[str, Any]]:
        return [json.loads(p.payload) for p in self.board.published if p.topic == topic(leaf)]

    def records(self, boot: str | None = None) -> list[dict[str, Any]]:
        leaves = [topic(leaf) for leaf in ("vitals", "cuff", "event")]
        found = [json.loads(p.payload) for p in self.board.published if p.topic in leaves]
        return [r for r in found if boot is None or r["boot"] == boot]

    @property
    def boot(self) -> str:
        return str(self.all("status")[-1]["boot"])

    @property
    def up_ms(self) -> int:
        return int(self.records()[-1]["up_ms"])

    def pumped(self) -> bool:
        return any(name == "pump" and level for _, name, level in self.world.output_log)

    def pressure_mmhg(self) -> float:
        return self.world.cuff.pressure_mmhg(self.board.now_s())
