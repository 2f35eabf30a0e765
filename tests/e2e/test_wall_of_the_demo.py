"""The wall over the whole product: real firmware, broker, gateway and web process; only patient and chips simulated.
The pictures of the README are made here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import WallPage
from selenium.webdriver import Chrome
from servers import Mosquitto

from gateway.wire import Acknowledge, Dose, Observe
from simulators.demo import story
from simulators.demo.run import begin
from simulators.demo.stack import SITE, Stack
from simulators.demo.watch import Watch


@pytest.fixture
def stack(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "stack", broker_url=mosquitto.url) as running:
        yield running


@pytest.fixture
def watch(stack: Stack) -> Iterator[Watch]:
    """A screen and a nurse; every chair has a session."""
    watching = Watch(SITE, stack.broker, lambda _: None)
    story.patients(stack)
    stack.patient("bay-3").set(sys_mmhg=126.0, dia_mmhg=82.0)
    begin(stack, watching)
    yield watching
    watching.close()


def test_a_desaturation_turns_the_tile_red_and_calm_again(
    chromium: Chrome, stack: Stack, watch: Watch, pictures: Path
) -> None:
    """A patient desaturates: the tile turns red and says why with value and limit. The patient recovers and the
    latched alarm is acknowledged: the tile is calm. Beside it a probe comes off, a board dies, and a patient meets
    the criteria, each with its own words."""
    page = WallPage(chromium, stack.web_url)
    page.open()
    page.wait_live()
    for action in (Dose(what="first"), Dose(what="end"), story.ALL_WELL, Observe(escort=True)):
        assert watch.act("bay-1", action).ok
    for chair in stack.boards:
        page.wait_tile(chair, lambda tile: tile["fresh"] == "live" and "--" not in tile["pressure"], "is live", 120)
    page.picture(pictures / "wall-calm.png")

    stack.patient("bay-4").set(finger_on=0)
    stack.boards["bay-6"].kill()
    page.wait_tile("bay-6", lambda tile: tile["reason"] == "No data from the chair", "is silent", 60)
    page.wait_tile("bay-4", lambda tile: tile["reason"] == "Finger probe is off", "has lost its probe", 60)
    stack.patient("bay-2").set(spo2_pct=80.0, over_s=3)
    red = page.wait_tile("bay-2", lambda tile: tile["level"] == "high", "turns red", 60)
    assert (red["marks"], red["reason"]) == ("***", "Oxygen saturation is low")
    assert red["against"].endswith("limit 85 %")
    assert page.tile("bay-3")["calls"] == "no"
    page.wait_tile("bay-1", lambda tile: tile["readiness"] == "Meets criteria", "meets the criteria", 60)
    page.picture(pictures / "wall-alarm.png")

    stack.patient("bay-2").set(spo2_pct=97.0, over_s=3)
    page.wait_tile("bay-2", lambda tile: "over" in tile["note"], "is over", 60)
    assert watch.act("bay-2", Acknowledge()).ok
    calm = page.wait_tile("bay-2", lambda tile: tile["reason"] == "", "is calm again")
    assert int(calm["spo2"]) >= 90
    assert page.errors() == []
    chromium.get("about:blank")
