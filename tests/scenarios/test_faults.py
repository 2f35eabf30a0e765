"""Every fault of the menu does what it says: its trace is there with the fault, and is not in the same stay without.

The trace is looked for in both runs, so that a fault which does nothing fails its test.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import wire
from simulators.clinic import faults
from simulators.clinic.chair import Chair
from simulators.clinic.gateway import UTC_MS
from simulators.conductor import PWRON_RESET, WDT_RESET

BEGINS_S, LASTS_S, END_S = 56.0, 60.0, 190.0
AFTER_S = 70.0  # what it set going: a board connects again only when its cuff is empty
CALL_S = 80.0
Trace = Callable[[Chair], bool]


def stay(folder: Path, fault: str | None) -> Chair:
    """A session with two measurements and one call; the fault comes between the two and covers the second."""
    with Chair("demo", folder, seed=5) as chair:
        start = wire.Start(protocol="demo", alias="Aspen", baseline_sys_mmhg=120, baseline_dia_mmhg=80)
        chair.at(10, lambda: chair.act("start", start))
        chair.at(11, lambda: chair.act("first dose", wire.Dose(what="first")))
        chair.at(CALL_S, lambda: chair.world.press("button_call"))
        chair.at(CALL_S + 0.5, lambda: chair.world.press("button_call", False))
        if fault is not None:
            chair.at(BEGINS_S, lambda: faults.begin(chair, fault))
            chair.at(BEGINS_S + LASTS_S, lambda: faults.end(chair, fault))
        # The second measurement begins under the fault.
        chair.at(BEGINS_S + 10, lambda: chair.act("measure", wire.Measure()))
        chair.run_for(END_S)
    return chair


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Chair:
    return stay(tmp_path_factory.mktemp("healthy"), None)


def during(chair: Chair, kind: str) -> list[dict]:
    """Entries from shortly before the fault to well after it."""
    return [e for e in chair.log.of(kind) if BEGINS_S - 2 <= e["at_ms"] / 1000 <= BEGINS_S + LASTS_S + AFTER_S]


def quality(word: str) -> Trace:
    return lambda chair: sum(e["quality"] == word for e in during(chair, "vitals")) >= 3


def seat(state: str) -> Trace:
    return lambda chair: sum(e.get("seat") == state for e in during(chair, "vitals")) >= 3


def cuff_fails(*reasons: str) -> Trace:
    return lambda chair: any(e.get("reason") in reasons for e in during(chair, "cuff"))


def told(fault: str) -> Trace:
    return lambda chair: any(fault in e.get("faults", []) for e in during(chair, "status"))


def rang(rule: str) -> Trace:
    return lambda chair: any(e["rule"] == rule and e["what"] == "raised" for e in chair.log.of("alarm"))


def seq_steps(chair: Chair) -> list[int]:
    seqs = [e["seq"] for e in during(chair, "vitals") if not e.get("late")]
    return [after - before for before, after in itertools.pairwise(seqs)]


def gaps_ms(chair: Chair) -> list[int]:
    times = [e["at_ms"] for e in during(chair, "vitals") if not e.get("late")]
    return [after - before for before, after in itertools.pairwise(times)]


def sent_late(chair: Chair) -> int:
    return sum(bool(e.get("late")) for e in during(chair, "vitals"))


def link_lost(chair: Chair) -> bool:
    return any(e["name"] == "lost" for e in chair.log.of("event"))


def disturbed(chair: Chair) -> bool:
    """No number, or one that the patient does not have: nothing in such light tells it from a pulse."""
    return any(
        e["quality"] in ("motion", "ambient")
        or abs(e.get("spo2_pct", 98) - 98) > 3
        or abs(e.get("pulse_bpm", 70) - 70) > 6
        for e in during(chair, "vitals")
    )


TRACES: dict[str, Trace] = {
    "probe off": quality("no_finger"),
    "motion": quality("motion"),
    "tapping": disturbed,
    "flicker": disturbed,
    "sunlight": lambda chair: quality("ambient")(chair) or quality("saturation")(chair),
    # It reads the same afterwards; another finger in the probe is seen when it comes.
    "dark skin": lambda chair: sum(e["quality"] != "good" for e in during(chair, "vitals")) >= 3,
    "seat empty": seat("empty"),
    "seat cable broken": seat("unknown"),
    "battery low": told("battery_low"),
    "oximeter silent": told("oximeter"),
    "pressure chip silent": told("cuff_sensor_silent"),
    "bus stuck": lambda chair: told("oximeter")(chair) and told("cuff_sensor_silent")(chair),
    "bus hangs": lambda chair: WDT_RESET in chair.board.resets,
    "samples lost": lambda chair: chair.world.oximeter.lost > 100,
    "wrong part": told("oximeter"),
    "leds swapped": quality("below_range"),
    "half sample rate": quality("sensor_fault"),
    "cuff off": cuff_fails("no_rise"),
    "leak": cuff_fails("leak"),
    "kink": cuff_fails("kinked"),
    "pump dead": cuff_fails("no_rise"),
    "pump runs on": told("cuff_pump_runs_on"),
    "dump valve stuck shut": told("cuff_dump_valve_stuck"),
    "dump valve stuck open": cuff_fails("no_rise"),
    "bleed valve blocked": cuff_fails("bleed_blocked"),
    "pressure sensor frozen": cuff_fails("sensor_frozen"),
    "pressure drift": told("cuff_zero_drift"),
    "power cut": lambda chair: chair.board.resets == [PWRON_RESET, PWRON_RESET] and rang("silence")(chair),
    "clock drift": quality("sensor_fault"),
    "brownouts": lambda chair: len(chair.board.resets) > 10,
    "wifi loss": lambda chair: rang("silence")(chair) and sent_late(chair) > 20,
    "dns loss": lambda chair: rang("silence")(chair) and chair.board.resets == [PWRON_RESET, PWRON_RESET],
    "half-open link": lambda chair: rang("silence")(chair) and link_lost(chair),
    "packet delay": lambda chair: any(1700 < gap < 1900 for gap in gaps_ms(chair)),
    "packet loss": lambda chair: any(step > 1 for step in seq_steps(chair)) and sent_late(chair) > 0,
    "packet duplication": lambda chair: 0 in seq_steps(chair) and chair.gateway.duplicates > 0,
    "packet reordering": lambda chair: any(step < 0 for step in seq_steps(chair)),
    "broker restart": lambda chair: len(chair.board.peer.connects) > 1 and link_lost(chair),
    "gateway crash": lambda chair: [e.get("run") for e in chair.log.of("gateway")] == ["run-1", None, "run-2"],
    # The alarms are what they are in the healthy stay: only their label is wrong.
    "no clock": lambda chair: any(e["utc_ms"] < 86_400_000 for e in during(chair, "alarm")),
    "clock step": lambda chair: any(e["utc_ms"] - UTC_MS - e["at_ms"] >= 3_600_000 for e in during(chair, "alarm")),
}
ELSEWHERE = {"flash full"}
"""Nothing that the firmware writes in an ordinary stay: see tests/contract/test_simulator_shims.py."""


def test_every_fault_has_its_trace() -> None:
    """No fault of the menu is without a test."""
    assert set(TRACES) | ELSEWHERE == set(faults.MENU)


@pytest.mark.parametrize("name", TRACES)
def test_a_fault_leaves_its_trace(name: str, tmp_path: Path, healthy: Chair) -> None:
    """With the fault the trace is there; in the same stay without it, it is not."""
    trace = TRACES[name]
    assert not trace(healthy), "this trace says nothing: it is there without the fault"
    chair = stay(tmp_path, name)
    assert trace(chair), chair.log.text().decode()[-6000:]


def test_whatever_the_fault_no_arm_is_held(tmp_path: Path) -> None:
    """A valve that sticks shut in the middle of a measurement: the other one lets the arm go within 30 s."""
    chair = stay(tmp_path, "dump valve stuck shut")
    assert chair.world.cuff.facts.held_s_max <= 180
    assert chair.world.cuff.facts.pressure_mmhg_max <= 300
