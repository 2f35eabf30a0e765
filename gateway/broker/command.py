"""`chairside broker`: everything mosquitto needs for a site, made from the gateway's configuration."""

import socket
from pathlib import Path

from gateway.broker import access, certificates
from gateway.config import Config

PORT = 8883


def make(config: Config, folder: Path, names: list[str]) -> list[tuple[str, str]]:
    """Make or renew what is missing; what is good stays. Returns each file with what became of it. `names` are those
    by which boards and gateway call the broker. Raises OSError, ValueError."""
    boards = [*dict.fromkeys([*config.chairs.values(), *config.site.spares])]
    if taken := {access.GATEWAY, access.WEB} & set(boards):
        raise ValueError(f"a board is named {', '.join(sorted(taken))}, which is the name of one of ours")
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [*dict.fromkeys([*names, socket.gethostname(), "localhost", "127.0.0.1"])]
    known = (folder / "ca.pem").exists()
    signer = certificates.authority(folder, f"Chairside {config.site.name}")
    done = [("ca.pem, ca.key", "kept" if known else "made; keep ca.key where nobody else is")]
    made = certificates.give_server(folder, "broker", signer, hosts)
    done.append(("broker.pem, broker.key", f"made for {', '.join(hosts)}" if made else "kept"))
    for user in (access.GATEWAY, access.WEB):
        made = certificates.give_client(folder, user, signer)
        done.append((f"{user}.pem, {user}.key", "made" if made else "kept"))
    for device in boards:
        made = certificates.give_board(folder / "boards", device, signer)
        done.append((f"boards/{device}/", "made" if made else "kept"))
    (folder / "chairside.acl").write_text(access.access_list(config.site.name), encoding="utf-8")
    (folder / "chairside.conf").write_text(configuration(folder.resolve(), PORT), encoding="utf-8")
    return [*done, ("chairside.acl, chairside.conf", "written")]


def configuration(folder: Path, port: int) -> str:
    """For mosquitto: TLS with certificates on both ends, who a client is by its certificate, and no delay."""
    return f"""# Written by `chairside broker`. Include it from /etc/mosquitto/conf.d.
listener {port}
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
require_certificate true
use_identity_as_username true
acl_file {folder}/chairside.acl
set_tcp_nodelay true
"""
