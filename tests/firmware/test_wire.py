"""What the firmware's encoder leaves out, and what its decoder refuses; the vectors are in tests/contract."""

import json
import random
from typing import Any

import pytest
from unix_port import run

from gateway import wire

BOOT = "00112233445566aa"

DECODE = """
from chair import wire
decoder = wire.Decoder()
result = []
for kind, payload in messages:
    try:
        result.append(getattr(decoder, kind)(payload.encode()))
    except wire.Refused as refused:
        result.append(refused.kind)
"""


def decode(*messages: tuple[str, wire.Message]) -> Any:
    return run(DECODE, messages=[[kind, wire.encode(message).decode()] for kind, message in messages])


def ack(epoch: int = 0) -> wire.Ack:
    return wire.Ack(boot=BOOT, run="r", upto=3, epoch=epoch)


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "-0.5", "101.0"])
def test_a_value_outside_the_contract_is_left_out(value: str) -> None:
    """It would make the gateway refuse the whole record for ever; its absence is refused by nobody."""
    text = run(
        f"""
from chair import wire
reading = {{"quality": "motion", "sqi_pct": 3, "spo2_pct": {value}, "pulse_bpm": 70}}
body = wire.vitals_body(5000, 20, reading, "deflating", float("nan"))
result = wire.record("{BOOT}", 1, 1, False, body).decode()
"""
    )
    vitals = wire.decode(text.encode(), wire.Vitals)
    assert vitals.spo2_pct is wire.UNSET
    assert vitals.cuff_mmhg is wire.UNSET
    assert (vitals.pulse_bpm, vitals.cuff) == (70, "deflating")


def test_up_ms_is_exact_after_years() -> None:
    """No float and no 32 bit touches the times and counts on the wire."""
    up_ms = 2**40 + 12_345
    text = run(
        f"""
from chair import wire
body = wire.vitals_body(up_ms, 0, {{"quality": "no_finger", "sqi_pct": 0}})
result = wire.record("{BOOT}", 2**31 + 7, 2**31 + 5, True, body).decode()
""",
        up_ms=up_ms,
    )
    vitals = wire.decode(text.encode(), wire.Vitals)
    assert (vitals.up_ms, vitals.seq, vitals.base, vitals.late) == (up_ms, 2**31 + 7, 2**31 + 5, True)


def test_packing_gives_back_every_body() -> None:
    """The short form that the outbox keeps is exact for bodies of every kind and for any mixture of its words."""
    chance = random.Random(7)
    words = run("from chair import wire; result = [w.decode() for w in wire._WORDS]")
    pieces = [*words, '"', ",", "0", "12.5", '{"good"', ":", "}"]
    bodies = ["".join(chance.choices(pieces, k=12)) for _ in range(300)]
    assert run("from chair import wire; result = [wire.unpack(wire.pack(b.encode())).decode() for b in bodies]",
               bodies=bodies) == bodies  # fmt: skip


def test_a_lower_epoch_than_seen_is_refused() -> None:
    """A gateway that was replaced does not speak over its successor; a refused message teaches no epoch."""
    assert decode(
        ("ack", ack(epoch=1)), ("ack", ack(epoch=0)), ("annunciate", ack(epoch=9)), ("ack", ack(epoch=1))
    )[1:] == ["epoch", "invalid", json.loads(wire.encode(ack(epoch=1)))]  # fmt: skip


def test_an_oversized_message_is_refused_before_it_is_parsed() -> None:
    """2 KiB bind what a board takes."""
    messages = [["ack", "[" * 2049], ["ack", "[" * 2048]]
    assert run(DECODE, messages=messages) == ["oversized", "malformed"]
