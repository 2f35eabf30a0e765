"""The unmodified firmware on a living patient: what varies, falls and fades reaches the reading, and nothing more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators import bench as simulated_bench
from simulators.bench import Bench
from simulators.world import population
from simulators.world.patient import Patient


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A board whose patient is a person of the clinic, settled for half a minute."""
    patient = Patient.of(population.draw(population.CLINIC, 5))
    monkeypatch.setattr(simulated_bench, "Patient", lambda: patient)
    with Bench("cb-0000c1", 3, tmp_path / "flash") as running:
        running.run(30)
        yield running


def mean(patient: Patient, name: str, start_s: float, end_s: float) -> float:
    steps = [start_s + i * (end_s - start_s) / 100 for i in range(100)]
    return sum(patient.at(name, t) for t in steps) / 100


def test_a_living_pulse_and_pressure_are_read(bench: Bench) -> None:
    """During an infusion the pulse rate is right within 3/min at each second, and the cuff within 8 mmHg."""
    bench.patient.infuse()
    before = len(bench.vitals)
    bench.run(120)
    read = [vitals for vitals in bench.vitals[before:] if vitals.quality == "good"]
    assert len(read) > 100
    for vitals in read:
        now_s = vitals.up_ms / 1000
        assert vitals.pulse_bpm == pytest.approx(mean(bench.patient, "pulse_bpm", now_s - 6, now_s), abs=3.0)
    began_s = bench.board.now_s()
    cuff = bench.measure()
    ended_s = bench.board.now_s()
    assert cuff.sys_mmhg == pytest.approx(mean(bench.patient, "sys_mmhg", began_s, ended_s), abs=8.0)
    assert cuff.dia_mmhg == pytest.approx(mean(bench.patient, "dia_mmhg", began_s, ended_s), abs=8.0)


def test_a_stop_of_breathing_is_read_as_it_reaches_the_finger(bench: Bench) -> None:
    """The reading falls by over six points after the apnoea began, and is back two minutes later."""
    resting = bench.vitals[-1].spo2_pct
    assert isinstance(resting, float)
    bench.patient.apnoea(75.0)
    before = len(bench.vitals)
    bench.run(120)
    assert min(v.spo2_pct for v in bench.vitals[before:] if isinstance(v.spo2_pct, float)) < resting - 6
    bench.run(60)
    assert bench.vitals[-1].spo2_pct == pytest.approx(resting, abs=1.5)


def test_a_slow_heart_is_read_or_refused_but_never_read_as_normal(bench: Bench) -> None:
    """At 30/min the board gives a rate near 30 or none at all: it never shows the rate from before."""
    bench.patient.bradycardia(30.0, lasts_s=90.0)
    bench.run(40)
    before = len(bench.vitals)
    bench.run(50)
    for vitals in bench.vitals[before:]:
        assert not isinstance(vitals.pulse_bpm, float) or vitals.pulse_bpm < 40.0
