"""The wall over the whole product: real firmware, broker, gateway and web process; only patient and chips simulated."""

from pathlib import Path

from browser import WallPage
from selenium.webdriver import Chrome
from servers import Mosquitto

from gateway.wire import Acknowledge
from simulators.demo import story
from simulators.demo.run import begin
from simulators.demo.stack import SITE, Stack
from simulators.demo.watch import Watch


def test_a_desaturation_turns_the_tile_red_and_calm_again(
    chromium: Chrome, mosquitto: Mosquitto, tmp_path: Path, pictures: Path
) -> None:
    """A patient desaturates: the tile turns red and says why with value and limit. The patient recovers and the
    latched alarm is acknowledged: the tile is calm. Meanwhile the others stay as they are."""
    with Stack(tmp_path / "stack", broker_url=mosquitto.url) as stack:
        watch = Watch(SITE, stack.broker, lambda _: None)
        try:
            story.patients(stack)
            begin(stack, watch)
            page = WallPage(chromium, stack.web_url)
            page.open()
            page.wait_live()
            for chair in stack.boards:
                page.wait_tile(chair, lambda tile: tile["fresh"] == "live" and tile["spo2"] != "--", "is live")
                page.wait_tile(chair, lambda tile: "--" not in tile["pressure"], "has a pressure", within_s=120)
            page.picture(pictures / "wall-demo-calm.png")

            stack.patient("bay-2").set(spo2_pct=80.0, over_s=3)
            red = page.wait_tile("bay-2", lambda tile: tile["level"] == "high", "turns red", within_s=60)
            assert (red["marks"], red["reason"]) == ("***", "Oxygen saturation is low")
            assert red["against"].endswith("limit 85 %")
            assert page.tile("bay-1")["calls"] == "no"
            page.picture(pictures / "wall-demo-alarm.png")

            stack.patient("bay-2").set(spo2_pct=97.0, over_s=3)
            page.wait_tile("bay-2", lambda tile: "over" in tile["note"], "is over", within_s=60)
            watch.act("bay-2", Acknowledge())
            calm = page.wait_tile("bay-2", lambda tile: tile["reason"] == "", "is calm again")
            assert int(calm["spo2"]) >= 90
            assert page.errors() == []
        finally:
            chromium.get("about:blank")
            watch.close()
