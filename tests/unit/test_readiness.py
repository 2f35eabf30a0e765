"""May the patient go home? Each criterion: met, unmet, unknown; and nothing is met by what is missing."""

import pytest
from core_helpers import BEGIN_MS, DEMO, SEEN_WELL, Story, protocol, published, rows
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway import wire
from gateway.core import readiness
from gateway.core.protocol import Coverage, Criterion, Elapsed, Hold, NearBaseline, Observed, Quiet, Score
from gateway.core.readiness import held_with, loud_with
from gateway.core.session import GOOD_MINUTES_MAX, Off, Pressure, Seen, Session

DOSE_END_MS = BEGIN_MS
S = 1_000
STAY = Session(
    id="s-1",
    alias="blue",
    protocol="demo",
    started_mono_ms=BEGIN_MS - 3_600 * S,
    phase_mono_ms=DOSE_END_MS,
    baseline=Pressure(sys_mmhg=120, dia_mmhg=80, at_mono_ms=BEGIN_MS - 3_600 * S),
    first_dose_mono_ms=BEGIN_MS - 2_400 * S,
    last_dose_mono_ms=BEGIN_MS - 2_400 * S,
    dose_end_mono_ms=DOSE_END_MS,
)
NOT_DOSED = replace(STAY, first_dose_mono_ms=None, last_dose_mono_ms=None, dose_end_mono_ms=None)
ELAPSED = Elapsed(id="c", label="Time", since="dose_end", at_least_s=60)
HOLD = Hold(id="c", label="SpO2", measure="spo2_pct", at_least=94, at_most=100, hold_s=15, since="dose_end", unit="%")
NEAR = NearBaseline(
    id="c", label="Pressure", sys_within_mmhg=20, dia_within_mmhg=15, since="first_dose", age_max_s=180
)  # fmt: skip
NEAR_TWO = replace(NEAR, readings=2, spacing_s=60)
AWAKE = Observed(id="c", label="Awake", item="moaas", since="dose_end", at_least=5)
ESCORT = Observed(id="c", label="Escort", item="escort", equals=True)
QUIET = Quiet(id="c", label="Quiet", level="medium", for_s=15)


def verdict(criterion: Criterion, session: Session, after_s: float) -> str:
    """So long after the end of the dose."""
    return readiness.assess(protocol(criteria=(criterion,)), session, DOSE_END_MS + round(after_s * S))[0].verdict


def held(*good: tuple[float, float], session: Session = STAY) -> Session:
    """The session after live good saturations: (seconds after the end of the dose, percent)."""
    for after_s, spo2_pct in good:
        at_ms = DOSE_END_MS + round(after_s * S)
        session = held_with(protocol(criteria=(HOLD,)), session, {"spo2_pct": spo2_pct}, at_ms, history=False)
    return session


def each_second(until_s: int, *, since_s: int = 0, session: Session = STAY) -> Session:
    return held(*((second, 97) for second in range(since_s, until_s + 1)), session=session)


def measured(*cuffs: tuple[float, float, float], session: Session = STAY) -> Session:
    """The session with cuff readings: (seconds after the end of the dose, systolic, diastolic)."""
    made = [Pressure(sys_mmhg=s, dia_mmhg=d, at_mono_ms=DOSE_END_MS + round(at_s * S)) for at_s, s, d in cuffs]
    return replace(session, pressures=tuple(made))


def seen(item: str, value: float, at_s: float, session: Session = STAY) -> Session:
    one = Seen(value=value, at_mono_ms=DOSE_END_MS + round(at_s * S), who="A. Nurse")
    return replace(session, seen={**session.seen, item: one})


# ---- each criterion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after_s", "expected"), [(59.999, "unmet"), (60, "met")])
def test_time_since_the_dose(after_s: float, expected: str) -> None:
    """Met at its number and not a moment before."""
    assert verdict(ELAPSED, STAY, after_s) == expected


@pytest.mark.parametrize("criterion", [ELAPSED, HOLD, NEAR, AWAKE])
def test_a_clock_that_is_not_marked_is_unknown(criterion: Criterion) -> None:
    """However long everything else held."""
    session = seen("moaas", 5, 5, measured((10, 120, 80), session=each_second(60, session=NOT_DOSED)))
    assert verdict(criterion, session, 60) == "unknown"


