"""Runs one scenario in virtual time and judges what came of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway import wire
from gateway.core.protocol import Protocol
from simulators.clinic import faults, known, units
from simulators.clinic.bay import Bay
from simulators.clinic.chair import Chair, VirtualChair
from simulators.clinic.expect import Verdict, judge
from simulators.clinic.live import LiveChair
from simulators.clinic.log import Log
from simulators.clinic.model import ModelChair
from simulators.clinic.scenario import LASTING, At, Change, Scenario, ScenarioError
from simulators.world.patient import Patient
from simulators.world.person import Person

TICKS_PERIOD_MS = 1 << 30
PRESS_S = 0.4
DOSES = {"first dose": "first", "further dose": "further", "end of dose": "end"}
SEATS = {"leaves the chair": "empty", "sits down again": "occupied"}
PLAIN: dict[str, type[msgspec.Struct]] = {
    "acknowledge": wire.Acknowledge,
    "pause audio": wire.PauseAudio,
    "measure": wire.Measure,
    "back": wire.Back,
    "sign off": wire.SignOff,
    "discharge": wire.Discharge,
}


@dataclass(frozen=True)
class Run:
    """What a scenario came to. `wall_s` is the time that it took here."""

    name: str
    scenario: Scenario
    seed: int
    protocol: Protocol
    log: Log
    verdicts: list[Verdict]
    wall_s: float

    @property
    def good(self) -> bool:
        return all(verdict.good for verdict in self.verdicts)

    @property
    def factor(self) -> float:
        """How many times faster than life."""
        return self.scenario.duration_s / self.wall_s


def run(name: str, scenario: Scenario, seed: int | None = None) -> Run:
    """From power-on to the end of the story, in virtual time. Raises BoardError when the board cannot go on."""
    began = time.monotonic()
    seed = scenario.seed if seed is None else seed
    if scenario.board == "model":
        model = ModelChair(
            scenario.protocol,
            seed=seed,
            patient=_patient(scenario, seed),
            same_limb=scenario.cuff_on_probe_arm,
            calibration={"made": "calibrated", "none": "uncalibrated", "expired": "expired"}[scenario.calibration],
        )
        return _told(name, scenario, seed, model, began)
    ticks_start_ms = 0
    if scenario.before_ticks_wrap is not None:
        ticks_start_ms = TICKS_PERIOD_MS - round(1000 * units.seconds(scenario.before_ticks_wrap))
    with tempfile.TemporaryDirectory(prefix="chairside-sim-") as folder:
        chair = Chair(
            scenario.protocol,
            Path(folder),
            seed=seed,
            patient=_patient(scenario, seed),
            same_limb=scenario.cuff_on_probe_arm,
            calibrated=scenario.calibration == "made",
            ticks_start_ms=ticks_start_ms,
        )
        return _told(name, scenario, seed, chair, began)


def run_live(name: str, scenario: Scenario, seed: int, broker: tuple[str, int]) -> Run:
    """The same in real time against a broker. Raises BoardError, OSError, RuntimeError (the gateway ended), and
    ScenarioError for a fault that only the virtual clinic has."""
    began = time.monotonic()
    only = [at.fault for at in scenario.at if at.fault is not None and at.fault not in LiveChair.menu]
    if only or scenario.before_ticks_wrap is not None:
        raise ScenarioError(f"{name} cannot be run live: {only[0] if only else 'a wrapping clock'!r} is virtual only")
    with tempfile.TemporaryDirectory(prefix="chairside-sim-") as folder:
        chair = LiveChair(
            scenario.protocol,
            Path(folder),
            broker=broker,
            seed=seed,
            patient=_patient(scenario, seed),
            same_limb=scenario.cuff_on_probe_arm,
        )
        return _told(name, scenario, seed, chair, began)


def _told(name: str, scenario: Scenario, seed: int, chair: VirtualChair | LiveChair, began: float) -> Run:
    for at in scenario.at:
        _prepare(chair, at, scenario.protocol)
    with chair:
        chair.run_for(scenario.duration_s)
    protocol = known.by_name()[scenario.protocol]
    verdicts = judge(scenario, protocol, chair.log)
    return Run(name, scenario, seed, protocol, chair.log, verdicts, time.monotonic() - began)


def _patient(scenario: Scenario, seed: int) -> Patient:
    baseline = scenario.patient.values()
    if scenario.body is None:
        return Patient(**baseline)  # type: ignore[arg-type]
    age_y, weight_kg = units.number(scenario.body.age), units.number(scenario.body.weight)
    return Patient.of(Person(seed=seed, age_y=age_y, weight_kg=weight_kg, **baseline))


def _prepare(chair: Bay, at: At, protocol: str) -> None:
    if at.patient is not None:
        change = at.patient
        chair.at(at.at_s, lambda: _change(chair, change))
    elif at.event is not None:
        chair.at(at.at_s, lambda: _happen(chair, at))
    elif at.drug is not None:
        chair.at(at.at_s, lambda: _give(chair, at))
    elif at.fault is not None:
        name, strength = at.fault, None if at.strength is None else units.number(at.strength)
        chair.at(at.at_s, lambda: faults.begin(chair, name, strength))
        if at.for_ is not None:
            chair.at(at.at_s + units.seconds(at.for_), lambda: faults.end(chair, name))
    elif at.button is not None:
        line = f"button_{at.button}"
        chair.at(at.at_s, lambda: _press(chair, line, True))
        chair.at(at.at_s + PRESS_S, lambda: _press(chair, line, False))
    else:
        chair.at(at.at_s, lambda: chair.act(at.staff or "", _action(at, protocol), at.who, at.refused))


def _change(chair: Bay, change: Change) -> None:
    over_s = units.seconds(change.over) if change.over else 0.0
    chair.note("patient", **change.values(), over_s=over_s or None)
    chair.patient.set(over_s=over_s, **change.values())


def _happen(chair: Bay, at: At) -> None:
    chair.note("patient", event=at.event)
    happen: dict[str, Callable[..., None]] = {
        "apnoea": chair.patient.apnoea,
        "faint": chair.patient.vasovagal,
        "pressure crisis": chair.patient.hypertensive,
        "slow heart": chair.patient.bradycardia,
        "vomiting": chair.patient.vomit,
        "cold hands": chair.patient.cold_hands,
        "leaves the chair": chair.patient.leave_chair,
        "sits down again": chair.patient.return_to_chair,
    }
    lasts = {} if at.for_ is None else {"lasts_s": units.seconds(at.for_)}
    happen[at.event or ""](**lasts)
    if at.event in SEATS:
        chair.world.sit(SEATS[at.event])


def _give(chair: Bay, at: At) -> None:
    chair.note("patient", drug=at.drug, dose=at.dose)
    amount = 0.0 if at.dose is None else units.number(at.dose)
    if at.drug == "ketamine infusion":
        chair.patient.infuse(amount, units.seconds(at.over or "0 s"))
    elif at.drug == "ketamine injection":
        chair.patient.inject(amount)
    elif at.drug == "esketamine spray":
        chair.patient.spray(amount)
    else:
        chair.patient.stop_dose()


def _press(chair: Bay, line: str, down: bool) -> None:
    if down:
        chair.note("button", what=line.removeprefix("button_"))
    chair.world.press(line, down)


def _action(at: At, protocol: str) -> wire.Action:
    if at.staff == "start":
        if at.baseline is None:
            return wire.Start(protocol=protocol, alias="Aspen")
        sys_mmhg, dia_mmhg = units.pressures(at.baseline)
        return wire.Start(protocol=protocol, alias="Aspen", baseline_sys_mmhg=sys_mmhg, baseline_dia_mmhg=dia_mmhg)
    if at.staff in DOSES:
        return wire.Dose(what=DOSES[at.staff])  # type: ignore[arg-type]
    if at.staff == "observe":
        given = msgspec.to_builtins(at.sees)
        return wire.Observe(**{name: value for name, value in given.items() if value is not None})
    if at.staff in LASTING:
        minutes = units.seconds(at.for_ or "0 s") / 60
        return wire.Away(minutes=minutes) if at.staff == "away" else wire.Defer(minutes=minutes)
    if at.staff in ("audio off", "audio on"):
        return wire.AudioOff(on=at.staff == "audio off")
    if at.staff == "abort":
        return wire.Abort(reason="the stay is broken off")
    return PLAIN[at.staff or ""]()  # type: ignore[return-value]
