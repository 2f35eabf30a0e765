"""On which side of its limits a rule's measure is, and since when: surely, and perhaps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.core.protocol import Rule, Tier
from simulators.clinic.invariants.facts import SLACK_MS

Broken = Callable[[str, str, str], None]
"""Told the invariant, of what it is not true, and why."""
WITHIN = {"spo2_fall_pct": ("spo2_pct", -1), "pulse_fall_bpm": ("pulse_bpm", -1), "pulse_rise_bpm": ("pulse_bpm", 1)}
"""Changes within a rule's window: of what, and which way."""
EDGE_SHARE = 1 / 30
"""So much of a window its edge may be off."""


@dataclass
class Side:
    """On which side of a limit the readings are: since when surely (`must`), and since when perhaps (`may`)."""

    must_ms: int | None = None
    arrived_ms: int = 0
    must_count: int = 0
    may_ms: int | None = None
    may_count: int = 0
    inside_must_ms: int | None = None
    inside_may_ms: int | None = None
    depth: float = 0.0
    """Distance beyond the limit times seconds, up to the last reading."""
    beyond_by: float = 0.0
    last_ms: int = 0

    def deepen(self, by: float, made_ms: int) -> None:
        self.depth = self.depth + self.beyond_by * (made_ms - self.last_ms) / 1000 if by and self.beyond_by else 0.0
        self.beyond_by, self.last_ms = by, made_ms

    def soonest_ms(self, tier: Tier) -> float:
        """When it may hold at the earliest: by its delay, or by its depth."""
        by_delay_ms = (self.may_ms or 0) + tier.delay_s * 1000
        if tier.depth_s == 0 or self.beyond_by == 0:
            return by_delay_ms
        return min(by_delay_ms, self.last_ms + 1000 * max(0.0, tier.depth_s - self.depth) / self.beyond_by)

    def read(self, beyond: bool, near: bool, made_ms: int, arrived_ms: int, sure: bool, wanted: int) -> None:
        if beyond:
            if sure:
                self.must_ms = made_ms if self.must_ms is None else self.must_ms
                self.must_count += 1
                if self.must_count == wanted:
                    self.arrived_ms = arrived_ms
            self.may_ms = made_ms if self.may_ms is None else self.may_ms
            self.may_count += 1
        else:
            self.must_ms, self.must_count = None, 0
            if sure:
                self.may_ms, self.may_count = None, 0
        if near:
            self.inside_must_ms = None
            if sure:
                self.inside_may_ms = None
        else:
            if sure:
                self.inside_must_ms = made_ms if self.inside_must_ms is None else self.inside_must_ms
            self.inside_may_ms = made_ms if self.inside_may_ms is None else self.inside_may_ms


@dataclass
class Watched:
    """One rule. `values` are the last that its measure had."""

    rule: Rule
    sides: list[Side]
    values: deque[float] = field(default_factory=lambda: deque(maxlen=40))
    last_ms: int = 0
    arrived_ms: int = 0
    window: deque[tuple[int, float, bool]] = field(default_factory=deque)

    def change(self, value: float, made_ms: int, sure: bool) -> list[float]:
        """How far it fell or rose within the window: at most, and at least, if its edge or a reading is not sure."""
        self.window.append((made_ms, value, sure))
        while made_ms - self.window[0][0] > self.rule.window_s * 1000 + SLACK_MS:
            self.window.popleft()
        way, edge_ms = WITHIN[self.rule.measure][1], self.rule.window_s * (1000 - 1000 * EDGE_SHARE) - SLACK_MS
        most = max(way * (value - before) for _, before, _ in self.window)
        surely = [way * (value - old) for at_ms, old, known in self.window if known and made_ms - at_ms < edge_ms]
        least = max(surely, default=0.0)
        return [most] if most == least else [most, least]


def crossed(tier: Tier, value: float, margin: float = 0.0) -> bool:
    """Beyond the limit, or not `margin` inside it."""
    if tier.below is not None:
        return value < tier.below + margin
    if tier.above is not None:
        return value > tier.above - margin
    return value >= (tier.reaches or 0.0) - margin
