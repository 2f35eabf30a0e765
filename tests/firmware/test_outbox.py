"""The outbox: what was not acknowledged is held, sent again, and given up only by the rule."""

import random
from typing import Any

import pytest
from unix_port import run

VITALS, CUFF, EVENT = 0, 1, 2

# Each step is [name, arguments...]; what a step returns is collected.
STEPS = """
import json as _json
from chair.outbox import Outbox
box = Outbox("00112233445566aa", bytearray(size))
result = []
for step in steps:
    name = step[0]
    if name == "add":
        box.add(step[1], step[2].encode())
    elif name == "link_up":
        box.link_up(step[1])
    elif name == "ack":
        box.ack(step[1], step[2], step[3], step[4])
    elif name in ("live", "due"):
        sent = getattr(box, name)(step[1])
        result.append(None if sent is None else [sent[0], _json.loads(sent[1])])
    elif name == "drain":
        sent = True
        while sent:
            sent = box.live(step[1])
    elif name == "held":
        result.append([box.base(), list(box.held), box.dropped, [e[3] for e in box._entries()]])
"""


def steps(*steps: list[Any], size: int = 4096) -> Any:
    return run(STEPS, steps=list(steps), size=size)


def body(up_ms: int) -> str:
    return f'"up_ms":{up_ms},"age_ms":20,"quality":"good","sqi_pct":97,"spo2_pct":97.0,"ratio":0.4636'


def add(kind: int, *up_ms: int) -> list[list[Any]]:
    return [["add", kind, body(at)] for at in up_ms]


def test_a_record_is_sent_live_once_with_the_lowest_seq_held() -> None:
    """The first sending carries no `late`; `base` is the oldest record that is not acknowledged."""
    live = steps(
        ["link_up", 500], *add(VITALS, 1000), ["live", 1000], *add(VITALS, 2000), ["live", 2000], ["live", 2001]
    )
    assert live[0] == [
        VITALS,
        {
            "v": 1, "boot": "00112233445566aa", "seq": 1, "base": 1, "up_ms": 1000, "age_ms": 20,
            "quality": "good", "sqi_pct": 97, "spo2_pct": 97.0, "ratio": 0.4636,
        },
    ]  # fmt: skip
    assert (live[1][1]["seq"], live[1][1]["base"], live[2]) == (2, 1, None)


def test_only_what_the_ack_covers_is_forgotten() -> None:
    """`upto` and the ranges trim; a hole stays held and stays the base."""
    held = steps(
        ["link_up", 0], *add(VITALS, *range(1000, 9000, 1000)), ["drain", 8000],
        ["ack", "r", 2, [[4, 5], [7, 7]], 8100], ["held"],
        ["ack", "r", 7, [], 8200], ["held"],
    )  # fmt: skip
    assert held[0] == [3, [3, 0, 0], 0, [3, 6, 8]]
    assert held[1] == [8, [1, 0, 0], 0, [8]]


def test_an_ack_cannot_cover_what_was_never_sent() -> None:
    """A wrong ack from ahead does not lose a record."""
    held = steps(*add(VITALS, 1000, 2000), ["ack", "r", 99, [[1, 99]], 2100], ["held"])
    assert held[0][3] == [1, 2]


def test_uncovered_for_five_seconds_it_is_sent_again_while_acks_arrive() -> None:
    """Not before 5 s, and not into silence."""
    sent = steps(
        ["link_up", 0], *add(VITALS, 1000), ["drain", 1000],
        ["due", 9000],  # no ack ever came: nobody is there
        ["ack", "r", 0, [], 5800], ["due", 5900], ["due", 6000], ["due", 6100],
        ["due", 9000],  # the last ack is over 3 s old
    )  # fmt: skip
    assert sent[:2] == [None, None]
    assert sent[2][1]["late"] is True
    assert sent[3:] == [None, None]


def test_after_a_reconnect_all_that_is_held_is_sent_again_cuff_and_events_first() -> None:
    """What was made during the outage, and what was on the way, comes late; what is new goes live at once."""
    sent = steps(
        ["link_up", 0], *add(VITALS, 1000), ["drain", 1000],
        *add(VITALS, 2000), *add(CUFF, 3000), *add(VITALS, 4000), *add(EVENT, 5000),
        ["link_up", 6000], *add(VITALS, 7000), ["live", 7000],
        ["due", 7000],  # waits for the first ack
        ["ack", "r", 0, [], 7100], *[["due", 7200]] * 6,
    )  # fmt: skip
    assert (sent[0][1]["seq"], "late" in sent[0][1]) == (6, False)
    assert sent[1] is None
    assert [s and (s[1]["seq"], s[1]["late"]) for s in sent[2:]] == [
        (3, True), (5, True), (1, True), (2, True), (4, True), None,
    ]  # fmt: skip


