"""What people enter about a stay, and what follows: clocks, baseline, observations; and their corrections."""

import pytest
from core_helpers import BEGIN_MS

from gateway import wire
from gateway.core import entries
from gateway.core.session import Pressure, Session

MINUTE_MS = 60_000
NEW = Session(id="s-1", alias="blue", protocol="demo", started_mono_ms=BEGIN_MS, phase_mono_ms=BEGIN_MS)
FIRST, FURTHER, END = wire.Dose(what="first"), wire.Dose(what="further"), wire.Dose(what="end")
TYPED = wire.Baseline(sys_mmhg=120.0, dia_mmhg=80.0)
MEASURED = wire.Baseline()


def after(*facts: wire.Fact, session: Session = NEW) -> Session:
    """A session with these entered a minute apart, as entry-1, entry-2 and so on."""
    for minute, fact in enumerate(facts, 1):
        session = entries.entered(session, f"entry-{minute}", "A. Nurse", fact, BEGIN_MS + minute * MINUTE_MS)
    return session


def corrected(session: Session, entry: str, instead: wire.Fact | None, *, at_minute: float = 60) -> Session:
    action = wire.Correct(entry=entry, instead=wire.UNSET if instead is None else instead)
    return entries.corrected(
        session, f"correction-of-{entry}", "B. Nurse", action, BEGIN_MS + round(at_minute * MINUTE_MS)
    )


def measured(*cuffs: tuple[float, float, float]) -> Session:
    """A session with cuff readings: (minute, systolic, diastolic)."""
    made = [Pressure(sys_mmhg=s, dia_mmhg=d, at_mono_ms=BEGIN_MS + round(at * MINUTE_MS)) for at, s, d in cuffs]
    return Session(**{**{f: getattr(NEW, f) for f in NEW.__struct_fields__}, "pressures": tuple(made)})


# ---- doses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("doses", "phase"), [((), "before"), ((FIRST,), "dosing"), ((FIRST, END), "recovery")])
def test_a_phase_follows_the_doses(doses: tuple[wire.Dose, ...], phase: str) -> None:
    """Before, dosing, recovery."""
    assert after(*doses).phase == phase


def test_no_clock_runs_before_it_is_marked() -> None:
    """None, never zero."""
    assert [NEW.clock_ms(clock) for clock in ("first_dose", "last_dose", "dose_end")] == [None] * 3


def test_a_further_dose_takes_the_end_back() -> None:
    """What was counted from the end of the dose counts no more; the first dose stays the first."""
    session = after(FIRST, END, FURTHER)
    assert session.phase == "dosing"
    assert session.dose_end_mono_ms is None
    assert session.first_dose_mono_ms == BEGIN_MS + MINUTE_MS
    assert session.last_dose_mono_ms == session.phase_mono_ms == BEGIN_MS + 3 * MINUTE_MS


@pytest.mark.parametrize(("doses", "then"), [((), FURTHER), ((), END), ((FIRST,), FIRST), ((FIRST, END), END)])
def test_a_dose_out_of_order_is_refused(doses: tuple[wire.Dose, ...], then: wire.Dose) -> None:
    """With a reason."""
    with pytest.raises(entries.Wrong, match=r"already|before"):
        after(*doses, then)


def test_a_dose_may_be_marked_later_than_it_was_given() -> None:
    """Its clock counts from when it was given."""
    session = after(TYPED, TYPED, TYPED, wire.Dose(what="first", minutes_ago=2.5))
    assert session.first_dose_mono_ms == session.phase_mono_ms == BEGIN_MS + 90_000


def test_no_dose_is_from_before_the_session() -> None:
    """Of another patient, or a typing error."""
    assert after(wire.Dose(what="first", minutes_ago=1)).first_dose_mono_ms == BEGIN_MS
    with pytest.raises(entries.Wrong, match="had not begun"):
        after(wire.Dose(what="first", minutes_ago=1.001))


def test_doses_stay_in_the_order_in_which_they_are_marked() -> None:
    """An end that lies before the further dose would say that dosing still goes on."""
    with pytest.raises(entries.Wrong, match="before"):
        after(FIRST, FURTHER, wire.Dose(what="end", minutes_ago=1.5))


# ---- observations ---------------------------------------------------------------------------------------------


