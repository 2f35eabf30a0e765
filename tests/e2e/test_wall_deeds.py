"""What staff do for a chair in its panel, and the action that becomes of it."""

from browser import WallPage
from fake_gateway import FakeGateway, alarm, asked, chair_state, entry, readiness
from selenium.webdriver.support.select import Select
from servers import wait_until
from web_process import Web

from gateway.wire import (
    AudioOff,
    Away,
    Back,
    Baseline,
    BaselineView,
    Correct,
    Defer,
    Done,
    Dose,
    Measure,
    Move,
    Observe,
    PauseAudio,
    Swap,
)


def shown(page: WallPage) -> list[str]:
    """The items of the form for observations that are in sight."""
    names: list[str] = page.run(
        "return [...document.querySelectorAll('.observe [name]')].filter(i => i.offsetParent).map(i => i.name)"
    )
    return names


def test_each_button_is_its_action(page: WallPage, gateway: FakeGateway) -> None:
    """One press, one action, for the session that is shown; a dose may be some minutes old, once."""
    gateway.set("bay-1", level="low", alarms=[alarm(level="low")])
    page.open_panel("bay-1")
    for text in ("Further dose", "Dose end", "Measure pressure now", "Pause sound", "Put off the cuff"):
        page.press_button(text)
        page.notice("done")
    page.find("[name=minutes_ago]").send_keys("7")
    page.press_button("First dose")
    wait_until(lambda: page.find("[name=minutes_ago]").get_property("value") == "", "the minutes to be used up")
    page.find("[name=away_minutes]").clear()
    page.find("[name=away_minutes]").send_keys("10")
    page.press_button("Patient is away")
    page.press_button("Switch the sound off")
    page.press_button("Press again: switch the sound off")
    expected = [
        Dose(what="further"), Dose(what="end"), Measure(), PauseAudio(), Defer(minutes=5),
        Dose(what="first", minutes_ago=7), Away(minutes=10), AudioOff(on=True),
    ]  # fmt: skip
    gateway.deed(len(expected) - 1)
    assert [deed.action for deed in gateway.done_deeds] == expected
    assert {deed.session for deed in gateway.done_deeds} == {"s1"}


def test_what_is_under_way_can_be_ended(page: WallPage, gateway: FakeGateway) -> None:
    """A patient who is away comes back; a sound that is off goes on. The other button is gone meanwhile."""
    gateway.set("bay-1", away_s=252.0, audio_off=True, alarms=[alarm(audio_off=True)], level="high")
    page.open_panel("bay-1")
    assert page.text("#panel .away").startswith("The patient is away, 04:1")
    page.press_button("Patient is back")
    page.press_button("Switch the sound on")
    gateway.deed(1)
    assert [deed.action for deed in gateway.done_deeds] == [Back(), AudioOff(on=False)]
    hidden = (
        "return [...document.querySelectorAll('#panel button')].filter(b => !b.offsetParent).map(b => b.textContent)"
    )
    assert {"Patient is away", "Switch the sound off"} <= set(page.run(hidden))


def test_what_is_asked_for_stands_there_first(page: WallPage, gateway: FakeGateway) -> None:
    """Only what is due is in sight, with since when; the rest comes on request. Nothing that was chosen is lost when
    something else falls due meanwhile, and only what was chosen is sent."""
    gateway.set("bay-1", asks=[asked("moaas", "Sedation", -190), asked("gait", "Gait", 600)])
    page.open_panel("bay-1")
    assert page.tile("bay-1")["asked"] == "Please look: Sedation"
    assert shown(page) == ["moaas"]
    Select(page.find("[name=moaas]")).select_by_value("5")
    gateway.set("bay-1", asks=[asked("moaas", "Sedation", -190), asked("nausea", "Nausea")])
    wait_until(lambda: shown(page) == ["moaas", "nausea"], "nausea to be asked for")
    page.press_button("Something else")
    assert len(shown(page)) == 12
    Select(page.find("[name=dissociation]")).select_by_visible_text("none")
    Select(page.find("[name=gait]")).select_by_visible_text("with help")
    Select(page.find("[name=oxygen]")).select_by_visible_text("room air")
    page.find("[name=cadss]").send_keys("3")
    page.find("[name=note]").send_keys("asks for water")
    page.press_button("Record")
    expected = Observe(moaas=5, dissociation=False, gait="help", oxygen=False, cadss=3, note="asks for water")
    assert gateway.deed() == expected


def test_nothing_asked_for_is_said(page: WallPage, gateway: FakeGateway) -> None:
    """With what comes next, and when."""
    gateway.set("bay-1", asks=[asked("moaas", "Sedation", 600)])
    page.open_panel("bay-1")
    assert page.text("#panel .asked") == "Nothing is asked for now. Sedation in 9 min"
    assert shown(page) == []


