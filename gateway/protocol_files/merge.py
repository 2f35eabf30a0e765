"""One protocol out of up to three files: the one it extends, its own, and the clinic's with single values.

Only what is there can be changed, so that a misspelt name does not go unnoticed.
"""

from collections.abc import Callable, Iterable
from typing import get_args

import msgspec

from gateway.core.protocol import AlarmLevel, Protocol
from gateway.toml_files.document import Document
from gateway.toml_files.places import Path
from gateway.toml_files.refusal import Fault, Misfit, one_of, shown

ENTRIES = ("rules", "criteria", "observations")
"""Lists of tables with a name each, which another file changes by that name."""
TABLES = ("cuff", "permissions")
FIXED = ("id", "kind", "measure", "item")
"""What an entry is, which other values cannot change."""
NUMBERS = tuple(
    field.name
    for field in msgspec.structs.fields(Protocol)
    if field.name not in (*ENTRIES, *TABLES, "id", "title", "notice", "roles")
)
LEVELS = get_args(AlarmLevel)
ONLY = "only"
"""The table of a clinic's file with values for one protocol each."""
Elsewhere = Callable[[str, str], bool]
"""Does another protocol of the folder have this name (part, name)?"""


def extended(own: Document, base: Document) -> list[Fault]:
    """Makes the base what `own` says otherwise."""
    faults: list[Fault] = []
    for part in own.raw:
        if part == "extends":
            continue
        new = part.removeprefix("new_")
        if part in ENTRIES or part in TABLES:
            faults += _part(base, own, (part,), lambda *_: False)
        elif new in ENTRIES and new != part:
            faults += _new(base, own, part, new)
        else:
            base.put((part,), own, (part,))
    base.file = own.file
    return faults


def with_site(protocol: Document, site: Document, elsewhere: Elsewhere) -> list[Fault]:
    """Puts the clinic's values in place: those for all protocols, then those for this one only."""
    faults = _values(protocol, site, (), elsewhere)
    only = site.raw.get(ONLY, {})
    own = only.get(protocol.raw.get("id")) if isinstance(only, dict) else None
    if isinstance(own, dict):
        faults += _values(protocol, site, (ONLY, str(protocol.raw["id"])), lambda *_: False)
    return faults


def misnamed(site: Document, protocols: Iterable[str]) -> list[Fault]:
    """What the clinic's file says for one protocol that is none."""
    known = sorted(protocols)
    only = site.raw.get(ONLY, {})
    if not isinstance(only, dict):
        return [site.fault(Misfit((ONLY,), shown(only), "tables [only.PROTOCOL], for " + one_of(known)))]
    return [
        site.fault(
            Misfit((ONLY, name), "a protocol that is not there" if name not in known else shown(values), one_of(known))
        )
        for name, values in only.items()
        if name not in known or not isinstance(values, dict)
    ]


def _values(protocol: Document, site: Document, at: Path, elsewhere: Elsewhere) -> list[Fault]:
    faults: list[Fault] = []
    for part in site.get(at):
        if part in ENTRIES or part in TABLES:
            faults += _part(protocol, site, (*at, part), elsewhere)
        elif part in NUMBERS:
            protocol.put((part,), site, (*at, part))
        elif at or part != ONLY:
            names = (*ENTRIES, *TABLES, *NUMBERS, *(() if at else (ONLY,)))
            faults.append(site.fault(Misfit((*at, part), "a key that is not known", one_of(names, part))))
    return faults


def _part(into: Document, source: Document, at: Path, elsewhere: Elsewhere) -> list[Fault]:
    """The changes of one part, which stand in `source` at `at`."""
    part = str(at[-1])
    changes = source.get(at)
    if not isinstance(changes, dict):
        how = f"a table of names, [{part}.NAME]" if part in ENTRIES else f"a table [{part}]"
        return [source.fault(Misfit(at, shown(changes), how))]
    there = into.raw.get(part, {} if part in TABLES else [])
    if part in TABLES:
        if not isinstance(there, dict):
            return []
        into.raw[part] = dict(there)
        for name in changes:
            into.put((part, name), source, (*at, name))
        return []
    if not isinstance(there, list):
        return []
    known = {entry.get("id"): number for number, entry in enumerate(there) if isinstance(entry, dict)}
    faults: list[Fault] = []
    for name, values in changes.items():
        key = (*at, name)
        if name not in known:
            if not elsewhere(part, name):
                faults.append(source.fault(Misfit(key, "a name that is not there", one_of(map(str, known), name))))
        elif not isinstance(values, dict):
            faults.append(source.fault(Misfit(key, shown(values), "a table of values")))
        else:
            faults += _entry(into, source, (part, known[name]), key)
    return faults


def _entry(into: Document, source: Document, to: Path, at: Path) -> list[Fault]:
    """The changed values of one rule, criterion or observation; a rule's levels are tables in it."""
    entry = into.get(to)
    tiers = entry.get("tiers")
    levels = {
        tier.get("level"): number
        for number, tier in enumerate(tiers if isinstance(tiers, list) else [])
        if isinstance(tier, dict)
    }
    faults: list[Fault] = []
    for name, value in source.get(at).items():
        if name in FIXED:
            faults.append(source.fault(Misfit((*at, name), shown(value), f"no other {name}: make a new entry for it")))
        elif to[0] != "rules" or name not in LEVELS:
            into.put((*to, name), source, (*at, name))
        elif name in levels and isinstance(value, dict):
            for key in value:
                into.put((*to, "tiers", levels[name], key), source, (*at, name, key))
        else:
            there = ", ".join(map(str, levels)) + ", each a table of values"
            found = shown(value) if name in levels else "a level that the rule does not have"
            faults.append(source.fault(Misfit((*at, name), found, there)))
    return faults


def _new(base: Document, own: Document, part: str, new: str) -> list[Fault]:
    entries = own.raw[part]
    if not isinstance(entries, list):
        return [own.fault(Misfit((part,), shown(entries), f"tables [[{part}]]"))]
    there = base.raw.setdefault(new, [])
    if isinstance(there, list):
        for number in range(len(entries)):
            base.put((new, len(there)), own, (part, number))
    return []
