"""A scenario as a file that a person can read, change and run again."""

from __future__ import annotations

import json

import msgspec

from simulators.clinic.scenario import Scenario


def toml(scenario: Scenario) -> str:
    """The scenario without what is as it usually is."""
    plain = Scenario(title="x", story="x", protocol="x", duration="0 s", expect=[])
    raw = msgspec.to_builtins(scenario)
    usual = msgspec.to_builtins(plain)
    lines = [
        f"{key} = {_value(value)}"
        for key, value in raw.items()
        if value != usual[key] and key not in ("at", "expect", "patient", "body")
    ]
    for key in ("patient", "body"):
        if raw[key] != usual[key]:
            lines += ["", f"[{key}]", *_table(raw[key])]
    for key in ("at", "expect"):
        for entry in raw[key]:
            lines += ["", f"[[{key}]]", *_table(entry)]
    return "\n".join(lines) + "\n"


def _table(entry: dict[str, object]) -> list[str]:
    usual = {"who": "nurse-1", "refused": False, "because": ""}
    return [f"{key} = {_value(value)}" for key, value in entry.items() if value is not None and usual.get(key) != value]


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items() if one is not None) + " }"
    # A JSON string is a TOML one too, and so are its numbers, lists and booleans.
    return json.dumps(value, ensure_ascii=False)