def test_a_new_run_of_the_gateway_gets_what_the_old_one_had_not_acknowledged() -> None:
    """The gateway restarted: what it may have lost is due at once, not after 5 s."""
    sent = steps(
        ["link_up", 0], *add(VITALS, 1000), ["drain", 1000],
        ["ack", "r1", 0, [], 1100], ["due", 1200], ["ack", "r2", 0, [], 1300], ["due", 1400],
    )  # fmt: skip
    assert sent[0] is None
    assert sent[1][1]["seq"] == 1


def test_when_full_the_oldest_vitals_go_first_and_are_counted() -> None:
    """Cuff and events outlive vitals; then the oldest goes; every loss is in `dropped`."""
    held = steps(
        *add(CUFF, 1000), *add(VITALS, *range(2000, 7000, 1000)), *add(EVENT, 7000), *add(CUFF, 8000), ["held"],
        *add(EVENT, *range(10_000, 20_000, 1000)), ["held"], size=256,
    )  # fmt: skip
    assert {1, 7, 8} <= set(held[0][3])
    assert held[0][2] > 0
    assert held[1][1][VITALS] == 0
    assert held[1][3] == list(range(18 - len(held[1][3]) + 1, 19))
    for base, kinds, dropped, seqs in held:
        assert dropped + len(seqs) == (8 if seqs[-1] == 8 else 18)
        assert base == seqs[0]
        assert sum(kinds) == len(seqs)


def test_ten_minutes_of_vitals_fit_in_the_block() -> None:
    """The block that the app reserves holds an outage of ten minutes beside its cuff results and some events."""
    held = run(
        """
from chair import wire
from chair.outbox import Outbox
box = Outbox("00112233445566aa", bytearray(32768))
reading = {"quality": "good", "sqi_pct": 97, "spo2_pct": 97.1, "pulse_bpm": 101.5, "pi_pct": 1.95, "ratio": 0.4636}
cuff = {"quality": "good", "trigger": "schedule", "duration_ms": 45000, "sys_mmhg": 121.5, "dia_mmhg": 80.1,
        "map_mmhg": 95.0, "pulse_bpm": 70.0, "envelope": [(160.5, 1.25)] * 24}
for i in range(10):
    box.add(wire.EVENT, wire.event_body(1000, "link", "lost", detail="receive: closed by the broker"))
for i in range(2):
    box.add(wire.CUFF, wire.cuff_body(1000, 0, cuff))
for i in range(600):
    box.add(wire.VITALS, wire.vitals_body(100000000 + i * 1000, 48, reading))
result = [box.held, box.dropped]
"""
    )
    assert held == [[600, 2, 10], 0]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_order_nothing_is_lost_or_forgotten_too_early(seed: int) -> None:
    """Adding, sending, acknowledging, reconnecting by chance: held is what was added less what was sent and covered."""
    chance = random.Random(seed)
    script: list[list[Any]] = []
    count = now = 0
    for _ in range(300):
        now += chance.randrange(100, 900)
        what = chance.choice(["add", "add", "live", "due", "ack", "link_up"])
        if what == "add":
            count += 1
            script += add(chance.choice([VITALS, VITALS, CUFF, EVENT]), now)
        elif what == "ack":
            have = [[a, a + chance.randrange(3)] for a in (chance.randrange(1, count + 2) for _ in range(2))]
            script += [["ack", "r", chance.randrange(count + 1), have, now], ["held"]]
        else:
            script.append([what, now])
    answers = iter(run(STEPS, steps=script, size=65536))
    added = 0
    held: set[int] = set()
    sent: set[int] = set()
    for step in script:
        if step[0] == "add":
            added += 1
            held.add(added)
        elif step[0] == "ack":
            held -= {s for s in held & sent if s <= step[2] or any(a <= s <= b for a, b in step[3])}
        elif step[0] == "held":
            base, _, dropped, seqs = next(answers)
            assert (seqs, dropped, base) == (sorted(held), 0, min(held, default=added + 1)), f"seed {seed}"
        elif step[0] in ("live", "due"):
            answer = next(answers)
            if answer:
                record = answer[1]
                assert record["seq"] in held, f"seed {seed}: sent what was acknowledged"
                assert record["base"] == min(held), f"seed {seed}"
                assert record.get("late", False) == (step[0] == "due"), f"seed {seed}"
                if step[0] == "live":
                    assert record["seq"] not in sent, f"seed {seed}: live twice"
                sent.add(record["seq"])
