"""The outbox: what was not acknowledged is held, sent again, and given up only by the rule."""

import random
from pathlib import Path
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
        box.ack({"boot": "00112233445566aa", "run": step[1], "upto": step[2], "have": step[3]}, step[4])
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


def test_when_full_the_oldest_vitals_go_first_then_the_oldest_events_and_all_are_counted() -> None:
    """Cuff and events outlive vitals; every loss is in `dropped`; the base follows."""
    held = steps(
        *add(CUFF, 1000), *add(VITALS, *range(2000, 10_000, 1000)), *add(EVENT, 10_000), *add(CUFF, 11_000), ["held"],
        *add(EVENT, *range(12_000, 22_000, 1000)), ["held"], size=256,
    )  # fmt: skip
    assert {1, 10, 11} <= set(held[0][3])
    assert held[0][2] > 0
    assert held[1][1][VITALS] == 0
    assert {1, 11} <= set(held[1][3])
    events = [seq for seq in held[1][3] if seq not in (1, 11)]
    assert events == list(range(21 - len(events) + 1, 22))
    for base, kinds, dropped, seqs in held:
        assert dropped + len(seqs) == max(seqs)
        assert base == seqs[0]
        assert sum(kinds) == len(seqs)


@pytest.mark.parametrize("flood", [VITALS, EVENT])
@pytest.mark.parametrize("size", [1024, 8192, 32768])
def test_no_flood_pushes_out_the_last_twenty_cuff_results(flood: int, size: int) -> None:
    """Whatever arrives without end and however small the block: what was measured stays until it is acknowledged."""
    cuffs = add(CUFF, *range(1000, 26_000, 1000))
    held = steps(*cuffs, *add(flood, *range(30_000, 930_000, 1000)), ["held"], size=size)
    _, kinds, dropped, seqs = held[0]
    assert kinds[CUFF] >= min(20, kinds[CUFF] + dropped)
    assert [seq for seq in seqs if seq <= 25][-20:] == list(range(6, 26))
    assert seqs[-1] == 925 or (flood == VITALS and not kinds[VITALS])
    assert dropped + sum(kinds) == 925


def test_ten_minutes_of_vitals_and_twenty_cuff_results_fit_in_the_block() -> None:
    """The block that the app reserves holds them beside some events, in the longest form that each takes."""
    held, bytes_used = run(
        """
from chair import wire
from chair.outbox import Outbox
box = Outbox("00112233445566aa", bytearray(32768))
reading = {"quality": "good", "sqi_pct": 97, "spo2_pct": 97.1, "pulse_bpm": 101.5, "pi_pct": 11.95, "ratio": 0.4636,
           "resp_bpm": 14.2, "resp_sqi_pct": 88, "uncalibrated": True}
cuff = {"quality": "good", "trigger": "schedule", "duration_ms": 45000, "sys_mmhg": 121.5, "dia_mmhg": 80.1,
        "map_mmhg": 95.0, "pulse_bpm": 70.0, "sqi_pct": 88, "uncalibrated": True, "envelope": [(160.5, 1.25)] * 24}
for i in range(20):
    box.add(wire.CUFF, wire.cuff_body(100000000, 0, cuff))
for i in range(20):
    box.add(wire.EVENT, wire.event_body(100000000, "link", "lost", detail="nothing heard for 5000 ms"))
for i in range(600):
    box.add(wire.VITALS, wire.vitals_body(100000000 + i * 1000, 148, reading, "idle", None, "occupied"))
result = [[box.held, box.dropped], box._used]
"""
    )
    assert held == [[600, 20, 20], 0], bytes_used
    assert bytes_used < 32768


@pytest.mark.parametrize("quality", ["no_finger", "cuff_hold", "low_perfusion", "saturation", "below_range"])
def test_ten_minutes_of_an_empty_chair_fit_in_the_block(quality: str) -> None:
    """Nobody sits there, or the reading has no value: the reason takes no more room than the value."""
    held = run(
        """
from chair import wire
from chair.outbox import Outbox
box = Outbox("00112233445566aa", bytearray(32768))
for i in range(600):
    body = wire.vitals_body(100000000 + i * 1000, 148, {"quality": quality, "sqi_pct": 0}, "idle", None, "empty")
    box.add(wire.VITALS, body)
result = [box.held, box.dropped]
""",
        quality=quality,
    )
    assert held == [[600, 0, 0], 0]


