"""The clinic that a fleet stands in: its chairs, the address of its broker, and the gateway's configuration for it."""

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

SITE = "fleet"
PROTOCOL = "iv-ketamine"
MQTT_PORT = 1883


class Address(Struct, frozen=True):
    host: str
    port: int
    user: str = ""
    password: str = ""


def address(url: str) -> Address:
    """Raises ValueError if it is not one."""
    parts = urlsplit(url)
    if parts.scheme != "mqtt" or not parts.hostname or parts.port == 0:
        raise ValueError(f"{url!r} is no broker; it must look like mqtt://host:1883")
    return Address(
        parts.hostname, parts.port or MQTT_PORT, unquote(parts.username or ""), unquote(parts.password or "")
    )


def chairs(count: int) -> dict[str, str]:
    """Chair to board."""
    return {f"fleet-{n:04d}": f"cb-fleet-{n:04d}" for n in range(1, count + 1)}


def write_config(path: Path, count: int, url: str, journal: str = "fleet-journal.db") -> None:
    """The gateway's configuration that fits `count` chairs. A JSON string is a TOML one too."""
    lines = [
        "# Made by `chairside fleet --write-config`: chairs that only exist to load a gateway.",
        f"[site]\nname = {json.dumps(SITE)}\n",
        f"[mqtt]\nurl = {json.dumps(url)}\n",
        f"[journal]\npath = {json.dumps(journal)}\n",
        f"[protocols]\ndefault = {json.dumps(PROTOCOL)}\n",
        "[chairs]",
        *(f"{chair} = {json.dumps(device)}" for chair, device in chairs(count).items()),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