@pytest.mark.parametrize(("until_s", "expected"), [(14, "unmet"), (15, "met")])
def test_a_hold_is_met_at_its_time(until_s: int, expected: str) -> None:
    """Counted between good values, not up to now."""
    assert verdict(HOLD, each_second(until_s), until_s) == expected
    assert verdict(HOLD, each_second(14), 16) == "unmet"


@pytest.mark.parametrize(("spo2_pct", "inside"), [(93.9, False), (94, True), (100, True)])
def test_the_ends_of_a_hold_are_inside(spo2_pct: float, inside: bool) -> None:
    """At least, at most."""
    session = held((0, spo2_pct))
    assert (session.held["c"].since_mono_ms is not None) == inside


def test_a_hold_without_vitals_is_unknown() -> None:
    """No value is not a good value."""
    assert verdict(HOLD, STAY, 60) == "unknown"


def test_a_hold_is_unknown_when_values_stop() -> None:
    """Met until the gap is over `gap_max_s`, then nobody knows."""
    session = each_second(20)
    assert verdict(HOLD, session, 25) == "met"
    assert verdict(HOLD, session, 25.001) == "unknown"


def test_a_gap_breaks_a_hold() -> None:
    """Over 5 s without a good value: the time counts anew. 5 s are no gap."""
    assert verdict(HOLD, each_second(20, since_s=16, session=held((0, 97), (10, 97))), 20) == "unmet"
    assert verdict(HOLD, held((0, 97), (5, 97), (10, 97), (15, 97)), 15) == "met"


def test_a_value_outside_breaks_a_hold() -> None:
    """For a moment is enough."""
    session = held((20.5, 93), session=each_second(20))
    assert verdict(HOLD, session, 20.5) == "unmet"
    assert verdict(HOLD, each_second(35, since_s=21, session=session), 35) == "unmet"
    assert verdict(HOLD, each_second(36, since_s=21, session=session), 36) == "met"


def test_a_hold_from_before_the_clock_counts_from_the_clock() -> None:
    """An hour of good values while the dose ran is no recovery."""
    session = held((-3, 97), (-1, 97))
    assert verdict(HOLD, each_second(14, session=session), 14) == "unmet"
    assert verdict(HOLD, each_second(15, session=session), 15) == "met"


def test_a_value_from_before_the_clock_meets_nothing() -> None:
    """Also when no time is asked for."""
    assert verdict(replace(HOLD, hold_s=0), held((-1, 97)), 1) == "unknown"


def test_history_breaks_a_hold() -> None:
    """A late value outside counts at the time it was true: the hold began after it."""
    session = held_with(
        protocol(criteria=(HOLD,)), each_second(20), {"spo2_pct": 80}, DOSE_END_MS + 12 * S, history=True
    )
    assert verdict(HOLD, session, 20) == "unmet"
    assert verdict(HOLD, each_second(27, since_s=21, session=session), 27) == "met"


def test_history_cannot_build_a_hold() -> None:
    """Late values inside neither begin one, nor prolong one, nor fill its gap."""
    criteria = protocol(criteria=(HOLD,))
    begun = STAY
    for second in range(30):
        begun = held_with(criteria, begun, {"spo2_pct": 97}, DOSE_END_MS + second * S, history=True)
    assert verdict(HOLD, begun, 30) == "unknown"
    gap = each_second(5)
    for second in range(6, 20):
        gap = held_with(criteria, gap, {"spo2_pct": 97}, DOSE_END_MS + second * S, history=True)
    assert verdict(HOLD, each_second(22, since_s=20, session=gap), 22) == "unmet"


@pytest.mark.parametrize(
    ("sys_mmhg", "dia_mmhg", "expected"),
    [(140, 95, "met"), (100, 65, "met"), (140.1, 95, "unmet"), (99.9, 80, "unmet"), (120, 95.1, "unmet")],
)
def test_pressure_near_baseline_at_its_distance(sys_mmhg: float, dia_mmhg: float, expected: str) -> None:
    """Both, and below the baseline as well as above."""
    assert verdict(NEAR, measured((10, sys_mmhg, dia_mmhg)), 20) == expected


