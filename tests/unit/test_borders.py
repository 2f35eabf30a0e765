"""The borders of the house, by reading imports: what decides touches nothing, and one file touches the board."""

import ast
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BETWEEN_MESSAGES = ("engine", "floor", "intake", "reseating", "telling", "restoring", "site_alarms")
PURE = [
    *sorted((ROOT / "gateway" / "core").rglob("*.py")),
    *(ROOT / "gateway" / f"{name}.py" for name in BETWEEN_MESSAGES),
]
FIRMWARE = sorted((ROOT / "firmware").rglob("*.py"))
OURS = [
    path
    for folder in ("gateway", "simulators", "hardware", "firmware", "grafana", "scripts", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
LINES_MAX = 350

# Clock, socket, file, process, thread, log, chance; and the shell, by which they would come in through the back door.
WORLD = {
    "time", "datetime", "zoneinfo", "sched",
    "socket", "select", "selectors", "ssl", "http", "urllib", "asyncio", "paho", "starlette", "uvicorn",
    "os", "io", "pathlib", "shutil", "tempfile", "sqlite3", "subprocess", "signal", "sys",
    "threading", "_thread", "queue", "multiprocessing", "concurrent",
    "logging", "structlog", "warnings",
    "random", "secrets", "uuid", "numpy",
}  # fmt: skip
WORLDLY_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
PURE_MODULES = {"gateway.wire", "gateway.core", *(f"gateway.{name}" for name in BETWEEN_MESSAGES)}


def imports(path: Path) -> list[str]:
    """The full names of the modules that a file imports, wherever in the file it does so."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides what it leads to"
            found += [f"{node.module}.{name.name}" for name in node.names]
    return found


def offences(path: Path) -> list[str]:
    """What a pure file uses of the world."""
    found = [name for name in imports(path) if name.split(".")[0] in WORLD]
    found += [
        name
        for name in imports(path)
        if name.startswith("gateway.") and not any(f"{name}.".startswith(f"{pure}.") for pure in PURE_MODULES)
    ]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WORLDLY_CALLS:
            found.append(f"{node.func.id}()")
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.name)
def test_what_decides_touches_no_clock_socket_file_thread_log_or_chance(path: Path) -> None:
    """The engine and its core can be replayed: the same inputs give the same decisions, on any machine."""
    assert not offences(path)


def test_the_reader_of_imports_sees_the_ways_in(tmp_path: Path) -> None:
    """A worldly import inside a function, under another name, or by way of the shell is found."""
    path = tmp_path / "clever.py"
    path.write_text(
        "from gateway import journal\nfrom gateway.core import alarms\n"
        "def f():\n    import time as t\n    from os import path\n    open('x')\n"
    )
    assert set(offences(path)) == {"time", "os.path", "gateway.journal", "open()"}


def test_only_the_board_file_touches_the_board() -> None:
    """`board.py` alone imports `machine`, `network` or `esp32`, so that one file says what the pins do."""
    touching = {
        path.relative_to(ROOT).as_posix()
        for path in FIRMWARE
        for name in imports(path)
        if name.split(".")[0] in {"machine", "network", "esp", "esp32"}
    }
    assert touching == {"firmware/board.py"}


def test_the_firmware_knows_nothing_of_this_machine() -> None:
    """The firmware imports only what MicroPython or its own folder has: nothing of the gateway or the simulators."""
    for path in FIRMWARE:
        foreign = [name for name in imports(path) if name.split(".")[0] in {"gateway", "simulators", "hardware"}]
        assert not foreign, path


def test_a_wrong_call_of_the_board_is_found_without_a_board(tmp_path: Path) -> None:
    """The check of the firmware's types knows the ESP32's `machine`: an argument it does not have is an error."""
    (tmp_path / "board.py").write_text(
        "from machine import Pin\nPump = Pin(25, Pin.OUT, value=0)\nvalve = Pin(26, Pin.OUT, valeu=0)\n"
    )
    check = [sys.executable, ROOT / "scripts" / "check_firmware.py", tmp_path]
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert 'board.py:3: error: Unexpected keyword argument "valeu"' in answer.stdout
    assert "board.py:2" not in answer.stdout


def test_long_files_are_named() -> None:
    """A file of over 350 lines may hold more than one idea: a warning, because sometimes it does not."""
    lines = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in OURS}
    long = [f"{name} ({count})" for name, count in lines.items() if count > LINES_MAX]
    if long:
        warnings.warn(f"over {LINES_MAX} lines: {', '.join(long)}", stacklevel=1)
