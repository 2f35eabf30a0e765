"""Dicts in flash: two copies with a CRC, and what happens when one or both are damaged."""

from pathlib import Path

import pytest
from unix_port import run

SAVE = "from chair import store\nstore.save('config', values)\nresult = store.load('config')"
LOAD = "from chair import store\nresult = store.load('config')"


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Text beyond ASCII and numbers come back, and the last one saved counts."""
    values = {"v": 1, "ssid": "Käfig", "ratios": [0.5, 0.75]}
    assert run(LOAD, tmp_path) == {}
    assert run(SAVE, tmp_path, values={"v": 0}) == {"v": 0}
    assert run(SAVE, tmp_path, values=values) == values
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.a", "config.b"]


@pytest.mark.parametrize("copy", ["config.a", "config.b"])
@pytest.mark.parametrize("damage", [None, b"", b"zzzzzzzz{}", b"00000000{}", b"\xff\xfe", b"deadbeef"])
def test_one_damaged_copy_changes_nothing(tmp_path: Path, copy: str, damage: bytes | None) -> None:
    """Missing, empty, torn or rotten: the other copy says the same, never what was before."""
    run(SAVE, tmp_path, values={"v": 0})
    run(SAVE, tmp_path, values={"v": 1})
    if damage is None:
        (tmp_path / copy).unlink()
    else:
        (tmp_path / copy).write_bytes(damage)
    assert run(LOAD, tmp_path) == {"v": 1}


def test_every_single_bit_that_flips_is_found(tmp_path: Path) -> None:
    """With both copies damaged there is nothing, rather than something wrong."""
    run(SAVE, tmp_path, values={"mmhg_per_v": 138.9})
    (tmp_path / "config.b").unlink()
    script = """
from chair import store
with open("config.a", "rb") as file:
    good = file.read()
wrong = 0
for at in range(8 * len(good)):
    bad = bytearray(good)
    bad[at // 8] ^= 1 << at % 8
    with open("config.a", "wb") as file:
        file.write(bad)
    # The case of the checksum's own digits says nothing about the rest.
    if store.load("config") not in ({}, {"mmhg_per_v": 138.9}):
        wrong += 1
result = [wrong, 8 * len(good)]
"""
    assert run(script, tmp_path)[0] == 0


def test_a_full_flash_is_told_and_leaves_the_old(tmp_path: Path) -> None:
    """The caller hears of it, and what was there stays."""
    run(SAVE, tmp_path, values={"v": 1})
    (tmp_path / "config.tmp").mkdir()  # nothing can be written there
    script = """
from chair import store
try:
    store.save("config", {"v": 2})
    result = "saved"
except OSError:
    result = store.load("config")
"""
    assert run(script, tmp_path) == {"v": 1}