@pytest.mark.parametrize(
    ("session", "why"),
    [
        (STAY, "no reading"),
        (replace(measured((10, 120, 80)), baseline=None), "no baseline"),
        (measured((9, 120, 80), session=replace(STAY, first_dose_mono_ms=DOSE_END_MS + 10 * S)), "one from before it"),
        (measured((-161, 120, 80)), "a reading over its age"),
    ],
)
def test_pressure_that_is_not_known_is_not_near(session: Session, why: str) -> None:
    """Unknown, whatever is missing."""
    assert verdict(NEAR, session, 20) == "unknown", why


def test_an_old_cuff_reading_is_unknown() -> None:
    """At its greatest age it still counts."""
    assert verdict(NEAR, measured((10, 120, 80)), 190) == "met"
    assert verdict(NEAR, measured((10, 120, 80)), 190.001) == "unknown"


@pytest.mark.parametrize(
    ("cuffs", "expected"),
    [
        (((10, 120, 80),), "unknown"),
        (((10, 120, 80), (69, 120, 80)), "unmet"),
        (((10, 120, 80), (70, 120, 80)), "met"),
        (((10, 180, 80), (70, 120, 80)), "unmet"),
        (((0, 180, 80), (60, 120, 80), (120, 120, 80)), "met"),
    ],
)
def test_two_readings_apart(cuffs: tuple[tuple[float, float, float], ...], expected: str) -> None:
    """The last two count, each near the baseline, and not one measured twice in a row."""
    assert verdict(NEAR_TWO, measured(*cuffs), 125) == expected


@pytest.mark.parametrize(("value", "expected"), [(5, "met"), (4, "unmet")])
def test_an_observation_against_its_limit(value: float, expected: str) -> None:
    """MOAA/S 5 is awake, 4 is sedation."""
    assert verdict(AWAKE, seen("moaas", value, 1), 2) == expected


@pytest.mark.parametrize("session", [STAY, seen("moaas", 5, -0.001), seen("nausea", 5, 1)])
def test_an_observation_from_before_the_end_of_the_dose_is_unknown(session: Session) -> None:
    """Nor is one that was not made, nor another one."""
    assert verdict(AWAKE, session, 60) == "unknown"


@pytest.mark.parametrize("value", [5, 4])
def test_an_observation_of_long_ago_is_unknown(value: float) -> None:
    """Whatever it was, good or bad; what to do is said with its age. Half an hour where the criterion does not say."""
    session = seen("moaas", value, 0)
    assert verdict(AWAKE, session, 1_800) == ("met" if value == 5 else "unmet")
    assert verdict(AWAKE, session, 1_800.001) == "unknown"
    soon = replace(AWAKE, age_max_s=60)
    assert verdict(soon, session, 60) != "unknown"
    assert verdict(soon, session, 60.001) == "unknown"
    [view] = readiness.assess(protocol(criteria=(AWAKE,)), session, DOSE_END_MS + 2_520 * S)
    assert view.detail == "observe again: seen 42 min ago, counts for 30 min"


def test_an_observation_from_before_the_computer_was_off_is_unknown() -> None:
    """Nobody knows how old it is; one made since then counts."""
    off = replace(STAY, off=Off(until_mono_ms=DOSE_END_MS + 10 * S))
    assert verdict(AWAKE, seen("moaas", 5, 10, off), 20) == "unknown"
    assert verdict(AWAKE, seen("moaas", 5, 10.001, off), 20) == "met"
    padss = replace(scored(**GOOD_PADSS), off=Off(until_mono_ms=DOSE_END_MS + 1 * S))
    assert verdict(PADSS, padss, 20) == "unknown"


def test_readiness_is_revoked_in_the_moment_in_which_an_observation_is_too_old() -> None:
    """By time alone, without a reading or an action, and with the reason; looking again meets it again."""
    criteria = (replace(AWAKE, id="awake", age_max_s=60),)
    story = Story(protocol=protocol(criteria=criteria))
    story.starts()
    story.doses("first", "end")
    story.does(SEEN_WELL)
    assert story.session().readiness == "CRITERIA_MET"
    assert story.does(wire.SignOff()).ok
    assert not rows(story.watched(60), "readiness")
    told = rows(story.passes(0.1), "readiness")
    [overall] = [row.fields for row in told if row.tags["criterion"] == "overall"]
    assert overall["state"] == "NOT_READY"
    assert "observe again: seen 60 s ago" in str(overall["detail"])
    assert story.session().signed_off_by == ""
    story.does(SEEN_WELL)
    assert story.session().readiness == "CRITERIA_MET"


