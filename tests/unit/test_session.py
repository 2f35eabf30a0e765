"""The clocks of a stay: they begin when staff say so, in an order that makes sense."""

import pytest
from core_helpers import BEGIN_MS

from gateway import wire
from gateway.core.session import Session, begun, dosed, observed

NEW = begun(wire.Start(protocol="demo", alias="blue"), "s-1", BEGIN_MS)
assert isinstance(NEW, Session)


def after(*whats: str) -> Session:
    """A session with doses marked a minute apart."""
    session = NEW
    for minute, what in enumerate(whats, 1):
        marked = dosed(session, wire.Dose(what=what), BEGIN_MS + minute * 60_000)  # type: ignore[arg-type]
        assert isinstance(marked, Session), marked
        session = marked
    return session


@pytest.mark.parametrize(("whats", "phase"), [((), "before"), (("first",), "dosing"), (("first", "end"), "recovery")])
def test_a_phase_follows_the_doses(whats: tuple[str, ...], phase: str) -> None:
    """Before, dosing, recovery."""
    assert after(*whats).phase == phase


def test_no_clock_runs_before_it_is_marked() -> None:
    """None, never zero."""
    assert [NEW.clock_ms(clock) for clock in ("first_dose", "last_dose", "dose_end")] == [None] * 3


def test_a_further_dose_takes_the_end_back() -> None:
    """What was counted from the end of the dose counts no more; the first dose stays the first."""
    session = after("first", "end", "further")
    assert session.phase == "dosing"
    assert session.dose_end_mono_ms is None
    assert session.first_dose_mono_ms == BEGIN_MS + 60_000
    assert session.last_dose_mono_ms == BEGIN_MS + 180_000


@pytest.mark.parametrize(
    ("whats", "then"), [((), "further"), ((), "end"), (("first",), "first"), (("first", "end"), "end")]
)
def test_a_dose_out_of_order_is_refused_with_a_reason(whats: tuple[str, ...], then: str) -> None:
    """Nothing changes."""
    assert isinstance(dosed(after(*whats), wire.Dose(what=then), BEGIN_MS), str)  # type: ignore[arg-type]


def test_an_observation_leaves_what_it_does_not_name() -> None:
    """An absent item keeps what it was, with its own time; false and zero are observations."""
    session = observed(NEW, wire.Observe(moaas=5), "A. Nurse", BEGIN_MS + 1_000)
    assert isinstance(session, Session)
    session = observed(session, wire.Observe(nausea=0, dissociation=False), "B. Nurse", BEGIN_MS + 2_000)
    assert isinstance(session, Session)
    assert {item: (seen.value, seen.at_mono_ms) for item, seen in session.seen.items()} == {
        "moaas": (5, BEGIN_MS + 1_000),
        "nausea": (0, BEGIN_MS + 2_000),
        "dissociation": (0, BEGIN_MS + 2_000),
    }


def test_an_empty_observation_is_refused() -> None:
    """Nobody may believe that something was recorded."""
    assert isinstance(observed(NEW, wire.Observe(), "A. Nurse", BEGIN_MS), str)
