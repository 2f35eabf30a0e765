"""Between what numbers a measure or an observation can lie: read from the contract's types, so that a limit nobody can
cross and a margin nobody can come back over are found before a patient sits in the chair."""

import math
from types import UnionType
from typing import get_args

from msgspec import inspect

from gateway import wire
from gateway.core.measures import EVENT_MEASURES, SWITCHES

Range = tuple[float, float]
ORDINARY = {
    "spo2_pct": 97.0,
    "pulse_bpm": 75.0,
    "resp_bpm": 15.0,
    "sys_mmhg": 120.0,
    "dia_mmhg": 75.0,
    "map_mmhg": 90.0,
    "sys_rise_mmhg": 0.0,
    "dia_rise_mmhg": 0.0,
}
"""Of a healthy adult at rest: an alarm that these values do not end never ends."""
WINDOWED = ("spo2_fall_pct", "pulse_fall_bpm", "pulse_rise_bpm")
"""How far a value fell or rose within the rule's window."""
SELDOM = ("board_fault", "safe_mode", "uncalibrated", "calibration_expired", "battery_pct", *EVENT_MEASURES)
"""A board tells these when they change: nothing comes afterwards that a time or a second reading could wait for."""


def of_measure(measure: str) -> Range:
    """The least and the greatest value that a rule can see."""
    if measure in SWITCHES:
        return 0.0, 1.0
    if measure.endswith("_rise_mmhg"):
        low, high = of_measure("sys_mmhg")
        return low - high, high - low
    for kind in (wire.Vitals, wire.Cuff, wire.Status):
        for field in inspect.type_info(kind).fields:  # type: ignore[attr-defined]
            if field.name == measure:
                return _number(field.type)
    return 0.0, math.inf


def of_items() -> dict[str, Range | tuple[str, ...]]:
    """What staff may say of each item: between what numbers, or which words; yes and no are true and false."""
    items: dict[str, Range | tuple[str, ...]] = {}
    for field in inspect.type_info(wire.Observe).fields:  # type: ignore[attr-defined]
        kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        for kind in kinds:
            if isinstance(kind, inspect.BoolType):
                items[field.name] = ("true", "false")
            elif isinstance(kind, inspect.LiteralType) and isinstance(kind.values[0], str):
                items[field.name] = tuple(map(str, kind.values))
            elif isinstance(kind, inspect.LiteralType):
                steps = [float(value) for value in kind.values if isinstance(value, int)]
                items[field.name] = (min(steps), max(steps))
            elif isinstance(kind, inspect.IntType | inspect.FloatType):
                items[field.name] = _number(kind)
    return items


def actions() -> tuple[str, ...]:
    """The names of what people can do at a screen."""
    action = wire.Do.__annotations__["action"]
    kinds = get_args(action) if isinstance(action, UnionType) else (action,)
    return tuple(kind.__struct_config__.tag for kind in kinds)


def _number(kind: inspect.Type) -> Range:
    for one in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        plain = one.type if isinstance(one, inspect.Metadata) else one
        if isinstance(plain, inspect.IntType | inspect.FloatType):
            low = -math.inf if plain.ge is None else float(plain.ge)
            return low, math.inf if plain.le is None else float(plain.le)
    return -math.inf, math.inf