def test_an_escort_may_be_there_from_the_beginning() -> None:
    """Without a clock it counts from the session's start; a no is a no."""
    assert verdict(ESCORT, seen("escort", 1, -1_700), 1) == "met"
    assert verdict(ESCORT, seen("escort", 0, -1_700), 1) == "unmet"
    assert verdict(ESCORT, STAY, 1) == "unknown"


@pytest.mark.parametrize(
    ("level", "after_s", "expected"),
    [("medium", 14.999, "unmet"), ("medium", 15, "met"), ("high", 14, "unmet"), ("low", 14, "met")],
)
def test_quiet_counts_from_the_last_alarm_of_its_level(level: wire.Level, after_s: float, expected: str) -> None:
    """Or a graver one."""
    assert verdict(QUIET, loud_with(STAY, level, DOSE_END_MS), after_s) == expected


def test_quiet_counts_from_the_start_at_most() -> None:
    """A session that has just begun has not been quiet for long."""
    assert verdict(QUIET, replace(STAY, started_mono_ms=DOSE_END_MS), 14) == "unmet"


def test_a_protocol_without_criteria_is_never_ready() -> None:
    """It says nothing about anybody."""
    assert not readiness.all_met([])
    story = Story(protocol=protocol(criteria=()))
    story.starts()
    story.doses("first", "end")
    story.does(SEEN_WELL)
    story.watched(30)
    assert story.session().readiness == "NOT_READY"


@given(st.permutations(range(12)), st.integers(0, 11))
def test_ready_needs_every_criterion(order: list[int], missing: int) -> None:
    """One that is unmet or unknown is enough, wherever it stands."""
    for word in ("unmet", "unknown"):
        verdicts = [
            wire.CriterionView(id=f"c{n}", label="", verdict=word if n == missing else "met", detail="")  # type: ignore[arg-type]
            for n in order
        ]
        assert not readiness.all_met(verdicts)


# ---- a whole stay ---------------------------------------------------------------------------------------------


def test_a_stay_becomes_ready_and_says_so() -> None:
    """Every criterion met: the state is advice, and the record has a line for the whole and each criterion."""
    story = Story()
    story.becomes_ready()
    assert story.state().readiness.state == "CRITERIA_MET"
    overall = [row.fields["state"] for row in rows(story.outputs, "readiness") if row.tags["criterion"] == "overall"]
    assert overall[-1] == "CRITERIA_MET"
    met = {row.tags["criterion"] for row in rows(story.outputs, "readiness") if row.fields.get("verdict") == "met"}
    assert met == {criterion.id for criterion in DEMO.criteria}


@pytest.mark.parametrize("signed", [False, True])
def test_what_is_met_no_more_is_revoked_at_once_and_voids_the_sign_off(signed: bool) -> None:
    """With the reason; nobody has signed this."""
    story = Story()
    story.becomes_ready()
    if signed:
        assert story.does(wire.SignOff()).ok
    outputs = story.vitals(spo2_pct=90.0)
    [state] = published(wire.State, outputs)
    assert state.readiness.state == "NOT_READY"
    assert state.readiness.signed_off_by is wire.UNSET
    [overall] = [row for row in rows(outputs, "readiness") if row.tags["criterion"] == "overall"]
    assert "SpO2" in str(overall.fields["detail"])
    assert not story.does(wire.Discharge()).ok


def test_silence_revokes() -> None:
    """A patient whose board fell silent is not ready."""
    story = Story()
    story.becomes_ready()
    story.passes(6)
    assert story.session().readiness == "NOT_READY"


def test_nobody_signs_what_is_no_longer_met() -> None:
    """Also when the gateway has not ticked since the last value grew too old."""
    story = Story()
    story.becomes_ready()
    story.skips(60)
    assert not story.does(wire.SignOff()).ok
    assert story.session().readiness == "NOT_READY"


def test_time_in_which_nobody_judged_is_not_quiet() -> None:
    """A gateway that stood still while the board was silent says so before it says anything else."""
    story = Story()
    story.becomes_ready()
    story.skips(60)
    story.vitals()
    assert story.verdict("no_recent_alarm") == "unmet"


