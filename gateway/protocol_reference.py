"""The tables of the reference on protocols, alarms and readiness: `python -m gateway.protocol_reference [--check]`.

Between `<!-- name -->` and `<!-- end -->` stands what this writes, made from the types and from the protocols that come
with the program; the rest of each page is written by hand.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from msgspec import NODEFAULT, Struct, inspect

from gateway import protocol_picture, protocols
from gateway.core import protocol as types
from gateway.core.measures import SWITCHES
from gateway.core.protocol import Criterion, Measure, Protocol, Rule
from gateway.generated import settle
from gateway.protocol_files import ranges, words
from gateway.toml_files import shape

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PICTURE = FOLDER.parent / "pictures" / "esketamine-protocol.svg"
BASE = "iv-ketamine"
TABLES: dict[str, type[Struct]] = {
    "At the top": types.Protocol,
    "`[[rules]]`": types.Rule,
    "`tiers` of a rule": types.Tier,
    "`suppress` of a rule": types.SuppressedBy,
    "`[cuff]`": types.CuffSchedule,
    "`[[observations]]`": types.ObservationPlan,
}


def pages() -> dict[str, dict[str, str]]:
    """What each page has between its marks."""
    every = protocols.load_all()
    ordered = [every[BASE], *(one for name, one in every.items() if name != BASE)]
    return {
        "protocols.md": {"keys": _keys(), "criteria": _criteria_keys(), "measures": _measures(), "actions": _actions()},
        "alarms.md": {"alarms": _join(_alarms(one, every[BASE]) for one in ordered)},
        "readiness.md": {"readiness": _join(_readiness(one) for one in ordered)},
    }


def render(text: str, tables: dict[str, str]) -> str:
    """The page with fresh tables. Raises ValueError for one that has no place on it."""
    for name, table in tables.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not block.search(text):
            raise ValueError(f"no place for {name}: needs <!-- {name} --> and <!-- end -->")
        text = block.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)  # type: ignore[misc]
    return text


def _keys() -> str:
    return _join(f"### {where}\n\n{_doc(kind)}{_fields(kind)}" for where, kind in TABLES.items())


def _criteria_keys() -> str:
    parts = []
    for kind in get_args(Criterion):
        tag = f'### `[[criteria]]` with `kind = "{kind.__struct_config__.tag}"`'
        parts.append(f"{tag}\n\n{_doc(kind)}{_fields(kind)}")
    return _join(parts)


def _doc(kind: type[Struct]) -> str:
    """The first paragraph of what the type says of itself, if it says more than its name."""
    text = kind.__doc__ or ""
    return f"{' '.join(text.split())}\n\n" if text and not text.startswith(kind.__name__ + "(") else ""


def _fields(kind: type[Struct]) -> str:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    rows = [("`extends`", "the id of another protocol of the folder", "none")] if kind is types.Protocol else []
    for field in info.fields:
        allowed = shape.allowed(field.type)
        known = TABLE_WORDS.get((kind, field.name))
        without = "must be given" if field.required else _default(field.default)
        rows.append((f"`{field.encode_name}`", known or allowed, without))
    return _table(("key", "is", "without it"), rows)


TABLE_WORDS: dict[tuple[type[Struct], str], str] = {
    (types.Protocol, "rules"): "tables `[[rules]]`",
    (types.Protocol, "cuff"): "a table `[cuff]`",
    (types.Protocol, "criteria"): "tables `[[criteria]]`",
    (types.Protocol, "observations"): "tables `[[observations]]`",
    (types.Protocol, "permissions"): "a table `[permissions]`: actions, each with the roles that may do it",
    (types.Rule, "measure"): "a measure, see below",
    (types.Rule, "tiers"): "1 to 3 levels, from low to high",
    (types.Rule, "suppress"): "up to 3 causes that keep it quiet",
}


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "no" if value is False else "none" if value is NODEFAULT else "nothing" if value == "" else f"{value}"


def _measures() -> str:
    rows = []
    for name in get_args(Measure):
        low, high = ranges.of_measure(name)
        between = "yes or no" if name in SWITCHES else f"{low:g} to {high:g}" if high < 1e9 else f"from {low:g}"
        told = (
            "once, when it changes" if name in ranges.SELDOM else "within `window_s`" if name in ranges.WINDOWED else ""
        )
        rows.append((f"`{name}`", between, f"{ranges.ORDINARY[name]:g}" if name in ranges.ORDINARY else "", told))
    return _table(("measure", "lies between", "of a healthy adult", "is told"), rows)


def _actions() -> str:
    return ", ".join(f"`{name}`" for name in ranges.actions())


def _alarms(protocol: Protocol, base: Protocol) -> str:
    """All rules of the first; of another only those that differ from it."""
    known = {rule.id: rule for rule in base.rules} if protocol is not base else {}
    rules = [rule for rule in protocol.rules if known.get(rule.id) != rule]
    gone = [name for name in known if name not in {rule.id for rule in protocol.rules}]
    head = f"### `{protocol.id}`: {protocol.title}\n\n{protocol.notice}"
    if protocol is base:
        return f"{head}\n\n{_rules(rules)}"
    head += f" As `{base.id}`" + (", but:" if rules or gone else ".")
    head += f"\n\nWithout {', '.join(gone)}." if gone else ""
    return f"{head}\n\n{_rules(rules)}" if rules else head


def _rules(rules: Iterable[Rule]) -> str:
    rows = []
    for rule in rules:
        levels = words.levels(rule)
        limits = [levels.get(level, "") for level in words.MARKS]
        rows.append((f"`{rule.id}`", rule.reason, *limits, words.ends(rule), words.when(rule)))
    levels_ = (f"{level} {mark.replace('*', '&ast;')}" for level, mark in words.MARKS.items())
    return _table(("rule", "says", *levels_, "ends", "judged"), rows)


def _readiness(protocol: Protocol) -> str:
    criteria = [(f"`{one.id}`", one.label, words.criterion(one), words.clock(one)) for one in protocol.criteria]
    asked = [(one.label, f"`{one.item}`", words.asked(one)) for one in protocol.observations]
    return _join(
        [
            f"### `{protocol.id}`: {protocol.title}\n\n{protocol.notice}",
            _table(("criterion", "says", "must be", "counts from"), criteria),
            *([_table(("staff are asked", "item", "when"), asked)] if asked else []),
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def _join(parts: Iterable[str]) -> str:
    return "\n\n".join(parts)


if __name__ == "__main__":
    fresh = {FOLDER / name: render((FOLDER / name).read_text("utf-8"), tables) for name, tables in pages().items()}
    fresh[PICTURE] = protocol_picture.draw(protocols.load_all()["esketamine"])
    sys.exit(settle(fresh, "gateway.protocol_reference"))
