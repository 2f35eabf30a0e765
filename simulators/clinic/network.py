"""The way between the board's broker and the gateway, message by message: delay, loss, duplication, reordering.

Every message of a board takes `HOP_US`. Faults make some later, none or two of it. Only QoS 0 messages are lost or
doubled by chance, as by a broker whose queue is full; what a QoS 1 sender repeats until it is acknowledged arrives.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from simulators.agenda import Agenda

HOP_US = 1_500
REORDER_US = 1_200_000
"""Long enough that the next second's reading overtakes."""


class Network:
    """Shares are 0..1 of messages; `delay_us` is added to each, both ways."""

    def __init__(self, agenda: Agenda, seed: int) -> None:
        self.delay_us = 0
        self.loss_share = 0.0
        self.double_share = 0.0
        self.reorder_share = 0.0
        self.lost = self.doubled = self.reordered = 0
        self._agenda = agenda
        self._chance = random.Random(seed * 7919 + 7)

    def carry(self, now_us: int, qos: int, deliver: Callable[[], None]) -> None:
        """Deliver one message when its time has come, if it comes."""
        chance = self._chance
        at_us = now_us + HOP_US + self.delay_us
        if qos == 0:
            if self.loss_share and chance.random() < self.loss_share:
                self.lost += 1
                return
            if self.reorder_share and chance.random() < self.reorder_share:
                self.reordered += 1
                at_us += REORDER_US
            if self.double_share and chance.random() < self.double_share:
                self.doubled += 1
                self._agenda.at(at_us + HOP_US, deliver)
        self._agenda.at(at_us, deliver)
