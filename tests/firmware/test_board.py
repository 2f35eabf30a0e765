"""The lines that could hurt: pump and valves after every kind of start, crash and restart."""

import shutil
from pathlib import Path

import pytest
from chair_board import Chair
from unix_port import FIRMWARE

from simulators.conductor import HARD_RESET, WDT_RESET


def broken(folder: Path, file: str, line: str, instead: str) -> Path:
    """A copy of the firmware with one line replaced."""
    copy = folder / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / file).read_text()
    assert text.count(line) == 1, f"{file} has no single line {line!r}"
    (copy / file).write_text(text.replace(line, instead))
    return copy


def safe(chair: Chair) -> bool:
    return chair.world.output("pump") == 0 and chair.world.output("dump_valve") == 0


def since_pump_s(chair: Chair) -> float:
    """How long the pump has been off. A restart comes 2 s after the program itself has switched it off."""
    off_s = next(at for at, name, level in reversed(chair.world.output_log) if name == "pump" and not level)
    return chair.board.now_s() - off_s


def test_the_first_act_is_to_make_the_cuff_safe(tmp_path: Path) -> None:
    """Before Wi-Fi, chips or configuration: pump off, dump valve open, bleed valve open."""
    copy = broken(tmp_path, "board.py", "import network  #", "raise ImportError  #")
    chair = Chair(tmp_path, firmware_dir=copy)
    chair.world.levels[chair.world.plan.gpio("pump")] = 1.0  # a soft reset leaves a pin driven
    chair.world.levels[chair.world.plan.gpio("dump_valve")] = 1.0
    with pytest.raises(Exception, match="its program ended"):
        chair.board.run_for(1)
    lines = [(name, level) for _, name, level in chair.world.output_log]
    assert lines[:3] == [("pump", 0.0), ("dump_valve", 0.0), ("bleed_valve", 1.0)]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("chair/app.py", "import asyncio\n"),
        ("chair/app.py", "        self._board.start_watchdog(_WATCHDOG_MS)"),
        ("chair/app.py", "            reading = self._reading(now_ms)"),
    ],
    ids=["import", "start", "first reading"],
)
def test_a_program_that_fails_leaves_the_cuff_safe_and_restarts(tmp_path: Path, file: str, line: str) -> None:
    """Whenever it fails, the pump is off, the valve open, and the reason is in flash for the next start."""
    indent = line[: len(line) - len(line.lstrip())]
    copy = broken(tmp_path, file, line, f"{indent}raise ValueError('broken on purpose')\n")
    chair = Chair(tmp_path, firmware_dir=copy)
    chair.board.run_until(lambda: len(chair.board.resets) > 1, within_s=20)
    assert chair.board.resets[1] == HARD_RESET
    assert safe(chair)
    assert not chair.pumped()
    assert "broken on purpose" in (tmp_path / "flash" / "crash.txt").read_text()
    chair.board.kill()


def test_a_crash_while_the_cuff_is_full_empties_it_and_is_published(tmp_path: Path) -> None:
    """The board restarts by itself, the cuff is empty within 30 s, and the next start says what happened, once."""
    copy = broken(
        tmp_path,
        "chair/arm.py",
        "        state = self._cuff.state\n",
        "        state = self._cuff.state\n"
        "        if (self._cuff.pressure_mmhg or 0) > 100:\n"
        "            raise ValueError('broken on purpose')\n",
    )
    chair = Chair(tmp_path, firmware_dir=copy)
    chair.gateway = True
    chair.run(4)
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 100, within_s=20, step_s=0.02)
    chair.board.run_until(lambda: len(chair.board.resets) > 1, within_s=5)
    assert since_pump_s(chair) > 1.5
    chair.board.run_until(lambda: chair.pressure_mmhg() < 15, within_s=30)
    assert safe(chair)
    chair.run(20)
    assert len(chair.board.resets) == 2
    starts = [event for event in chair.all("event") if event["kind"] == "start"]
    assert "broken on purpose" in starts[-1]["detail"]
    assert chair.all("status")[-1]["reset_cause"] == "crash"
    assert not (tmp_path / "flash" / "crash.txt").exists()
    chair.board.stop()


def test_an_error_in_the_supervisor_stops_the_board(tmp_path: Path) -> None:
    """An exception in the timer's callback is not swallowed: the cuff opens and the board restarts."""
    copy = broken(
        tmp_path, "chair/arm.py", "                self._cuff.tick(time.ticks_ms())\n",
        "                self._cuff.tick(time.ticks_ms())\n"
        "                if self._cuff.state == 'inflating':\n"
        "                    1 // 0\n",
    )  # fmt: skip
    chair = Chair(tmp_path, firmware_dir=copy)
    chair.gateway = True
    chair.run(4)
    chair.command("measure", "m-1")
    chair.board.run_until(lambda: len(chair.board.resets) > 1, within_s=20)
    assert safe(chair)
    assert since_pump_s(chair) > 1.5
    assert "ZeroDivisionError" in (tmp_path / "flash" / "crash.txt").read_text()
    chair.board.kill()


def test_a_part_that_hangs_is_found_by_the_watchdog(tmp_path: Path) -> None:
    """The main loop alone does not feed it: a sampler that never comes back restarts the board."""
    copy = broken(
        tmp_path, "chair/finger.py", "            moved()\n",
        "            moved()\n"
        "            if now_ms > 5000:\n"
        "                await asyncio.Event().wait()\n",
    )  # fmt: skip
    chair = Chair(tmp_path, firmware_dir=copy)
    chair.board.run_until(lambda: len(chair.board.resets) > 1, within_s=60)
    assert chair.board.resets[1] == WDT_RESET
    chair.board.run_for(5)
    assert chair.all("status")[-1]["reset_cause"] == "watchdog"
    chair.board.kill()


def test_without_a_config_the_board_waits_safely_for_one(tmp_path: Path) -> None:
    """It says what is missing on the console and does not restart in a circle."""
    chair = Chair(tmp_path)
    (tmp_path / "flash" / "config.json").unlink()
    chair.board.run_for(60)
    assert "config.json: not found; provision the board" in chair.board.log_path.read_text()
    assert chair.board.resets == [1]
    assert not chair.pumped()
