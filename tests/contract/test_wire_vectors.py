"""The contract, held together from both ends: the same vectors on both interpreters.

`vectors/from_board.json`    the firmware encodes `given` to `payload`; the gateway decodes it to `message`
`vectors/from_gateway.json`  the gateway encodes `message` to `payload`; the firmware decodes it to the same
`vectors/refused.json`       neither takes `payload`, and both say why with the same word
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import wire
from simulators.plan import ROOT
from simulators.process import find_micropython

VECTORS = Path(__file__).parent / "vectors"
TO_BOARD: dict[str, type[wire.Message]] = {"ack": wire.Ack, "annunciate": wire.Annunciate, "cmd": wire.Cmd}
TYPES = wire.BOARD_TOPICS | TO_BOARD

FIRMWARE = """
import json, sys
from chair import wire

BOOT = "00112233445566aa"


def encode(kind, g):
    if kind == "vitals":
        body = wire.vitals_body(
            g["up_ms"], g["age_ms"], g["reading"], g.get("cuff", "idle"), g.get("cuff_mmhg"), g.get("seat", "unknown")
        )
    elif kind == "cuff":
        body = wire.cuff_body(g["up_ms"], g["age_ms"], g["result"])
    elif kind == "event":
        body = wire.event_body(
            g["up_ms"], g["kind"], g["name"], g.get("value"), g.get("limit"), g.get("unit"), g.get("detail")
        )
    elif kind == "reply":
        return wire.reply(BOOT, g["id"], g["reason"])
    elif kind == "waveform":
        return wire.waveform(BOOT, g["up_ms"], g["rate_hz"], g["ir"])
    elif g["online"]:
        return wire.status(BOOT, g["conn"], g["fields"])
    else:
        return wire.will(BOOT, g["conn"])
    return wire.record(BOOT, g["seq"], g["base"], g["late"], wire.unpack(wire.pack(body)), g.get("utc_ms"))


def decode(kind, payload):
    try:
        return getattr(wire.Decoder(), kind)(payload.encode())
    except wire.Refused as refused:
        return refused.kind


result = []
for line in json.load(sys.stdin):
    if "given" in line:
        result.append(encode(line["kind"], line["given"]).decode())
    else:
        result.append(decode(line["kind"], line["payload"]))
print(json.dumps(result))
"""


def vectors(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())
    return cases


def firmware(cases: list[dict[str, Any]]) -> list[Any]:
    """What the firmware's own wire.py makes of the cases, on MicroPython."""
    done = subprocess.run(
        [find_micropython(), "-c", FIRMWARE],
        input=json.dumps(cases),
        env={"MICROPYPATH": f"{ROOT / 'firmware'}:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def by_meaning(kind: str, text: str) -> object:
    """A status or reply is a dictionary whose order is not part of the contract; a record is compared as text."""
    return json.loads(text) if kind in ("status", "reply", "waveform") else text


def test_the_firmware_encodes_what_the_vectors_say() -> None:
    """Each message of a board comes out as its vector, to the byte where it is stored as bytes."""
    cases = vectors("from_board")
    for case, text in zip(cases, firmware(cases), strict=True):
        assert by_meaning(case["kind"], text) == by_meaning(case["kind"], case["payload"]), case["name"]


def test_the_gateway_decodes_what_the_firmware_encodes() -> None:
    """Encoded on MicroPython, decoded by the gateway's types: every field arrives as it was meant."""
    cases = vectors("from_board")
    for case, text in zip(cases, firmware(cases), strict=True):
        message = wire.decode(text.encode(), TYPES[case["kind"]])
        assert json.loads(wire.encode(message)) == case["message"], case["name"]


def test_the_firmware_decodes_what_the_gateway_encodes() -> None:
    """Encoded by the gateway's types, decoded on MicroPython: every field arrives as it was meant."""
    cases = vectors("from_gateway")
    for case in cases:
        encoded = wire.encode(msgspec.convert(case["message"], TYPES[case["kind"]]))
        if not case.get("newer"):
            assert json.loads(encoded) == json.loads(case["payload"]), case["name"]
    for case, message in zip(cases, firmware(cases), strict=True):
        assert message == json.loads(case["payload"]), case["name"]


def test_both_refuse_the_same_for_the_same_reason() -> None:
    """What does not fit is refused by one of few words, which are counted; both ends use the same."""
    cases = vectors("refused")
    for case in cases:
        with pytest.raises(wire.Refused) as refused:
            wire.decode(case["payload"].encode(), TYPES[case["kind"]])
        assert refused.value.kind == case["refused"], case["name"]
    for_board = [case for case in cases if case["kind"] in TO_BOARD]
    for case, answer in zip(for_board, firmware(for_board), strict=True):
        assert answer == case["refused"], case["name"]


def test_every_kind_has_vectors() -> None:
    """A message type without a vector would be a contract that nobody holds."""
    assert {case["kind"] for case in vectors("from_board")} == set(wire.BOARD_TOPICS)
    assert {case["kind"] for case in vectors("from_gateway")} == set(TO_BOARD)