def test_an_observation_leaves_what_it_does_not_name() -> None:
    """An absent item keeps what it was, with its own time; false and zero are observations."""
    session = after(wire.Observe(moaas=5), wire.Observe(nausea=0, oriented=False, gait="help", breathing="deep"))
    assert {item: (seen.value, seen.at_mono_ms) for item, seen in session.seen.items()} == {
        "moaas": (5, BEGIN_MS + MINUTE_MS),
        "nausea": (0, BEGIN_MS + 2 * MINUTE_MS),
        "oriented": (0, BEGIN_MS + 2 * MINUTE_MS),
        "gait": (1, BEGIN_MS + 2 * MINUTE_MS),
        "breathing": (2, BEGIN_MS + 2 * MINUTE_MS),
    }


def test_an_empty_observation_is_refused() -> None:
    """Nobody may believe that something was recorded. A note alone is something."""
    with pytest.raises(entries.Wrong):
        after(wire.Observe())
    assert after(wire.Observe(note="sleeps")).seen == {}


@pytest.mark.parametrize(
    ("observed", "dissociation"),
    [
        (wire.Observe(cadss=4), 0),
        (wire.Observe(cadss=5), 1),
        (wire.Observe(cadss=5, dissociation=False), 1),
        (wire.Observe(cadss=0, dissociation=True), 1),
        (wire.Observe(dissociation=False), 0),
    ],
)
def test_a_score_over_4_is_dissociation(observed: wire.Observe, dissociation: float) -> None:
    """Whatever a yes or no beside it says; and a yes stays one."""
    assert after(observed).seen["dissociation"].value == dissociation


# ---- the baseline ---------------------------------------------------------------------------------------------


def test_a_measured_baseline_is_the_median() -> None:
    """Of the good readings of this session; how many is kept."""
    session = after(MEASURED, session=measured((0.1, 118, 76), (0.5, 150, 95), (0.9, 121, 79)))
    assert session.baseline is not None
    assert (session.baseline.sys_mmhg, session.baseline.dia_mmhg, session.baseline_readings) == (121, 79, 3)


@pytest.mark.parametrize(
    ("cuffs", "there"), [((), "are 0"), (((0.5, 120, 80),), "is 1"), (((0.5, 120, 80), (1.5, 150, 90)), "is 1")]
)
def test_one_reading_is_no_baseline(cuffs: tuple[tuple[float, float, float], ...], there: str) -> None:
    """Nor is one that was taken after the first dose; the refusal says how many there are."""
    with pytest.raises(entries.Wrong, match=there):
        after(FIRST, MEASURED, session=measured(*cuffs))


def test_the_last_baseline_counts() -> None:
    """A typed one says that it was typed."""
    session = after(MEASURED, TYPED, session=measured((0.1, 118, 76), (0.5, 150, 95)))
    assert session.baseline == Pressure(sys_mmhg=120, dia_mmhg=80, at_mono_ms=BEGIN_MS + 2 * MINUTE_MS)
    assert session.baseline_readings == 0


@pytest.mark.parametrize(
    "baseline",
    [wire.Baseline(sys_mmhg=120.0), wire.Baseline(dia_mmhg=80.0), wire.Baseline(sys_mmhg=80.0, dia_mmhg=120.0)],
)
def test_a_baseline_is_both_pressures_in_order(baseline: wire.Baseline) -> None:
    """Whoever types half of it believes that rises are watched."""
    with pytest.raises(entries.Wrong, match="baseline"):
        after(baseline)


# ---- corrections ----------------------------------------------------------------------------------------------


def test_a_correction_leaves_what_the_right_entry_would_have_left() -> None:
    """At the time of the wrong one; what was entered since stays the newer."""
    wrong = after(wire.Observe(moaas=5, gait="steady"), wire.Observe(moaas=4))
    session = corrected(wrong, "entry-1", wire.Observe(moaas=3, nausea=2))
    assert {item: (seen.value, seen.at_mono_ms - BEGIN_MS) for item, seen in session.seen.items()} == {
        "moaas": (4, 2 * MINUTE_MS),
        "nausea": (2, MINUTE_MS),
    }


def test_both_stay() -> None:
    """The wrong one with what supersedes it, the right one with who said so."""
    session = corrected(after(wire.Observe(moaas=5)), "entry-1", wire.Observe(moaas=4))
    assert [(entry.id, entry.superseded_by, entry.who) for entry in session.entries] == [
        ("entry-1", "correction-of-entry-1", "A. Nurse"),
        ("correction-of-entry-1", "", "B. Nurse"),
    ]


