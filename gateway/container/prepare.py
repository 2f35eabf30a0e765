"""Makes every secret of the stack at its first start; completes what a crash left half made; keeps what is there.

    python -m gateway.container.prepare /secrets --config /etc/chairside/gateway.toml --name gateway.local

One folder for each service below the first argument, each a volume of its own, so that nobody sees what is another's.
Nothing has a default password, and nothing is printed but names of files.
"""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from gateway.broker import certificates
from gateway.broker.access import GATEWAY, WEB
from gateway.broker.command import PORT, configuration, make
from gateway.config import Config
from gateway.container.files import give, kept
from gateway.refusals import ConfigFile, fail, loaded_from

UIDS = {"broker": 1883, "gateway": 10001, "web": 10001, "boards": 10001, "influxdb": 1000, "grafana": 472}
"""The users of the images: eclipse-mosquitto, ours, influxdb, grafana."""
HEALTH = "chairside-health"
HEALTH_ACCESS = f"\nuser {HEALTH}\ntopic read $SYS/broker/version\n"
BROKER_HERE = Path("/secrets/broker")
"""Where the broker's container sees its folder."""


def main(
    folder: Path,
    config: ConfigFile,
    name: Annotated[list[str] | None, typer.Option(help="By which boards call the broker.")] = None,
) -> None:
    loaded = loaded_from(config)
    names = ["mosquitto", *(one for given in name or [] for one in given.split())]
    try:
        keys = _keys(folder / "authority", loaded, names)
        _hand_out(folder, keys)
    except (OSError, ValueError) as error:
        fail(f"{folder}: {error}")
    typer.echo(f"{folder}: complete for site {loaded.site.name}")


def _keys(folder: Path, config: Config, names: list[str]) -> Path:
    """The authority and all certificates: made or renewed beside the ones in use, which are replaced as a whole. A
    crash between the two renames is what the first line mends."""
    keys, new, old = folder / "keys", folder / "new", folder / "old"
    if old.exists() and not keys.exists():
        old.rename(keys)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    if keys.exists():
        shutil.copytree(keys, new)
    for files, what in make(config, new, names):
        typer.echo(f"{files}: {what}")
    certificates.give_client(new, HEALTH, certificates.authority(new, f"Chairside {config.site.name}"))
    for path in [*new.rglob("*"), new]:
        _to_disk(path)
    if keys.exists():
        keys.rename(old)
    new.rename(keys)
    shutil.rmtree(old, ignore_errors=True)
    return keys


def _to_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.close(number)


def _hand_out(folder: Path, keys: Path) -> None:
    def hand(who: str, name: str, data: bytes) -> None:
        give(folder / who / name, data, UIDS[who])

    for who, users in {"broker": ("broker", HEALTH), "gateway": (GATEWAY,), "web": (WEB,)}.items():
        hand(who, "ca.pem", (keys / "ca.pem").read_bytes())
        for user in users:
            # The key first: a certificate is never beside a key that is not its own for longer than this.
            hand(who, f"{user}.key", (keys / f"{user}.key").read_bytes())
            hand(who, f"{user}.pem", (keys / f"{user}.pem").read_bytes())
    hand("broker", "chairside.acl", (keys / "chairside.acl").read_bytes() + HEALTH_ACCESS.encode())
    hand("broker", "chairside.conf", configuration(BROKER_HERE, PORT).encode())
    for path in sorted((keys / "boards").glob("*/*.der")):
        hand("boards", str(path.relative_to(keys / "boards")), path.read_bytes())
    passwords = folder / "authority" / "passwords"
    token = kept(passwords / "influxdb-token")
    hand("influxdb", "token", token)
    hand("gateway", "influx-token", token)
    hand("influxdb", "password", kept(passwords / "influxdb-password"))
    hand("grafana", "admin-password", kept(passwords / "grafana-password"))


if __name__ == "__main__":
    typer.run(main)
