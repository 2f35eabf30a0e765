"""The power fails at every block operation on a real littlefs: old or new is there afterwards, and never neither.

Each test prints how many cuts it tried, half of them in the middle of a block.
"""

from pathlib import Path
from typing import Any

import updates
from test_update import small, steps
from unix_port import run

from hardware.bench import bundle as bundles

SETTING = f"import sys\nsys.path.append({str(Path(__file__).parent / 'scripts')!r})\n"
FIRMWARE = """
import json
import power_cuts
import slots
from chair import store, update

def write(path, data):
    with open(path, "w") as file:
        file.write(data)

def prepare():
    import os
    write("update.pub", public)
    for folder in ("a", "a/chair"):
        os.mkdir(folder)
    write("a/chair/app.py", "old = 1")
    store.save("life", life)

def send():
    update._staging = None
    slots.begin("power_on")
    for fields in given_steps:
        update.step(fields, slots.life)

def what(slot):
    if slot == "a":
        with open("a/chair/app.py") as file:
            return "old" if file.read() == "old = 1" else "broken"
    for name, content in new.items():
        with open(slot + "/" + name) as file:
            if file.read() != content:
                return "broken"
    return "new"

def start():
    slots.begin("power_on")
    return [what(slots.life.slot), slots.life.trial, slots.life.security]
"""
NEW = {"chair/app.py": "new = 2\n" * 200, "drivers/chip.py": "x"}
CONFIRMED = {"slot": "a", "security": 1, "boots": 7, "bad": 0, "young": False}
PENDING = CONFIRMED | {"trial": {"slot": "b", "version": "0.2.0", "security": 5, "started": False}}
OLD_RUNS = ["old", False, 1]
TRIAL = ["new", True, 1]
NEW_RUNS = ["new", False, 5]


def counted(seen: list[Any], what: str) -> None:
    print(f"{what}: {len(seen)} cuts")
    assert len(seen) > 10


def test_a_configuration_is_old_or_new(tmp_path: Path) -> None:
    """Saving config and calibration: one of the two dicts, whole, after every cut; and the old until it is new."""
    script = """
import power_cuts
from chair import store
old, new = {"v": 1, "text": "o" * 400}, {"v": 1, "text": "n" * 450}
flash = power_cuts.formatted(64, lambda: store.save("config", old))
seen, whole = power_cuts.cuts(flash, lambda: store.save("config", new), lambda: store.load("config"))
result = [["old" if s == old else "new" if s == new else s for s in seen], whole == new]
"""
    seen, whole = run(SETTING + script, tmp_path)
    counted(seen, "configuration")
    assert whole
    assert set(seen) == {"old", "new"}


def test_a_calibration_that_a_hand_put_there_is_never_lost(tmp_path: Path) -> None:
    """It is taken into the store and then removed: at every moment it is the one that a start reads."""
    script = """
import json
import power_cuts
from chair import config, store
old = {"v": 1, "device": "cb-1", "made_on": "old"}
new = {"v": 1, "device": "cb-1", "made_on": "new" * 20}
def prepare():
    store.save("calibration", old)
    with open("calibration.json", "w") as file:
        json.dump(new, file)
load = lambda: config.load_calibration("cb-1")
flash = power_cuts.formatted(64, prepare)
seen, whole = power_cuts.cuts(flash, load, load)
result = [[s == (new, "") for s in seen], whole == (new, "")]
"""
    seen, whole = run(SETTING + script, tmp_path)
    counted(seen, "calibration taken over")
    assert whole
    assert all(seen)


def test_an_update_is_the_old_firmware_or_the_whole_new_one(tmp_path: Path) -> None:
    """Staged, checked and applied with cuts everywhere: a start runs the old files, or tries the complete new ones."""
    bundle = bundles.sign(_bundle(), updates.key())
    script = """
flash = power_cuts.formatted(300, prepare)
result = power_cuts.cuts(flash, send, start)
"""
    seen, whole = _run(tmp_path, script, life=CONFIRMED, given_steps=steps(bundle))
    counted(seen, "update staged and applied")
    assert whole == TRIAL
    assert {str(s) for s in seen} == {str(OLD_RUNS), str(TRIAL)}


