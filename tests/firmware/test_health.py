"""The life of a board: what hangs is ended by the watchdog, what fails again and again ends in safe mode."""

import json
import re
import shutil
from pathlib import Path

import pytest
from chair_board import Chair
from unix_port import FIRMWARE, run

from simulators import conductor
from simulators.conductor import HARD_RESET, PWRON_RESET, WDT_RESET

WATCHDOG_S = 5.0
# Each task of the program: its file, its function, and where in it a turn begins.
TASKS = {
    "finger": ("chair/finger.py", "run", "while True:"),
    "vitals": ("chair/app.py", "_tell_vitals", "while True:"),
    "arm": ("chair/arm.py", "run", "while True:"),
    "panel": ("chair/panel.py", "run", "while True:"),
    "link, reading": ("chair/mqtt.py", "_receive", "while True:"),
    "link, sending": ("chair/link.py", "send", "while True:"),
    "link, tending": ("chair/link.py", "tend", "while True:"),
    "main": ("chair/app.py", "run", "while self._failure is None:"),
    "supervisor": ("chair/arm.py", "_supervise", "self.supervised = True"),
}
HANG = """
import os
def now():
    try:
        os.remove("hang")
    except OSError:
        return
    while True:
        pass
"""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    # Seconds of the processor after which a loop counts as endless: longer would prove no more.
    monkeypatch.setattr(conductor, "HUNG_S", 0.3)


def hanging(folder: Path, task: str) -> Path:
    """The firmware with a loop that never ends in one task, entered when the file `hang` lies in the flash."""
    file, function, turn = TASKS[task]
    copy = folder / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "hang.py").write_text(HANG)
    text = (copy / file).read_text()
    found = re.search(rf"def {function}\(.*?\n( +){re.escape(turn)}\n", text, re.DOTALL)
    assert found, f"{file}: no {turn!r} in {function}"
    indent = found[1] + ("    " if turn.endswith(":") else "")
    text = f"{text[: found.end()]}{indent}hang.now()\n{text[found.end() :]}"
    (copy / file).write_text(text.replace("\nimport ", "\nimport hang\nimport ", 1))
    return copy


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_hangs_with_the_cuff_full_is_ended(tmp_path: Path, task: str) -> None:
    """`while True: pass` anywhere: within 5 s the board restarts, pump off and dump open, and the cuff empties."""
    chair = Chair(tmp_path, firmware_dir=hanging(tmp_path, task))
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(2)
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 60, within_s=20)
    (tmp_path / "flash" / "hang").touch()
    hung_s = chair.board.now_s()
    while len(chair.board.resets) == 1:
        chair.speak()
        chair.board.run_for(0.25)
        assert chair.board.now_s() - hung_s < WATCHDOG_S + 1.5  # a turn of a task may come a second later
    assert chair.board.resets == [PWRON_RESET, WDT_RESET]
    assert (chair.world.output("pump"), chair.world.output("dump_valve")) == (0, 0)
    chair.board.run_until(lambda: chair.pressure_mmhg() < 15, within_s=30)
    chair.run(3)
    status = chair.all("status")[-1]
    assert (status["reset_cause"], status["boots"]) == ("watchdog", 2)
    chair.board.kill()


def test_an_idle_board_that_hangs_is_back_within_seconds(tmp_path: Path) -> None:
    """Without a measurement the watchdog waits its whole 5 s, and no longer."""
    chair = Chair(tmp_path, firmware_dir=hanging(tmp_path, "panel"))
    chair.board.run_for(4)
    (tmp_path / "flash" / "hang").touch()
    hung_s = chair.board.now_s()
    chair.board.run_until(lambda: len(chair.board.resets) == 2, within_s=8, step_s=0.1)
    boot_s = conductor.BOOT_US / 1e6
    assert chair.board.resets[1] == WDT_RESET
    assert chair.board.now_s() - hung_s - boot_s < WATCHDOG_S + 0.5
    chair.board.kill()


def test_an_announced_block_is_not_taken_for_a_hang(tmp_path: Path) -> None:
    """14 s without an answer to a name lookup: no restart; the next one that nobody announced is ended in 5 s."""
    script = """
import board, time
hardware = board.Board()
hardware.start_watchdog(5000)
hardware.allow_block(15000)
time.sleep_ms(14000)
hardware.feed()
time.sleep_ms(14000)
"""
    main = tmp_path / "main.py"
    main.write_text(script)
    chair = Chair(tmp_path, main=main)
    chair.board.run_for(18)
    assert chair.board.resets == [PWRON_RESET]
    chair.board.run_for(1.5)
    assert chair.board.resets == [PWRON_RESET, WDT_RESET]
    chair.board.kill()


def crashing(folder: Path) -> Path:
    copy = folder / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / "chair/finger.py").read_text()
    (copy / "chair/finger.py").write_text(
        text.replace("        while True:\n", "        1 // 0\n        while True:\n", 1)
    )
    return copy


