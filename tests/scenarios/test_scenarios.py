"""The scenarios: real firmware and the gateway's engine in virtual time, judged as their files say."""

import dataclasses
from pathlib import Path

import pytest
from msgspec.structs import replace

from simulators.clinic import record
from simulators.clinic.expect import judge
from simulators.clinic.run import Run, run
from simulators.clinic.scenario import FOLDER, Expect, load

NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
LONG = [name for name in NAMES if load(FOLDER / f"{name}.toml").duration_s > 1200]
LIVING = "esketamine-stay"


def told(name: str, seed: int = 1) -> Run:
    return run(name, load(FOLDER / f"{name}.toml"), seed)


@pytest.fixture(scope="module")
def desaturation() -> Run:
    return told("desaturation")


def judged(name: str) -> Run:
    done = told(name)
    assert done.good, "\n".join(verdict.sentence for verdict in done.verdicts if not verdict.good)
    return done


@pytest.mark.parametrize("name", [n for n in NAMES if n not in LONG])
def test_a_scenario_comes_out_as_its_file_says(name: str) -> None:
    """Every alarm in time, nothing that must not sound, readiness when it is due."""
    judged(name)


@pytest.mark.long
@pytest.mark.parametrize("name", [n for n in LONG if n != LIVING])
def test_a_long_scenario_comes_out_as_its_file_says(name: str) -> None:
    """Two hours, in about a minute."""
    done = judged(name)
    print(f"{done.scenario.duration_s:.0f} s in {done.wall_s:.0f} s, {done.factor:.0f} times life")


@pytest.mark.long
def test_two_hours_of_a_living_patient_come_out_and_repeat_byte_for_byte() -> None:
    """Drug, breath, noise and chance of two hours: as the file says; and with the same seed, the same log."""
    assert judged(LIVING).log.text() == told(LIVING).log.text()


def test_the_same_seed_is_the_same_run_and_another_is_not(desaturation: Run) -> None:
    """Boot id, noise, every record and every alarm: byte for byte; another seed differs in the noise."""
    assert told("desaturation").log.text() == desaturation.log.text()
    assert told("desaturation", seed=2).log.text() != desaturation.log.text()


def wrong(done: Run, **changed: object) -> str:
    """What the first expectation of the run says when it is made wrong on purpose."""
    expect = replace(done.scenario.expect[0], **changed)
    scenario = replace(done.scenario, expect=[expect])
    verdict = judge(scenario, done.protocol, done.log)[0]
    assert not verdict.good
    return verdict.sentence


def test_a_wrong_expectation_fails_in_words_for_a_clinician(desaturation: Run) -> None:
    """Too early, too late, another level, another alarm: the message says what was expected, what was seen and why."""
    late = wrong(desaturation, not_before=None, by="0:02:15")
    assert 'the alarm "Oxygen saturation is low" is raised as high by 0:02:15' in late
    assert "s too late" in late
    assert "Below 85 % is high at once" in late
    early = wrong(desaturation, not_before="0:02:30")
    assert "s too early" in early
    level = wrong(desaturation, level="low")
    assert "it was only high at 0:02:" in level
    other = wrong(desaturation, alarm="pulse_low", level=None)
    assert "it was not raised" in other
    quiet = wrong(desaturation, alarm=None, level=None, must_not_sound="spo2_low", not_before=None, by=None)
    assert 'Seen: "Oxygen saturation is low" (high) at 0:02:' in quiet


def test_readiness_that_does_not_come_says_what_is_missing(desaturation: Run) -> None:
    """Who expected the patient to be ready reads which criteria were not met."""
    scenario = replace(desaturation.scenario, expect=[Expect(readiness="CRITERIA_MET", by="0:03:50")])
    sentence = judge(scenario, desaturation.protocol, desaturation.log)[0].sentence
    assert "the chair stayed NOT_READY" in sentence
    assert "Escort is here: not recorded" in sentence


def test_a_deed_that_was_not_done_as_told_fails(desaturation: Run) -> None:
    """A nurse who is refused although the story says otherwise is a failure, with the gateway's reason."""
    log = dataclasses.replace(desaturation).log
    entry = {"at_ms": 1000, "kind": "staff", "what": "sign off", "ok": False, "reason": "no", "as_told": False}
    log.entries.append(entry)
    try:
        verdicts = judge(desaturation.scenario, desaturation.protocol, log)
    finally:
        log.entries.remove(entry)
    assert [v.sentence for v in verdicts if not v.good] == [
        'Expected: staff: "sign off" is done. Seen: refused at 0:00:01: no.'
    ]


def test_a_recorded_run_has_no_number_where_there_was_none(desaturation: Run, tmp_path: Path) -> None:
    """The table's first readings, before the oximeter settled, have an empty cell and not a zero."""
    table, events = record.write(desaturation.log, tmp_path, "desaturation")
    header, *rows = table.read_text().splitlines()
    first = dict(zip(header.split(","), rows[0].split(","), strict=True))
    assert first["spo2_pct"] == ""
    assert first["quality"] == "settling"
    assert first["true_spo2_pct"] == "98.0"
    assert events.read_bytes() == desaturation.log.text()