def test_an_update_goes_on_after_a_cut(tmp_path: Path) -> None:
    """Whatever a cut left in the slot, the same steps sent again bring the update to its trial."""
    script = """
def again():
    slots.begin("power_on")
    if slots.life.trial:
        return start()
    # As a sender does: what the board holds already is not sent twice, what it has removed is.
    update._staging = None
    for _ in range(3):
        reasons = [update.step(fields, slots.life) for fields in given_steps]
        if not reasons[-1]:
            break
    return [reasons[-1]] + start()
flash = power_cuts.formatted(300, prepare)
seen, whole = power_cuts.cuts(flash, send, again)
result = [[s if s[0] else s[1:] for s in seen], whole]
"""
    bundle = bundles.sign(_bundle(), updates.key())
    seen, _ = _run(tmp_path, script, life=CONFIRMED, given_steps=steps(bundle))
    counted(seen, "update sent again")
    # A trial whose first start was `again` itself has been undone by the second one.
    assert {str(s) for s in seen} <= {str(TRIAL), str(OLD_RUNS)}
    assert sum(s == TRIAL for s in seen) > len(seen) // 2


def test_an_update_that_waits_is_not_tried_half_overwritten(tmp_path: Path) -> None:
    """A second update takes the place of one that was to be tried: a start finds one of them whole, or the old."""
    first, second = bundles.sign(_bundle(), updates.key()), bundles.sign(_bundle(security=6), updates.key())
    script = """
class Waiting(slots.Life):
    def __init__(self):  # as after `apply`, before the restart
        self._kept = store.load("life")
        self.slot, self.security, self.trial = "a", 1, False

def replace():
    update._staging = None
    life = Waiting()
    for fields in second_steps:
        update.step(fields, life)

flash = power_cuts.formatted(300, lambda: (prepare(), send()))
result = power_cuts.cuts(flash, replace, start)
"""
    seen, whole = _run(tmp_path, script, life=CONFIRMED, given_steps=steps(first), second_steps=steps(second))
    counted(seen, "update replaced")
    assert whole == TRIAL
    assert {str(s) for s in seen} == {str(OLD_RUNS), str(TRIAL)}


def test_a_trial_is_confirmed_or_undone(tmp_path: Path) -> None:
    """Its start and its confirmation with cuts everywhere: tried once at most, and the counter rises only with it."""
    script = """
def live():
    slots.begin("reset")
    slots.life.healthy()

def after():
    first = start()
    return [first, start()]

flash = power_cuts.formatted(300, lambda: (prepare(), send()))
result = power_cuts.cuts(flash, live, after)
"""
    bundle = bundles.sign(_bundle(), updates.key())
    seen, whole = _run(tmp_path, script, life=CONFIRMED, given_steps=steps(bundle))
    counted(seen, "trial started and confirmed")
    assert whole == [NEW_RUNS, NEW_RUNS]
    assert {str(s) for s in seen} == {str([TRIAL, OLD_RUNS]), str([OLD_RUNS, OLD_RUNS]), str([NEW_RUNS, NEW_RUNS])}


def test_an_update_that_is_undone_stays_undone(tmp_path: Path) -> None:
    """The start after a failed trial with cuts everywhere: the old firmware, each time."""
    started = PENDING | {"trial": PENDING["trial"] | {"started": True}}  # type: ignore[operator]
    script = """
flash = power_cuts.formatted(300, prepare)
result = power_cuts.cuts(flash, lambda: slots.begin("watchdog"), lambda: [start(), start()])
"""
    seen, whole = _run(tmp_path, script, life=started, given_steps=[])
    counted(seen, "update undone")
    assert all(s == [OLD_RUNS, OLD_RUNS] for s in [*seen, whole])


def test_a_flash_without_room_refuses_before_it_is_full(tmp_path: Path) -> None:
    """32 KB stay free for what the board must be able to write."""
    script = """
flash = power_cuts.formatted(90, prepare)
power_cuts.mount(flash)
slots.begin("power_on")
result = [update.step(fields, slots.life) for fields in given_steps]
"""
    reasons = _run(tmp_path, script, life=CONFIRMED, given_steps=steps(small()))
    assert "space" in reasons
    assert reasons[-1] == "no_manifest" or reasons[-1] == "space"


def _bundle(security: int = 5) -> bundles.Bundle:
    files = {name: text.encode() for name, text in NEW.items()}
    bundle = small(security=security)
    entries = bundle.entries | {"files": [bundles.entry(name, data) for name, data in files.items()]}
    return bundles.Bundle(updates.line(entries), files)


def _run(folder: Path, script: str, **given: Any) -> Any:
    return run(SETTING + FIRMWARE + script, folder, public=bundles.public_part(updates.key()), new=NEW, **given)
