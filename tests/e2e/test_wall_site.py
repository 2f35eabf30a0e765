"""One cause for many chairs stands over the tiles, sounds once, and is answered once."""

from browser import WallPage
from fake_gateway import FakeGateway, alarm
from msgspec import UNSET
from servers import wait_until

from gateway.wire import Acknowledge, AlarmView, PauseAudio

COLOURS = "const bar = getComputedStyle(document.getElementById('site-alarms')); return [bar.filter, bar.animationName]"


def of_site(**changes: object) -> AlarmView:
    """An alarm of the whole site, without a number."""
    plain = {
        "id": "site-many_silent-1", "rule": "many_silent", "level": "medium", "value": UNSET, "limit": UNSET,
        "reason": "No data from 3 chairs: network or access point?",
    }  # fmt: skip
    return alarm(**{**plain, **changes})


def silent_together(gateway: FakeGateway, **changes: object) -> None:
    """Three chairs whose silence an alarm of the site stands for."""
    group = of_site(**changes)
    for name in ("bay-1", "bay-2", "bay-3"):
        silence = alarm(id=f"{name}-silence", rule="silence", reason="No data from the chair", carried_by=group.id)
        gateway.set(name, level="high", sound=False, alarms=[silence])
    gateway.beats(alarms=[of_site(id="site-sink-1", rule="sink", level="low", reason="InfluxDB is away"), group])


def test_many_silent_chairs_call_once(page: WallPage, gateway: FakeGateway) -> None:
    """The bar over the tiles flashes with the gravest reason first; the tiles show their alarm and stand still,
    and their button is the bar's. Calm it is not."""
    silent_together(gateway)
    gateway.set("bay-4")
    page.open()
    page.run("localStorage.clear()")
    page.open()
    page.wait_live()
    page.press("#sound")
    tile = page.wait_tile("bay-1", lambda tile: tile["level"] == "high", "shows its own alarm")
    assert (tile["calls"], tile["ack"]) == ("no", False)
    assert tile["note"].endswith("one of many, see above")
    reasons = "return [...document.querySelectorAll('#site-alarms .reason')].map(r => r.textContent)"
    assert page.run(reasons) == ["No data from 3 chairs: network or access point?", "InfluxDB is away"]
    assert page.run(COLOURS) == ["none", "flash"]
    assert "calm" not in page.text("#summary")
    wait_until(lambda: page.find("#sound").get_attribute("data-bursts") == "1 medium", "one burst of the group's level")


def test_the_bar_answers_for_the_whole_site(page: WallPage, gateway: FakeGateway) -> None:
    """Acknowledge names the alarms that are shown, pause what sounds, both on the site's topic; then it stands still,
    says who, and has no button left."""
    silent_together(gateway)
    page.open_panel("bay-1")
    page.press("#site-alarms .pauseAll")
    page.notice("all chairs: done")
    page.press("#site-alarms .acknowledgeAll")
    assert gateway.deed(1) == Acknowledge(alarms=["site-many_silent-1", "site-sink-1"], upto="medium")
    assert gateway.deed() == PauseAudio()
    assert {(deed.who, deed.session) for deed in gateway.done_deeds} == {("MK", "")}
    gateway.beats(alarms=[of_site(acknowledged_by="MK")])
    wait_until(lambda: "acknowledged by MK" in page.text("#site-alarms"), "who acknowledged")
    assert page.run(COLOURS) == ["none", "none"]
    assert not page.find("#site-alarms .acknowledgeAll").is_displayed()
    gateway.beats(alarms=[])
    wait_until(lambda: not page.find("#site-alarms").is_displayed(), "the bar to go")


def test_without_a_live_gateway_the_bar_is_history(page: WallPage, gateway: FakeGateway) -> None:
    """Grey, still and without buttons, under the banner that says why."""
    silent_together(gateway)
    page.open()
    page.wait_live()
    wait_until(lambda: page.find("#site-alarms").is_displayed(), "the bar")
    gateway.beating = False
    page.wait_banner("gateway silent for")
    assert page.run(COLOURS) == ["grayscale(1)", "none"]
    assert not page.find("#site-alarms .acknowledgeAll").is_displayed()
