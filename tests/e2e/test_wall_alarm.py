"""What a nurse sees of an alarm, and what pressing its button does."""

from browser import WallPage
from fake_gateway import FakeGateway, alarm, pressure, readiness, vitals
from servers import wait_until

from gateway.wire import Acknowledge, Done

RED = "rgb(216, 30, 44)"
ALIASES = ("Heron", "Wren", "Otter", "Lynx", "Finch", "Ibis")


def a_calm_site(gateway: FakeGateway) -> None:
    for i, alias in enumerate(ALIASES, start=1):
        phase, protocol = ("dosing", "esketamine") if i % 2 else ("recovery", "iv-ketamine")
        gateway.set(
            f"bay-{i}", alias=alias, phase=phase, protocol=protocol, phase_s=311 * i, cuff_next_s=40.0 * i,
            vitals=vitals(spo2_pct=95 + i % 4, pulse_bpm=64 + 3 * i, pi_pct=1.2 + 0.3 * i),
            pressure=pressure(sys_mmhg=118 + 3 * i, dia_mmhg=72 + i, map_mmhg=90 + i, age_ms=31_000 * i),
            readiness=readiness("NOT_READY", "Time since the end of the dose", "Walks steadily", "Escort is here"),
        )  # fmt: skip


def test_a_tile_turns_red_with_its_reason_and_calm_again(page: WallPage, gateway: FakeGateway) -> None:
    """A high alarm is red, marked ***, flashes, and says why with value and limit; afterwards the tile is calm.
    Another chair that meets the criteria says so as advice."""
    a_calm_site(gateway)
    gateway.set("bay-5", readiness=readiness("CRITERIA_MET"))
    page.open()
    page.wait_live()
    for i in range(1, 7):
        page.wait_tile(f"bay-{i}", lambda tile: tile["fresh"] == "live", "is live")
    assert "All calm" in page.text("#summary")

    low = alarm()
    gateway.set("bay-2", level="high", sound=True, alarms=[low], vitals=vitals(spo2_pct=82, pulse_bpm=104))
    rise = alarm(
        id="s1-sys_rise-9", rule="sys_rise", level="medium", reason="Systolic pressure rose over the baseline",
        value=48, limit=40, unit="mmHg",
    )  # fmt: skip
    gateway.set("bay-4", level="medium", sound=True, alarms=[rise], pressure=pressure(sys_mmhg=176, dia_mmhg=98))
    silent = alarm(
        id="s1-silence-3", rule="silence", reason="No data from the chair", value=83, limit=30, unit="s",
        acknowledged_by="MK", since_s=53,
    )  # fmt: skip
    lost = vitals(freshness="lost", age_ms=83_000)
    gateway.set("bay-3", level="high", alarms=[silent], online=False, vitals=lost)
    red = page.wait_tile("bay-2", lambda tile: tile["level"] == "high", "turns red")
    assert red["edge"].startswith(RED)
    assert red["spo2"] == "82"
    assert (red["marks"], red["reason"], red["against"]) == ("***", "Oxygen saturation is low", "82 %, limit 85 %")
    assert (red["calls"], red["ack"]) == ("yes", True)
    page.wait_tile("bay-4", lambda tile: tile["marks"] == "**", "is marked medium")
    hatched = page.wait_tile("bay-3", lambda tile: tile["fresh"] == "lost", "is lost")
    assert hatched["lost"].startswith("NO SIGNAL for 01:2")
    assert (hatched["spo2"], hatched["calls"]) == ("--", "no")
    assert page.tile("bay-5")["readiness"] == "Meets criteria"
    wait_until(lambda: page.run("return document.getAnimations().length === 2"), "two tiles to flash")

    for chair in ("bay-2", "bay-3", "bay-4"):
        gateway.set(chair, level="none", sound=False, alarms=[], online=True, vitals=vitals())
    calm = page.wait_tile("bay-2", lambda tile: tile["level"] == "none", "is calm again")
    assert not calm["edge"].startswith(RED)
    assert not calm["ack"]
    assert page.errors() == []


def test_the_flash_rates_are_those_of_the_levels(page: WallPage, gateway: FakeGateway) -> None:
    """High flashes at 2 Hz, medium at 0.6 Hz, low not at all; an acknowledged or latched alarm stands still."""
    for i, level in enumerate(("high", "medium", "low"), start=1):
        gateway.set(f"bay-{i}", level=level, alarms=[alarm(level=level)])
    gateway.set("bay-4", level="high", alarms=[alarm(acknowledged_by="MK")])
    gateway.set("bay-5", level="high", alarms=[alarm(condition="latched")])
    page.open()
    page.wait_live()
    page.wait_tile("bay-5", lambda tile: tile.get("history") is None, "is live")
    seconds = page.run(
        "return [...document.querySelectorAll('.tile .alarm')].map("
        "alarm => alarm.getAnimations()[0]?.effect.getTiming().duration ?? 0)"
    )
    assert [round(s / 1000, 2) for s in seconds] == [0.5, 1.67, 0, 0, 0]
    assert "over, not acknowledged" in page.tile("bay-5")["note"]
    assert "acknowledged by MK" in page.tile("bay-4")["note"]


