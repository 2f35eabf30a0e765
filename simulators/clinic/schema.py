"""The scenario format as JSON Schema, for editors: `python -m simulators.clinic.schema`; `--check` only compares."""

from __future__ import annotations

import sys

import msgspec

from simulators.clinic.faults import MENU
from simulators.clinic.scenario import Scenario
from simulators.plan import ROOT

PATH = ROOT / "docs" / "reference" / "scenario.schema.json"


def text() -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Scenario)}
    schema["$defs"]["At"]["properties"]["fault"] = {"anyOf": [{"enum": sorted(MENU)}, {"type": "null"}]}
    return msgspec.json.format(msgspec.json.encode(schema), indent=1).decode() + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PATH.write_text(text(), encoding="utf-8")
    elif PATH.read_text(encoding="utf-8") != text():
        sys.exit(f"{PATH} is stale: run python -m simulators.clinic.schema")