# ---- scores and completeness ----------------------------------------------------------------------------------


def scored(**values: float) -> Session:
    """Seen a second after the end of the dose, with a pressure and saturations until 20 s."""
    session = measured((10, 120, 80), session=each_second(20))
    for item, value in values.items():
        session = seen(item, value, 1, session)
    return session


PADSS = Score(id="c", label="PADSS", score="padss", at_least=9, since="dose_end", pressure_age_max_s=180)
ALDRETE = Score(id="c", label="Aldrete", score="aldrete", at_least=9, since="dose_end", pressure_age_max_s=180)
GOOD_PADSS = {"gait": 2, "nausea": 0, "pain": 0}
GOOD_ALDRETE = {"moaas": 5, "activity": 4, "breathing": 2, "oxygen": 0}


@pytest.mark.parametrize(("values", "expected"), [({}, "met"), ({"gait": 1}, "met"), ({"gait": 1, "pain": 4}, "unmet")])
def test_a_score_against_its_limit(values: dict[str, float], expected: str) -> None:
    """Ten, nine, eight of ten."""
    assert verdict(PADSS, scored(**{**GOOD_PADSS, **values}), 20) == expected


@pytest.mark.parametrize("missing", GOOD_PADSS)
def test_a_score_with_an_item_missing_is_unknown(missing: str) -> None:
    """However well all the others are; the detail says what is missing."""
    session = scored(**{item: value for item, value in GOOD_PADSS.items() if item != missing})
    [view] = readiness.assess(protocol(criteria=(PADSS,)), session, DOSE_END_MS + 20 * S)
    assert view.verdict == "unknown"
    assert missing in view.detail


def test_a_score_counts_nothing_that_is_old() -> None:
    """A pressure over its age, a saturation over its own, an observation over its own or from before the clock:
    unknown; the detail says what is to be seen again."""
    lately = replace(PADSS, observed_age_max_s=60)
    assert verdict(lately, scored(**GOOD_PADSS), 61) == "met"
    assert verdict(lately, scored(**GOOD_PADSS), 61.001) == "unknown"
    [view] = readiness.assess(protocol(criteria=(lately,)), scored(**GOOD_PADSS), DOSE_END_MS + 70 * S)
    assert view.detail.startswith("gait seen 69 s ago: observe again; nausea seen 69 s ago: observe again")
    assert verdict(ALDRETE, scored(**GOOD_ALDRETE), 80) == "met"
    assert verdict(ALDRETE, scored(**GOOD_ALDRETE), 80.001) == "unknown"
    assert verdict(PADSS, scored(**GOOD_PADSS), 190) == "met"
    assert verdict(PADSS, scored(**GOOD_PADSS), 190.001) == "unknown"
    assert verdict(PADSS, seen("gait", 2, -1, scored(nausea=0, pain=0)), 20) == "unknown"
    assert verdict(PADSS, replace(scored(**GOOD_PADSS), baseline=None), 20) == "unknown"


def test_a_screen_scores_no_answer_of_long_ago() -> None:
    """The item says so in place of its points; one that is seen again has them again. A dissociation of long ago is
    neither there nor over."""
    story = Story(protocol=protocol(observed_age_max_s=300))
    story.starts()
    story.doses("first", "end")
    story.does(replace(SEEN_WELL, dissociation=True))

    def shown() -> dict[str, tuple[object, str]]:
        scores = {one.id: one.items for one in story.state().scores}
        items = {item.id: (item.points, item.detail) for name in ("padss", "news2") for item in scores[name]}
        return {name: items[name] for name in ("gait", "consciousness")}

    story.passes(300)
    assert shown() == {"gait": (2, "steady"), "consciousness": (3, "dissociated")}
    story.passes(0.1)
    old = {"gait": (wire.UNSET, "gait seen 5 min ago: observe again"),
           "consciousness": (wire.UNSET, "MOAA/S seen 5 min ago: observe again")}  # fmt: skip
    assert shown() == old
    story.does(wire.Observe(moaas=5, oriented=True, gait="help"))
    assert shown() == {
        "gait": (1, "with help"),
        "consciousness": (wire.UNSET, "dissociation seen 5 min ago: observe again"),
    }


