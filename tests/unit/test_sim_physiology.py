"""A living patient: what varies by itself, what the drug does, and that both are a function of time and seed."""

import threading

import numpy as np
import pytest

from simulators.world.patient import Patient
from simulators.world.person import Person

VITALS = ("sys_mmhg", "dia_mmhg", "pulse_bpm", "resp_bpm", "spo2_pct")


class Clock:
    """World time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def living(**traits: float) -> tuple[Patient, Clock]:
    patient, clock = Patient.of(Person(**traits)), Clock()
    patient.clock = clock
    return patient, clock


def values(patient: Patient, name: str, start_s: float, end_s: float, step_s: float = 0.5) -> np.ndarray:
    return np.array([patient.at(name, t) for t in np.arange(start_s, end_s, step_s)])


def intervals_ms(patient: Patient, start_s: float, end_s: float) -> np.ndarray:
    """Times between heart beats."""
    times = np.arange(start_s, end_s, 0.005)
    beats = np.array([patient.beats(t) for t in times])
    onsets = np.interp(np.arange(np.ceil(beats[0]), beats[-1]), beats, times)
    return np.diff(onsets) * 1000.0


def test_a_plain_patient_holds_what_it_is_told() -> None:
    """Without a person nothing varies: each value stays exactly the one that was set."""
    patient = Patient(spo2_pct=91.0, pulse_bpm=64.0)
    assert set(values(patient, "spo2_pct", 0, 600)) == {91.0}
    assert patient.beats(600.0) == 640.0


def test_one_seed_repeats_every_value_and_another_does_not() -> None:
    """Two patients of one person and seed agree to the last bit; another seed has other beats."""
    (first, _), (again, _), (other, _) = living(seed=4), living(seed=4), living(seed=5)
    for name in VITALS:
        assert list(values(first, name, 0, 300)) == list(values(again, name, 0, 300))
    assert first.beats(300.0) != other.beats(300.0)


def test_the_order_of_asking_does_not_matter() -> None:
    """A chip that looks far ahead first, and one that goes step by step, find the same."""
    (ahead, _), (stepwise, _) = living(seed=7), living(seed=7)
    far = ahead.beats(1800.0)
    near = [ahead.beats(t) for t in range(0, 1800, 60)]
    assert near == [stepwise.beats(t) for t in range(0, 1800, 60)]
    assert far == stepwise.beats(1800.0)


def test_beats_come_neither_evenly_nor_wildly() -> None:
    """At rest the beat-to-beat interval of a young adult spreads by 20 to 100 ms, as resting recordings do."""
    patient, _ = living(seed=2, age_y=30.0)
    assert 20.0 < intervals_ms(patient, 60, 360).std() < 100.0


def test_the_pulse_follows_the_breath_more_in_the_young() -> None:
    """The pulse's part at the breathing rate is larger at 25 years than at 75."""

    def at_breath(age_y: float) -> float:
        patient, _ = living(seed=3, age_y=age_y)
        times = np.arange(0, 300, 0.25)
        pulse = np.array([patient.at("pulse_bpm", t) for t in times])
        phase = np.array([patient.breaths(t) for t in times])
        return float(abs(np.mean((pulse - pulse.mean()) * np.exp(-2j * np.pi * phase))))

    assert at_breath(25.0) > 1.5 * at_breath(75.0) > 0.0


def test_pressure_never_stands_still_nor_runs_away() -> None:
    """Over two quiet hours systolic pressure spreads by a few mmHg about its baseline and stays above diastolic."""
    patient, _ = living(seed=6, sys_mmhg=124.0, dia_mmhg=79.0)
    sys, dia = values(patient, "sys_mmhg", 0, 7200, 5.0), values(patient, "dia_mmhg", 0, 7200, 5.0)
    assert abs(sys.mean() - 124.0) < 4.0
    assert 2.0 < sys.std() < 9.0
    assert (sys - dia).min() > 20.0


