"""Published scores, filled in as far as measured. What is missing has no points: it makes the score partial, never low
or high, and a total stands only when every item is known.

Sources: modified Aldrete score (Aldrete, J Clin Anesth 1995), post-anaesthetic discharge scoring system (Chung, J Clin
Anesth 1995), NEWS2 (Royal College of Physicians 2017, scale 1), CADSS (Bremner 1998). Where they leave a gap or meet a
scale of another kind, the worse points are given; each such choice stands at its line.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

ScoreName = Literal["aldrete", "padss", "news2"]
LABELS: dict[ScoreName, str] = {"aldrete": "Modified Aldrete", "padss": "PADSS", "news2": "NEWS2"}
POINTS_MAX = 2
"""Of an item of the Aldrete score and of PADSS."""
CADSS_DISSOCIATED = 4
"""A score over it is dissociation."""


class Known(Struct, frozen=True, kw_only=True):
    """What is known now; None is not known. Words have their place on their scale (2 good, 0 bad), a yes is 1."""

    spo2_pct: float | None = None
    pulse_bpm: float | None = None
    resp_bpm: float | None = None
    sys_mmhg: float | None = None
    baseline_sys_mmhg: float | None = None
    moaas: float | None = None
    oriented: float | None = None
    dissociation: float | None = None
    nausea: float | None = None
    pain: float | None = None
    gait: float | None = None
    activity: float | None = None
    breathing: float | None = None
    oxygen: float | None = None
    old: dict[str, str] = {}
    """What was seen too long ago to count, and when: "seen 42 min ago"."""


class Item(Struct, frozen=True, kw_only=True):
    """One line of a score. Without points, `detail` says what is missing."""

    id: str
    label: str
    points: int | None
    detail: str


Judged = tuple[int | None, str]


def score(name: ScoreName, known: Known) -> list[Item]:
    return [
        Item(id=id, label=label, points=points, detail=detail)
        for id, label, judge in SCORES[name]
        for points, detail in [judge(known)]
    ]


def total(items: list[Item]) -> int | None:
    """The sum, or None while an item is missing."""
    points = [item.points for item in items if item.points is not None]
    return sum(points) if len(points) == len(items) else None


# ---- modified Aldrete -----------------------------------------------------------------------------------------


def _activity(known: Known) -> Judged:
    if known.activity is None:
        return _unseen(known, "activity", "activity")
    limbs = round(known.activity)
    return (2 if limbs >= 4 else 1 if limbs >= 2 else 0), f"{limbs} limbs"


def _respiration(known: Known) -> Judged:
    if known.breathing is None:
        return _unseen(known, "breathing", "breathing")
    points = round(known.breathing)
    return points, ("apnoea", "limited", "deep")[points]


def _circulation(known: Known) -> Judged:
    """Systolic: within 20 % of the baseline, under 50 %, more."""
    return _apart(known, lambda percent: percent < 50)


def _consciousness(known: Known) -> Judged:
    """Awake, arousable on calling, not responding: who responds to prodding or pain only (MOAA/S 2 and below) does not
    respond to a call."""
    if known.moaas is None:
        return _unseen(known, "moaas", "MOAA/S")
    return (2 if known.moaas >= 5 else 1 if known.moaas >= 3 else 0), f"MOAA/S {known.moaas:g}"


def _oxygenation(known: Known) -> Judged:
    """Over 92 % on room air; 90 % with oxygen; less. On room air at 90 to 92 % oxygen would be needed: 1."""
    if known.spo2_pct is None:
        return None, "no saturation now"
    if known.oxygen is None:
        return _unseen(known, "oxygen", "oxygen or room air")
    words = f"{known.spo2_pct:.0f} % on {'oxygen' if known.oxygen else 'room air'}"
    if known.spo2_pct < 90:
        return 0, words
    return (2 if known.spo2_pct > 92 and not known.oxygen else 1), words


# ---- PADSS ----------------------------------------------------------------------------------------------------


def _vital_signs(known: Known) -> Judged:
    """Systolic: within 20 % of the baseline, to 40 %, more. A pulse has no baseline here and does not count."""
    return _apart(known, lambda percent: percent <= 40)


def _gait(known: Known) -> Judged:
    if known.gait is None:
        return _unseen(known, "gait", "gait")
    points = round(known.gait)
    return points, ("unable", "with help", "steady")[points]


def _nausea(known: Known) -> Judged:
    return _of_ten(known, "nausea", known.nausea)


def _pain(known: Known) -> Judged:
    return _of_ten(known, "pain", known.pain)


def _bleeding(known: Known) -> Judged:
    return 2, "does not apply: nothing was operated"


# ---- NEWS2 ----------------------------------------------------------------------------------------------------


def _news_respiration(known: Known) -> Judged:
    return _stepped(known.resp_bpm, "breathing rate", "/min", ((9, 3), (12, 1), (21, 0), (25, 2)), 3)


def _news_saturation(known: Known) -> Judged:
    return _stepped(known.spo2_pct, "saturation", "%", ((92, 3), (94, 2), (96, 1)), 0)


def _news_oxygen(known: Known) -> Judged:
    if known.oxygen is None:
        return _unseen(known, "oxygen", "oxygen or room air")
    return (2, "oxygen") if known.oxygen else (0, "room air")


def _news_pressure(known: Known) -> Judged:
    return _stepped(known.sys_mmhg, "pressure", "mmHg", ((91, 3), (101, 2), (111, 1), (220, 0)), 3)


def _news_pulse(known: Known) -> Judged:
    return _stepped(known.pulse_bpm, "pulse", "/min", ((41, 3), (51, 1), (91, 0), (111, 1), (131, 2)), 3)


def _news_consciousness(known: Known) -> Judged:
    """Alert, or 3; new confusion and dissociation are not alert. A dissociation that nobody has looked at lately is not
    over."""
    if known.moaas is not None and known.moaas < 5:
        return 3, f"MOAA/S {known.moaas:g}"
    if known.oriented == 0 or known.dissociation:
        return 3, "dissociated" if known.dissociation else "not oriented"
    for item, name in (("moaas", "MOAA/S"), ("oriented", "orientation"), ("dissociation", "dissociation")):
        if getattr(known, item) is None:
            return _unseen(known, item, name)
    return 0, "alert"


def _news_temperature(known: Known) -> Judged:
    return None, "not measured here"


# ---- what they share ------------------------------------------------------------------------------------------


def _apart(known: Known, moderate: Callable[[float], bool]) -> Judged:
    """2 within 20 % of the baseline, 1 where it is moderate, else 0."""
    if known.sys_mmhg is None:
        return None, "no recent pressure"
    if known.baseline_sys_mmhg is None:
        return None, "no baseline"
    percent = abs(known.sys_mmhg - known.baseline_sys_mmhg) * 100 / known.baseline_sys_mmhg
    return (2 if percent <= 20 else 1 if moderate(percent) else 0), f"systolic {percent:.0f} % from baseline"


def _unseen(known: Known, item: str, name: str) -> Judged:
    """Why what staff observe is missing."""
    return None, f"{name} {known.old[item]}: observe again" if item in known.old else f"{name} is not recorded"


def _of_ten(known: Known, item: str, value: float | None) -> Judged:
    """Minimal, moderate, severe: 0-3, 4-6, 7-10, the usual parts of a scale of ten."""
    if value is None:
        return _unseen(known, item, item)
    return (2 if value <= 3 else 1 if value <= 6 else 0), f"{value:g} of 10"


def _stepped(value: float | None, name: str, unit: str, steps: tuple[tuple[int, int], ...], above: int) -> Judged:
    """The points of the first step that the value, as it is displayed, lies below."""
    if value is None:
        return None, f"no {name} now"
    shown = round(value)
    return next((points for below, points in steps if shown < below), above), f"{shown} {unit}"


SCORES: dict[ScoreName, tuple[tuple[str, str, Callable[[Known], Judged]], ...]] = {
    "aldrete": (
        ("activity", "Activity", _activity),
        ("respiration", "Respiration", _respiration),
        ("circulation", "Circulation", _circulation),
        ("consciousness", "Consciousness", _consciousness),
        ("saturation", "Oxygen saturation", _oxygenation),
    ),
    "padss": (
        ("vital_signs", "Vital signs", _vital_signs),
        ("gait", "Ambulation", _gait),
        ("nausea", "Nausea", _nausea),
        ("pain", "Pain", _pain),
        ("bleeding", "Bleeding", _bleeding),
    ),
    "news2": (
        ("respiration", "Respiration", _news_respiration),
        ("saturation", "Oxygen saturation", _news_saturation),
        ("oxygen", "Air or oxygen", _news_oxygen),
        ("pressure", "Systolic pressure", _news_pressure),
        ("pulse", "Pulse", _news_pulse),
        ("consciousness", "Consciousness", _news_consciousness),
        ("temperature", "Temperature", _news_temperature),
    ),
}
