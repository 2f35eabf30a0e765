"""The tables of docs/reference/firmware.md that are read from the sources: `python -m hardware.reference [--check]`.

Between `<!-- name -->` and `<!-- end -->` stands what this writes; the rest of the page is written by hand, and
tests/docs/test_firmware_doc.py says when it lacks a task or a fault.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hardware.bench import pins

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "firmware.md"
FIRMWARE = ROOT / "firmware"

_CONSTANT = re.compile(r"^_?([A-Z][A-Z0-9_]*) = (?:const\()?(-?[\d._]+)\)?(?:\s+# (.*))?$")
_UNITS = re.compile(r"_(MS|S|MMHG|MMHG_PER_S|PCT|BPM|MA|BYTES|HZ|RAW|DBM|SECONDS|SAMPLES|PULSES)(_|$)")
_BOUNDS = re.compile(r"_(MAX|MIN)(_|$)|^(MAX|MIN)_")


class Limit(NamedTuple):
    file: str
    name: str
    value: str
    why: str


def limits() -> Iterator[Limit]:
    """Every named number of the firmware that has a unit or is a bound; drivers' registers are none."""
    for path in sorted([*FIRMWARE.glob("*.py"), *(FIRMWARE / "chair").glob("*.py")]):
        if path == pins.PINS_PY:
            continue
        for line in path.read_text("utf-8").splitlines():
            found = _CONSTANT.match(line)
            if found and (_UNITS.search(found[1]) or _BOUNDS.search(found[1])):
                yield Limit(path.relative_to(FIRMWARE).as_posix(), found[1].lower(), found[2], found[3] or "")


def tables() -> dict[str, str]:
    board = pins.load()
    lines = ["| GPIO | line | | in reset | means |", "|---|---|---|---|---|"]
    lines += [
        f"| {pin['gpio']} | `{name}` | {pin['direction']} | {pin['reset']} | {pin['means']} |"
        for name, pin in sorted(board["pins"].items(), key=lambda item: int(item[1]["gpio"]))
    ]
    lines += [
        f"| {bus[line]} | `{name}` {line.removesuffix('_gpio')} | bus | 1 | {bus['freq_hz'] // 1000} kHz |"
        for name, bus in board["buses"].items()
        for line in ("scl_gpio", "sda_gpio")
    ]
    bounds = ["| file | limit | value | |", "|---|---|---|---|"]
    bounds += [f"| {at.file} | `{at.name}` | {at.value.replace('_', '')} | {at.why} |" for at in limits()]
    return {"pins": "\n".join(lines), "limits": "\n".join(bounds)}


def render(page: str) -> str:
    """The page with fresh tables; raises ValueError for a table that has no place on it."""
    for name, table in tables().items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not block.search(page):
            raise ValueError(f"{PAGE}: no place for {name}: needs <!-- {name} --> and <!-- end -->")
        page = block.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)  # type: ignore[misc]
    return page


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    fresh = render(page)
    if "--check" in sys.argv and fresh != page:
        sys.exit(f"{PAGE} is stale: run python -m hardware.reference")
    PAGE.write_text(fresh, "utf-8")