COVERAGE = Coverage(id="c", label="Watched", at_least_pct=90, over_s=120)
BEGUN = replace(STAY, started_mono_ms=DOSE_END_MS)
"""A session that began when these tests' clock did."""


def covered(*parts: tuple[int, int], session: Session = BEGUN) -> Session:
    """Good saturations each second from one second to another, both included."""
    for first, last in parts:
        session = held(*((second, 97) for second in range(first, last + 1)), session=session)
    return session


@pytest.mark.parametrize(
    ("parts", "at_s", "expected"),
    [
        ([(1, 120)], 120, "met"),
        ([(1, 119)], 119.9, "unmet"),  # nobody knows two minutes of a session that is younger
        ([(1, 100), (110, 120)], 120, "met"),
        ([(1, 100), (120, 120)], 120, "unmet"),
        ([(1, 120)], 133, "met"),
        ([(1, 120)], 135, "unmet"),  # 13 s and more without a value, of two minutes and what has begun of the third
        ([], 300, "unmet"),
    ],
)
def test_the_share_of_good_seconds(parts: list[tuple[int, int]], at_s: float, expected: str) -> None:
    """What is missing was not watched; the number is never rounded up."""
    assert verdict(COVERAGE, covered(*parts), at_s) == expected


def test_what_came_late_was_not_watched() -> None:
    """A record that fills the gap in the journal fills none here."""
    session = covered((1, 60))
    for second in range(61, 121):
        session = held_with(protocol(), session, {"spo2_pct": 97}, DOSE_END_MS + second * S, history=True)
    assert verdict(COVERAGE, session, 120) == "unmet"


def test_a_day_of_minutes_is_not_kept() -> None:
    """Only as many as the longest window needs."""
    session = BEGUN
    for minute in range(200):
        session = held((minute * 60, 97), session=session)
    assert len(session.good_ms) == GOOD_MINUTES_MAX


# ---- when it was first reached --------------------------------------------------------------------------------


def reached(criteria: tuple[Criterion, ...], *steps: tuple[float, Session]) -> Session:
    """What is remembered after readiness was followed at these seconds, each with what was known then."""
    session = steps[0][1]
    for after_s, known in steps:
        kept = {
            "readiness": session.readiness,
            "verdicts": session.verdicts,
            "first_met_mono_ms": session.first_met_mono_ms,
            "first_met_but_time_mono_ms": session.first_met_but_time_mono_ms,
        }
        session, _ = readiness.follow(
            protocol(criteria=criteria), replace(known, **kept), DOSE_END_MS + round(after_s * S)
        )
    return session


def test_when_the_criteria_were_first_met_is_kept() -> None:
    """Also when they are met no more, and met again; and when they would have been, had there been no time to wait."""
    well, unwell = seen("moaas", 5, 1), seen("moaas", 4, 1)
    session = reached((ELAPSED, AWAKE), (5, unwell), (10, well), (59, well), (60, well), (70, unwell), (80, well))
    assert session.first_met_but_time_mono_ms == DOSE_END_MS + 10 * S
    assert session.first_met_mono_ms == DOSE_END_MS + 60 * S


def test_time_alone_is_no_other_criterion() -> None:
    """A protocol that only waits never was ready but for the time."""
    session = reached((ELAPSED,), (60, STAY))
    assert (session.first_met_but_time_mono_ms, session.first_met_mono_ms) == (None, DOSE_END_MS + 60 * S)


def test_the_screen_says_how_long_ago_and_after_the_first_dose() -> None:
    """Minutes when ready had there been no minimum are on the form of a stay."""
    story = Story()
    story.becomes_ready()
    story.watched(5)
    view = story.state().readiness
    assert isinstance(view.first_met, wire.ReachedView)
    assert isinstance(view.first_met_but_time, wire.ReachedView)
    assert 5 <= view.first_met.ago_s <= view.first_met_but_time.ago_s
    assert view.first_met_but_time.after_first_dose_s == pytest.approx(20, abs=20)


def test_a_gateway_that_comes_back_shows_no_readiness_that_it_has_not_judged() -> None:
    """The first thing it says, before its first tick."""
    story = Story()
    story.becomes_ready()
    story.does(wire.SignOff())
    back = story.crashed(mono_ms=60_000)
    assert back.state().readiness.state == "NOT_READY"
