"""One browser for the run; a site, its gateway and its web process for each test."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from browser import WallPage, open_chromium
from fake_gateway import FakeGateway
from selenium.webdriver import Chrome
from servers import Mosquitto
from web_process import Web

SITES = count(1)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chrome]:
    driver = open_chromium()
    yield driver
    driver.quit()


@pytest.fixture
def site() -> str:
    """One of its own, for the broker is shared."""
    return f"north-{next(SITES)}"


@pytest.fixture
def gateway(mosquitto: Mosquitto, site: str) -> Iterator[FakeGateway]:
    fake = FakeGateway(mosquitto.port, site)
    yield fake
    fake.end()


@pytest.fixture
def web(mosquitto: Mosquitto, site: str, tmp_path: Path) -> Iterator[Web]:
    process = Web(tmp_path, mosquitto.url, site)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def page(chromium: Chrome, web: Web) -> Iterator[WallPage]:
    """Not opened yet. After the test nothing in the browser still talks to the server."""
    wall = WallPage(chromium, web.url)
    yield wall
    wall.driver.get("about:blank")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures go; `CHAIRSIDE_PICTURES=docs/pictures` makes those of the documentation anew."""
    return Path(os.environ.get("CHAIRSIDE_PICTURES", tmp_path))
