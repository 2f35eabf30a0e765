"""What happens to whom, and what must have been seen: the demonstration as data.

Each beat has two times, for the full story and for the short one, in seconds from the moment every chair has a
session. A cuff measurement takes most of a minute, so pressures come when they come: beats that depend on one wait
for it instead of for the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway import wire
from simulators.demo.stack import Stack
from simulators.demo.watch import Watch

FULL_S, SHORT_S = 180.0, 90.0
ALIASES = {
    "bay-1": "Aspen",
    "bay-2": "Birch",
    "bay-3": "Cedar",
    "bay-4": "Dogwood",
    "bay-5": "Elder",
    "bay-6": "Fir",
}
ALL_WELL = wire.Observe(moaas=5, dissociation=False, nausea=0, gait="steady", oriented=True)


@dataclass(frozen=True)
class Beat:
    full_s: float
    short_s: float
    chair: str
    tells: str
    does: Callable[[Stack, Watch], object]


@dataclass(frozen=True)
class Expected:
    """One line of the summary. `seen` looks at all that a screen was shown."""

    what: str
    seen: Callable[[Watch], bool]


def act(chair: str, action: wire.Action) -> Callable[[Stack, Watch], object]:
    return lambda stack, watch: watch.act(chair, action)


BEATS = (
    Beat(4, 2, "bay-1", "the dose begins", act("bay-1", wire.Dose(what="first"))),
    Beat(20, 8, "bay-1", "the dose ends", act("bay-1", wire.Dose(what="end"))),
    Beat(25, 10, "bay-2", "saturation falls", lambda stack, _: stack.patient("bay-2").set(spo2_pct=81.0, over_s=4)),
    Beat(40, 12, "bay-1", "staff look: awake, steady, no nausea", act("bay-1", ALL_WELL)),
    Beat(55, 14, "bay-4", "the finger probe comes off", lambda stack, _: stack.patient("bay-4").set(finger_on=0)),
    Beat(58, 32, "bay-2", "saturation recovers", lambda stack, _: stack.patient("bay-2").set(spo2_pct=97.0, over_s=4)),
    Beat(60, 15, "bay-1", "the escort arrives", act("bay-1", wire.Observe(escort=True))),
    Beat(90, 40, "bay-4", "the probe is put back", lambda stack, _: stack.patient("bay-4").set(finger_on=1)),
    Beat(100, 52, "bay-5", "the board stops answering", lambda stack, _: stack.boards["bay-5"].pause()),
    Beat(105, 54, "bay-6", "the board loses power", lambda stack, _: stack.boards["bay-6"].kill()),
    Beat(140, 70, "bay-5", "the board answers again", lambda stack, _: stack.boards["bay-5"].resume()),
)


def patients(stack: Stack) -> None:
    """How the six are at the beginning; one has a high pressure already."""
    for number, chair in enumerate(stack.boards):
        stack.patient(chair).set(
            spo2_pct=97.0 + number % 3 * 0.7, pulse_bpm=64.0 + 4 * number, sys_mmhg=122.0, dia_mmhg=79.0
        )
    stack.patient("bay-3").set(sys_mmhg=191.0, dia_mmhg=114.0, pulse_bpm=92.0)


def start(chair: str) -> wire.Start:
    return wire.Start(protocol="demo", alias=ALIASES[chair], baseline_sys_mmhg=122.0, baseline_dia_mmhg=79.0)


def raised(watch: Watch, chair: str, rule: str) -> bool:
    return any(a.chair == chair and a.rule == rule and a.what == "raised" for a in watch.alarms)


def over(watch: Watch, chair: str, rule: str) -> bool:
    """Raised, and later back to normal or latched."""
    conditions = [a.to_condition for a in watch.alarms if a.chair == chair and a.rule == rule]
    return bool(conditions) and conditions[-1] in ("normal", "latched")


EXPECTED = (
    Expected("bay-1 stays calm", lambda w: not any(a.chair == "bay-1" for a in w.alarms)),
    Expected("bay-1 meets the criteria", lambda w: ("bay-1", "CRITERIA_MET") in w.readiness),
    Expected("bay-1 is signed off", lambda w: ("bay-1", "SIGNED_OFF") in w.readiness),
    Expected("bay-1 goes home with an escort", lambda w: ("bay-1", "DISCHARGED") in w.readiness),
    Expected("bay-2 desaturates: alarm", lambda w: raised(w, "bay-2", "spo2_low")),
    Expected("bay-2 recovers: alarm over", lambda w: over(w, "bay-2", "spo2_low")),
    Expected("bay-3 has a high pressure: alarm", lambda w: raised(w, "bay-3", "sys_high")),
    Expected("bay-4 loses the probe: alarm", lambda w: raised(w, "bay-4", "finger_off")),
    Expected("bay-4 has it back: alarm over", lambda w: over(w, "bay-4", "finger_off")),
    Expected("bay-5 falls silent: alarm", lambda w: raised(w, "bay-5", "silence")),
    Expected("bay-5 is back: alarm over", lambda w: over(w, "bay-5", "silence")),
    Expected("bay-6 loses power: alarm", lambda w: raised(w, "bay-6", "silence")),
    Expected("bay-6 stays lost", lambda w: not over(w, "bay-6", "silence")),
)
