"""The demonstration's nurse: does what is due, once."""

from types import SimpleNamespace
from typing import Any

from gateway import wire
from simulators.demo.nurse import Nurse


def state(**given: Any) -> wire.State:
    plain: dict[str, Any] = {
        "run": "r", "site": "demo", "chair": "bay-1", "device": "cb-000001", "online": True, "session": "s-1",
        "alias": "Aspen", "phase": "before", "phase_s": 0.0, "level": "none", "sound": False, "alarms": [],
        "readiness": wire.ReadinessView(state="NOT_READY", criteria=[]),
    }  # fmt: skip
    return wire.State(**plain | given)


def deeds(*states: wire.State) -> list[str]:
    """What the nurse did in rounds a second apart that found these states."""
    done: list[str] = []
    watch = SimpleNamespace(states={}, act=lambda _chair, action: done.append(type(action).__name__))
    nurse = Nurse(watch, lambda *_: None)  # type: ignore[arg-type]
    for second, found in enumerate(states):
        watch.states = {"bay-1": found}
        nurse.rounds(float(second))
    return done


def failed(age_ms: int) -> wire.CuffView:
    return wire.CuffView(age_ms=age_ms, quality="failed", current=True, reason="motion")


def test_each_failed_measurement_is_repeated_once() -> None:
    """However long the display shows it, and again only when the next one failed too."""
    ages = (200, 200, 1200, 2300, 300, 1300)
    assert deeds(*(state(pressure=failed(age)) for age in ages)) == ["Measure", "Measure"]


def test_nothing_is_measured_at_a_chair_that_is_not_connected() -> None:
    """Its board cannot hear."""
    assert deeds(state(online=False, pressure=failed(200))) == []


def test_who_is_ready_is_signed_off_and_leaves() -> None:
    """Signed off at once, seen out some seconds later."""
    met = wire.ReadinessView(state="CRITERIA_MET", criteria=[])
    signed = wire.ReadinessView(state="SIGNED_OFF", criteria=[])
    assert deeds(state(readiness=met), *[state(readiness=signed)] * 7)[:2] == ["SignOff", "Discharge"]


def test_a_high_alarm_that_is_over_is_acknowledged_before_the_sign_off() -> None:
    """The gateway takes no signature over one that nobody has seen."""
    met = wire.ReadinessView(state="CRITERIA_MET", criteria=[])
    over = wire.AlarmView(id="a-1", rule="spo2_low", level="high", condition="latched", since_s=1.0, reason="low")
    assert deeds(state(readiness=met, alarms=[over]), state(readiness=met)) == ["Acknowledge", "SignOff"]
