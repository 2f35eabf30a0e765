"""An update, step by step: what is taken, and each reason for which a board refuses one."""

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
import updates
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from unix_port import run

from hardware.bench import bundle as bundles
from hardware.bench.bundle import Bundle
from hardware.bench.upload import CHUNK_BYTES

STEPS = """
import slots
from chair import store
if given_life:
    store.save("life", given_life)
slots.begin("power_on")
from chair import update
result = [update.step(fields, slots.life) for fields in steps]
result.append(store.load("life").get("trial"))
"""


def small(**entries: Any) -> Bundle:
    """A bundle of two files that are no firmware, for counter 5."""
    files = {"chair/app.py": b"x = 1\n" * 300, "drivers/chip.mpy": bytes(range(256)) * 3}
    manifest = {
        "v": 1,
        "board": "chairside-c1",
        "version": "0.2.0",
        "security": 5,
        "files": [[name, len(data), hashlib.sha256(data).hexdigest()] for name, data in files.items()],
    }
    return bundles.sign(Bundle(json.dumps(manifest | entries).encode(), files), updates.key())


def chunks(name: str, data: bytes) -> list[dict[str, Any]]:
    return [
        {"step": "chunk", "file": name, "at": at, "data": base64.b64encode(data[at : at + CHUNK_BYTES]).decode()}
        for at in range(0, len(data), CHUNK_BYTES)
    ]


def steps(bundle: Bundle) -> list[dict[str, Any]]:
    made = [{"step": "begin", "file": hashlib.sha256(bundle.manifest).hexdigest()}]
    for name, data in (("manifest", bundle.manifest), *bundle.files.items()):
        made += chunks(name, data)
    return [*made, {"step": "apply"}]


def refusals(flash: Path, taken: list[Any], security: int = 0) -> tuple[list[str], Any]:
    """(the distinct reasons, in order; what the next start would try)."""
    updates.provision(flash)
    *reasons, trial = run(STEPS, flash, steps=taken, given_life={"security": security} if security else {})
    return list(dict.fromkeys(reason for reason in reasons if reason)), trial


def test_a_signed_update_is_staged_and_tried_at_the_next_start(tmp_path: Path) -> None:
    """Every step is accepted, every file lies in the free slot, and the start after that is the trial."""
    bundle = small()
    assert refusals(tmp_path, steps(bundle)) == (
        [],
        {"slot": "a", "version": "0.2.0", "security": 5, "started": False},
    )
    for name, data in bundle.files.items():
        assert (tmp_path / "a" / name).read_bytes() == data


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"security": 4}, "replayed"),
        ({"security": 3}, "older"),
        ({"security": 0}, "malformed"),
        ({"security": True}, "malformed"),
        ({"security": "9"}, "malformed"),
        ({"board": "chairside-x9"}, "board"),
        ({"v": 2}, "malformed"),
        ({"version": ""}, "malformed"),
        ({"version": 2}, "malformed"),
        ({"files": []}, "malformed"),
        ({"files": 7}, "malformed"),
        ({"files": [["chair/app.py", 10]]}, "malformed"),
        ({"files": [["chair/app.py", 70000, "00"]]}, "size"),
        ({"files": [["chair/app.py", 0, "00"]]}, "size"),
        ({"files": [["chair/app.py", 9, "00"], ["chair/app.py", 9, "00"]]}, "file chair/app.py"),
    ],
)
def test_a_signed_manifest_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    """Older, the same again, for another board, out of bounds: refused before any file is stored."""
    reasons, trial = refusals(tmp_path, steps(small(**change)), security=4)
    assert reasons[0] == reason
    assert trial is None
    assert not any(path.is_file() and path.name != "manifest" for path in (tmp_path / "a").rglob("*"))


