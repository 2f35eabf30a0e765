"""Reads `gateway/protocols/*.toml` into `core.protocol` types, or says exactly what is wrong and where."""

import math
import tomllib
from pathlib import Path

import msgspec

from gateway.core.protocol import RANK, Criterion, Hold, Observed, Protocol, Rule, fallback

FOLDER = Path(__file__).parent / "protocols"


class ProtocolError(ValueError):
    """A protocol file that must not be used: names the file, the line or key, what was found, what is allowed."""


def load(path: Path) -> Protocol:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProtocolError(f"{path}: {error}") from None
    _check_finite(path, raw)
    try:
        protocol = msgspec.convert(raw, Protocol)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"{path}: {error}") from None
    _check(path, protocol)
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


def _check(path: Path, protocol: Protocol) -> None:
    """What types cannot say."""
    seen: set[str] = set()
    for rule in protocol.rules:
        key = f"{path}: rule {rule.id!r}"
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
