"""A chair in full: how a stay begins and ends there, and that nothing typed anywhere becomes markup."""

import pytest
from browser import WallPage
from fake_gateway import FakeGateway, alarm, asked, entry, readiness, score
from selenium.webdriver.support.select import Select
from servers import wait_until

from gateway.wire import Abort, Discharge, SignOff, Start

HOSTILE = "<img src=x onerror='window.hacked=1'>"


def test_a_session_begins_from_the_panel(page: WallPage, gateway: FakeGateway) -> None:
    """In a free chair the panel starts a session with protocol, alias and a typed baseline."""
    gateway.set("bay-1", session="", alias="", readiness=readiness("NO_SESSION"))
    page.open_panel("bay-1")
    Select(page.find("[name=protocol]")).select_by_value("iv-ketamine")
    page.find("[name=alias]").send_keys("Heron")
    page.find("[name=baseline_sys_mmhg]").send_keys("124")
    page.find("[name=baseline_dia_mmhg]").send_keys("78")
    page.press_button("Start")
    expected = Start(protocol="iv-ketamine", alias="Heron", baseline_sys_mmhg=124, baseline_dia_mmhg=78)
    assert gateway.deed() == expected
    assert gateway.done_deeds[0].session == ""


def test_leaving_takes_criteria_and_two_presses(page: WallPage, gateway: FakeGateway) -> None:
    """Sign-off can be pressed once criteria are met, discharge once signed off; both ask again. Ending without
    discharge wants a reason."""
    gateway.set("bay-1")
    page.open_panel("bay-1")
    disabled = page.run("return [...document.querySelectorAll('#panel button:disabled')].map(b => b.textContent)")
    assert disabled == ["Sign off", "Discharge with escort"]
    gateway.set("bay-1", readiness=readiness("CRITERIA_MET"))
    wait_until(lambda: page.run("return document.querySelectorAll('#panel button:disabled').length") == 1, "sign-off")
    page.press_button("Sign off")
    assert gateway.done_deeds == []
    page.press_button("Press again: sign off")
    assert gateway.deed() == SignOff()
    gateway.set("bay-1", readiness=readiness("SIGNED_OFF"))
    wait_until(lambda: page.button("Discharge with escort").is_enabled(), "discharge")
    page.press_button("Discharge with escort")
    page.press_button("Press again: discharge with escort")
    assert gateway.deed(1) == Discharge()
    page.unfold("End without discharge")
    page.find("[name=reason]").send_keys("left against advice")
    page.press_button("End session")
    assert gateway.deed(2) == Abort(reason="left against advice")


def test_the_panel_never_hides_the_wall(page: WallPage, gateway: FakeGateway) -> None:
    """Beside an open panel the tiles stay in view, on every size the banner stays on top; Escape closes it."""
    gateway.set("bay-1")
    gateway.set("bay-2")
    page.open_panel("bay-1")
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
        alarms=[alarm(reason=HOSTILE, acknowledged_by=HOSTILE, suppressed_by=HOSTILE)], during_outage=[HOSTILE],
        entries=[entry(text=HOSTILE, who=HOSTILE)], scores=[score(label=HOSTILE)], asks=[asked("moaas", HOSTILE, 600)],
        protocol_hash=HOSTILE,
    )  # fmt: skip
    gateway.beats(alarms=[alarm(reason=HOSTILE)])
    page.open_panel("bay-1")
    gateway.transition("bay-1", reason=HOSTILE, who=HOSTILE)
    tile = page.tile("bay-1")
    assert tile["alias"] == tile["reason"] == tile["missing"] == HOSTILE
    wait_until(lambda: HOSTILE in page.text("#panel .lately"), "the transition")
    wait_until(lambda: HOSTILE in page.text("#site-alarms"), "the alarm of the site")
    page.press(".entries .correct")
    for part in (".entries", ".correction", ".scores", ".asked", ".print"):
        assert HOSTILE in page.text(f"#panel {part}"), part
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
