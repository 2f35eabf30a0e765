"""Reads `gateway/protocols/*.toml` into `core.protocol` types, or says exactly what is wrong and where.

A clinic's own limits change single values of a protocol, in a file of their own:

    [rules.spo2_low]
    clear_s = 5
    medium = { below = 92, delay_s = 15 }

    [criteria.spo2_steady]
    at_least = 95

    [cuff]
    dosing_s = 600

In the same way one protocol may say only how it differs from another that it `extends`; `new_rules` and
`new_criteria` are what the other does not have.
"""

import math
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from gateway.core.protocol import PHASES, RANK, Criterion, Hold, Observed, Protocol, Rule, fallback

FOLDER = Path(__file__).parent / "protocols"


class ProtocolError(ValueError):
    """A protocol file that must not be used: names the file, the line or key, what was found, what is allowed."""


def load(path: Path, limits: Path | None = None) -> Protocol:
    """The protocol in `path`, with the values that the file `limits` changes. Raises ProtocolError."""
    raw = _whole(path)
    if limits is not None:
        _change(raw, _read(limits), limits)
    _check_finite(path, raw)
    where = f"{path} with {limits}" if limits else str(path)
    try:
        protocol = msgspec.convert(raw, Protocol)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"{where}: {error}") from None
    _check(where, protocol)
    return protocol


def load_all(folder: Path = FOLDER) -> dict[str, Protocol]:
    """Every protocol of a folder by its id. Raises ProtocolError; an empty folder is one."""
    protocols: dict[str, Protocol] = {}
    for path in sorted(folder.glob("*.toml")):
        protocol = load(path)
        if protocol.id != path.stem:
            raise ProtocolError(f"{path}: id is {protocol.id!r}, must be the file's name {path.stem!r}")
        protocols[protocol.id] = protocol
    if not protocols:
        raise ProtocolError(f"{folder}: no protocol (*.toml) found")
    return protocols


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProtocolError(f"{path}: {error}") from None


def _whole(path: Path) -> dict[str, Any]:
    """A protocol's file together with the one that it extends."""
    own = _read(path)
    if "extends" not in own:
        return own
    base = own.pop("extends")
    known = sorted(other.stem for other in path.parent.glob("*.toml") if other != path)
    if base not in known:
        raise ProtocolError(f"{path}: extends: found {base!r}, allowed are {', '.join(known)}")
    raw = _read(path.parent / f"{base}.toml")
    if "extends" in raw:
        raise ProtocolError(f"{path}: extends {base!r}, which extends another; say it of that one")
    differs: dict[str, Any] = {part: own.pop(part) for part in ("rules", "criteria", "cuff") if part in own}
    for part in ("rules", "criteria"):
        new = own.pop(f"new_{part}", [])
        if not isinstance(new, list):
            raise ProtocolError(f"{path}: new_{part}: found {new!r}, must be [[new_{part}]]")
        raw[part] = [*raw[part], *new]
    _change(raw, differs, path)
    return raw | own


def _change(raw: dict[str, Any], differs: dict[str, Any], limits: Path) -> None:
    """Put other values in place. Only what is there can be changed: a misspelt name must not go unnoticed."""
    for part, changes in differs.items():
        if part == "cuff" and isinstance(changes, dict):
            raw["cuff"] = raw["cuff"] | changes
        elif part in ("rules", "criteria") and isinstance(changes, dict):
            known = {entry.get("id"): entry for entry in raw[part]}
            for name, values in changes.items():
                key = f"{limits}: {part}.{name}"
                if name not in known:
                    raise ProtocolError(
                        f"{key}: not in protocol {raw.get('id')!r}; it has {', '.join(map(str, known))}"
                    )
                if not isinstance(values, dict):
                    raise ProtocolError(f"{key}: found {values!r}, must be a table of values")
                _change_entry(key, known[name], values)
        else:
            raise ProtocolError(f"{limits}: {part}: unknown; allowed are the tables rules, criteria, cuff")


def _change_entry(key: str, entry: dict[str, Any], values: dict[str, Any]) -> None:
    tiers = {tier["level"]: tier for tier in entry.get("tiers", [])}
    for name, value in values.items():
        if name in tiers and isinstance(value, dict):
            tiers[name].update(value)
        elif name in ("low", "medium", "high") and tiers:
            raise ProtocolError(f"{key}.{name}: the rule has only {', '.join(tiers)}, each a table of values")
        else:
            entry[name] = value


def _check(path: str, protocol: Protocol) -> None:
    """What types cannot say."""
    seen: set[str] = set()
    for rule in protocol.rules:
        key = f"{path}: rule {rule.id!r}"
        if rule.always and rule.phases != PHASES:
            raise ProtocolError(f"{key}: always, and only in {', '.join(rule.phases)}; give one of the two")
        if rule.id in seen:
            raise ProtocolError(f"{key} stands twice; a rule is one condition with several tiers")
        seen.add(rule.id)
        _check_tiers(key, rule)
    for criterion in protocol.criteria:
        key = f"{path}: criterion {criterion.id!r}"
        if criterion.id in seen:
            raise ProtocolError(f"{key}: the name is taken")
        seen.add(criterion.id)
        _check_criterion(key, criterion)
    if protocol.lost_s <= protocol.live_s:
        raise ProtocolError(f"{path}: lost_s is {protocol.lost_s:g}, must be over live_s {protocol.live_s:g}")
    if not any(rule.measure == "vitals_age_s" for rule in protocol.rules):
        raise ProtocolError(f"{path}: no rule measures vitals_age_s; a board that falls silent must be an alarm")
    try:
        fallback(protocol)
    except ValueError as error:
        raise ProtocolError(f"{path}: {error}, which a board alone judges by") from None


def _check_tiers(key: str, rule: Rule) -> None:
    for tier in rule.tiers:
        if len(tier.limits) != 1:
            raise ProtocolError(f"{key}, level {tier.level}: give exactly one of below, above, reaches")
    if len({tier.limits[0][0] for tier in rule.tiers}) != 1:
        raise ProtocolError(f"{key}: all tiers must look the same way: below, above or reaches")
    for gentle, grave in zip(rule.tiers, rule.tiers[1:], strict=False):
        if RANK[grave.level] <= RANK[gentle.level]:
            raise ProtocolError(f"{key}: tiers go from low to high, found {gentle.level} before {grave.level}")
        if not gentle.crossed(grave.limit) and grave.limit != gentle.limit:
            raise ProtocolError(
                f"{key}: the {grave.level} limit {grave.limit:g} lies inside the {gentle.level} limit {gentle.limit:g}"
            )


def _check_criterion(key: str, criterion: Criterion) -> None:
    if isinstance(criterion, Observed):
        given = [criterion.at_least, criterion.at_most, criterion.equals]
        if sum(value is not None for value in given) != 1:
            raise ProtocolError(f"{key}: give exactly one of at_least, at_most, equals")
    if isinstance(criterion, Hold) and criterion.at_least > criterion.at_most:
        raise ProtocolError(f"{key}: at_least {criterion.at_least:g} is over at_most {criterion.at_most:g}")


def _check_finite(path: Path, value: object, key: str = "") -> None:
    """TOML knows nan and inf; as a limit they would never be crossed."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_finite(path, item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            _check_finite(path, item, f"{key}[{number}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ProtocolError(f"{path}: {key} is {value}, must be a number")
