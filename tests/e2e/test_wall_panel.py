"""A chair in full: what staff can do there, and that nothing typed anywhere becomes markup."""

import pytest
from browser import WallPage
from fake_gateway import FakeGateway, alarm, readiness
from selenium.webdriver.support.select import Select
from servers import wait_until

from gateway.wire import Abort, Discharge, Dose, Measure, Observe, PauseAudio, SignOff, Start

HOSTILE = "<img src=x onerror='window.hacked=1'>"


def press(page: WallPage, text: str) -> None:
    """Press the panel's button with this text."""
    buttons = page.find("#panel").find_elements("css selector", "button")
    next(button for button in buttons if button.text == text).click()


def opened(page: WallPage, gateway: FakeGateway) -> None:
    page.open(fragment="/#chair=bay-1")
    page.wait_tile("bay-1", lambda tile: tile.get("history") is None, "is live")
    page.run("const who = document.getElementById('who'); who.value = 'MK'; localStorage.setItem('who', 'MK')")
    wait_until(lambda: page.run("return document.querySelector('#panel form') !== null"), "the forms")


def deed(gateway: FakeGateway, number: int = 0) -> object:
    """The action that the gateway was asked for."""
    wait_until(lambda: len(gateway.done_deeds) > number, "the action at the gateway")
    return gateway.done_deeds[number].action


def test_a_session_begins_from_the_panel(page: WallPage, gateway: FakeGateway) -> None:
    """In a free chair the panel starts a session with protocol, alias and a typed baseline."""
    gateway.set("bay-1", session="", alias="", readiness=readiness("NO_SESSION"))
    opened(page, gateway)
    Select(page.find("[name=protocol]")).select_by_value("iv-ketamine")
    page.find("[name=alias]").send_keys("Heron")
    page.find("[name=baseline_sys_mmhg]").send_keys("124")
    page.find("[name=baseline_dia_mmhg]").send_keys("78")
    press(page, "Start")
    expected = Start(protocol="iv-ketamine", alias="Heron", baseline_sys_mmhg=124, baseline_dia_mmhg=78)
    assert deed(gateway) == expected
    assert gateway.done_deeds[0].session == ""


def test_what_was_seen_is_sent_and_what_was_not_stays_unknown(page: WallPage, gateway: FakeGateway) -> None:
    """Only the items that staff chose are in the observation."""
    gateway.set("bay-1")
    opened(page, gateway)
    Select(page.find("[name=moaas]")).select_by_value("5")
    Select(page.find("[name=dissociation]")).select_by_visible_text("none")
    Select(page.find("[name=nausea]")).select_by_value("0")
    press(page, "Record")
    assert deed(gateway) == Observe(moaas=5, dissociation=False, nausea=0)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("First dose", Dose(what="first")),
        ("Further dose", Dose(what="further")),
        ("Dose end", Dose(what="end")),
        ("Measure pressure now", Measure()),
        ("Pause sound", PauseAudio()),
    ],
)
def test_each_button_is_its_action(page: WallPage, gateway: FakeGateway, text: str, action: object) -> None:
    """One press, one action, for the session that is shown."""
    gateway.set("bay-1", level="low", alarms=[alarm(level="low")])
    opened(page, gateway)
    press(page, text)
    assert deed(gateway) == action
    assert gateway.done_deeds[0].session == "s1"


def test_leaving_takes_criteria_and_two_presses(page: WallPage, gateway: FakeGateway) -> None:
    """Sign-off can be pressed once criteria are met, discharge once signed off; both ask again. Ending without
    discharge wants a reason."""
    gateway.set("bay-1")
    opened(page, gateway)
    disabled = page.run("return [...document.querySelectorAll('#panel button:disabled')].map(b => b.textContent)")
    assert disabled == ["Sign off", "Discharge with escort"]
    gateway.set("bay-1", readiness=readiness("CRITERIA_MET"))
    wait_until(lambda: page.run("return document.querySelectorAll('#panel button:disabled').length") == 1, "sign-off")
    press(page, "Sign off")
    assert gateway.done_deeds == []
    press(page, "Press again: sign off")
    assert deed(gateway) == SignOff()
    gateway.set("bay-1", readiness=readiness("SIGNED_OFF"))
    wait_until(lambda: page.run("return !document.querySelectorAll('#panel button.primary')[2].disabled"), "discharge")
    press(page, "Discharge with escort")
    press(page, "Press again: discharge with escort")
    assert deed(gateway, 1) == Discharge()
    page.find("[name=reason]").send_keys("left against advice")
    press(page, "End session")
    assert deed(gateway, 2) == Abort(reason="left against advice")


