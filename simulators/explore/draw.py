"""A stay by chance: a patient, staff who do things in every order, and faults; the same seed draws the same.

Most of what is drawn lies near the numbers that a protocol names, because that is where mistakes are.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from gateway.core.protocol import Protocol
from simulators.clinic import known
from simulators.clinic.faults import MENU
from simulators.clinic.invariants import INVARIANTS
from simulators.clinic.model import MODELLED
from simulators.clinic.scenario import At, Change, Expect, Scenario, Sees

FIRMWARE_EACH = 20
"""Every so manyth seed runs the real firmware; the others a model of a board."""
MODEL_S = (120, 300)
FIRMWARE_S = (120, 180)
HAPPENINGS = (6, 26)
FIRMWARE_HAPPENINGS = (4, 9)
NOT_WITH_FIRMWARE = {"wrong part", "clock drift", "brownouts", "dns loss", "bus hangs", "samples lost"}
"""They restart the board or slow it down so that a short stay sees nothing else; each has a test of its own."""
OF_THE_CUFF = {
    "cuff off", "leak", "kink", "pump dead", "pump runs on", "dump valve stuck shut", "dump valve stuck open",
    "bleed valve blocked", "pressure sensor frozen", "pressure drift", "pressure chip silent", "bus stuck",
}  # fmt: skip
EXPLORED = ("demo", "demo", "demo", "iv-ketamine", "esketamine", "im-ketamine")


def stay(seed: int) -> Scenario:
    """The stay of a seed."""
    chance = random.Random(seed)
    firmware = seed % FIRMWARE_EACH == 0
    name = chance.choice(EXPLORED)
    protocol = known.by_name()[name]
    lasts_s = chance.randint(*(FIRMWARE_S if firmware else MODEL_S))
    happenings = chance.randint(*(FIRMWARE_HAPPENINGS if firmware else HAPPENINGS))
    menu = sorted(set(MENU) - NOT_WITH_FIRMWARE) if firmware else list(MODELLED)
    if chance.random() < 0.25:
        menu = []  # nothing breaks: what truly is must ring, and nothing else
    at = _backbone(chance, lasts_s) + [_happening(chance, protocol, menu, lasts_s) for _ in range(happenings)]
    if firmware:
        # Two faults of one cuff are more than its protection has to bear.
        cuff = [one for one in at if one.fault in OF_THE_CUFF]
        at = [one for one in at if one not in cuff[1:]]
    at.sort(key=lambda one: one.at_s)
    return Scenario(
        title=f"Stay {seed}",
        story="Drawn by chance.",
        protocol=name,
        duration=f"{lasts_s} s",
        board="firmware" if firmware else "model",
        seed=seed,
        at=at,
        expect=[Expect(invariant=invariant) for invariant in INVARIANTS],
        cuff_on_probe_arm=chance.random() < 0.2,
    )


def _time(chance: random.Random, first_s: float, last_s: float) -> str:
    return f"{round(chance.uniform(first_s, last_s), 1):g} s"


def _backbone(chance: random.Random, lasts_s: float) -> list[At]:
    """What staff do in an ordinary stay, as far as they get; a few have none."""
    if chance.random() < 0.08:
        return []
    begins_s = chance.uniform(5, 25)
    baseline = None if chance.random() < 0.1 else "122/79 mmHg"
    at = [At(time=f"{begins_s:.1f} s", staff="start", baseline=baseline)]
    times = sorted(chance.uniform(begins_s + 2, lasts_s - 1) for _ in range(5))
    well = Sees(moaas=5, dissociation=False, nausea=0, gait="steady", oriented=True, escort=True)
    steps: list[At] = [
        At(time="0 s", staff="first dose"),
        At(time="0 s", staff="end of dose"),
        At(time="0 s", staff="observe", sees=well),
        At(time="0 s", staff="sign off"),
        At(time="0 s", staff="discharge"),
    ]
    if chance.random() < 0.5:
        # Dose and observation early, so that the criteria can be met within the stay.
        times[:3] = sorted(chance.uniform(begins_s + 2, begins_s + 30) for _ in range(3))
    return at + [_at(step, time_s) for step, time_s in zip(steps, times, strict=True)][: chance.randint(0, 5)]


def _at(step: At, time_s: float) -> At:
    return At(time=f"{time_s:.1f} s", staff=step.staff, sees=step.sees)


def _happening(chance: random.Random, protocol: Protocol, menu: list[str], lasts_s: float) -> At:
    kinds: list[tuple[float, Callable[[], At]]] = [
        (6, lambda: _patient(chance, protocol, lasts_s)),
        (4 if menu else 0, lambda: _fault(chance, menu, lasts_s)),
        (5, lambda: _staff(chance, lasts_s)),
        (0.5, lambda: At(time=_time(chance, 5, lasts_s - 1), button="call")),
    ]
    draw = chance.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
    return draw()


def _patient(chance: random.Random, protocol: Protocol, lasts_s: float) -> At:
    """One value goes beside a limit of the protocol, far beyond it, or back to where it is calm."""
    what = chance.choice(("spo2", "spo2", "pulse", "pressure", "perfusion"))
    over = chance.choice((None, None, _time(chance, 1, 30)))
    if what == "perfusion":
        change = Change(perfusion=chance.choice(("0.05 %", "0.4 %", "2 %")), over=over)
    elif what == "spo2":
        change = Change(spo2=f"{min(100, _near(chance, protocol, 'spo2_pct', (97, 60))):g} %", over=over)
    elif what == "pulse":
        change = Change(pulse=f"{_near(chance, protocol, 'pulse_bpm', (72, 30, 170)):g} /min", over=over)
    else:
        sys_mmhg = _near(chance, protocol, "sys_mmhg", (122, 70, 162, 205, 285))
        dia_mmhg = min(sys_mmhg - 20, _near(chance, protocol, "dia_mmhg", (79, sys_mmhg * 0.62)))
        change = Change(pressure=f"{sys_mmhg:.0f}/{dia_mmhg:.0f} mmHg", over=over)
    return At(time=_time(chance, 1, lasts_s - 1), patient=change)


def _near(chance: random.Random, protocol: Protocol, measure: str, others: tuple[float, ...]) -> float:
    limits = [tier.limit for rule in protocol.rules if rule.measure == measure for tier in rule.tiers]
    if limits and chance.random() < 0.6:
        return round(chance.choice(limits) + chance.choice((-4, -1.5, -0.5, 0, 0.5, 1.5, 4)), 1)
    return chance.choice(others)


def _fault(chance: random.Random, menu: list[str], lasts_s: float) -> At:
    name = chance.choice(menu)
    at = _time(chance, 1, lasts_s - 2)
    # Half are short: a crash or a gap of a moment is where timers are lost.
    return At(time=at, fault=name, for_=_time(chance, 0.2, 5) if chance.random() < 0.5 else _time(chance, 5, 60))


def _staff(chance: random.Random, lasts_s: float) -> At:
    at = _time(chance, 3, lasts_s - 1)
    deed = chance.choice(
        ("acknowledge",) * 5
        + ("pause audio",) * 3
        + ("observe", "observe", "measure", "sign off", "discharge", "abort", "start")
        + ("first dose", "further dose", "end of dose")
        + ("audio off", "audio off", "audio on", "away", "back", "defer")
    )
    if deed in ("away", "defer"):
        return At(time=at, staff=deed, for_=chance.choice(("60 s", "2 min", "15 min")))  # type: ignore[arg-type]
    if deed in ("audio off", "audio on"):
        return At(time=at, staff=deed, who="physician-1")  # type: ignore[arg-type]
    if deed == "observe":
        sees = Sees(
            moaas=chance.choice((None, 3, 5)),
            dissociation=chance.choice((None, False, True)),
            nausea=chance.choice((None, 0, 6)),
            gait=chance.choice((None, "unable", "help", "steady")),
            oriented=chance.choice((None, False, True)),
            escort=chance.choice((False, True)),
        )
        return At(time=at, staff="observe", sees=sees)
    if deed == "start":
        return At(time=at, staff="start", baseline="118/75 mmHg")
    return At(time=at, staff=deed)  # type: ignore[arg-type]
