"""An old number never looks live: stale, lost, retained, silent gateway, dead server, sleep, clock steps.

Times are the page's own record, compared with the longest time that this page's own timer was held up: a busy
machine delays both.
"""

import json
from urllib.request import urlopen

from browser import WallPage
from fake_gateway import FakeGateway, alarm, chair_state, entry, pressure, score, vitals
from msgspec import UNSET
from servers import wait_until
from web_process import Web

from gateway.wire import Heartbeat, chair_topic, gateway_topic

STALE_MS, SILENT_MS = 3000, 2500
GREY = "rgb(107, 119, 135)"


def live(tile: dict[str, object]) -> bool:
    return tile.get("fresh") == "live"


def held_up_ms(page: WallPage) -> int:
    return int(page.run("return document.body.dataset.longestTickMs"))


def test_a_chair_that_falls_silent_greys_by_itself(page: WallPage, gateway: FakeGateway) -> None:
    """With no further message about a chair its numbers turn grey once 3 s old, with their age, although the page
    itself is live."""
    gateway.set("bay-1")
    page.open()
    page.wait_tile("bay-1", live, "is live")
    del gateway.chairs["bay-1"]
    grey = page.wait_tile("bay-1", lambda tile: tile["fresh"] == "stale", "greys")
    assert grey["spo2_colour"] == grey["pulse_colour"] == GREY
    assert STALE_MS < int(grey["staleAtMs"]) <= STALE_MS + held_up_ms(page)
    page.wait_tile("bay-1", lambda tile: "s old" in tile["signal"], "says its age")
    assert page.banner() == ""
    assert page.text("#summary") == "1 without fresh data"


def test_after_half_a_minute_no_number_is_left(page: WallPage, gateway: FakeGateway) -> None:
    """Values that reach 30 s while nothing new is heard of them become `--` under a loud hatching."""
    gateway.set("bay-1", vitals=vitals(age_ms=27_000, freshness="stale"))
    page.open()
    page.wait_tile("bay-1", lambda tile: tile["spo2"] == "98", "shows its old value")
    del gateway.chairs["bay-1"]
    lost = page.wait_tile("bay-1", lambda tile: tile["fresh"] == "lost", "is lost")
    assert (lost["spo2"], lost["pulse"]) == ("--", "--")
    assert lost["lost"].startswith("NO SIGNAL for 00:3")


def test_the_gateways_judgement_counts_when_it_is_worse(page: WallPage, gateway: FakeGateway) -> None:
    """What the gateway calls stale or lost is drawn so, however fresh its message; a cuff result that is not
    current is grey with its age."""
    gateway.set("bay-1", vitals=vitals(age_ms=200, freshness="stale"))
    gateway.set("bay-2", vitals=vitals(age_ms=200, freshness="lost"))
    gateway.set("bay-3", pressure=pressure(age_ms=700_000, current=False))
    page.open()
    page.wait_live()
    assert page.wait_tile("bay-1", lambda tile: tile["fresh"] == "stale", "is stale")["spo2_colour"] == GREY
    assert page.wait_tile("bay-2", lambda tile: tile["fresh"] == "lost", "is lost")["spo2"] == "--"
    old = page.wait_tile("bay-3", live, "is live")
    assert (old["pressure"], old["pressureNote"].split(" · ")[1]) == ("124/78", "11 min ago")
    assert page.run("return document.querySelector('.pressure[data-current=\"false\"]').textContent") == "124/78"


def test_a_value_that_was_not_measured_is_not_a_number(page: WallPage, gateway: FakeGateway) -> None:
    """Absent values are `--` with the cause in words; zero is a value."""
    gateway.set("bay-1", vitals=vitals(quality="no_finger", spo2_pct=UNSET, pulse_bpm=0))
    page.open()
    tile = page.wait_tile("bay-1", live, "is live")
    assert (tile["spo2"], tile["pulse"]) == ("--", "0")
    assert "no finger" in tile["signal"]


