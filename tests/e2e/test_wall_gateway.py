"""Each thing that staff do on the page, done by the real gateway, and what the wall then shows."""

from collections.abc import Iterator

import pytest
from browser import WallPage
from clinic import CHAIRS, SPARE, Clinic
from selenium.webdriver import Chrome
from selenium.webdriver.support.select import Select
from servers import Mosquitto, wait_until

from gateway.wire import Abort, Start

PHASE = {"First dose": "Dosing", "Dose end": "Recovery"}


@pytest.fixture(scope="module")
def clinic(mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Shared by these tests: each begins its own stays and ends them."""
    with Clinic(tmp_path_factory.mktemp("clinic"), mosquitto, "south") as running:
        yield running


@pytest.fixture
def page(chromium: Chrome, clinic: Clinic) -> Iterator[WallPage]:
    wall = WallPage(chromium, clinic.web.url)
    yield wall
    wall.driver.get("about:blank")
    clinic.silent = {SPARE}
    for chair in CHAIRS:
        if clinic.state(chair).session:
            clinic.does(chair, Abort(reason="the test is over"))
            wait_until(lambda: clinic.state(chair).session == "", "the stay to end")  # noqa: B023


def begun(clinic: Clinic, *chairs: str) -> None:
    for chair in chairs:
        clinic.does(chair, Start(protocol="demo", alias=chair.upper()))
        wait_until(lambda: clinic.state(chair).session, "the stay")  # noqa: B023


def test_what_staff_enter_is_shown_and_corrected(page: WallPage, clinic: Clinic) -> None:
    """A stay begins on the page; the baseline is the median of two readings; a dose from before the stay is refused;
    what was seen stands in the list; a dose end that did not happen is taken back, and dosing goes on."""
    page.open_panel("bay-1")
    Select(page.find("[name=protocol]")).select_by_value("demo")
    page.find("[name=alias]").send_keys("Heron")
    page.press_button("Start")
    page.wait_tile("bay-1", lambda tile: tile["alias"] == "Heron", "has its patient")
    assert page.text("#panel .print").startswith("demo, as of ")
    for pressure in ((118, 76), (126, 80)):
        clinic.measures("bay-1", *pressure)
    page.wait_tile("bay-1", lambda tile: tile["pressure"] == "126/80", "shows its pressure")
    page.unfold("Baseline")
    page.press_button("Take it from the readings")
    wait_until(lambda: page.text("#panel .known") == "Baseline 122/78 mmHg, median of 2 readings", "the baseline")
    page.find("[name=minutes_ago]").send_keys("9")
    page.press_button("First dose")
    page.notice("this session had not begun")
    page.find("[name=minutes_ago]").clear()
    for text in ("First dose", "Dose end"):
        page.press_button(text)
        page.wait_tile("bay-1", lambda tile: PHASE[text] in tile["phase"], f"goes on after {text}")  # noqa: B023
    page.press_button("Something else")
    Select(page.find("[name=moaas]")).select_by_value("4")
    page.find("[name=note]").send_keys("<b>dreams</b>")
    page.press_button("Record")
    wait_until(lambda: "<b>dreams</b>" in page.text("#panel .entries"), "the observation as it was typed")
    page.run("document.querySelectorAll('.entries .correct')[1].click()")
    page.press_button("It did not happen")
    page.wait_tile("bay-1", lambda tile: "Dosing" in tile["phase"], "is dosing again")
    struck = "return document.querySelector('.entries [data-superseded] span')?.textContent"
    wait_until(lambda: "end" in (page.run(struck) or ""), "the wrong entry to be struck through")


def test_a_patient_leaves_and_comes_back(page: WallPage, clinic: Clinic) -> None:
    """The head of the tile says so, with the time left; the cuff is put off."""
    begun(clinic, "bay-2")
    page.open_panel("bay-2")
    page.press_button("Put off the cuff")
    page.wait_tile("bay-2", lambda tile: tile["pressure"] == "--/--", "has no pressure yet")
    wait_until(lambda: float(clinic.state("bay-2").cuff_next_s) > 200, "the cuff to be put off")  # type: ignore[arg-type]
    page.press_button("Patient is away")
    page.wait_tile("bay-2", lambda tile: tile["flags"].startswith("AWAY 04:5"), "says that the patient is away")
    page.press_button("Patient is back")
    page.wait_tile("bay-2", lambda tile: tile["flags"] == "", "says nothing more of it")


def test_only_who_may_switches_the_sound_off(page: WallPage, clinic: Clinic) -> None:
    """A nurse is refused in words; a physician is not, and the tile says that the sound is off until it is on again."""
    begun(clinic, "bay-1")
    clinic.calls("bay-1")
    page.open_panel("bay-1")
    page.wait_tile("bay-1", lambda tile: tile["reason"] == "The patient calls", "is called from")
    page.press_button("Switch the sound off")
    page.press_button("Press again: switch the sound off")
    assert "MK is nurse" in page.notice("needs the role physician")
    page.run("document.getElementById('who').value = 'JB'")
    page.press_button("Switch the sound off")
    page.press_button("Press again: switch the sound off")
    page.wait_tile("bay-1", lambda tile: tile["flags"] == "SOUND OFF", "says that the sound is off")
    page.press_button("Switch the sound on")
    page.wait_tile("bay-1", lambda tile: tile["flags"] == "", "sounds again")
    page.press_button("Acknowledge all")
    page.wait_tile("bay-1", lambda tile: tile["reason"] == "", "is calm again")


def test_a_patient_moves_and_a_board_is_swapped(page: WallPage, clinic: Clinic) -> None:
    """The stay goes on in the other chair; its readings come from the other board."""
    begun(clinic, "bay-3")
    page.open_panel("bay-3")
    page.unfold("Another chair or board")
    to = Select(page.find("[name=to]"))
    wait_until(lambda: "bay-4" in [option.text for option in to.options], "the free chairs")
    to.select_by_visible_text("bay-4")
    page.press_button("Move the patient")
    page.press_button("Press again: move the patient")
    page.wait_tile("bay-4", lambda tile: tile["alias"] == "BAY-3", "has the patient")
    page.wait_tile("bay-3", lambda tile: tile["session"] == "no", "is free")
    page.open_panel("bay-4")
    page.unfold("Another chair or board")
    page.find("[name=device]").send_keys(SPARE)
    clinic.silent = {CHAIRS["bay-4"]}
    page.press_button("Use this board")
    page.press_button("Press again: use this board")
    wait_until(lambda: f"board {SPARE}" in page.text("#panel .where"), "the other board")
    page.wait_tile("bay-4", lambda tile: tile["fresh"] == "live", "hears the other board")


def test_a_press_outlives_a_gateway_that_was_killed(page: WallPage, clinic: Clinic) -> None:
    """The gateway dies over a press and comes back: the page has its answer, and the entry stands there once."""
    begun(clinic, "bay-5")
    page.open_panel("bay-5")
    page.be_patient()
    clinic.gateway.kill()
    page.press_moving(page.button("First dose"))
    clinic.gateway.start()
    page.notice("bay-5: done")
    page.wait_tile("bay-5", lambda tile: "Dosing" in tile["phase"], "is dosing")
    assert page.text("#panel .entries").count("dose") == 1


def test_a_dead_access_point_is_one_alarm_on_the_wall(page: WallPage, clinic: Clinic) -> None:
    """Three of three chairs fall silent: one bar over the tiles, one acknowledgement; it goes when they are back."""
    chairs = ("bay-1", "bay-2", "bay-3")
    begun(clinic, *chairs)
    page.open_panel("bay-5")
    page.wait_tile("bay-3", lambda tile: tile["fresh"] == "live", "is live")
    clinic.silent = {SPARE, *(CHAIRS[chair] for chair in chairs)}
    wait_until(lambda: "No data from 3 chairs" in page.text("#site-alarms"), "the bar")
    for chair in chairs:
        tile = page.wait_tile(chair, lambda tile: "one of many" in tile["note"], "is one of many")
        assert (tile["reason"], tile["calls"]) == ("No data from the chair", "no")
    page.press_moving(page.find("#site-alarms .acknowledgeAll"))
    page.notice("all chairs: done")
    wait_until(lambda: "acknowledged by MK" in page.text("#site-alarms"), "who acknowledged")
    clinic.silent = {SPARE}
    wait_until(lambda: not page.find("#site-alarms").is_displayed(), "the bar to go")
    for chair in chairs:
        page.wait_tile(chair, lambda tile: tile["fresh"] == "live" and tile["level"] == "none", "is calm again")