def test_a_dose_changes_nothing_before_it() -> None:
    """What was true before the dose is still the same when asked again afterwards."""
    patient, clock = living(seed=8)
    before = {name: list(values(patient, name, 0, 600)) for name in VITALS}
    beats = [patient.beats(t) for t in range(600)]
    patient.at("sys_mmhg", 1200.0)
    clock.now_s = 600.0
    patient.spray(84.0)
    assert {name: list(values(patient, name, 0, 600)) for name in VITALS} == before
    assert [patient.beats(t) for t in range(600)] == beats


@pytest.mark.parametrize("give", ["infuse", "inject", "spray"])
def test_every_route_raises_pressure_and_wears_off(give: str) -> None:
    """Some 20 to 40 min after any dose pressure is up by about this person's rise; after 4 h hardly any is left."""
    dosed, clock = living(seed=9, sys_rise_mmhg=30.0)
    quiet, _ = living(seed=9)
    clock.now_s = 300.0
    {"infuse": dosed.infuse, "inject": lambda: dosed.inject(37.5), "spray": lambda: dosed.spray(84.0)}[give]()
    rise = values(dosed, "sys_mmhg", 300, 15_000, 30) - values(quiet, "sys_mmhg", 300, 15_000, 30)
    assert 20.0 < rise.max() < 45.0
    assert 15.0 <= rise.argmax() * 0.5 <= 50.0
    assert 0.0 < rise[-1] < 0.2 * rise.max()


def test_signs_come_with_the_drug_and_go_with_it() -> None:
    """A person of median thresholds is drowsy and dissociated at the peak, and awake and steady three hours later."""
    patient, _ = living(drowsy_at=0.7, dizzy_at=0.7, nausea_at=0.9, cadss_at_peak=12.0)
    assert patient.signs(-1.0).gait_steady
    patient.infuse()
    peak, later = patient.signs(2400.0), patient.signs(4 * 3600.0)
    assert peak.moaa_s == 4
    assert peak.dissociated
    assert peak.reports_dissociation
    assert peak.nauseous
    assert not peak.gait_steady
    assert (later.moaa_s, later.dissociated, later.nauseous, later.gait_steady) == (5, False, False, True)


def test_a_stopped_infusion_peaks_lower() -> None:
    """Stopping half-way leaves the pressure below that of the whole dose from then on."""
    (whole, _), (stopped, clock) = living(seed=1), living(seed=1)
    whole.infuse()
    stopped.infuse()
    clock.now_s = 1200.0
    stopped.stop_dose()
    assert stopped.at("sys_mmhg", 1199.0) == whole.at("sys_mmhg", 1199.0)
    assert stopped.at("sys_mmhg", 2400.0) < whole.at("sys_mmhg", 2400.0) - 2.0


def test_a_plain_patient_takes_no_drug() -> None:
    """Without a body there is no answer to a dose: it is refused, not ignored."""
    with pytest.raises(ValueError, match=r"Patient\.of"):
        Patient().infuse()


def test_baselines_of_a_living_patient_can_be_set() -> None:
    """A story that ramps the saturation moves a living patient too; an unknown name is refused."""
    patient, clock = living(spo2_pct=98.0)
    clock.now_s = 100.0
    patient.set(spo2_pct=85.0, over_s=10.0)
    assert patient.at("spo2_pct", 99.0) == 98.0
    assert patient.at("spo2_pct", 110.0) == pytest.approx(85.0)
    with pytest.raises(KeyError):
        patient.set(spo2=85.0)


def test_chips_may_look_while_the_story_goes_on() -> None:
    """Two threads that read and one that doses, sets and makes things happen never see a broken table."""
    patient, clock = living(seed=3)
    failed: list[Exception] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                for t in np.arange(clock.now_s, clock.now_s + 2, 0.05):
                    assert 30.0 < patient.at("sys_mmhg", t) < 260.0
                    patient.beats(t)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must show it
            failed.append(error)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for step in range(24):
        clock.now_s = step * 10.0
        [patient.infuse, patient.vasovagal, patient.vomit, lambda: patient.set(sys_mmhg=130.0)][step % 4]()
    done.set()
    for thread in threads:
        thread.join()
    assert not failed
