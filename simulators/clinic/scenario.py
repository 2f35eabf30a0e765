"""A scenario: a patient's story, what goes wrong and who does what, and what must come of it. Read from TOML.

    scenario = load(Path("simulators/scenarios/desaturation.toml"))

A file with an unknown key, a quantity without its unit or a time that cannot be is refused with its line.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from gateway.core.protocol import Protocol
from simulators.clinic import known, units
from simulators.clinic.faults import MENU
from simulators.clinic.invariants import INVARIANTS
from simulators.clinic.units import Dose, Percent, PerMinute, Pressure, Quantity, Time

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
Deed = Literal[
    "start", "first dose", "further dose", "end of dose", "observe", "acknowledge", "pause audio",
    "audio off", "audio on", "measure", "defer", "away", "back", "sign off", "discharge", "abort",
]  # fmt: skip
Drug = Literal["ketamine infusion", "ketamine injection", "esketamine spray", "stop"]
Event = Literal[
    "apnoea", "faint", "pressure crisis", "slow heart", "vomiting", "cold hands", "leaves the chair", "sits down again",
]  # fmt: skip
Readiness = Literal["NOT_READY", "CRITERIA_MET", "SIGNED_OFF", "DISCHARGED"]
Level = Literal["low", "medium", "high"]


class ScenarioError(ValueError):
    """A scenario that cannot be told: names the file, the line, what was found and what is allowed."""


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A living patient: breathing, waves of pressure and drugs act by themselves on what `patient` is at first."""

    age: Annotated[str, Meta(pattern=r"^\d+ years$", examples=["45 years"])] = "45 years"
    weight: Annotated[str, Meta(pattern=r"^\d+ kg$", examples=["75 kg"])] = "75 kg"


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of the patient: true values, at once or `over` a time."""

    spo2: Percent | None = None
    pulse: PerMinute | None = None
    pressure: Pressure | None = None
    breathing: PerMinute | None = None
    perfusion: Percent | None = None
    over: Time | None = None

    def values(self) -> dict[str, float]:
        """By the names of `world.patient.Patient.set`."""
        found: dict[str, float] = {}
        for name, text in (
            ("spo2_pct", self.spo2),
            ("pulse_bpm", self.pulse),
            ("resp_bpm", self.breathing),
            ("perfusion_pct", self.perfusion),
        ):
            if text is not None:
                found[name] = units.number(text)
        if self.pressure is not None:
            found["sys_mmhg"], found["dia_mmhg"] = units.pressures(self.pressure)
        return found


class Sees(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a member of staff sees and records."""

    moaas: Annotated[int, Meta(ge=0, le=5)] | None = None
    dissociation: bool | None = None
    nausea: Annotated[int, Meta(ge=0, le=10)] | None = None
    gait: Literal["steady", "help", "unable"] | None = None
    oriented: bool | None = None
    escort: bool | None = None


class At(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that happens: exactly one of `patient`, `event`, `drug`, `fault`, `staff` and `button`."""

    time: Time
    patient: Change | None = None
    event: Event | None = None
    drug: Drug | None = None
    """What the body gets; staff mark it apart, as in life."""
    dose: Dose | None = None
    over: Time | None = None
    """Of an infusion."""
    fault: str | None = None
    for_: Time | None = field(default=None, name="for")
    """How long the fault, the event or the absence lasts; a fault without it to the end."""
    strength: Quantity | None = None
    """Of the fault, in the unit that the menu names."""
    staff: Deed | None = None
    who: str = "nurse-1"
    baseline: Pressure | None = None
    """Typed at the start."""
    sees: Sees | None = None
    refused: bool = False
    """The deed must be refused."""
    button: Literal["call", "acknowledge"] | None = None

    @property
    def at_s(self) -> float:
        return units.seconds(self.time)


class Expect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that must come of it: exactly one of the first nine."""

    alarm: str | None = None
    """A rule of the protocol is raised, or reaches the level."""
    cleared: str | None = None
    """Its alarm is over: normal, or latched until somebody acknowledges."""
    must_not_sound: str | None = None
    """A rule, or "any": no alarm of the gateway and no tone of the board."""
    readiness: Readiness | None = None
    missing: list[str] | None = None
    """Criteria that are listed as not met `at` a time."""
    during_outage: str | None = None
    """A rule listed as crossed by readings that came too late to sound."""
    cuff_fails: str | None = None
    """A measurement fails with this reason."""
    fault_reported: str | None = None
    """The board names this fault in its status."""
    invariant: str | None = None
    """What must be true all the time, by its name in `invariants`. It is watched in every story; to name it here says
    what the story is about."""
    level: Level | None = None
    not_before: Time | None = None
    by: Time | None = None
    at: Time | None = None
    because: str = ""
    """Why, in a sentence for the reader of a failure."""


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=1, max_length=80)]
    story: Annotated[str, Meta(min_length=1)]
    protocol: str
    duration: Time
    patient: Change = Change()
    """At the beginning."""
    body: Body | None = None
    at: list[At] = []
    expect: Annotated[list[Expect], Meta(min_length=1)]
    cuff_on_probe_arm: bool = False
    board: Literal["firmware", "model"] = "firmware"
    """The real firmware, or a model of a board that says what one would say."""
    seed: Annotated[int, Meta(ge=0)] = 1
    """The chance of a run that is not given another."""
    calibration: Literal["made", "none", "expired"] = "made"
    """Of the board; the real firmware does not tell an expired one."""
    before_ticks_wrap: Time | None = None
    """How long before its clock's counter wraps (12.4 days after power-on) the board begins."""

    @property
    def duration_s(self) -> float:
        return units.seconds(self.duration)


