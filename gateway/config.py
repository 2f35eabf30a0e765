"""The gateway's configuration: one TOML file, and settings from the environment.

`CHAIRSIDE_MQTT_URL` replaces the broker's address, `CHAIRSIDE_INFLUX_TOKEN` and `CHAIRSIDE_GRAFANA_TOKEN` give tokens,
or with `_FILE` after them the files that hold these.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
from msgspec import Meta, Struct

from gateway.core.site import USUAL, SiteLimits
from gateway.toml_files import shape
from gateway.toml_files.document import read
from gateway.toml_files.places import Path as Keys
from gateway.toml_files.refusal import Fault, FileRefused, Misfit, shown

SiteName = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
DeviceName = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$")]
StaffName = Annotated[str, Meta(min_length=1, max_length=32)]
RoleName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,31}$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
MQTT_PORT, MQTTS_PORT = 1883, 8883


PATHS = (
    ("journal", "path"),
    ("protocols", "dir"),
    ("protocols", "limits"),
    ("mqtt", "ca"),
    ("mqtt", "certificate"),
    ("mqtt", "key"),
    ("influx", "ca"),
    ("web", "mqtt_certificate"),
    ("web", "mqtt_key"),
)
"""Relative to the file."""
SECRETS = ("password", "token")
ConfigError = FileRefused
"""A configuration that must not be used: names the file, the line, the key, what was found, what is allowed."""


class SiteConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`spares` are boards at no chair, which staff may put in the place of a broken one."""

    name: SiteName
    spares: list[DeviceName] = []


class MqttConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`url` is mqtt://user:password@host:port, or mqtts:// for TLS; user, password and port may be left out. `ca` is
    the authority that has signed the broker's certificate; `certificate` and `key` are the gateway's own."""

    url: str
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        return self.parts.port or (MQTTS_PORT if self.is_secure else MQTT_PORT)

    @property
    def is_secure(self) -> bool:
        return self.parts.scheme == "mqtts"

    @property
    def user(self) -> str:
        return unquote(self.parts.username or "")

    @property
    def password(self) -> str:
        return unquote(self.parts.password or "")


class JournalConfig(Struct, frozen=True, forbid_unknown_fields=True):
    path: Annotated[str, Meta(min_length=1)]
    bytes_max: Annotated[int, Meta(ge=10_000_000)] = 2_000_000_000


class InfluxConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Version 1 needs `database`, and `user` and `password` if the server asks for them; version 2 (and 3) needs
    `org`, `bucket` and a token. `ca` is the authority that has signed the server's certificate; without it those that
    the system trusts are asked."""

    version: Literal[1, 2]
    url: str
    ca: str = ""
    database: str = ""
    user: str = ""
    password: str = ""
    org: str = ""
    bucket: str = ""
    token: str = ""
    keep_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    """How long rows stay in the database, 0 for ever; the copy by the minute and the journal stay."""


class GrafanaConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where annotations go; the token needs to read and write annotations. `live` streams vitals to Grafana Live, which
    needs the right to publish."""

    url: str
    token: str = ""
    live: bool = False


class WebConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`mqtt_certificate` and `mqtt_key` say to a broker with TLS that it is the web process which speaks."""

    host: str = "127.0.0.1"
    port: Port = 8080
    mqtt_certificate: str = ""
    mqtt_key: str = ""


class ProtocolsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`dir` is a folder of protocol files; without it those that come with the program are used. `default` is the one
    that a screen offers first. `limits` is a file with the clinic's own values."""

    default: str = ""
    dir: str = ""
    limits: str = ""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    site: SiteConfig
    mqtt: MqttConfig
    chairs: dict[SiteName, DeviceName]
    journal: JournalConfig
    staff: dict[StaffName, RoleName] | None = None
    """A name and what they are. Without the table everybody may do what needs no role."""
    protocols: ProtocolsConfig = ProtocolsConfig()
    web: WebConfig = WebConfig()
    influx: InfluxConfig | None = None
    grafana: GrafanaConfig | None = None
    site_alarms: SiteLimits = USUAL


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Raises ConfigError with all that is wrong. Relative paths in the file are relative to the file."""
    if not path.exists():
        allowed = "a copy of gateway/gateway.example.toml, named with --config"
        raise ConfigError([Fault(str(path), 0, "", "no such file", allowed)])
    document = read(path)
    raw = document.raw
    if url := environment.get("CHAIRSIDE_MQTT_URL"):
        _table(raw, "mqtt")["url"] = url
    for name in ("influx", "grafana"):
        if name in raw and (token := _token(f"CHAIRSIDE_{name.upper()}_TOKEN", environment)):
            _table(raw, name).setdefault("token", token)
    for name, key in PATHS:
        table = raw.get(name)
        if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
            table[key] = str(path.parent / Path(table[key]).expanduser())
    wrong = shape.misfits(raw, Config) or list(_misfits(msgspec.convert(raw, Config)))
    if wrong:
        raise ConfigError(document.fault(_without_secrets(misfit)) for misfit in wrong)
    return msgspec.convert(raw, Config)


def _token(name: str, environment: Mapping[str, str]) -> str:
    """From the variable, or from the file that the variable with `_FILE` names. Raises ConfigError."""
    path = environment.get(f"{name}_FILE")
    if not path:
        return environment.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        raise ConfigError([Fault(f"{name}_FILE", 0, "", f"{path} ({why})", "a file that holds the token")]) from None


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """A table of the file, made if missing; something that is no table is left to the type check."""
    table = raw.setdefault(name, {})
    return table if isinstance(table, dict) else {}


def _misfits(config: Config) -> Iterator[Misfit]:
    """What types cannot say."""
    if not config.chairs:
        yield Misfit(("chairs",), "an empty table", 'at least one chair, such as bay-1 = "cb-000001"')
    chair_of: dict[str, str] = {}
    for chair, device in config.chairs.items():
        if device in chair_of:
            found = f"{device!r}, which is at {chair_of[device]!r} too"
            yield Misfit(("chairs", chair), found, "a board for each chair")
        chair_of[device] = chair
    for number, device in enumerate(config.site.spares):
        if device in chair_of or device in config.site.spares[:number]:
            found = f"{device!r}, which is at {chair_of[device]!r}" if device in chair_of else f"{device!r} twice"
            yield Misfit(("site", "spares", number), found, "boards at no chair, each once")
    yield from _url(("mqtt", "url"), config.mqtt.url, ("mqtt", "mqtts"), "mqtt://user:password@host:1883")
    if config.grafana is not None:
        yield from _url(("grafana", "url"), config.grafana.url, ("http", "https"), "http://host:3000")
        if not config.grafana.token:
            yield Misfit(("grafana", "token"), "nothing", "a service account's, best from CHAIRSIDE_GRAFANA_TOKEN")
    influx = config.influx
    if influx is None:
        return
    yield from _url(("influx", "url"), influx.url, ("http", "https"), "http://host:8086")
    needed = ("database",) if influx.version == 1 else ("org", "bucket", "token")
    foreign = ("org", "bucket") if influx.version == 1 else ("database", "user", "password")
    for key in needed:
        if not getattr(influx, key):
            also = "; the token also from CHAIRSIDE_INFLUX_TOKEN" if key == "token" else ""
            yield Misfit(("influx", key), "nothing", f"version {influx.version} needs {', '.join(needed)}{also}")
    for key in foreign:
        if getattr(influx, key):
            allowed = f"for version {influx.version}: {', '.join(needed)}"
            yield Misfit(("influx", key), f"a key of the other version, {shown(getattr(influx, key))}", allowed)


def _url(path: Keys, url: str, schemes: tuple[str, ...], example: str) -> Iterator[Misfit]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        yield Misfit(path, repr(url), example)


def _without_secrets(misfit: Misfit) -> Misfit:
    """A refusal is what people paste into a question."""
    if misfit.path[-1] in SECRETS and misfit.found != "nothing":
        return misfit._replace(found="something else")
    return misfit._replace(found=re.sub(r"//[^/@]*@", "//***@", misfit.found))
