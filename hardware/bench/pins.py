"""`firmware/chair/pins.py` out of `hardware/board.toml`.

MicroPython has no TOML parser, so the board's pins, addresses and analogue constants are written out once as a
module of constants. No number of the board stands anywhere else in the firmware.
"""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BOARD_TOML = ROOT / "hardware" / "board.toml"
PINS_PY = ROOT / "firmware" / "chair" / "pins.py"

HEADER = '''"""Pins, addresses and analogue constants of {board}.

Written by `chairside bench pins` from hardware/board.toml: change that file, not this one.
"""

from micropython import const

'''


def render(board: dict[str, Any]) -> str:
    """The text of pins.py for a parsed board.toml; raises KeyError naming a key that is missing."""
    lines = [f'BOARD = "{board["board"]["name"]}"', ""]
    for name, pin in board["pins"].items():
        lines.append(f"# {pin['means']}; {pin['direction']}, {pin['reset']} in reset")
        lines.append(f"{name.upper()} = const({pin['gpio']})")
    lines.append("")
    for name, bus in board["buses"].items():
        lines += [f"{name.upper()}_{key.upper()} = const({value})" for key, value in bus.items()]
    for name, chip in board["chips"].items():
        lines.append(f"{name.upper()}_ADDRESS = const(0x{chip['address']:02x})")
        if "full_scale_v" in chip:
            lines.append(f"{name.upper()}_FULL_SCALE_V = {float(chip['full_scale_v'])}")
    sensor = board["pressure_sensor"]
    lines += ["", f"# {sensor['part']}: v_adc = divider * supply_v * (gain_per_kpa * kpa + offset)"]
    for key in ("supply_v", "gain_per_kpa", "offset", "divider", "full_scale_mmhg"):
        lines.append(f"PRESSURE_{key.upper()} = {float(sensor[key])}")
    battery = board["battery"]
    lines += ["", f"# {battery['part']}: v_adc = divider * v; volts and per cent of charge left"]
    lines.append(f"BATTERY_DIVIDER = {float(battery['divider'])}")
    lines.append(f"BATTERY_CURVE = {tuple((float(v), pct) for v, pct in battery['curve'])}")
    return HEADER.format(board=board["board"]["name"]) + "\n".join(lines) + "\n"


def load(toml: Path = BOARD_TOML) -> dict[str, Any]:
    """board.toml as it stands."""
    return tomllib.loads(toml.read_text(encoding="utf-8"))


def write(toml: Path = BOARD_TOML, pins: Path = PINS_PY, *, check: bool = False) -> bool:
    """Write pins.py, or with `check` only compare; returns whether the file was already up to date."""
    text = render(load(toml))
    fresh = pins.exists() and pins.read_text(encoding="utf-8") == text
    if not fresh and not check:
        pins.write_text(text, encoding="utf-8")
    return fresh
