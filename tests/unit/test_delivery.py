"""End-to-end delivery: what a board may forget is on the gateway's disk, and everything arrives in the end."""

import random

import pytest
from core_helpers import BOARD, Story, only, published, record_ids
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from properties import examples

from gateway import wire
from gateway.core.outputs import RecordId


class Link:
    """A board with an outbox, a link that loses, repeats and reorders, and a journal that commits when it likes."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.story = Story()
        self.outbox: dict[int, wire.Event] = {}
        self.flying: list[wire.Event] = []
        self.pending: list[RecordId] = []
        self.durable: set[tuple[str, int]] = set()
        self.given_up: set[int] = set()

    def record(self) -> None:
        board = self.story.board
        base = min(self.outbox, default=board.seq + 1)
        record = board.record(wire.Event, self.story.now_ms, kind="button", name="acknowledge", base=base)
        self.outbox[record.seq] = record
        self.flying.append(record)

    def resend(self) -> None:
        if self.outbox:
            seq = self.chance.choice(list(self.outbox))
            self.flying.append(replace(self.outbox[seq], base=min(self.outbox), late=True))

    def overflow(self) -> None:
        if self.outbox:
            seq = min(self.outbox)
            del self.outbox[seq]
            self.given_up.add(seq)

    def deliver(self) -> None:
        if self.flying:
            record = self.flying.pop(self.chance.randrange(len(self.flying)))
            fate = self.chance.random()
            for _ in range(0 if fate < 0.3 else 2 if fate > 0.9 else 1):
                self.pending += record_ids(self.story.send(record))

    def commit(self) -> None:
        count = self.chance.randint(0, len(self.pending))
        done, self.pending = self.pending[:count], self.pending[count:]
        self.durable |= {(record.boot, record.seq) for record in done}
        self.story.engine.durable(done)

    def crash(self) -> None:
        """What was not committed is lost with the process."""
        self.pending = []
        have: dict[str, list[tuple[int, int]]] = {}
        for boot, seq in sorted(self.durable):
            have.setdefault(boot, []).append((seq, seq))
        self.story = self.story.crashed(have={BOARD: have})

    def reboot(self) -> None:
        self.story.board.rebooted(self.story.now_ms, f"{self.chance.getrandbits(64):016x}")
        self.outbox, self.given_up = {}, set()

    def second(self) -> None:
        for ack in published(wire.Ack, self.story.passes(1)):
            self.check(ack)
            if ack.boot == self.story.board.boot and self.chance.random() < 0.7:
                covered = [s for s in self.outbox if s <= ack.upto or any(a <= s <= b for a, b in ack.have)]
                for seq in covered:
                    del self.outbox[seq]

    def check(self, ack: wire.Ack) -> None:
        assert len(ack.have) <= 16
        assert len(wire.encode(ack)) <= wire.BOARD_BYTES_MAX
        said = {seq for first, last in ack.have for seq in range(first, last + 1)}
        if ack.boot == self.story.board.boot:
            # What is still in the outbox and covered must be on the disk, or the board forgets it for nothing.
            said |= {seq for seq in self.outbox if seq <= ack.upto}
        assert {(ack.boot, seq) for seq in said} <= self.durable

    def step(self, what: str) -> None:
        getattr(self, what)()


OFTEN = ["record"] * 6 + ["deliver"] * 8 + ["resend"] * 2 + ["commit"] * 3 + ["second"] * 3
SELDOM = ["overflow", "reboot", "crash"]


@settings(max_examples=examples(60), deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(OFTEN + SELDOM), max_size=120))
def test_an_ack_covers_only_what_is_durable(chance: random.Random, story: list[str]) -> None:
    """Over loss, reordering, repeats, an outbox that overflows, reboots, and crashes of the gateway: what a board may
    forget is on the disk."""
    link = Link(chance)
    for what in story:
        link.step(what)


@pytest.mark.parametrize("seed", range(8))
def test_every_record_arrives_in_the_end(seed: int) -> None:
    """However bad it was: what the board still holds is covered after some resending."""
    link = Link(random.Random(seed))
    for _ in range(120):
        link.step(link.chance.choice(["record"] * 3 + ["deliver"] * 3 + ["resend", "commit", "second", "crash"]))
    before = set(link.outbox)
    assert before
    for _ in range(1_000):
        for what in ("record", "deliver", "resend", "deliver", "commit", "second"):
            link.step(what)
        if not before & set(link.outbox):
            return
    assert not before & set(link.outbox)


def test_an_ack_has_at_most_sixteen_ranges() -> None:
    """Every second record lost: the lowest gaps are told first."""
    story = Story()
    for seq in range(1, 101):
        if seq % 2:
            story.event("button", "acknowledge", seq=seq, base=1)
    story.engine.durable(record_ids(story.outputs))
    ack = only(wire.Ack, story.passes(1))
    assert (ack.upto, len(ack.have), ack.have[0]) == (1, 16, (3, 3))


def test_a_base_over_what_is_durable_acknowledges_nothing_above() -> None:
    """What the board gave up lies below; what it holds is not covered by that."""
    story = Story()
    story.event("button", "acknowledge", seq=50, base=50)
    ack = only(wire.Ack, story.passes(1))
    assert (ack.upto, ack.have) == (49, [])