def test_packing_gives_back_every_body() -> None:
    """Whatever a body says, also with characters that no record of ours has."""
    chance = random.Random(5)
    texts = [body(at) for at in range(0, 10**9, 10**8 // 3)]
    texts += ["".join(chance.choice('0123456789.,"[]:aZ{}é') for _ in range(chance.randrange(80))) for _ in range(60)]
    texts += ['"detail":"nothing heard"', '"envelope":[[160.5,1.25],[150.0,1.30]]', ""]
    script = (
        "from chair import packed; result = [bytes(packed.unpack(packed.pack(t.encode()))).decode() for t in texts]"
    )
    assert run(script, texts=texts) == texts


def test_a_record_that_the_gateway_refuses_is_given_up_after_a_minute_and_counted() -> None:
    """Resent each 5 s while later ones are covered; it does not go on for ever and does not hold the base."""
    script = [["link_up", 0], *add(VITALS, 500), ["drain", 600], *add(VITALS, 700, 800), ["drain", 900]]
    for now in range(1000, 121_000, 2600):
        script += [["ack", "r", 0, [[2, 3]], now], ["due", now]]
    answers = steps(*script, ["held"])
    sent = [answer for answer in answers[:-1] if answer]
    assert len(sent) == 15
    assert {answer[1]["seq"] for answer in sent} == {1}
    assert answers[-1] == [4, [0, 0, 0], 1, []]


def test_a_record_is_not_given_up_while_the_gateway_keeps_nothing_after_it() -> None:
    """A journal that has stopped acknowledges nothing new: everything waits, however long."""
    script = [["link_up", 0], *add(VITALS, 500), ["drain", 600]]
    for i in range(200):
        script += [["ack", "r", 0, [], 1000 + 2600 * i], ["due", 1000 + 2600 * i]]
    answers = steps(*script, ["held"])
    assert len([answer for answer in answers[:-1] if answer]) > 60
    assert answers[-1] == [1, [1, 0, 0], 0, [1]]


def test_resending_into_a_link_that_breaks_each_time_gives_nothing_up() -> None:
    """After each reconnect everything is sent again; only what acks had 5 s to cover counts as refused."""
    script = [["link_up", 0], *add(VITALS, 500), ["drain", 600], *add(VITALS, 700), ["drain", 900]]
    for i in range(100):
        at = 1000 + 3000 * i
        script += [["link_up", at], ["ack", "r", 0, [[2, 2]], at + 100], ["due", at + 200], ["due", at + 300]]
    held = steps(*script, ["held"])[-1]
    assert held == [1, [1, 0, 0], 0, [1]]


# Two boots in one flash: what each of them does is a list of steps as above.
BOOTS = """
from chair import carried
import json as _json
from chair.outbox import Outbox
result = []
for boot, script in boots:
    box = Outbox(boot, bytearray(size))
    box.restore()
    for step in script:
        if step[0] == "add":
            box.add(step[1], step[2].encode())
        elif step[0] == "save":
            result.append(box.save())
        elif step[0] == "utc":
            box.utc_ms = step[1]
        elif step[0] == "held":
            result.append([list(box.held), box.dropped, [[e[2] >> 2 & 3, e[3]] for e in box._entries()]])
        elif step[0] in ("live", "due"):
            sent = getattr(box, step[0])(step[1])
            result.append(None if sent is None else [sent[0], _json.loads(sent[1])])
        elif step[0] == "ack":
            whose = step[5] if len(step) > 5 else boot
            box.ack({"boot": whose, "run": step[1], "upto": step[2], "have": step[3]}, step[4])
        else:
            getattr(box, step[0])(*step[1:])
"""
A, B, C, D, E = (f"{number:016x}" for number in range(5))


def boots(folder: Path, *given: list[Any], size: int = 8192) -> Any:
    return run(BOOTS, folder, boots=[list(boot) for boot in given], size=size)


def test_what_was_saved_keeps_its_boot_seq_and_time(tmp_path: Path) -> None:
    """After a restart the former boot's records are sent late, under its own name, cuff first; the new boot's seq
    begins at 1 and its live ones are not held up."""
    answers = boots(
        tmp_path,
        (A, [["utc", 10**12], *add(VITALS, 1000), *add(CUFF, 2000), ["save"]]),
        (B, [["link_up", 100], *add(EVENT, 300), ["live", 300], ["due", 300], ["ack", "r", 1, [], 400],
             ["due", 500], ["due", 600], ["due", 700], ["held"]]),
    )  # fmt: skip
    assert answers[0] is True
    assert (answers[1][1]["boot"], answers[1][1]["seq"], answers[1][1]["base"]) == (B, 1, 1)
    assert answers[2] is None
    first, second = answers[3][1], answers[4][1]
    assert (first["boot"], first["seq"], first["base"], first["late"], first["at_ms"]) == (A, 2, 1, True, 10**12 + 2000)
    assert (second["boot"], second["seq"], second["up_ms"], second["at_ms"]) == (A, 1, 1000, 10**12 + 1000)
    assert answers[5] is None
    assert answers[6] == [[1, 1, 0], 0, [[1, 1], [1, 2]]]


def test_an_ack_of_a_former_boot_forgets_its_records_and_the_file(tmp_path: Path) -> None:
    """Only the boot that the ack names is trimmed; with its last record the file goes."""
    script: list[list[Any]] = [["link_up", 0], ["ack", "r", 0, [], 1, B], ["due", 2], ["due", 3]]
    script += [["ack", "r", 9, [], 4, B], ["held"], ["ack", "r", 2, [], 5, A], ["held"]]
    former = (A, [*add(VITALS, 1000, 2000), ["save"]])
    got = boots(tmp_path, former, (B, [["held"]]), (B, script), (C, [["held"]]))
    assert got[1] == [[2, 0, 0], 0, [[1, 1], [1, 2]]]
    assert got[4] == [[2, 0, 0], 0, [[1, 1], [1, 2]]]
    assert got[5] == [[0, 0, 0], 0, []]
    assert got[6] == [[0, 0, 0], 0, []]
    assert not (tmp_path / "outbox.bin").exists()


def test_without_acks_for_a_former_boot_its_records_are_given_up_and_counted(tmp_path: Path) -> None:
    """Sent four times on a link with acks, 5 s apart; then they make room."""
    script: list[list[Any]] = [["link_up", 0]]
    for i in range(30):
        script += [["ack", "r", 0, [], 1000 * i + 100], ["due", 1000 * i + 200]]
    got = boots(tmp_path, (A, [*add(VITALS, 1000), ["save"]]), (B, [*script, ["held"]]))
    assert len([answer for answer in got[1:-1] if answer]) == 4
    assert got[-1] == [[0, 0, 0], 1, []]
    assert not (tmp_path / "outbox.bin").exists()


def test_boot_after_boot_the_newest_three_are_carried(tmp_path: Path) -> None:
    """A fourth is given up and counted, as are records for which there is no room."""
    got = boots(tmp_path, *((name, [*add(EVENT, 1000), ["save"]]) for name in (A, B, C, D)), (E, [["held"]]))
    assert got[-1] == [[0, 0, 3], 1, [[3, 1], [2, 1], [1, 1]]]


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "nonsense"])
def test_a_damaged_file_is_no_file(tmp_path: Path, harm: str) -> None:
    """The board starts without it and works."""
    boots(tmp_path, (A, [*add(VITALS, *range(1000, 20_000, 1000)), ["save"]]))
    file = tmp_path / "outbox.bin"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes({"cut": data[:-9], "flipped": data, "empty": b"", "nonsense": b"[1]\n\xff"}[harm])
    assert boots(tmp_path, (B, [["held"], *add(VITALS, 1000), ["held"]])) == [
        [[0, 0, 0], 0, []],
        [[1, 0, 0], 0, [[0, 1]]],
    ]


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