def test_a_saturation_below_the_measuring_range_is_no_measurement(page: WallPage, gateway: FakeGateway) -> None:
    """What the board can only estimate is marked at the number and in words."""
    gateway.set("bay-1", vitals=vitals(quality="below_range", spo2_pct=61, pulse_bpm=70))
    page.open()
    tile = page.wait_tile("bay-1", live, "is live")
    assert tile["spo2"] == "≈61"
    assert "below the measuring range" in tile["signal"]


def test_a_silent_gateway_makes_the_page_say_so(page: WallPage, gateway: FakeGateway) -> None:
    """Without heartbeats the page says within 3 s that it is not live, greys every number, and recovers."""
    gateway.set("bay-1")
    page.open()
    page.wait_tile("bay-1", live, "is live")
    gateway.beating = False
    assert page.wait_banner("gateway silent for").startswith("NOT LIVE")
    silent_ms = int(page.find("#banner").get_attribute("data-silent-ms"))
    assert SILENT_MS < silent_ms <= SILENT_MS + held_up_ms(page)
    assert page.tile("bay-1")["spo2_colour"] == GREY
    gateway.beating = True
    page.wait_live()
    page.wait_tile("bay-1", live, "is live again")


def test_a_gateway_that_stopped_is_told_at_once(page: WallPage, gateway: FakeGateway) -> None:
    """The gateway's last will is not life."""
    gateway.set("bay-1")
    page.open()
    page.wait_live()
    gateway.beating = False
    gateway.say(gateway_topic(gateway.site), Heartbeat(run="run-1", online=False), retain=True, qos=1)
    page.wait_banner("the gateway stopped")


def test_a_dead_server_makes_the_page_say_so_and_come_back(page: WallPage, web: Web, gateway: FakeGateway) -> None:
    """A page whose server was killed says so by itself, greys, and is live again after the server is back."""
    gateway.set("bay-1")
    page.open()
    page.wait_tile("bay-1", live, "is live")
    page.run("window.loaded = 'once'")
    web.kill()
    page.wait_banner("this screen lost its server")
    silent_ms = int(page.find("#banner").get_attribute("data-silent-ms"))
    assert SILENT_MS < silent_ms <= SILENT_MS + held_up_ms(page)
    assert page.tile("bay-1")["spo2_colour"] == GREY
    web.start()
    page.wait_live()
    page.wait_tile("bay-1", live, "is live again")
    assert page.run("return window.loaded") == "once"


def test_what_the_broker_kept_does_not_look_live(page: WallPage, web: Web, gateway: FakeGateway) -> None:
    """Retained messages of a gateway that is gone are history: grey, no flash, no sound, under a banner. A live
    heartbeat alone does not revive a chair; a live state does."""
    gateway.beating = False
    gateway.say(gateway_topic(gateway.site), Heartbeat(run="run-0", online=True), retain=True, qos=1)
    state = chair_state(gateway.site, "bay-1")
    gateway.say(chair_topic(gateway.site, "bay-1", "state"), state, retain=True)
    web.restart()  # it hears the broker's memory only
    page.open()
    grey = page.wait_tile("bay-1", lambda tile: tile["heard"] == "yes", "is drawn")
    assert "has not been heard since" in page.banner()
    assert (grey["fresh"], grey["history"], grey["spo2_colour"]) == ("stale", "yes", GREY)
    gateway.beating = True
    page.wait_live()
    assert page.tile("bay-1")["spo2_colour"] == GREY
    gateway.chairs["bay-1"] = state
    page.wait_tile("bay-1", live, "is live")


def test_events_that_were_long_under_way_are_old_on_arrival(page: WallPage, gateway: FakeGateway) -> None:
    """Whatever slept or was slow, time on the way counts: an event 20 s late is 20 s old."""
    page.open()
    ages = page.run(
        "const { Transit } = await import('/static/ages.js'); const t = new Transit();"
        "return [t.delay(1000, 5000), t.delay(2000, 26000), t.delay(23000, 27000), t.delay(23000, 95000)];"
    )
    assert ages == [0, 20000, 0, 68000]


