"""The scenario format: what a clinician writes is read as meant, and what cannot be meant is refused with its line."""

import tomllib
from pathlib import Path

import jsonschema
import msgspec
import pytest

from simulators.clinic import schema, units
from simulators.clinic.scenario import FOLDER, ScenarioError, load, load_all

GOOD = """\
title = "A story"
story = "Something happens."
protocol = "demo"
duration = "0:05:00"

[patient]
spo2 = "98 %"

[[at]]
time = "90 s"
patient = { spo2 = "82 %", over = "20 s" }

[[at]]
time = "2 min"
fault = "packet loss"
strength = "5 %"
for = "30 s"

[[expect]]
alarm = "spo2_low"
level = "high"
by = "0:02:30"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "story.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "value_s"), [("0:05:00", 300), ("1:00:30", 3630), ("90 s", 90), ("1.5 min", 90), ("2 h", 7200)]
)
def test_times_are_read_as_written(text: str, value_s: float) -> None:
    """Hours, minutes and seconds, or a number with its unit."""
    assert units.seconds(text) == value_s


def test_a_good_story_is_read(tmp_path: Path) -> None:
    """Quantities lose their units and become the world's names."""
    scenario = load(written(tmp_path, GOOD))
    assert scenario.duration_s == 300
    assert scenario.patient.values() == {"spo2_pct": 98.0}
    assert scenario.at[0].at_s == 90


@pytest.mark.parametrize(
    ("before", "after", "line", "named"),
    [
        ('story = "Something happens."', 'stroy = "x"', 2, "no key 'stroy'"),
        ('time = "90 s"', 'time = "90"', 10, "90 s"),
        ('time = "90 s"', "time = 90", 10, "str"),
        ('spo2 = "82 %"', 'spo2 = "82"', 11, 'like "82 %"'),
        ('spo2 = "82 %"', 'spO2 = "82 %"', 11, "no key 'spO2'"),
        ('time = "2 min"', 'time = "6 min"', 14, "not before the end"),
        ('fault = "packet loss"', 'fault = "gremlins"', 15, "no fault 'gremlins'; there are"),
        ('strength = "5 %"', 'strength = "5 ms"', 16, "in %"),
        ('alarm = "spo2_low"', 'alarm = "spo2_lo"', 20, "no rule 'spo2_lo'"),
        ('level = "high"', 'level = "loud"', 21, "loud"),
        ('by = "0:02:30"', 'by = "0:20:30"', 22, "after the end"),
        ('by = "0:02:30"', 'by = "0:02:30"\nnot_before = "0:03:00"', 22, "cannot be by"),
        ('by = "0:02:30"', "", 20, "needs `by`"),
        ('protocol = "demo"', 'protocol = "home"', 3, "no protocol 'home'; there are demo"),
        ('fault = "packet loss"', 'fault = "packet loss"\nstaff = "sign off"', 14, "one of patient, event, drug"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(
    tmp_path: Path, before: str, after: str, line: int, named: str
) -> None:
    """File, line, what was found and what is allowed."""
    assert before in GOOD
    path = written(tmp_path, GOOD.replace(before, after, 1))
    with pytest.raises(ScenarioError) as refusal:
        load(path)
    assert str(refusal.value).startswith(f"{path}:{line}: ")
    assert named in str(refusal.value)


def test_toml_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    """A slip of the pen in the file itself is named as the parser names it."""
    with pytest.raises(ScenarioError, match="line 2"):
        load(written(tmp_path, 'title = "x"\nstory = \n'))


def test_the_schema_is_today_s_and_fits_every_scenario() -> None:
    """The committed JSON Schema is generated from the types, and editors that use it accept our own files."""
    assert schema.PATH.read_text() == schema.text()
    rules = msgspec.json.decode(schema.text())
    for path in FOLDER.glob("*.toml"):
        jsonschema.validate(tomllib.loads(path.read_text()), rules)


def test_there_are_scenarios_for_what_a_clinic_meets() -> None:
    """At least twelve, each with something that must happen or must not."""
    scenarios = load_all()
    assert len(scenarios) >= 12
    assert all(scenario.expect for scenario in scenarios.values())