LASTING = ("away", "defer")
"""Deeds that say for how long."""
HAPPENINGS = ("patient", "event", "drug", "fault", "staff", "button")
KINDS = (
    "alarm",
    "cleared",
    "must_not_sound",
    "readiness",
    "missing",
    "during_outage",
    "cuff_fails",
    "fault_reported",
    "invariant",
)


def load_all(folder: Path = FOLDER) -> dict[str, Scenario]:
    """Every scenario of a folder by its file's name."""
    return {path.stem: load(path) for path in sorted(folder.glob("*.toml"))}


def find(name: str) -> Path:
    """The file of a scenario by its name or by its path. Raises ScenarioError."""
    path = Path(name)
    if path.suffix == ".toml":
        return path
    if (FOLDER / f"{name}.toml").exists():
        return FOLDER / f"{name}.toml"
    known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.toml")))
    raise ScenarioError(f"there is no scenario {name!r}; there are {known}")


def load(path: Path) -> Scenario:
    """Read and check one file. Raises ScenarioError."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from None
    try:
        scenario = msgspec.convert(raw, Scenario)
    except msgspec.ValidationError as error:
        raise _explained(path, text, raw, error) from None
    _check(path, text, scenario)
    return scenario


def _explained(path: Path, text: str, raw: object, error: msgspec.ValidationError) -> ScenarioError:
    message, _, where = str(error).partition(" - at `$")
    keys = re.findall(r"\.([a-z_0-9]+)|\[(\d+)\]", where)
    steps: list[str | int] = [name or int(index) for name, index in keys]
    if (found := re.search(r"unknown field `(.+?)`", message)) is not None:
        allowed = ", ".join(_fields(steps))
        return ScenarioError(f"{path}:{_line(text, [*steps, found[1]])}: there is no key {found[1]!r}; {allowed} are")
    if (hint := next((hint for pattern, hint in units.HINTS.items() if repr(pattern) in message), None)) is not None:
        value = raw
        for step in steps:
            value = value[step]  # type: ignore[index]
        return ScenarioError(f"{path}:{_line(text, steps)}: {steps[-1]} is {value!r}; write {hint}")
    return ScenarioError(f"{path}:{_line(text, steps)}: {message}" + (f" ({steps[-1]})" if steps else ""))


def _fields(steps: list[str | int]) -> list[str]:
    kinds: dict[str, type[Struct]] = {"body": Body, "at": At, "expect": Expect, "patient": Change, "sees": Sees}
    names = [step for step in steps if isinstance(step, str)]
    return list(kinds[names[-1]].__struct_encode_fields__ if names else Scenario.__struct_encode_fields__)


def _line(text: str, steps: list[str | int]) -> int:
    """Where the key stands, or the table that lacks it."""
    lines = text.splitlines()
    first, last = 0, len(lines)
    names = [step for step in steps if isinstance(step, str)]
    index = next((step for step in steps if isinstance(step, int)), None)
    if names and names[0] in ("at", "expect", "patient", "body"):
        header = f"[[{names[0]}]]" if index is not None else f"[{names[0]}]"
        heads = [number for number, line in enumerate(lines) if line.strip().startswith(header)]
        if heads and (index or 0) < len(heads):
            first = heads[index or 0]
            after = (number for number in range(first + 1, len(lines)) if lines[number].lstrip().startswith("["))
            last = next(after, len(lines))
    for name in reversed(names):
        for number in range(first, last):
            if re.search(rf"(^|[{{,]\s*)\s*\"?{re.escape(name)}\"?\s*=", lines[number]):
                return number + 1
    return first + 1


def _check(path: Path, text: str, scenario: Scenario) -> None:
    """What types cannot say."""

    def refuse(steps: list[str | int], why: str) -> None:
        raise ScenarioError(f"{path}:{_line(text, steps)}: {why}")

    protocols = known.by_name()
    if scenario.protocol not in protocols:
        refuse(["protocol"], f"there is no protocol {scenario.protocol!r}; there are {', '.join(sorted(protocols))}")
    if scenario.calibration == "expired" and scenario.board == "firmware":
        refuse(["calibration"], 'the firmware knows no expired calibration; board = "model" does')
    for number, at in enumerate(scenario.at):
        if at.at_s >= scenario.duration_s:
            refuse(["at", number, "time"], f"{at.time} is not before the end of the story at {scenario.duration}")
        if at.drug is not None and scenario.body is None:
            refuse(["at", number, "drug"], "a drug needs a body: give [body]")
        if (why := _unfit(at)) is not None:
            refuse(["at", number, *why[:1]], why[1])
    for number, expect in enumerate(scenario.expect):
        if (why := _unfit_expectation(expect, scenario, protocols[scenario.protocol])) is not None:
            refuse(["expect", number, *why[:1]], why[1])


def _unfit(at: At) -> tuple[str, str] | None:
    """The key that does not fit and why, or None."""
    given = [name for name in HAPPENINGS if getattr(at, name) is not None]
    if len(given) != 1:
        return "time", f"give one of {', '.join(HAPPENINGS)}; here are {', '.join(given) or 'none'}"
    if at.patient is not None and not at.patient.values():
        return "patient", "nothing of the patient changes"
    if at.for_ is not None and at.fault is None and at.event is None and at.staff not in LASTING:
        return "for", f"`for` belongs to a fault, an event, {' or '.join(LASTING)}"
    if at.staff in LASTING and not (at.for_ and 60 <= units.seconds(at.for_) <= 900):
        return "staff", f"{at.staff!r} needs `for`, from 1 to 15 min"
    if (why := _unfit_dose(at)) is not None:
        return why
    if at.fault is None:
        if at.strength is not None:
            return "strength", "a strength belongs to a fault"
    elif at.fault not in MENU:
        return "fault", f"there is no fault {at.fault!r}; there are {', '.join(sorted(MENU))}"
    elif at.strength is not None and at.strength.split(" ")[1] != MENU[at.fault].unit:
        unit = MENU[at.fault].unit
        return "strength", f"the strength of {at.fault!r} is " + (f"in {unit}" if unit else "fixed: leave it out")
    if (at.sees is not None) != (at.staff == "observe"):
        return "sees" if at.sees is not None else "staff", "`sees` belongs to `observe`, which needs it"
    if at.baseline is not None and at.staff != "start":
        return "baseline", "a baseline is typed at the start"
    return None


def _unfit_dose(at: At) -> tuple[str, str] | None:
    unit = at.dose.split(" ")[1] if at.dose is not None else None
    wanted = {"ketamine infusion": "mg/kg", "ketamine injection": "mg", "esketamine spray": "mg"}.get(at.drug or "")
    if unit != wanted:
        return "dose" if unit else "drug", f"this needs a dose in {wanted}" if wanted else "a dose belongs to a drug"
    if (at.over is not None) != (at.drug == "ketamine infusion"):
        return "over" if at.over else "drug", "`over` belongs to an infusion, which needs it"
    return None


def _unfit_expectation(expect: Expect, scenario: Scenario, protocol: Protocol) -> tuple[str, str] | None:
    given = [name for name in KINDS if getattr(expect, name) is not None]
    if len(given) != 1:
        return "because", f"give one of {', '.join(KINDS)}; here are {', '.join(given) or 'none'}"
    kind = given[0]
    rules = [rule.id for rule in protocol.rules]
    rule = getattr(expect, kind)
    of_rule = kind in ("alarm", "cleared", "during_outage", "must_not_sound")
    if of_rule and rule not in rules and not (kind == "must_not_sound" and rule == "any"):
        return kind, f"{protocol.id} has no rule {rule!r}; it has {', '.join(rules)}"
    if kind == "invariant":
        named = ", ".join(INVARIANTS)
        return None if rule in INVARIANTS else (kind, f"there is no invariant {rule!r}; there are {named}")
    if kind == "missing":
        criteria = [criterion.id for criterion in protocol.criteria]
        unknown = [name for name in expect.missing or [] if name not in criteria]
        if unknown:
            return kind, f"{protocol.id} has no criterion {unknown[0]!r}; it has {', '.join(criteria)}"
        if expect.at is None:
            return kind, "`missing` needs `at`, the time to look"
    elif kind != "must_not_sound" and expect.by is None:
        return kind, f"`{kind}` needs `by`, the latest time"
    if expect.level is not None and kind not in ("alarm", "must_not_sound"):
        return "level", "a level belongs to an alarm"
    times = [(name, units.seconds(text)) for name in ("not_before", "at", "by") if (text := getattr(expect, name))]
    for name, time_s in times:
        if time_s > scenario.duration_s:
            return name, f"{getattr(expect, name)} is after the end of the story at {scenario.duration}"
    if expect.by and expect.not_before and units.seconds(expect.not_before) > units.seconds(expect.by):
        return "by", f"it cannot be by {expect.by} and not before {expect.not_before}"
    return None
