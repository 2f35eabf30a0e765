"""Gives Grafana a token of its own that reads InfluxDB 2 and does nothing else.

    python -m gateway.container.grafana_token http://influxdb:8086 chairside /secrets

InfluxDB makes tokens itself, so this runs once it answers. A token that still works is kept; one that was made and
never written down (a crash between the two) is taken back; a first start of InfluxDB that a power cut ended is
completed. The API: https://docs.influxdata.com/influxdb/v2/api/
"""

import json
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import typer

from gateway.container.files import give
from gateway.container.prepare import UIDS
from gateway.refusals import fail

NAME = "Chairside: Grafana reads"
BUCKET = "chairside"
TIMEOUT_S = 10.0


class Server:
    """InfluxDB 2's API with one token. Raises OSError; ValueError for an answer that is not as documented."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = urlsplit(url), token

    def ask(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection(self._url.hostname or "", self._url.port, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Token {self._token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            words = answer.read()
        except HTTPException as error:
            raise ValueError(f"{path}: {error!r}") from None
        finally:
            connection.close()
        if answer.status not in (200, 201, 204):
            raise ValueError(f"{method} {path}: {answer.status} {words[:200]!r}")
        return json.loads(words) if words else None


def main(url: str, org: str, folder: Path) -> None:
    target = folder / "grafana" / "influx-token"
    try:
        if target.exists() and _reads(url, target.read_text()):
            typer.echo("Grafana's token is kept")
            return
        token = (folder / "influxdb" / "token").read_text()
        server = Server(url, token)
        if server.ask("GET", "/api/v2/setup").get("allowed"):
            # Its own first start was cut short, and it does not try again.
            password = (folder / "influxdb" / "password").read_text()
            first = {"username": "admin", "password": password, "org": org, "bucket": BUCKET, "token": token}
            server.ask("POST", "/api/v2/setup", first)
        org_id = server.ask("GET", "/api/v2/orgs?" + urlencode({"org": org}))["orgs"][0]["id"]
        for one in server.ask("GET", "/api/v2/authorizations?" + urlencode({"orgID": org_id}))["authorizations"]:
            if one.get("description") == NAME:
                server.ask("DELETE", f"/api/v2/authorizations/{one['id']}")
        # Reading a bucket is also what InfluxQL's mapping of its name asks for.
        reads = {"action": "read", "resource": {"type": "buckets", "orgID": org_id}}
        asked = {"orgID": org_id, "description": NAME, "permissions": [reads]}
        give(target, server.ask("POST", "/api/v2/authorizations", asked)["token"].encode(), UIDS["grafana"])
    except (OSError, ValueError, LookupError) as error:
        fail(f"{url}: {error}")
    typer.echo("Grafana's token is made")


def _reads(url: str, token: str) -> bool:
    """Raises OSError: a server that is away says nothing about a token."""
    try:
        Server(url, token).ask("GET", "/api/v2/buckets?limit=1")
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    typer.run(main)