def test_a_clock_step_does_not_change_an_age(page: WallPage, gateway: FakeGateway) -> None:
    """Somebody sets the screen's clock an hour ahead, the gateway starts anew: ages stay what they were."""
    gateway.set("bay-1")
    page.open()
    page.wait_tile("bay-1", live, "is live")
    page.run("const now = Date.now; Date.now = () => now() + 3600000; return 0")
    gateway.set("bay-1", run="run-2")
    page.wait_tile("bay-1", live, "is live")
    tile = page.wait_tile("bay-1", lambda tile: tile["spo2_colour"] != GREY, "is not grey")
    assert "1 min ago" in tile["pressureNote"]


def test_a_computer_that_slept_wakes_to_history(page: WallPage, gateway: FakeGateway) -> None:
    """When the wall clock ran ahead of the page's own, everything is history until the server tells it anew."""
    gateway.set("bay-1")
    page.open()
    page.wait_tile("bay-1", live, "is live")
    page.run(
        "window.opened = 0; const E = EventSource;"
        "window.EventSource = class extends E { constructor(url) { super(url); window.opened += 1; } };"
        "const now = Date.now; Date.now = () => now() + 60000;"
    )
    wait_until(lambda: page.run("return window.opened") == 1, "the page to ask again")
    page.wait_tile("bay-1", live, "is live again")


def test_an_empty_site_says_so(page: WallPage, gateway: FakeGateway) -> None:
    """A live site without chairs is friendly about it."""
    page.open()
    page.wait_live()
    wait_until(lambda: page.find("#empty").is_displayed(), "the message")
    assert "No chairs yet" in page.text("#empty")


def test_a_removed_chair_leaves_the_wall(page: WallPage, web: Web, gateway: FakeGateway) -> None:
    """A cleared topic takes the tile away, here and for the next screen."""
    gateway.set("bay-1")
    gateway.set("bay-2")
    page.open()
    page.wait_tile("bay-2", live, "is live")
    gateway.remove("bay-2")
    wait_until(lambda: page.tile("bay-2") is None, "the tile to go")
    with urlopen(f"{web.url}/healthz") as answer:
        assert json.load(answer)["chairs"] == 1


def test_no_part_of_the_panel_outlives_its_stream(page: WallPage, web: Web, gateway: FakeGateway) -> None:
    """When nothing more comes, ages and times left count on, everything is grey, and after half a minute no number of a
    score or a criterion is left."""
    gateway.set(
        "bay-1", scores=[score()], entries=[entry(ago_s=3.0)], away_s=252.0, level="medium",
        alarms=[alarm(level="medium", suppressed_by="the patient is away", suppressed_s=252.0, silenced_s=110.0)],
    )  # fmt: skip
    page.open_panel("bay-1")
    page.wait_tile("bay-1", live, "is live")
    assert "Modified Aldrete 7 or more" in page.text("#panel .scores")
    assert "98 % for 5 min" in page.text("#panel .criteria")
    web.kill()
    page.wait_banner("this screen lost its server")
    page.run("const now = performance.now.bind(performance); performance.now = () => now() + 60000")
    page.wait_tile("bay-1", lambda tile: tile["fresh"] == "lost", "is lost")
    assert page.run("return document.getElementById('panel').dataset.history") == "yes"
    assert "Modified Aldrete --" in page.text("#panel .scores")
    assert "98" not in page.text("#panel .criteria")
    assert page.text("#panel .entries small").startswith("1 min ago")
    tile = page.wait_tile("bay-1", lambda tile: tile["fresh"] == "lost", "stays lost")
    assert tile["flags"].startswith("AWAY 03:0")
    assert "the patient is away, 03:0" in tile["note"]
    assert "sound paused 00:4" in tile["note"]


def test_pages_that_were_left_hold_no_connection(page: WallPage, web: Web, gateway: FakeGateway) -> None:
    """A browser gives a server six connections: however often the page was opened and left, one listens."""
    gateway.set("bay-1")
    for _ in range(7):
        page.open()
        page.wait_tile("bay-1", live, "is live")

    def screens() -> int:
        with urlopen(f"{web.url}/healthz") as answer:
            return int(json.load(answer)["screens"])

    wait_until(lambda: screens() == 1, "one screen to be left")
