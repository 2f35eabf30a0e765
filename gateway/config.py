"""The gateway's configuration: one TOML file, and two settings from the environment.

`CHAIRSIDE_MQTT_URL` replaces the broker's address, `CHAIRSIDE_INFLUX_TOKEN` gives the token of InfluxDB 2.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
from msgspec import Meta, Struct

SiteName = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
DeviceName = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
MQTT_PORT = 1883
S = TypeVar("S", bound=Struct)


class ConfigError(ValueError):
    """A configuration that must not be used: names the file, the line or key, what was found, what is allowed."""


class SiteConfig(Struct, frozen=True, forbid_unknown_fields=True):
    name: SiteName


class MqttConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`url` is mqtt://user:password@host:port; user, password and port may be left out."""

    url: str

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        return self.parts.port or MQTT_PORT

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
    `org`, `bucket` and a token."""

    version: Literal[1, 2]
    url: str
    database: str = ""
    user: str = ""
    password: str = ""
    org: str = ""
    bucket: str = ""
    token: str = ""


class WebConfig(Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: Port = 8080


class ProtocolsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`dir` is a folder of protocol files; without it those that come with the program are used. `default` is the one
    that a screen offers first."""

    default: str = ""
    dir: str = ""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    site: SiteConfig
    mqtt: MqttConfig
    chairs: dict[SiteName, DeviceName]
    journal: JournalConfig
    protocols: ProtocolsConfig = ProtocolsConfig()
    web: WebConfig = WebConfig()
    influx: InfluxConfig | None = None


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Raises ConfigError. Relative paths in the file are relative to the file."""
    text, raw = _read(path)
    if url := environment.get("CHAIRSIDE_MQTT_URL"):
        _table(raw, "mqtt")["url"] = url
    token = environment.get("CHAIRSIDE_INFLUX_TOKEN")
    if token and "influx" in raw:
        _table(raw, "influx").setdefault("token", token)
    for name, key in (("journal", "path"), ("protocols", "dir")):
        table = _table(raw, name)
        if isinstance(table.get(key), str) and table[key]:
            table[key] = str(path.parent / Path(table[key]).expanduser())
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explained(path, text, raw, str(error))) from None
    _check(path, text, config)
    return config


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: not found; copy gateway/gateway.example.toml and name it with --config") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """A table of the file, made if missing; something that is no table is left to the type check."""
    table = raw.setdefault(name, {})
    return table if isinstance(table, dict) else {}


def _check(path: Path, text: str, config: Config) -> None:
    """What types cannot say."""

    def wrong(key: str, words: str) -> ConfigError:
        return ConfigError(f"{path}{_line_of(text, key)}: {key}: {words}")

    if not config.chairs:
        raise wrong("chairs", 'is empty; name at least one, such as bay-1 = "cb-000001"')
    chair_of: dict[str, str] = {}
    for chair, device in config.chairs.items():
        if device in chair_of:
            other = chair_of[device]
            raise wrong(f"chairs.{chair}", f"{device!r} is at {other!r} too; a board belongs to one chair")
        chair_of[device] = chair
    _check_url(wrong, "mqtt.url", config.mqtt.url, ("mqtt",), "mqtt://user:password@host:1883")
    influx = config.influx
    if influx is None:
        return
    _check_url(wrong, "influx.url", influx.url, ("http", "https"), "http://host:8086")
    needed = ("database",) if influx.version == 1 else ("org", "bucket", "token")
    foreign = ("org", "bucket") if influx.version == 1 else ("database", "user", "password")
    for key in needed:
        if not getattr(influx, key):
            also = " (or CHAIRSIDE_INFLUX_TOKEN in the environment)" if key == "token" else ""
            raise wrong(f"influx.{key}", f"missing; version {influx.version} needs {', '.join(needed)}{also}")
    for key in foreign:
        if getattr(influx, key):
            raise wrong(f"influx.{key}", f"not for version {influx.version}, which has {', '.join(needed)}")


def _check_url(wrong: Any, key: str, url: str, schemes: tuple[str, ...], example: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        shown = re.sub(r"//[^/@]*@", "//***@", url)
        raise wrong(key, f"found {shown!r}; allowed is {example}")


def _explained(path: Path, text: str, raw: dict[str, Any], error: str) -> str:
    """msgspec's words with the key in the file's terms, the value found and the keys allowed."""
    words, _, where = error.replace("`object`", "a table").partition(" - at `")
    key = where.removesuffix("`").removeprefix("$").removeprefix(".")
    named = re.search(r"unknown field `(.*)`|missing required field `(.*)`", words)
    if named:
        field = named.group(1) or named.group(2)
        full = f"{key}.{field}".removeprefix(".")
        if named.group(2):
            return f"{path}{_line_of(text, key)}: {full}: missing"
        allowed = ", ".join(_fields_of(key))
        return f"{path}{_line_of(text, full)}: {full}: unknown key; allowed in [{key or 'top level'}]: {allowed}"
    if "`$.chairs" in error and isinstance(raw["chairs"], dict):
        return f"{path}{_line_of(text, 'chairs')}: chairs: {_bad_chair(raw)}"
    found: Any = raw
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else found
    secret = key.rsplit(".", 1)[-1] in ("password", "token")
    shown = "" if secret else f", found {found!r}"
    return f"{path}{_line_of(text, key)}: {key}: {words[:1].lower()}{words[1:]}{shown}"


def _bad_chair(raw: dict[str, Any]) -> str:
    """The first chair or board whose name does not fit."""
    for chair, device in raw["chairs"].items():
        for name, kind in ((chair, SiteName), (device, DeviceName)):
            try:
                msgspec.convert(name, kind)
            except msgspec.ValidationError:
                return f"found {name!r}; a name is 1 to 32 of a-z, 0-9 and -, as text"
    return "not understood"


def _fields_of(key: str) -> list[str]:
    kind: Any = Config
    if key:
        kind = {
            "site": SiteConfig, "mqtt": MqttConfig, "journal": JournalConfig, "influx": InfluxConfig,
            "web": WebConfig, "protocols": ProtocolsConfig,
        }[key]  # fmt: skip
    return [field.name for field in msgspec.structs.fields(kind)]


def _line_of(text: str, key: str) -> str:
    """`:12` for where a key (or its table) stands in the file, or nothing if it is written another way."""
    *tables, name = key.split(".")
    inside = not tables
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([\w.-]+)\s*\]", line)
        if header:
            inside = header.group(1) == ".".join(tables)
            if header.group(1) == key:
                return f":{number}"
        elif inside and re.match(rf'\s*"?{re.escape(name)}"?\s*=', line):
            return f":{number}"
    return ""
