"""Things that happen to a patient: each does what its name says, in time, and is over afterwards."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.world import events
from simulators.world.patient import Patient
from simulators.world.person import Person

START_S = 120.0


def during(happen: Callable[[Patient], None], patient: Patient | None = None) -> Patient:
    """A patient, plain if no other is given, to whom this happens at START_S."""
    patient = patient or Patient(spo2_pct=97.5)
    patient.clock = lambda: START_S
    happen(patient)
    return patient


def after(patient: Patient, name: str, seconds: float) -> float:
    return patient.at(name, START_S + seconds)


def test_saturation_follows_breathing_late_and_recovers_late() -> None:
    """A minute without a breath: none is drawn, saturation holds for half a minute, falls below 90 % and comes back."""
    patient = during(lambda p: p.apnoea(60.0))
    assert patient.breaths(START_S + 59.0) - patient.breaths(START_S + 1.0) < 0.02
    assert after(patient, "spo2_pct", 20.0) == 97.5
    assert after(patient, "spo2_pct", 40.0) > 95.0
    lowest_s = min(range(180), key=lambda s: after(patient, "spo2_pct", s))
    assert 60 < lowest_s < 90, "the finger shows the worst after breathing has begun again"
    assert 80.0 < after(patient, "spo2_pct", lowest_s) < 90.0
    assert after(patient, "spo2_pct", 150.0) == pytest.approx(97.5, abs=0.5)
    assert after(patient, "resp_bpm", 70.0) == 14.0


def test_a_longer_apnoea_goes_deeper() -> None:
    """Each longer stop has a lower lowest saturation; a short one hardly shows."""
    lowest = [
        min(after(during(lambda p, s=s: p.apnoea(s)), "spo2_pct", t) for t in range(200)) for s in (15, 30, 60, 90)
    ]
    assert lowest == sorted(lowest, reverse=True)
    assert lowest[0] > 95.0
    assert lowest[-1] < 75.0


@given(st.floats(min_value=50.0, max_value=99.5))
def test_the_dissociation_curve_goes_both_ways(saturation: float) -> None:
    """Oxygen pressure from saturation and back again is the same saturation."""
    pressure = events.oxygen_mmhg(np.array([saturation]))
    assert events.saturation_pct(pressure)[0] == pytest.approx(saturation, abs=0.05)


def test_a_faint_takes_pulse_and_pressure_together() -> None:
    """Within half a minute pulse and pressure are low at once and the patient does not answer; later all is well."""
    patient = during(lambda p: p.vasovagal())
    assert after(patient, "pulse_bpm", 30.0) < 40.0
    assert after(patient, "sys_mmhg", 30.0) < 70.0
    assert patient.signs(START_S + 30.0).moaa_s == 0
    assert after(patient, "sys_mmhg", 200.0) == 120.0
    assert patient.signs(START_S + 200.0).moaa_s == 5


def test_bradycardia_is_counted_in_beats() -> None:
    """A pulse of 30 makes 15 beats in half a minute, and 70 again afterwards, without a jump between."""
    patient = during(lambda p: p.bradycardia(30.0, lasts_s=60.0))
    assert patient.beats(START_S + 45.0) - patient.beats(START_S + 15.0) == pytest.approx(15.0, abs=0.2)
    assert patient.beats(START_S + 160.0) - patient.beats(START_S + 100.0) == pytest.approx(70.0, abs=0.2)


def test_a_living_heart_slows_when_pressure_is_driven_up() -> None:
    """The baroreflex answers a hypertensive response: the pulse is lower by several beats than without it."""
    person = Person(seed=5, age_y=35.0)
    driven = during(lambda p: p.hypertensive(195.0, 115.0), Patient.of(person))
    quiet = Patient.of(person)
    high = np.mean([driven.at("sys_mmhg", START_S + t) for t in range(200, 600)])
    slower = np.mean([quiet.at("pulse_bpm", t) - driven.at("pulse_bpm", t) for t in np.arange(320.0, 720.0)])
    assert high == pytest.approx(195.0, abs=2.0)
    assert 5.0 < slower <= 20.0


def test_vomiting_shakes_the_hand_and_leaves_nausea() -> None:
    """There is movement for half a minute and a faster pulse; nausea stays for minutes, movement does not."""
    patient = during(lambda p: p.vomit())
    assert after(patient, "motion", 10.0) == 1.0
    assert after(patient, "pulse_bpm", 15.0) == pytest.approx(98.0)
    assert after(patient, "motion", 60.0) == 0.0
    assert patient.signs(START_S + 300.0).nauseous
    assert not patient.signs(START_S + 1200.0).nauseous


def test_who_leaves_the_chair_leaves_the_probe() -> None:
    """The finger is off and the chair empty until the patient is back."""
    patient = during(lambda p: p.leave_chair())
    assert not patient.finger_on(START_S + 1.0)
    assert after(patient, "in_chair", 1.0) == 0.0
    patient.clock = lambda: START_S + 60.0
    patient.return_to_chair()
    assert patient.finger_on(START_S + 61.0)
    assert after(patient, "in_chair", 61.0) == 1.0


def test_cold_hands_leave_hardly_a_pulse_to_see() -> None:
    """Perfusion falls below what an oximeter calls low, and nothing else changes."""
    patient = during(lambda p: p.cold_hands())
    assert after(patient, "perfusion_pct", 130.0) == pytest.approx(0.2)
    assert after(patient, "sys_mmhg", 130.0) == 120.0
    assert after(patient, "spo2_pct", 130.0) == 97.5


@pytest.mark.parametrize(
    "happen",
    [
        lambda p: p.apnoea(90.0),
        lambda p: p.vasovagal(),
        lambda p: p.bradycardia(0.0),
        lambda p: p.vomit(),
        lambda p: p.hypertensive(),
    ],
    ids=["apnoea", "vasovagal", "asystole", "vomit", "hypertensive"],
)
@pytest.mark.parametrize("person", [None, Person(seed=12)], ids=["plain", "living"])
def test_the_heart_never_beats_backwards(happen: Callable[[Patient], None], person: Person | None) -> None:
    """Whatever happens, while chips look on, beats and breaths only ever go up, and the past stays what it was."""
    patient = Patient.of(person) if person else Patient()
    before = [patient.beats(t) for t in np.arange(0, START_S, 0.1)]
    patient.beats(START_S + 30.0)
    during(happen, patient)
    assert [patient.beats(t) for t in np.arange(0, START_S, 0.1)] == before
    for cycles in (patient.beats, patient.breaths):
        steps = np.diff([cycles(t) for t in np.arange(START_S - 1, START_S + 300, 0.02)])
        assert steps.min() >= -1e-9
        assert steps.max() < 0.1


@pytest.mark.parametrize("happen", [lambda p: p.vasovagal(), lambda p: p.vomit(), lambda p: p.apnoea(45.0)])
def test_an_event_ends(happen: Callable[[Patient], None]) -> None:
    """An hour later a plain patient's values are exactly the baseline again."""
    patient = during(happen)
    baseline = Patient(spo2_pct=97.5)
    for name in ("spo2_pct", "pulse_bpm", "sys_mmhg", "dia_mmhg", "resp_bpm", "perfusion_pct", "motion"):
        assert after(patient, name, 3600.0) == pytest.approx(baseline.at(name, 0.0), abs=1e-9)
