"""What a start runs and counts: bad starts, safe mode, a trial that is confirmed or undone."""

from pathlib import Path
from typing import Any

import pytest
from unix_port import run

SCRIPT = """
import slots
from chair import store
if kept:
    store.save("life", kept)
result = []
for cause, then in starts:
    slots.begin(cause)
    life = slots.life
    result.append([life.slot, life.safe_mode, life.trial, life.security, life.undone])
    for name in then:
        getattr(life, name)()
"""
TRIAL = {"slot": "b", "version": "0.2.0", "security": 5, "started": False}


def lives(flash: Path, starts: list[tuple[str, list[str]]], **kept: Any) -> list[dict[str, Any]]:
    """What each start saw, given its cause and what it did."""
    names = ("slot", "safe_mode", "trial", "security", "undone")
    return [dict(zip(names, seen, strict=True)) for seen in run(SCRIPT, flash, starts=starts, kept=kept)]


@pytest.mark.parametrize("cause", ["watchdog", "reset"])
def test_three_bad_starts_in_a_row_lead_into_safe_mode_and_stay_there(tmp_path: Path, cause: str) -> None:
    """A restart that nobody announced before a healthy minute is bad; in safe mode a further one leads back into it."""
    seen = lives(tmp_path, [("power_on", []), (cause, []), (cause, []), (cause, []), (cause, []), (cause, [])])
    assert [each["safe_mode"] for each in seen] == [False, False, False, True, True, True]


@pytest.mark.parametrize(
    "starts",
    [
        [("watchdog", ["healthy"]), ("watchdog", []), ("watchdog", []), ("watchdog", [])],
        [("watchdog", ["mean_it"]), ("reset", []), ("watchdog", []), ("watchdog", [])],
        [("watchdog", []), ("power_on", []), ("watchdog", []), ("watchdog", [])],
        [("watchdog", []), ("soft_reset", []), ("watchdog", []), ("watchdog", [])],
    ],
    ids=["healthy minute", "commanded", "power cycle", "soft reset"],
)
def test_what_ends_a_row_of_bad_starts(tmp_path: Path, starts: list[tuple[str, list[str]]]) -> None:
    """A healthy minute, a commanded restart, a power cycle, a developer's soft reset."""
    assert not any(each["safe_mode"] for each in lives(tmp_path, [("power_on", []), ("watchdog", []), *starts]))


@pytest.mark.parametrize(("cause", "then"), [("power_on", []), ("reset", ["mean_it"])])
def test_safe_mode_ends_when_somebody_wants_it_to(tmp_path: Path, cause: str, then: list[str]) -> None:
    """By switching the board off and on, or by a commanded restart."""
    bad: list[tuple[str, list[str]]] = [("watchdog", [])] * 3
    seen = lives(tmp_path, [("power_on", []), *bad[:2], ("watchdog", then), (cause, [])])
    assert [each["safe_mode"] for each in seen[-2:]] == [True, False]


def test_a_trial_is_confirmed_after_its_healthy_minute(tmp_path: Path) -> None:
    """Then its slot runs, its counter counts, and nothing is left to undo."""
    (tmp_path / "b").mkdir()
    trial, after = lives(tmp_path, [("reset", ["healthy"]), ("watchdog", [])], trial=TRIAL)
    assert (trial["slot"], trial["trial"], trial["security"]) == ("b", True, 1)
    assert (after["slot"], after["trial"], after["security"], after["undone"]) == ("b", False, 5, "")


@pytest.mark.parametrize("cause", ["watchdog", "reset", "power_on", "soft_reset"])
def test_a_trial_that_is_not_confirmed_is_undone_at_the_next_start(tmp_path: Path, cause: str) -> None:
    """Whatever ended it; what was undone is told once, and the old firmware is not blamed for it."""
    for slot in "ab":
        (tmp_path / slot).mkdir()
    starts: list[tuple[str, list[str]]] = [("reset", []), (cause, []), (cause, ["told"]), (cause, [])]
    seen = lives(tmp_path, starts, slot="a", security=3, trial=TRIAL, bad=2, young=True)
    assert [each["slot"] for each in seen] == ["b", "a", "a", "a"]
    assert [each["security"] for each in seen] == [3, 3, 3, 3]
    assert [each["undone"] for each in seen] == ["", *[f"0.2.0: {cause}"] * 2, ""]
    assert not any(each["safe_mode"] for each in seen[:3])


def test_a_trial_below_the_flashed_counter_is_never_started(tmp_path: Path) -> None:
    """The flashed files are newer than what was staged or confirmed before: they run."""
    for slot in "ab":
        (tmp_path / slot).mkdir()
    script = "import slots\nslots.SECURITY = 9\n" + SCRIPT
    kept = {"slot": "a", "security": 3, "trial": TRIAL}
    seen = run(script, tmp_path, starts=[("power_on", [])], kept=kept)
    assert seen[0][:4] == ["flashed", False, False, 9]


def test_a_slot_that_is_gone_is_not_run(tmp_path: Path) -> None:
    """Its folder was removed, or the flash was formatted: the flashed files run."""
    seen = lives(tmp_path, [("reset", [])], slot="a", security=3, trial=TRIAL)
    assert (seen[0]["slot"], seen[0]["trial"]) == ("flashed", False)
    assert seen[0]["security"] == 3


def test_a_trial_that_leaves_no_trace_is_not_begun(tmp_path: Path) -> None:
    """A flash that takes nothing could not undo it."""
    for slot in "ab":
        (tmp_path / slot).mkdir()
    script = SCRIPT.replace("result = []", "result = []\nimport os\nos.mkdir('life.tmp')")
    seen = run(script, tmp_path, starts=[("reset", ["healthy"])], kept={"slot": "a", "security": 3, "trial": TRIAL})
    assert seen[0][:3] == ["a", False, False]


def test_an_update_has_one_start_of_its_own(tmp_path: Path) -> None:
    """The start after `make_room` is for it, the next one is not; in safe mode none is needed."""
    script = SCRIPT.replace("life.undone]", "life.updating]")
    seen = run(script, tmp_path, starts=[("power_on", ["make_room"]), ("reset", []), ("reset", [])], kept={})
    assert [each[4] for each in seen] == [False, True, False]


def test_the_slots_modules_replace_the_flashed_ones_but_not_the_base(tmp_path: Path) -> None:
    """`chair` and `drivers` come from the slot; pins and store stay those of the base, also if the slot had some."""
    for folder in ("a/chair", "a/drivers"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "a/chair/wire.py").write_text("from chair import pins, store\nWHERE = 'slot'\n")
    (tmp_path / "a/chair/pins.py").write_text("BOARD = 'slot'\n")
    (tmp_path / "a/drivers/__init__.py").write_text("WHERE = 'slot'\n")
    script = """
import slots
from chair import pins, store
store.save("life", {"slot": "a", "security": 2})
slots.begin("power_on")
slots.enter()
from chair import wire
import drivers
result = [wire.WHERE, wire.pins.BOARD, wire.store is store, drivers.WHERE]
"""
    assert run(script, tmp_path) == ["slot", "chairside-c1", True, "slot"]
