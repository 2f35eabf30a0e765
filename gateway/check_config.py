"""`chairside check-config`: what configuration and protocols say, for people to approve, or all that is wrong."""

import json
from pathlib import Path
from typing import NamedTuple

from msgspec import to_builtins
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import protocol_picture
from gateway.config import Config, ConfigError, load
from gateway.core.protocol import AlarmLevel, Protocol, Rule, content_hash
from gateway.protocol_files import words
from gateway.protocols import FOLDER, ProtocolError, load_all
from gateway.toml_files.refusal import Fault, FileRefused, one_of, shown

LEVELS: tuple[AlarmLevel, ...] = ("low", "medium", "high")


class Checked(NamedTuple):
    """The configuration and its protocols, as in effect and as they are without the clinic's own values."""

    file: Path
    config: Config
    protocols: dict[str, Protocol]
    before: dict[str, Protocol]


def check(file: Path, only: str | None = None) -> Checked:
    """Raises FileRefused with everything that is wrong in all files."""
    faults: list[Fault] = []
    config = None
    try:
        config = load(file)
    except ConfigError as error:
        faults += error.faults
    chosen = config.protocols if config is not None else None
    folder = Path(chosen.dir) if chosen is not None and chosen.dir else FOLDER
    before = protocols = {}
    try:
        before = protocols = load_all(folder)
        if chosen is not None and chosen.limits:
            protocols = load_all(folder, Path(chosen.limits))
    except ProtocolError as error:
        faults += error.faults
    if not faults and chosen is not None:
        for key, name in (("protocols.default", chosen.default), ("--protocol", only or "")):
            if name and name not in protocols:
                faults.append(Fault(str(file), 0, key, shown(name), one_of(protocols, name)))
        roles = sorted({role for protocol in protocols.values() for role in protocol.roles})
        for name, role in (config.staff or {}).items() if config is not None else ():
            if role not in roles:
                faults.append(Fault(str(file), 0, f"staff.{name}", shown(role), one_of(roles, role)))
    if faults or config is None:
        raise FileRefused(faults)
    first = only or config.protocols.default
    if first:
        others = {} if only is not None else protocols
        protocols = {first: protocols[first]} | others
    return Checked(file, config, protocols, before)


def draw(checked: Checked, file: Path) -> None:
    """The one protocol that was asked for, or the one that a screen offers first. Raises OSError."""
    first = next(iter(checked.protocols.values()))
    file.write_text(protocol_picture.draw(first), "utf-8")


def as_json(checked: Checked) -> str:
    """The same for programs: what is in effect, its hash, and what the clinic's file changed."""
    config = checked.config
    document = {
        "site": config.site.name,
        "chairs": config.chairs,
        "limits": config.protocols.limits or None,
        "protocols": {
            name: {
                "hash": content_hash(protocol),
                "changed": [
                    {"key": key, "was": was, "is": now}
                    for key, (was, now) in words.changes(checked.before[name], protocol).items()
                ],
                "protocol": to_builtins(protocol),
            }
            for name, protocol in checked.protocols.items()
        },
    }
    return json.dumps(document, indent=2)


def show(console: Console, checked: Checked, *, settings: bool) -> None:
    if settings:
        console.print(_settings(checked))
    for name, protocol in checked.protocols.items():
        _protocol(console, protocol, checked.before[name])


def _settings(checked: Checked) -> Table:
    config, influx = checked.config, checked.config.influx
    table = Table("Setting", "Value", title=f"{checked.file} is good", title_justify="left")
    table.add_row("site", config.site.name)
    table.add_row("broker", f"{config.mqtt.host}:{config.mqtt.port}")
    table.add_row("chairs", "\n".join(f"{chair}  {device}" for chair, device in config.chairs.items()))
    table.add_row("journal", f"{config.journal.path}, at most {config.journal.bytes_max / 1e6:.0f} MB")
    table.add_row("InfluxDB", f"version {influx.version}, {influx.url.rsplit('@', 1)[-1]}" if influx else "none")
    table.add_row("wall page", f"http://{config.web.host}:{config.web.port}/")
    table.add_row("limits", config.protocols.limits or "none of its own")
    hashes = (f"{name}  {content_hash(one)}  {one.title}" for name, one in checked.protocols.items())
    table.add_row("protocols", "\n".join(hashes))
    return table