def command(chair: Chair, kind: str) -> None:
    """With the time of the newest status: a board in safe mode sends hardly a record."""
    newest = [p for p in chair.board.published if p.topic.endswith("/status")][-1]
    status = json.loads(newest.payload)
    up_ms = status["up_ms"] + (chair.board.now_us - newest.at_us) // 1000
    fields = {"id": f"{kind}-1", "kind": kind, "session": "", "boot": status["boot"]}
    chair.tell("cmd", fields | {"valid_until_up_ms": up_ms + 4000}, qos=1)


def safe_mode(folder: Path) -> Chair:
    """A board whose finger crashes at each start, with a gateway, until it is in safe mode."""
    chair = Chair(folder, firmware_dir=crashing(folder))
    chair.gateway = True
    chair.board.run_until(lambda: len(chair.board.resets) == 4, within_s=30)
    chair.board.run_for(2)
    chair.run(10)
    return chair


def test_a_board_that_crashes_three_times_measures_nothing_and_says_so(tmp_path: Path) -> None:
    """It stays up, tells safe mode and the crash, shows it on the lamp, and neither measures nor moves the pump."""
    chair = safe_mode(tmp_path)
    command(chair, "measure")
    chair.run(60)
    assert chair.board.resets == [PWRON_RESET, *[HARD_RESET] * 3]
    status = chair.all("status")[-1]
    assert (status["safe_mode"], status["faults"], status["boots"]) == (True, ["safe_mode"], 4)
    assert chair.all("vitals") == []
    assert chair.all("reply")[-1]["reason"] == "safe_mode"
    assert not chair.pumped()
    lit = {(name, level) for at, name, level in chair.world.output_log if at > 40 and name.startswith("lamp")}
    assert lit == {("lamp_yellow", 0), ("lamp_yellow", 1), ("lamp_cyan", 0), ("lamp_cyan", 1)}
    chair.board.kill()


def test_the_call_button_calls_in_safe_mode(tmp_path: Path) -> None:
    """A patient who presses it is heard, whatever the rest of the firmware does."""
    chair = safe_mode(tmp_path)
    chair.world.press("button_call")
    chair.run(2)
    chair.world.press("button_call", down=False)
    chair.run(2)
    assert [event["name"] for event in chair.all("event") if event["kind"] == "button"] == ["call"]
    chair.board.kill()


def test_safe_mode_ends_by_a_command_and_by_the_switch(tmp_path: Path) -> None:
    """Both try the whole firmware again; here it crashes again, and the board is back in safe mode after three."""
    chair = safe_mode(tmp_path)
    command(chair, "reboot")
    chair.board.run_until(lambda: len(chair.board.resets) == 8, within_s=40)
    chair.board.run_for(2)
    assert chair.all("status")[-1]["safe_mode"]
    chair.board.cut_power()
    chair.board.start()
    chair.board.run_until(lambda: len(chair.board.resets) == 12, within_s=40)
    chair.board.run_for(2)
    assert chair.all("status")[-1]["safe_mode"]
    assert not chair.pumped()
    chair.board.kill()


TRUST = """
from chair import health
class Life:
    safe_mode = False
    trial = given_trial
    def healthy(self):
        if not takes:
            return ""
        was, self.trial = self.trial, False
        return "0.2.0" if was else ""
life = Life()
trust = health.Trust(life)
result = []
for at_s in range(0, 400, 5):
    verdict = trust.tick(at_s * 1000, eval(heard), eval(empty), session)
    if verdict:
        result.append([at_s, verdict])
"""


@pytest.mark.parametrize(
    ("given", "verdicts"),
    [
        ({}, [[60, "confirmed 0.2.0"]]),
        ({"heard": "at_s >= 30"}, [[85, "confirmed 0.2.0"]]),
        ({"heard": "at_s % 50 != 0"}, [[300, "undo"], [350, "undo"]]),
        ({"heard": "False"}, [[at_s, "undo"] for at_s in range(300, 400, 5)]),
        ({"heard": "False", "session": "s-1"}, []),
        ({"heard": "False", "empty": "at_s != 300 and at_s != 310"}, [[305, "undo"]]),
        ({"empty": "at_s > 80"}, [[85, "confirmed 0.2.0"]]),
        ({"takes": False}, []),
        ({"given_trial": False}, []),
        ({"given_trial": False, "heard": "False"}, []),
    ],
    ids=[
        "heard", "heard late", "on and off", "never", "never, but a session", "never, with air in the cuff",
        "air in the cuff", "flash takes nothing", "no trial", "no trial, no gateway",
    ],
)  # fmt: skip
def test_when_an_update_is_confirmed_or_undone(
    tmp_path: Path, given: dict[str, object], verdicts: list[object]
) -> None:
    """A whole minute with the gateway confirms; five without undo, never in a session or with air in the cuff."""
    usual: dict[str, object] = {"heard": "True", "empty": "True", "session": "", "given_trial": True, "takes": True}
    seen = run(TRUST, tmp_path, **(usual | given))
    assert seen[: len(verdicts)] == verdicts
    if not verdicts:
        assert seen == []