def test_a_baseline_is_typed_or_taken_from_the_readings(page: WallPage, gateway: FakeGateway) -> None:
    """Half a baseline is none. The one that is known stands there with where it is from."""
    gateway.set("bay-1", baseline=BaselineView(sys_mmhg=122, dia_mmhg=78, readings=2))
    page.open_panel("bay-1")
    assert page.text("#panel .known") == "Baseline 122/78 mmHg, median of 2 readings"
    page.unfold("Baseline")
    page.press_button("Take it from the readings")
    page.notice("done")
    page.find("[name=sys_mmhg]").send_keys("131")
    page.press_button("Use these")
    page.notice("both pressures")
    page.find("[name=dia_mmhg]").send_keys("83")
    page.press_button("Use these")
    assert gateway.deed(1) == Baseline(sys_mmhg=131, dia_mmhg=83)
    assert gateway.deed() == Baseline()


def test_a_wrong_entry_is_corrected_and_stays(page: WallPage, gateway: FakeGateway) -> None:
    """Something else in its place, or nothing. What was wrong stays, struck through, and is not corrected again."""
    seen = entry(id="entry-0002", kind="observe", text="MOAA/S 3", ago_s=20.0)
    gateway.set("bay-1", entries=[seen, entry()])
    page.open_panel("bay-1")
    page.run("document.querySelectorAll('.entries .correct')[1].click()")
    Select(page.find(".correction [name=what]")).select_by_value("first")
    page.find(".correction [name=minutes_ago]").send_keys("12")
    page.press_button("Record this instead")
    assert gateway.deed() == Correct(entry="entry-0001", instead=Dose(what="first", minutes_ago=12))
    wait_until(lambda: page.text(".correction") == "", "the correction to be put away")
    page.press(".entries .correct")
    page.press_button("It did not happen")
    assert gateway.deed(1) == Correct(entry="entry-0002")
    gateway.set("bay-1", entries=[seen, entry(superseded_by="entry-0003")])
    struck = "return getComputedStyle(document.querySelectorAll('.entries span')[1]).textDecorationLine"
    wait_until(lambda: page.run(struck) == "line-through", "the wrong entry to be struck through")
    assert "corrected" in page.text(".entries li:last-child small")
    assert page.run("return document.querySelectorAll('.entries .correct')[1].hidden")


def test_another_chair_or_board_takes_two_presses(page: WallPage, gateway: FakeGateway) -> None:
    """Only free chairs are offered. A board is named as it stands on it."""
    gateway.set("bay-1")
    gateway.set("bay-2")
    gateway.set("bay-3", session="", alias="", readiness=readiness("NO_SESSION"))
    page.open_panel("bay-1")
    page.unfold("Another chair or board")
    to = Select(page.find("[name=to]"))
    wait_until(lambda: [option.text for option in to.options] == ["bay-3"], "the free chair")
    page.press_button("Move the patient")
    page.press_button("Press again: move the patient")
    page.notice("done")
    page.find("[name=device]").send_keys("cb-000009")
    page.press_button("Use this board")
    page.press_button("Press again: use this board")
    assert gateway.deed(1) == Swap(device="cb-000009")
    assert gateway.deed() == Move(to="bay-3")


def test_a_refusal_for_want_of_a_role_is_told_in_words(page: WallPage, gateway: FakeGateway) -> None:
    """As the gateway says it, and the sound stays what it is."""
    gateway.answers["audio_off"] = Done(id="", ok=False, reason="audio off needs the role physician; MK is nurse")
    gateway.set("bay-1", level="high", sound=True, alarms=[alarm()])
    page.open_panel("bay-1")
    page.press_button("Switch the sound off")
    page.press_button("Press again: switch the sound off")
    assert page.notice("needs the role") == "bay-1: audio off needs the role physician; MK is nurse"
    assert page.button("Switch the sound off").is_displayed()


def test_a_post_that_broke_off_is_repeated_and_done_once(page: WallPage, web: Web, gateway: FakeGateway) -> None:
    """The server of the page dies over a press; when it is back, the same action reaches the gateway, and the page says
    what came of it."""
    gateway.set("bay-1", alarms=[alarm()], level="high")
    page.open_panel("bay-1")
    page.be_patient()
    gateway.answering = False
    page.press_button("Measure pressure now")
    first = gateway.deed()
    web.kill()
    gateway.answering = True
    web.start()
    page.notice("done")
    assert gateway.deed(1) == first == Measure()
    assert len({deed.id for deed in gateway.done_deeds}) == 1


def test_two_screens_see_one_clinic(page: WallPage, gateway: FakeGateway) -> None:
    """What one screen did the other shows, and what is being typed on one is not touched by the other."""
    gateway.set("bay-1", alarms=[alarm()], level="high")
    page.open_panel("bay-1")
    first = page.driver.current_window_handle
    page.unfold("End without discharge")
    page.find("[name=reason]").send_keys("left ag")
    page.driver.switch_to.new_window("window")
    try:
        page.open()
        page.wait_tile("bay-1", lambda tile: tile["ack"], "can be acknowledged")
        page.press(".tile .ack")
        page.notice("done")
        gateway.set("bay-1", alarms=[alarm(acknowledged_by="MK")])
        page.wait_tile("bay-1", lambda tile: "acknowledged by MK" in tile["note"], "says who")
    finally:
        page.driver.close()
        page.driver.switch_to.window(first)
    page.wait_tile("bay-1", lambda tile: "acknowledged by MK" in tile["note"], "says who on the first screen")
    assert page.find("[name=reason]").get_property("value") == "left ag"
    assert gateway.chairs["bay-1"].session == chair_state(gateway.site, "bay-1").session
