"""`chairside web` as a process of its own, on a free port."""

import sys
from pathlib import Path

from servers import HttpServer

START = """
import sys
from gateway.config import MqttConfig
from gateway.web.app import run
_, mqtt_url, site, port, *chairs = sys.argv
run(MqttConfig(url=mqtt_url), site, "127.0.0.1", int(port), chairs=chairs, protocols=["demo", "iv-ketamine"])
"""


class Web(HttpServer):
    """Ready when it has its connection to the broker."""

    name = "web"
    ready_path = "/healthz"

    def __init__(self, folder: Path, mqtt_url: str, site: str, chairs: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        self.arguments = [mqtt_url, site, str(self.port), *chairs]

    def command(self) -> list[str]:
        return [sys.executable, "-c", START, *self.arguments]