def _protocol(console: Console, protocol: Protocol, before: Protocol) -> None:
    changed = words.changes(before, protocol)
    console.print(f"\n[bold]{protocol.id}[/]  {escape(protocol.title)}  [dim]{content_hash(protocol)}[/]")
    console.print(f"[dim]{escape(protocol.notice)}[/]")
    if changed:
        console.print(f"[magenta]{len(changed)} values are the clinic's own, marked with what they were.[/]")
    console.print(_rules(protocol, before))
    was = words.cuff(before)
    cuff = Table("Pressure is measured", "", title="Cuff", title_justify="left")
    for when, how in words.cuff(protocol).items():
        cuff.add_row(when, _marked(how, was[when]))
    console.print(cuff)
    old = {one.id: one for one in before.criteria}
    criteria = Table("Criterion", "Must be", "Counts from", title="Ready to leave", title_justify="left")
    for one in protocol.criteria:
        had = old.get(one.id, one)
        criteria.add_row(
            _marked(one.label, had.label),
            _marked(words.criterion(one), words.criterion(had)),
            _marked(words.clock(one), words.clock(had)),
        )
    console.print(criteria)
    _people(console, protocol, before)
    times = (f"{name} {getattr(protocol, name):g} s" for name in ("live_s", "lost_s", "audio_pause_s"))
    console.print(f"Vitals and sound: {', '.join(times)}")
    console.print(f"Scores on a screen: of answers not older than {words.span(protocol.observed_age_max_s)}")


def _rules(protocol: Protocol, before: Protocol) -> Table:
    table = Table("Alarm", title="Alarms", title_justify="left", show_lines=True)
    for level in LEVELS:
        table.add_column(f"{level} {words.MARKS[level]}")
    table.add_column("Ends, and when it is judged")
    table.columns[0].no_wrap = True
    old = {rule.id: rule for rule in before.rules}
    for rule in protocol.rules:
        was = old.get(rule.id, rule)
        cells = [[*_levels(one), "; ".join(filter(None, (words.ends(one), words.when(one))))] for one in (rule, was)]
        name = f"{rule.id}\n[dim]{rule.kind}[/]" + (f"\n[dim]{rule.measure}[/]" if rule.measure != rule.id else "")
        table.add_row(name, *(_marked(now, then) for now, then in zip(*cells, strict=True)))
    return table


def _levels(rule: Rule) -> list[str]:
    levels = words.levels(rule)
    return [levels.get(level, "") for level in LEVELS]


def _people(console: Console, protocol: Protocol, before: Protocol) -> None:
    """What staff are asked, and who may do what."""
    if protocol.observations:
        old = {one.id: one for one in before.observations}
        table = Table("Question", "When", title="Staff are asked", title_justify="left")
        for one in protocol.observations:
            table.add_row(escape(one.label), _marked(words.asked(one), words.asked(old.get(one.id, one))))
        console.print(table)
    if protocol.permissions:
        table = Table("Action", "Roles", title="Who may", title_justify="left")
        for action, roles in protocol.permissions.items():
            table.add_row(action, _marked(", ".join(roles), ", ".join(before.permissions.get(action, roles))))
        console.print(table)


def _marked(now: str, was: str) -> str:
    """What the clinic changed stands out, with what it was."""
    if now == was:
        return escape(now)
    return f"[magenta]{escape(now) or 'nothing'}[/] [dim](was {escape(was) or 'nothing'})[/]"