def test_the_panel_never_hides_the_wall(page: WallPage, gateway: FakeGateway) -> None:
    """Beside an open panel the tiles stay in view, on every size the banner stays on top; Escape closes it."""
    gateway.set("bay-1")
    gateway.set("bay-2")
    opened(page, gateway)
    edge = "return document.querySelector('[data-chair=\"bay-2\"]').getBoundingClientRect().right"
    assert page.run(edge) <= page.run("return document.getElementById('panel').getBoundingClientRect().left")
    page.size(390, 844)
    gateway.beating = False
    page.wait_banner("silent")
    top = page.run("return document.elementFromPoint(195, 10).id")
    assert top == "banner"
    page.find("body").send_keys("\ue00c")
    wait_until(lambda: not page.find("#panel").is_displayed(), "the panel to close")


def test_words_from_outside_are_never_markup(page: WallPage, gateway: FakeGateway) -> None:
    """An alias, a reason, a name or a label that looks like HTML is shown as it was typed."""
    gateway.set(
        "bay-1", alias=HOSTILE, protocol=HOSTILE, level="high", readiness=readiness("NOT_READY", HOSTILE),
        alarms=[alarm(reason=HOSTILE, acknowledged_by=HOSTILE)], during_outage=[HOSTILE],
    )  # fmt: skip
    opened(page, gateway)
    gateway.transition("bay-1", reason=HOSTILE, who=HOSTILE)
    tile = page.tile("bay-1")
    assert tile["alias"] == tile["reason"] == tile["missing"] == HOSTILE
    wait_until(lambda: HOSTILE in page.text("#panel .lately"), "the transition")
    assert page.run("return [document.querySelectorAll('main img').length, window.hacked ?? null]") == [0, None]


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1024, 768), (1366, 768)])
def test_six_chairs_fit_without_scrolling(page: WallPage, gateway: FakeGateway, width: int, height: int) -> None:
    """On a wall, a laptop and a tablet six tiles are whole, and no text that matters is cut off."""
    for i in range(1, 7):
        gateway.set(
            f"bay-{i}", level="high",
            alarms=[alarm(reason="Systolic pressure rose over the baseline", value=48, limit=40, unit="mmHg")],
        )  # fmt: skip
    page.open(width, height)
    page.wait_tile("bay-6", lambda tile: tile["level"] == "high", "is drawn")
    cut = page.run(
        "const inside = (e) => { const r = e.getBoundingClientRect();"
        "  return r.top >= 0 && r.left >= 0 && r.bottom <= innerHeight && r.right <= innerWidth; };"
        "const fits = (e) => e.scrollWidth <= e.clientWidth + 1 && e.scrollHeight <= e.clientHeight + 2;"
        "return [...document.querySelectorAll('.tile')].filter(t => !inside(t)).map(t => t.dataset.chair)"
        "  .concat([...document.querySelectorAll('.reason, .notes')].filter(e => !fits(e)).map(e => e.outerHTML))"
    )
    assert cut == []


def test_on_a_phone_the_tiles_scroll_in_one_column(page: WallPage, gateway: FakeGateway) -> None:
    """A phone shows readable tiles below each other and nothing wider than itself."""
    for i in range(1, 4):
        gateway.set(f"bay-{i}")
    page.open(390, 844)
    page.wait_tile("bay-3", lambda tile: tile["fresh"] == "live", "is live")
    lefts = page.run("return [...document.querySelectorAll('.tile')].map(t => t.getBoundingClientRect().left)")
    assert len(set(lefts)) == 1
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
