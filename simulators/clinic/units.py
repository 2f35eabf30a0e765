"""Quantities as people write them, with their unit: "0:05:00", "90 s", "82 %", "45 /min", "122/79 mmHg"."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

TIME = r"^(\d+:[0-5]\d:[0-5]\d|\d+(\.\d+)? (s|min|h))$"
PERCENT = r"^\d+(\.\d+)? %$"
PER_MINUTE = r"^\d+(\.\d+)? /min$"
PRESSURE = r"^\d+(\.\d+)?/\d+(\.\d+)? mmHg$"
DOSE = r"^\d+(\.\d+)? (mg|mg/kg)$"
QUANTITY = r"^-?\d+(\.\d+)? \S+$"

HINTS = {
    TIME: 'a time with its unit, like "0:05:00" (h:mm:ss), "90 s", "5 min" or "2 h"',
    PERCENT: 'a percentage with its unit, like "82 %"',
    PER_MINUTE: 'a rate with its unit, like "45 /min"',
    PRESSURE: 'systolic over diastolic with the unit, like "122/79 mmHg"',
    DOSE: 'a dose with its unit, like "84 mg" or "0.5 mg/kg"',
    QUANTITY: 'a number with its unit, like "5 %" or "200 ms"',
}

Time = Annotated[str, Meta(pattern=TIME, description="h:mm:ss, or a number with s, min or h", examples=["0:05:00"])]
Percent = Annotated[str, Meta(pattern=PERCENT, examples=["82 %"])]
PerMinute = Annotated[str, Meta(pattern=PER_MINUTE, examples=["45 /min"])]
Pressure = Annotated[str, Meta(pattern=PRESSURE, description="systolic/diastolic", examples=["122/79 mmHg"])]
Dose = Annotated[str, Meta(pattern=DOSE, examples=["84 mg", "0.5 mg/kg"])]
Quantity = Annotated[str, Meta(pattern=QUANTITY, examples=["5 %"])]

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A `Time` in seconds."""
    if ":" in text:
        hours, minutes, rest = (int(part) for part in text.split(":"))
        return 3600.0 * hours + 60.0 * minutes + rest
    number, unit = text.split(" ")
    return float(number) * SECONDS[unit]


def number(text: str) -> float:
    """The number of a quantity."""
    return float(text.split(" ", maxsplit=1)[0])


def pressures(text: str) -> tuple[float, float]:
    """Systolic and diastolic of a `Pressure`, mmHg."""
    systolic, diastolic = text.removesuffix(" mmHg").split("/")
    return float(systolic), float(diastolic)


def clock(at_s: float) -> str:
    """Seconds as h:mm:ss, with tenths where there are any."""
    tenths = round(at_s * 10)
    whole, tenth = divmod(tenths, 10)
    text = f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{text}.{tenth}" if tenth else text