def test_an_entry_may_have_been_no_entry() -> None:
    """The dose of another patient."""
    session = corrected(after(wire.Observe(moaas=5), FIRST), "entry-2", None)
    assert (session.phase, session.first_dose_mono_ms) == ("before", None)
    assert len(session.entries) == 2


def test_a_dose_is_moved_to_when_it_was_given() -> None:
    """By minutes ago; without them it keeps its time."""
    session = after(FIRST, END)
    moved = corrected(session, "entry-2", wire.Dose(what="end", minutes_ago=58.5))
    assert moved.dose_end_mono_ms == BEGIN_MS + 90_000
    assert corrected(session, "entry-2", FURTHER).last_dose_mono_ms == BEGIN_MS + 2 * MINUTE_MS


@pytest.mark.parametrize(
    ("entry", "instead", "why"),
    [
        ("entry-9", None, "no such entry"),
        ("entry-1", None, "mark the first dose before"),
        ("entry-2", wire.Dose(what="end", minutes_ago=59.5), "before"),
        ("entry-2", wire.Observe(moaas=5), "another one"),
        ("entry-2", wire.Dose(what="end", minutes_ago=60.5), "had not begun"),
    ],
)
def test_a_correction_that_makes_no_sense_is_refused(entry: str, instead: wire.Fact | None, why: str) -> None:
    """With what would be wrong then."""
    with pytest.raises(entries.Wrong, match=why):
        corrected(after(FIRST, END), entry, instead)


def test_what_was_corrected_is_not_corrected_again() -> None:
    """But its correction may be."""
    session = corrected(after(wire.Observe(moaas=5)), "entry-1", wire.Observe(moaas=4))
    with pytest.raises(entries.Wrong, match="already"):
        corrected(session, "entry-1", wire.Observe(moaas=3))
    assert corrected(session, "correction-of-entry-1", wire.Observe(moaas=3)).seen["moaas"].value == 3


def test_a_first_dose_that_was_earlier_takes_readings_from_a_measured_baseline() -> None:
    """A pressure under the drug is no baseline: the correction is refused until there is another one."""
    session = measured((0.2, 118, 76), (1.5, 120, 80), (1.9, 150, 95))
    session = after(TYPED, MEASURED, FIRST, session=session)
    assert session.baseline_readings == 3
    earlier = wire.Dose(what="first", minutes_ago=58.3)
    assert corrected(session, "entry-3", earlier).baseline_readings == 2
    with pytest.raises(entries.Wrong, match="with this correction, a measured baseline needs 2"):
        corrected(session, "entry-3", wire.Dose(what="first", minutes_ago=59))


def test_a_baseline_cannot_be_corrected_to_one_that_nobody_could_enter() -> None:
    """Though a newer one counts: that may be corrected away, and none is left."""
    session = after(TYPED, TYPED)
    with pytest.raises(entries.Wrong, match="with this correction, a measured baseline needs 2"):
        corrected(session, "entry-1", MEASURED)


def test_a_first_dose_that_was_later_gives_readings_back_to_a_measured_baseline() -> None:
    """As if it had been right from the beginning."""
    session = measured((0.1, 118, 76), (0.2, 120, 80), (1.5, 126, 84))
    session = after(FIRST, MEASURED, session=session)
    assert session.baseline_readings == 2
    assert corrected(session, "entry-1", wire.Dose(what="first", minutes_ago=58)).baseline_readings == 3


def test_entries_have_a_bound() -> None:
    """The next one is refused, and nothing that is there is lost."""
    session = NEW
    for number in range(entries.ENTRIES_MAX):
        session = entries.entered(session, f"entry-{number}", "A. Nurse", wire.Observe(moaas=5), BEGIN_MS + number)
    with pytest.raises(entries.Wrong, match="all that fits"):
        entries.entered(session, "one-more", "A. Nurse", wire.Observe(moaas=4), BEGIN_MS + 9_000)
    assert len(corrected(session, "entry-0", None).entries) == entries.ENTRIES_MAX


def test_an_entry_reads_as_people_say_it() -> None:
    """For the list on the screen."""
    facts = [TYPED, MEASURED, FURTHER, wire.Observe(moaas=5, gait="help", oriented=True, note="tired")]
    assert [entries.text(fact) for fact in facts] == [
        "baseline 120/80 mmHg",
        "baseline as measured",
        "further dose",
        "moaas 5, gait help, oriented yes, tired",
    ]
