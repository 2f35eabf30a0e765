"""Published scores at the ends of every item; what is missing has no points and takes the total away."""

import pytest
from msgspec.structs import replace

from gateway.core import scores
from gateway.core.scores import Known, ScoreName

BEST = Known(
    spo2_pct=97, pulse_bpm=70, resp_bpm=14, sys_mmhg=120, baseline_sys_mmhg=120, moaas=5, oriented=1, dissociation=0,
    nausea=0, pain=0, gait=2, activity=4, breathing=2, oxygen=0,
)  # fmt: skip


def points(name: ScoreName, item: str, **known: float | None) -> int | None:
    """Of one item, when nothing else is wrong."""
    return next(one.points for one in scores.score(name, replace(BEST, **known)) if one.id == item)


@pytest.mark.parametrize(
    ("item", "known", "expected"),
    [
        ("activity", {"activity": 4}, 2),
        ("activity", {"activity": 2}, 1),
        ("activity", {"activity": 0}, 0),
        ("respiration", {"breathing": 2}, 2),
        ("respiration", {"breathing": 1}, 1),
        ("respiration", {"breathing": 0}, 0),
        ("circulation", {"sys_mmhg": 144}, 2),
        ("circulation", {"sys_mmhg": 96}, 2),
        ("circulation", {"sys_mmhg": 144.1}, 1),
        ("circulation", {"sys_mmhg": 95.9}, 1),
        ("circulation", {"sys_mmhg": 179.9}, 1),
        ("circulation", {"sys_mmhg": 180}, 0),
        ("circulation", {"sys_mmhg": 60}, 0),
        ("consciousness", {"moaas": 5}, 2),
        ("consciousness", {"moaas": 4}, 1),
        ("consciousness", {"moaas": 3}, 1),
        ("consciousness", {"moaas": 2}, 0),
        ("consciousness", {"moaas": 0}, 0),
        ("saturation", {"spo2_pct": 92.1}, 2),
        ("saturation", {"spo2_pct": 92}, 1),
        ("saturation", {"spo2_pct": 90}, 1),
        ("saturation", {"spo2_pct": 89.9}, 0),
        ("saturation", {"spo2_pct": 99, "oxygen": 1}, 1),
        ("saturation", {"spo2_pct": 90, "oxygen": 1}, 1),
        ("saturation", {"spo2_pct": 89.9, "oxygen": 1}, 0),
    ],
)
def test_modified_aldrete(item: str, known: dict[str, float], expected: int) -> None:
    """Five items of 0 to 2."""
    assert points("aldrete", item, **known) == expected


@pytest.mark.parametrize(
    ("item", "known", "expected"),
    [
        ("vital_signs", {"sys_mmhg": 144}, 2),
        ("vital_signs", {"sys_mmhg": 144.1}, 1),
        ("vital_signs", {"sys_mmhg": 168}, 1),
        ("vital_signs", {"sys_mmhg": 72}, 1),
        ("vital_signs", {"sys_mmhg": 168.1}, 0),
        ("vital_signs", {"sys_mmhg": 71.9}, 0),
        ("gait", {"gait": 2}, 2),
        ("gait", {"gait": 1}, 1),
        ("gait", {"gait": 0}, 0),
        *[(item, {item: value}, had) for item in ("nausea", "pain") for value, had in [(3, 2), (4, 1), (6, 1), (7, 0)]],
        ("bleeding", {}, 2),
    ],
)
def test_padss(item: str, known: dict[str, float], expected: int) -> None:
    """Five items of 0 to 2; nobody was operated, so that bleeding is none."""
    assert points("padss", item, **known) == expected


def _stepped(item: str, measure: str, *ends: tuple[float, int]) -> list[tuple[str, dict[str, float], int]]:
    return [(item, {measure: value}, had) for value, had in ends]


@pytest.mark.parametrize(
    ("item", "known", "expected"),
    [
        *_stepped("respiration", "resp_bpm", (8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3)),
        *_stepped("saturation", "spo2_pct", (91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0), (95.5, 0), (95.4, 1)),
        *_stepped("pressure", "sys_mmhg", (90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)),
        *_stepped(
            "pulse", "pulse_bpm",
            (40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2), (131, 3),
        ),
        ("oxygen", {"oxygen": 0}, 0),
        ("oxygen", {"oxygen": 1}, 2),
        ("consciousness", {}, 0),
        ("consciousness", {"moaas": 4}, 3),
        ("consciousness", {"oriented": 0}, 3),
        ("consciousness", {"dissociation": 1}, 3),
    ],
)  # fmt: skip
def test_news2(item: str, known: dict[str, float], expected: int) -> None:
    """Scale 1; whoever is dissociated is not alert."""
    assert points("news2", item, **known) == expected


NEEDED: dict[ScoreName, dict[str, tuple[str, ...]]] = {
    "aldrete": {
        "activity": ("activity",),
        "respiration": ("breathing",),
        "circulation": ("sys_mmhg", "baseline_sys_mmhg"),
        "consciousness": ("moaas",),
        "saturation": ("spo2_pct", "oxygen"),
    },
    "padss": {
        "vital_signs": ("sys_mmhg", "baseline_sys_mmhg"), "gait": ("gait",), "nausea": ("nausea",), "pain": ("pain",),
    },
    "news2": {
        "respiration": ("resp_bpm",),
        "saturation": ("spo2_pct",),
        "oxygen": ("oxygen",),
        "pressure": ("sys_mmhg",),
        "pulse": ("pulse_bpm",),
        "consciousness": ("moaas", "oriented", "dissociation"),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "item", "missing"),
    [(name, item, one) for name, items in NEEDED.items() for item, ones in items.items() for one in ones],
)
def test_what_is_missing_has_no_points(name: ScoreName, item: str, missing: str) -> None:
    """Neither zero nor the best: the item says what is missing, and there is no total."""
    items = scores.score(name, replace(BEST, **{missing: None}))
    [without] = [one for one in items if one.id == item]
    assert without.points is None
    assert without.detail
    assert scores.total(items) is None


def test_totals() -> None:
    """Ten of ten; of NEWS2 none, for nobody measures a temperature here."""
    assert scores.total(scores.score("aldrete", BEST)) == 10
    assert scores.total(scores.score("padss", BEST)) == 10
    assert scores.total(scores.score("padss", replace(BEST, gait=1, nausea=7))) == 7
    assert [one.id for one in scores.score("news2", BEST) if one.points is None] == ["temperature"]


def test_nothing_known_scores_nothing() -> None:
    """But bleeding, which cannot be."""
    known = {name: [one.id for one in scores.score(name, Known()) if one.points is not None] for name in scores.LABELS}
    assert known == {"aldrete": [], "padss": ["bleeding"], "news2": []}
