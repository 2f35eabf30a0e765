"""What surrounds the model of a board: what the faults of the menu set, and the broker's end of its connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace

from simulators.plan import load
from simulators.world.chair import FULL_V
from simulators.world.patient import Patient
from simulators.world.pneumatics import SafetyFacts


class ModelCuff:
    """On the arm or not, tight or not; it has no air."""

    facts = SafetyFacts()
    leak_size = 0.0
    pump_dead = kinked = False
    on_arm = True

    def wrap(self, t: float, on_arm: bool) -> None:
        self.on_arm = on_arm

    def kink(self, t: float, kinked: bool) -> None:
        self.kinked = kinked

    def arm_mmhg(self, t: float) -> float:
        return 0.0


class ModelWorld:
    """What the faults of the menu set."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.plan = load()
        self.cuff = ModelCuff()
        self.finger = SimpleNamespace(motion=0.0)
        self.bus = SimpleNamespace(nack_share={})
        self.output_log: deque[tuple[float, str, float]] = deque()
        self.wifi_up = True
        self.battery_v = FULL_V
        self.seat = "occupied"
        self.pressed: deque[str] = deque()

    def press(self, name: str, down: bool = True) -> None:
        if down:
            self.pressed.append(name.removeprefix("button_"))

    def sit(self, state: str = "occupied") -> None:
        self.seat = state


class ModelPeer:
    """The broker's end of the board's connection."""

    def __init__(self, drop: Callable[[], None], take: Callable[[str, bytes], None]) -> None:
        self.up, self.silent = True, False
        self.retained: dict[str, bytes] = {}
        self._drop, self._take = drop, take

    def drop(self, *, refuse: bool = False) -> None:
        self.up = self.up and not refuse
        self._drop()

    def publish(self, topic: str, payload: bytes, *, qos: int = 0) -> None:
        if not self.silent:
            self._take(topic, payload)
