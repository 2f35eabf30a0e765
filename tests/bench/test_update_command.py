"""`chairside bench update`: keys, bundles, and what is sent after which answer."""

import base64
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from hardware.bench import bundle as bundles
from hardware.bench.bundle import Bundle, BundleError
from hardware.bench.upload import UpdateError, Upload
from simulators.plan import ROOT

FIRMWARE = ROOT / "firmware"


def chairside(*words: str | Path, **environment: str) -> Any:
    return CliRunner().invoke(app, ["bench", "update", *map(str, words)], env=environment)


def test_from_the_key_to_a_signed_bundle(tmp_path: Path) -> None:
    """key, make, sign: the bundle is signed by the key, its public part is what boards get, and the key stays."""
    key, public, out = tmp_path / "key.pem", tmp_path / "update.pub", tmp_path / "update.zip"
    assert chairside("key", "--key", key, "--out", public).exit_code == 0
    pem = key.read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    assert chairside("key", "--key", key, "--out", public).exit_code == 0
    assert key.read_bytes() == pem
    done = chairside("make", "--security", "3", "--out", out, "--firmware", FIRMWARE)
    assert done.exit_code == 0, done.output
    assert not bundles.read(out).signed
    assert chairside("sign", out, "--key", key).exit_code == 0
    bundle = bundles.read(out)
    private = bundles.read_key(key)
    assert bundles.signed_by(bundle, private.public_key())
    assert not bundles.signed_by(bundle, bundles.new_key().public_key())
    assert int(json.loads(public.read_text())["n"], 16) == private.public_key().public_numbers().n
    assert bundle.entries["version"] == bundles.version_of(FIRMWARE)
    assert len(bundle.manifest) <= 8192  # what a board takes


def test_a_key_with_a_password_signs_only_with_it(tmp_path: Path) -> None:
    """The key's file alone is of no use to who finds it."""
    key, out = tmp_path / "key.pem", tmp_path / "update.zip"
    word = {"CHAIRSIDE_UPDATE_PASSWORD": "of this test only"}
    assert chairside("key", "--key", key, "--out", tmp_path / "p", **word).exit_code == 0
    assert chairside("make", "--security", "3", "--out", out, "--firmware", FIRMWARE).exit_code == 0
    refused = chairside("sign", out, "--key", key, CHAIRSIDE_UPDATE_PASSWORD="")
    assert refused.exit_code == 2
    assert "not a readable private key" in refused.output
    assert chairside("sign", out, "--key", key, **word).exit_code == 0


def test_a_bundle_holds_all_but_the_base(tmp_path: Path) -> None:
    """Every module of chair/ and drivers/, none that makes the cuff safe or chooses the slot; twice the same bytes."""
    bundle = bundles.make(FIRMWARE, 2)
    modules = {
        p.relative_to(FIRMWARE).with_suffix(".mpy").as_posix()
        for folder in ("chair", "drivers")
        for p in (FIRMWARE / folder).glob("*.py")
    }
    assert set(bundle.files) == modules - {"chair/pins.mpy", "chair/store.mpy"}
    for name in ("one", "two"):
        bundle.write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["send", "cb-1", "{unsigned}"], "not signed"),
        (["send", "cb-1", "{nothing}"], "not an update"),
        (["sign", "{unsigned}", "--key", "{nothing}"], "not a readable private key"),
        (["sign", "{torn}", "--key", "{key}"], "the files are not those of its manifest"),
        (["make", "--security", "1", "--firmware", "{folder}"], "no firmware"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    """Exit status 2 and what to do, before any board is spoken to."""
    places = {name: str(tmp_path / name) for name in ("unsigned", "nothing", "torn", "key")} | {"folder": str(tmp_path)}
    bundle = bundles.make(FIRMWARE, 1)
    bundle.write(tmp_path / "unsigned")
    Bundle(bundle.manifest, bundle.files | {"chair/app.mpy": b"pass"}).write(tmp_path / "torn")
    (tmp_path / "key").write_bytes(bundles.key_pem(bundles.new_key()))
    done = chairside(*[word.format(**places) for word in words])
    assert done.exit_code == 2, done.output
    assert sentence in done.output


def test_a_zip_that_is_no_update_is_refused(tmp_path: Path) -> None:
    """Without a manifest, or with one that is not JSON."""
    for files in ({"x": "1"}, {"manifest": "{"}, {"manifest": "{}"}):
        with zipfile.ZipFile(tmp_path / "z", "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        with pytest.raises(BundleError, match="not an update"):
            bundles.read(tmp_path / "z")


class Board:
    """Holds what it is sent, as firmware/chair/update.py does."""

    def __init__(self, held: dict[str, int] | None = None) -> None:
        self.held = held or {}
        self.got: dict[str, bytes] = {}
        self.steps: list[str] = []

    def answer(self, step: dict[str, Any]) -> str:
        self.steps.append(step["step"])
        if step["step"] != "chunk":
            return ""
        held = self.held.get(step["file"], 0)
        if step["at"] != held:
            return f"at {held}"
        assert len(step["data"]) <= 1500
        data = base64.b64decode(step["data"])
        self.held[step["file"]] = held + len(data)
        self.got[step["file"]] = self.got.get(step["file"], b"") + data
        return ""


BUNDLE = Bundle(b"m" * 3000, {"chair/a.py": b"a" * 2250, "chair/b.py": b"b"})


def test_an_upload_sends_each_byte_once() -> None:
    """begin, the manifest, each file in pieces that fit a message, apply."""
    board, upload = Board(), Upload(BUNDLE)
    while not upload.done:
        upload.answered(board.answer(upload.step()))
    assert board.got == {"manifest": BUNDLE.manifest, **BUNDLE.files}
    assert board.steps == ["begin", *["chunk"] * 6, "apply"]
    assert upload.sent == 1


def test_an_upload_goes_on_where_the_board_is() -> None:
    """What the board holds is asked for once and not sent again; one that began anew is asked again."""
    board, upload = Board({"manifest": 3000, "chair/a.py": 1125}), Upload(BUNDLE)
    for _ in range(3):
        upload.answered(board.answer(upload.step()))
    upload.restart()
    while not upload.done:
        upload.answered(board.answer(upload.step()))
    assert board.got == {"chair/a.py": b"a" * 1125, "chair/b.py": b"b"}


@pytest.mark.parametrize("reason", ["hash chair/a.py", "truncated chair/a.py"])
def test_a_file_that_arrived_wrong_is_sent_again_but_not_for_ever(reason: str) -> None:
    """The board has removed it; after ten times it is given up."""
    upload = Upload(BUNDLE)
    again = 0

    def run() -> None:
        nonlocal again
        while not upload.done:
            applied = upload.step()["step"] == "apply"
            again += applied
            upload.answered(reason if applied else "")

    with pytest.raises(UpdateError, match=reason.split(maxsplit=1)[0]):
        run()
    assert again == 11


@pytest.mark.parametrize(
    ("reason", "words"),
    [("busy", "when the chair is free"), ("older", "higher security counter"), ("what", "refuses it: what")],
)
def test_a_refusal_says_what_to_do(reason: str, words: str) -> None:
    """In a sentence, and the upload ends."""
    with pytest.raises(UpdateError, match=words):
        Upload(BUNDLE).answered(reason)