@pytest.mark.parametrize(
    "name",
    [
        "main.py", "board.py", "slots.py", "chair/pins.py", "chair/pins.mpy", "chair/store.py", "config.a", "life.a",
        "chair/../main.py", "/chair/app.py", "chair/sub/app.py", "chair/app.txt", "chair/.py", "chair/App.py",
        "drivers", "b/chair/app.py", "update.pub", "chair/app.py.py", "chair/" + "x" * 60 + ".py", "",
    ],
)  # fmt: skip
def test_no_update_reaches_the_base_or_the_boards_own_files(tmp_path: Path, name: str) -> None:
    """Whatever is signed: pump, watchdog, slots, key, configuration and calibration are out of reach."""
    reasons, _ = refusals(tmp_path, steps(small(files=[[name, 10, "00"]])))
    assert reasons[0] == "file " + name[:48]


def test_a_changed_manifest_and_a_foreign_key_are_refused(tmp_path: Path) -> None:
    """One byte of the text, one digit of the signature, another key, none: not signed."""
    good = small()
    text, _, signature = good.manifest.partition(b"\n")
    changed = text.replace(b'"security": 5', b'"security": 9')
    assert changed != text
    foreign = bundles.sign(good, bundles.new_key())
    digit = b"1" if signature[50:51] != b"1" else b"2"
    for manifest in (
        changed + b"\n" + signature,
        text + b"\n" + signature[:50] + digit + signature[51:],
        text + b"\n" + signature[:-2],
        text + b"\n" + b"0" * 768,
        text + b"\n" + b"0" * 767 + b"1",
        text + b"\n",
        text,
        foreign.manifest,
    ):
        reasons, trial = refusals(tmp_path, steps(Bundle(manifest, good.files)))
        assert reasons[0] == "signature"
        assert trial is None


def test_the_block_must_be_the_whole_prescribed_one(tmp_path: Path) -> None:
    """A signature over another digest, with other padding, or with a tail behind the digest is none."""
    text = small().manifest.partition(b"\n")[0]
    numbers = updates.key().private_numbers()
    n, d = numbers.public_numbers.n, numbers.d
    info = bytes.fromhex("3031300d060960864801650304020105000420")
    digest = hashlib.sha256(text).digest()

    def opened_to(block: bytes) -> bytes:
        return b"%x" % pow(int.from_bytes(block, "big"), d, n)

    def padded(filling: bytes, tail: bytes) -> bytes:
        return b"\x00\x01" + filling * (384 - 3 - len(tail)) + b"\x00" + tail

    good = padded(b"\xff", info + digest)
    assert int(opened_to(good), 16) == int.from_bytes(
        updates.key().sign(text, padding.PKCS1v15(), hashes.SHA256()), "big"
    )
    for block in (
        padded(b"\xff", digest),
        padded(b"\xfe", info + digest),
        b"\x00\x01\xff\x00" + info + digest + bytes(384 - 4 - 51),
        good[:-1] + bytes([good[-1] ^ 1]),
        b"\x00\x02" + good[2:],
    ):
        assert refusals(tmp_path, steps(Bundle(text + b"\n" + opened_to(block), {})))[0][0] == "signature"
    too_large = b"%x" % (int(opened_to(good), 16) + n)
    assert refusals(tmp_path, steps(Bundle(text + b"\n" + too_large, {})))[0][0] == "signature"


@pytest.mark.parametrize(
    "text", [None, "{", '{"v": 1}', '{"v": 1, "n": "xyz"}', '{"v": 1, "n": "ff"}', '{"v": 1, "n": 3}']
)
def test_without_a_usable_key_nothing_is_taken(tmp_path: Path, text: str | None) -> None:
    """A board that was not given the key, or a damaged or short one, takes no update."""
    if text is not None:
        (tmp_path / "update.pub").write_text(text)
    begin = steps(small())[:1]
    assert run(STEPS, tmp_path, steps=begin, given_life={})[0] == "no_key"


def test_a_file_that_was_changed_or_cut_is_refused_and_can_be_sent_again(tmp_path: Path) -> None:
    """`hash` and `truncated` name the file; sent rightly, the update is taken after all."""
    bundle = small()
    good = steps(bundle)
    name, data = next(iter(bundle.files.items()))
    bad = chunks(name, bytes([data[0] ^ 1]) + data[1:])
    others = [step for step in good[1:-1] if step["file"] != name]
    begin, apply = good[0], good[-1]
    reasons, trial = refusals(tmp_path, [begin, *others, *bad, apply])
    assert (reasons, trial) == (["hash chair/app.py"], None)
    reasons, trial = refusals(tmp_path, [begin, apply])
    assert (reasons, trial) == (["truncated chair/app.py"], None)
    reasons, trial = refusals(tmp_path, [begin, *chunks(name, data), apply])
    assert reasons == []
    assert trial["version"] == "0.2.0"