def test_acknowledge_sends_what_the_screen_shows(page: WallPage, gateway: FakeGateway) -> None:
    """The button asks for initials, then acknowledges exactly the alarms shown, for the session shown, and
    says what came of it. The initials are remembered."""
    low, slow = alarm(), alarm(id="s1-pulse_low-4", rule="pulse_low", level="low", reason="Pulse is slow")
    gateway.set("bay-1", level="high", alarms=[low, slow])
    page.open()
    page.run("localStorage.clear()")
    page.open()
    page.wait_tile("bay-1", lambda tile: tile["ack"] and tile.get("history") is None, "can be acknowledged")
    page.press(".ack")
    assert page.text("#notice") == "Type your initials first."
    assert gateway.done_deeds == []
    page.find("#who").send_keys("MK")
    page.press(".ack")
    wait_until(lambda: page.text("#notice") == "bay-1: done", "the answer on the page")
    deed = gateway.done_deeds[0]
    assert (deed.who, deed.session, deed.action) == ("MK", "s1", Acknowledge(alarms=[low.id, slow.id], upto="high"))
    page.open()
    assert page.find("#who").get_attribute("value") == "MK"


def test_a_refused_action_says_why(page: WallPage, gateway: FakeGateway) -> None:
    """When the gateway refuses, its reason stands on the page."""
    gateway.answers["acknowledge"] = Done(id="", ok=False, reason="this chair has another session now")
    gateway.set("bay-1", level="high", alarms=[alarm()])
    page.open()
    page.wait_tile("bay-1", lambda tile: tile["ack"], "can be acknowledged")
    page.run("document.getElementById('who').value = 'MK'")
    page.press(".ack")
    wait_until(lambda: "another session" in page.text("#notice"), "the refusal on the page")


def test_paused_sound_counts_down(page: WallPage, gateway: FakeGateway) -> None:
    """A paused alarm shows how long its sound is away."""
    gateway.set("bay-1", level="high", alarms=[alarm(silenced_s=110.0)])
    page.open()
    tile = page.wait_tile("bay-1", lambda tile: "sound paused" in tile["note"], "says that sound is paused")
    assert "sound paused 01:4" in tile["note"]


def test_an_alarm_that_may_not_sound_says_why_and_how_long(page: WallPage, gateway: FakeGateway) -> None:
    """Suppressed it stands still, with its cause and the time left; switched off it flashes on, and the tile says so;
    one that nobody acknowledged says that first. A patient who is away stands in the head of the tile."""
    leave = {"suppressed_by": "the patient is away", "suppressed_s": 252.0}
    gateway.set("bay-1", level="none", away_s=252.0, alarms=[alarm(level="medium", **leave)])
    gateway.set("bay-2", level="medium", audio_off=True, alarms=[alarm(level="medium", audio_off=True)])
    gateway.set("bay-3", level="high", sound=True, alarms=[alarm(level="medium", escalated=True)])
    page.open()
    page.wait_live()
    away = page.wait_tile("bay-1", lambda tile: tile["flags"] != "", "says that the patient is away")
    assert away["flags"].startswith("AWAY 04:1")
    assert "no sound: the patient is away, 04:1" in away["note"]
    assert (away["level"], away["calls"]) == ("medium", "no")
    off = page.wait_tile("bay-2", lambda tile: tile["flags"] == "SOUND OFF", "says that the sound is off")
    assert (off["calls"], "SOUND OFF" in off["note"]) == ("yes", True)
    waits = page.wait_tile("bay-3", lambda tile: "NOBODY" in tile["against"], "says that nobody came")
    assert waits["against"] == "NOBODY HAS COME · 82 %, limit 85 %"
    assert (waits["level"], waits["marks"], waits["calls"]) == ("high", "***", "yes")


def test_the_page_sounds_only_when_asked_and_says_so(page: WallPage, gateway: FakeGateway) -> None:
    """Sound is off, visibly, until somebody enables it; then a sounding alarm makes bursts of its level, and a
    paused or latched one none."""
    gateway.set("bay-1", level="high", sound=True, alarms=[alarm(level="medium"), alarm(condition="latched")])
    page.open()
    page.run("localStorage.clear()")
    page.open()
    page.wait_tile("bay-1", lambda tile: tile["level"] == "high" and tile.get("history") is None, "is live")
    sound = page.find("#sound")
    assert "Sound off" in sound.text
    assert sound.get_attribute("data-bursts") is None
    sound.click()
    wait_until(lambda: sound.get_attribute("data-bursts"), "a burst")
    assert sound.get_attribute("data-bursts") == "1 medium"
    assert "Sound on" in sound.text
    sound.click()
    wait_until(lambda: "Sound off" in sound.text, "sound to be off")


def test_late_limits_are_told_without_alarm(page: WallPage, gateway: FakeGateway) -> None:
    """What crossed a limit while nobody could hear stands on the tile, without colour."""
    gateway.set("bay-1", during_outage=["Oxygen saturation is low: 84 %, 120 s ago"])
    page.open()
    tile = page.wait_tile("bay-1", lambda tile: tile["outage"], "tells of the outage")
    assert tile["outage"] == "During the outage: Oxygen saturation is low: 84 %, 120 s ago"
    assert tile["level"] == "none"
