"""What the how-to for nurses shows, drawn by the page itself: each state legible, and nothing that matters cut off."""

from pathlib import Path

from browser import WallPage
from fake_gateway import FakeGateway, alarm, asked, entry, pressure, readiness, score, vitals
from msgspec import UNSET
from servers import wait_until

from gateway.wire import BaselineView, CriterionView, ReachedView, ReadinessView, ScoreItemView, ScoreView

ALIASES = ("Heron", "Wren", "Otter", "Lynx", "Finch", "Ibis")
CUT_OFF = """
const fits = (e) => e.scrollWidth <= e.clientWidth + 1 && e.scrollHeight <= e.clientHeight + 2;
const parts = document.querySelectorAll('.reason, .notes, .flags, .tile header, #site-alarms');
return [...parts].filter(e => e.offsetParent && !fits(e)).map(e => e.outerHTML);
"""


def a_full_site(gateway: FakeGateway) -> None:
    for i, alias in enumerate(ALIASES, start=1):
        phase, protocol = ("dosing", "esketamine") if i % 2 else ("recovery", "iv-ketamine")
        gateway.set(
            f"bay-{i}", alias=alias, phase=phase, protocol=protocol, phase_s=311.0 * i, cuff_next_s=40.0 * i,
            protocol_hash="3fa94be12c07", vitals=vitals(spo2_pct=95 + i % 4, pulse_bpm=64 + 3 * i),
            pressure=pressure(sys_mmhg=118 + 3 * i, dia_mmhg=72 + i, map_mmhg=90 + i, age_ms=31_000 * i),
            readiness=readiness("NOT_READY", "Time since the end of the dose", "Walks steadily", "Escort is here"),
        )  # fmt: skip


def test_a_dead_access_point(page: WallPage, gateway: FakeGateway, pictures: Path) -> None:
    """Four silent chairs, one loud bar; the two others stay as calm as they are."""
    a_full_site(gateway)
    nothing = {"value": UNSET, "limit": UNSET, "unit": UNSET}
    reason = "No data from 4 chairs: network or access point?"
    gateway.beats(alarms=[alarm(id="g", rule="many_silent", level="medium", reason=reason, since_s=3.0, **nothing)])
    for i in range(1, 5):
        silence = alarm(
            id=f"s{i}", rule="silence", level="medium", reason="No data from the chair", value=13.0, limit=10.0,
            unit="s", since_s=3.0, carried_by="g",
        )  # fmt: skip
        old = vitals(spo2_pct=95 + i % 4, pulse_bpm=64 + 3 * i, age_ms=13_000, freshness="stale", pi_pct=UNSET)
        gateway.set(f"bay-{i}", online=False, level="medium", alarms=[silence], vitals=old)
    page.open()
    page.wait_tile("bay-6", lambda tile: tile["fresh"] == "live", "is live")
    for i in range(1, 5):
        page.wait_tile(f"bay-{i}", lambda tile: tile["fresh"] == "stale" and not tile.get("history"), "is stale")
    assert page.run(CUT_OFF) == []
    page.picture(pictures / "wall-group.png")


def test_what_is_not_as_usual(page: WallPage, gateway: FakeGateway, pictures: Path) -> None:
    """Away, nobody has come, sound off, asked for, sound paused, meets the criteria: side by side."""
    a_full_site(gateway)
    leave = {"suppressed_by": "the patient is away with leave", "suppressed_s": 252.0}
    probe = alarm(
        rule="finger_off", level="medium", reason="Finger probe is off", value=UNSET, limit=UNSET, unit=UNSET, **leave
    )
    off = vitals(quality="no_finger", spo2_pct=UNSET, pulse_bpm=UNSET, pi_pct=UNSET)
    gateway.set("bay-1", away_s=252.0, alarms=[probe], vitals=off)
    rise = alarm(
        rule="sys_rise", level="medium", reason="Systolic pressure rose over the baseline", value=48.0, limit=40.0,
        unit="mmHg", escalated=True, since_s=130.0,
    )  # fmt: skip
    gateway.set("bay-2", level="high", sound=True, alarms=[rise], pressure=pressure(sys_mmhg=176, dia_mmhg=98))
    fast = {"rule": "pulse_high", "level": "medium", "reason": "Pulse is fast", "limit": 120.0, "unit": "/min"}
    gateway.set(
        "bay-3", level="medium", audio_off=True, alarms=[alarm(value=124.0, audio_off=True, **fast)],
        vitals=vitals(pulse_bpm=124),
    )  # fmt: skip
    gateway.set("bay-4", asks=[asked("moaas", "Sedation (MOAA/S)", -190), asked("nausea", "Nausea")])
    gateway.set(
        "bay-5", level="medium", alarms=[alarm(value=122.0, silenced_s=109.0, **fast)], vitals=vitals(pulse_bpm=122)
    )
    gateway.set("bay-6", readiness=readiness("CRITERIA_MET"))
    page.open()
    page.wait_live()
    page.wait_tile("bay-6", lambda tile: tile["readiness"] == "Meets criteria", "meets the criteria")
    page.wait_tile("bay-2", lambda tile: tile["calls"] == "yes", "calls")
    assert page.run(CUT_OFF) == []
    page.picture(pictures / "wall-states.png")


def test_the_panel_of_a_chair(page: WallPage, gateway: FakeGateway, pictures: Path) -> None:
    """Readiness with its numbers and scores, what is asked for, and what was entered."""
    a_full_site(gateway)
    criteria = [
        ("met", "SpO2 at least 94 % for 15 min", "held 15 min of 15 min"),
        ("unmet", "Time since the end of the infusion", "12 min of 60 min"),
        ("unmet", "Two pressures near baseline", "systolic +28 mmHg from baseline, within 20"),
        ("unknown", "Modified Aldrete at least 9", "7 of at least 9, missing: activity"),
    ]
    views = [CriterionView(id=f"c{i}", label=c[1], verdict=c[0], detail=c[2]) for i, c in enumerate(criteria)]
    temperature = ScoreItemView(id="temperature", label="Temperature", detail="not measured here")
    gateway.set(
        "bay-4",
        asks=[asked("moaas", "Sedation (MOAA/S)", -190), asked("nausea", "Nausea"), asked("gait", "Gait", 600)],
        baseline=BaselineView(sys_mmhg=122, dia_mmhg=78, readings=2),
        readiness=ReadinessView(
            state="NOT_READY",
            criteria=views,
            first_met_but_time=ReachedView(ago_s=300.0, after_first_dose_s=3200.0),
        ),
        scores=[score(), ScoreView(id="news2", label="NEWS2", items=[temperature])],
        entries=[
            entry(id="entry-0003", kind="observe", text="MOAA/S 4, nausea 2 of 10", ago_s=2000.0),
            entry(id="entry-0002", text="Dose end", ago_s=740.0),
            entry(text="First dose", ago_s=3500.0, superseded_by="entry-0004"),
        ],
    )
    page.open_panel("bay-4")
    wait_until(lambda: "Dose end" in page.text("#panel .entries"), "what was entered")
    page.size(1440, 1350)
    page.wait_tile("bay-4", lambda tile: tile["fresh"] == "live", "is live")
    wide = "const p = document.getElementById('panel'); return p.scrollWidth <= p.clientWidth"
    assert page.run(wide)
    page.picture(pictures / "panel.png")