def test_a_board_says_where_to_go_on(tmp_path: Path) -> None:
    """A chunk twice, too early or too late is answered with what the file holds; too much is refused."""
    bundle = small()
    begin, *rest = steps(bundle)
    manifest = [step for step in rest if step.get("file") == "manifest"]
    first, second = chunks("chair/app.py", bundle.files["chair/app.py"])
    late = second | {"at": 5000}
    over = second | {"data": base64.b64encode(bytes(900)).decode()}
    taken = [begin, *manifest, second, first, first, late, over, second]
    *reasons, trial = run(STEPS, _provisioned(tmp_path), steps=taken, given_life={})
    assert reasons[1 + len(manifest) :] == ["at 0", "", "at 1125", "at 1125", "size", ""]
    assert trial is None


def test_steps_out_of_order_or_out_of_shape_change_nothing(tmp_path: Path) -> None:
    """No begin, no manifest yet, an unknown file, fields missing or of a wrong kind."""
    bundle = small()
    begin, *rest = steps(bundle)
    manifest = [step for step in rest if step.get("file") == "manifest"]
    chunk = chunks("chair/app.py", b"x")[0]
    taken = [
        {"step": "apply"}, chunk, begin, chunk, {"step": "apply"}, *manifest,
        chunk | {"file": "chair/other.py"}, chunk | {"at": "0"}, chunk | {"data": 7}, chunk | {"data": "A"},
        {"step": "jump"}, {}, None, [],
    ]  # fmt: skip
    *reasons, _ = run(STEPS, _provisioned(tmp_path), steps=taken, given_life={})
    assert reasons[:5] == ["no_manifest", "no_manifest", "", "no_manifest", "no_manifest"]
    assert reasons[5 + len(manifest) :] == ["file chair/other.py", *["malformed"] * 7]


def test_another_update_or_cancel_withdraws_what_was_to_be_tried(tmp_path: Path) -> None:
    """The next start never tries a slot that has been emptied."""
    first, second = small(), small(version="0.3.0", security=6)
    assert refusals(tmp_path, [*steps(first), steps(second)[0]])[1] is None
    assert refusals(tmp_path, [*steps(first), {"step": "cancel"}])[1] is None
    assert not (tmp_path / "a").exists()


def test_the_slot_that_runs_is_never_written(tmp_path: Path) -> None:
    """A board that runs from a takes the next update into b."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kept").write_text("")
    updates.provision(tmp_path)
    given = {"security": 4, "slot": "a"}
    *_, trial = run(STEPS, tmp_path, steps=steps(small()), given_life=given)
    assert trial["slot"] == "b"
    assert (tmp_path / "a" / "kept").exists()


def test_the_signature_costs_a_fraction_of_a_second(tmp_path: Path) -> None:
    """The board stands still for it: prints the time here, with what an ESP32 would take by its slower arithmetic."""
    script = """
import time
from chair import manifest
n = manifest.key()
t = time.ticks_us()
good = manifest.signed(text.encode(), signature, n)
result = [good, time.ticks_diff(time.ticks_us(), t)]
"""
    updates.provision(tmp_path)
    text, _, signature = small().manifest.partition(b"\n")
    began = time.perf_counter()
    good, took_us = run(script, tmp_path, text=text.decode(), signature=signature.decode())
    assert good
    assert took_us < 1e6 * (time.perf_counter() - began)
    # 17 squarings and multiplications of 192 digits of 16 bits, each with as long a division.
    print(f"signature: {took_us / 1000:.1f} ms here; {17 * 2 * 192**2 / 1e6:.1f} million digit steps on an ESP32")


def _provisioned(flash: Path) -> Path:
    updates.provision(flash)
    return flash
