"""Does a value have the shape of a type? Says all that does not fit, in words that are made from the type itself.

`msgspec` stops at the first fault and does not say what it found; it stays the one that makes the value afterwards.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from gateway.toml_files.places import Path
from gateway.toml_files.refusal import Misfit, one_of, shown

NUMBER_MAX = 1e15
_WORDS = {"^[a-z][a-z0-9_]{0,31}$": "a name of 1 to 32 of a-z, 0-9 and _, first a letter",
          "^[a-z][a-z0-9-]{0,31}$": "a name of 1 to 32 of a-z, 0-9 and -, first a letter",
          "^[a-z0-9][a-z0-9-]{0,31}$": "a name of 1 to 32 of a-z, 0-9 and -, not first a -",
          "^[a-z0-9-]{1,32}$": "a name of 1 to 32 of a-z, 0-9 and -"}  # fmt: skip


def misfits(value: Any, kind: Any, path: Path = ()) -> list[Misfit]:
    """Everything in which `value`, as TOML gave it, is not a `kind`."""
    return list(_misfits(value, inspect.type_info(kind), path))


def allowed(kind: inspect.Type) -> str:
    """What may stand there."""
    match kind:
        case inspect.Metadata(type=inner):
            return allowed(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values)) if len(values) > 1 else str(values[0])
        case inspect.IntType() | inspect.FloatType():
            return ("a whole number" if isinstance(kind, inspect.IntType) else "a number") + _range(kind)
        case inspect.StrType(pattern=str(pattern)):
            return _WORDS.get(pattern, f"a text like {pattern}")
        case inspect.StrType():
            return "a text" + _size(kind.min_length, kind.max_length, "characters")
        case inspect.VarTupleType() | inspect.ListType():
            return f"a list{_size(kind.min_length, kind.max_length, 'entries')}: {allowed(kind.item_type)}"
        case inspect.DictType():
            return f"a table: {allowed(kind.value_type)}"
        case inspect.StructType():
            return "a table of " + ", ".join(field.encode_name for field in kind.fields)
        case inspect.UnionType():
            tables = [one for one in kind.types if isinstance(one, inspect.StructType)]
            if len(tables) > 1:
                return f"a table with {tables[0].tag_field} = " + " or ".join(str(one.tag) for one in tables)
            return " or ".join(allowed(one) for one in kind.types if not isinstance(one, inspect.NoneType))
    return "nothing that is known"


def _misfits(value: Any, kind: inspect.Type, path: Path) -> Iterator[Misfit]:
    match kind:
        case inspect.Metadata(type=inner):
            yield from _misfits(value, inner, path)
        case inspect.StructType() if isinstance(value, dict):
            yield from _table(value, kind, path)
        case inspect.UnionType():
            yield from _union(value, kind, path)
        case inspect.VarTupleType() | inspect.ListType() if isinstance(value, list | tuple):
            if not _within(len(value), kind.min_length, kind.max_length):
                yield Misfit(path, f"{len(value)} entries" if value else "an empty list", allowed(kind))
            for number, item in enumerate(value):
                yield from _misfits(item, kind.item_type, (*path, number))
        case inspect.DictType() if isinstance(value, dict):
            for name, item in value.items():
                yield from (
                    Misfit((*path, name), f"the name {shown(name)}", misfit.allowed)
                    for misfit in _misfits(name, kind.key_type, path)
                )
                yield from _misfits(item, kind.value_type, (*path, name))
        case _ if not _fits(value, kind):
            words = allowed(kind)
            if isinstance(kind, inspect.LiteralType):
                words = "one of " + one_of(map(str, kind.values), value)
            yield Misfit(path, shown(value), words)


def _table(value: dict[str, Any], kind: inspect.StructType, path: Path) -> Iterator[Misfit]:
    fields = {field.encode_name: field for field in kind.fields}
    names = [*fields, *([kind.tag_field] if kind.tag_field else [])]
    for name, item in value.items():
        if name in fields:
            yield from _misfits(item, fields[name].type, (*path, name))
        elif name != kind.tag_field:
            yield Misfit((*path, name), "a key that is not known", one_of(names, name))
    for name, field in fields.items():
        if field.required and name not in value:
            yield Misfit((*path, name), "nothing", f"{allowed(field.type)}; it must be given")


def _union(value: Any, kind: inspect.UnionType, path: Path) -> Iterator[Misfit]:
    tables = {one.tag: one for one in kind.types if isinstance(one, inspect.StructType)}
    if isinstance(value, dict) and len(tables) > 1:
        tag_field = str(next(iter(tables.values())).tag_field)
        tag = value.get(tag_field)
        if isinstance(tag, str) and tag in tables:
            yield from _table(value, tables[tag], path)
        else:
            found = shown(tag) if tag_field in value else "nothing"
            yield Misfit((*path, tag_field), found, "one of " + one_of(map(str, tables), tag))
    elif isinstance(value, dict) and tables:
        yield from _table(value, next(iter(tables.values())), path)
    elif all(list(_misfits(value, one, path)) for one in kind.types):
        yield Misfit(path, shown(value), allowed(kind))


def _fits(value: Any, kind: inspect.Type) -> bool:
    match kind:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.LiteralType(values=values):
            return type(value) in (str, int) and value in values
        case inspect.IntType():
            return type(value) is int and _bounded(value, kind)
        case inspect.FloatType():
            # TOML knows nan and inf: as a limit they would never be crossed.
            return type(value) in (int, float) and _bounded(value, kind)
        case inspect.StrType():
            if not isinstance(value, str) or not _within(len(value), kind.min_length, kind.max_length):
                return False
            return kind.pattern is None or re.search(kind.pattern.replace("$", r"\Z"), value) is not None
    return isinstance(kind, inspect.AnyType)


def _bounded(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    return (
        abs(value) <= NUMBER_MAX
        and not math.isnan(value)
        and (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def _within(size: int, least: int | None, most: int | None) -> bool:
    return (least is None or size >= least) and (most is None or size <= most)


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    low = f" from {kind.ge:g}" if kind.ge is not None else f" over {kind.gt:g}" if kind.gt is not None else ""
    high = f" to {kind.le:.15g}" if kind.le is not None else f" under {kind.lt:g}" if kind.lt is not None else ""
    return low + high


def _size(least: int | None, most: int | None, of: str) -> str:
    if least is None and most is None:
        return ""
    return f" of {least or 0} to {most} {of}" if most is not None else f" of at least {least} {of}"
