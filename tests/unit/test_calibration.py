"""A calibration that is too old, judged by the gateway's day."""

from datetime import UTC, date, datetime, timedelta

import pytest
from core_helpers import BOOT, Story
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway import wire
from gateway.core import calibration

NOON_MS = int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp() * 1000)


def status(made_on: object, state: str = "calibrated") -> wire.Status:
    said = wire.Calibration(state=state, made_on=made_on)  # type: ignore[arg-type]
    return wire.Status(boot=BOOT, conn=1, online=True, calibration=said)


@given(st.dates(date(1971, 1, 1), date(2200, 12, 31)))
def test_a_date_is_the_day_of_the_calendar(day: date) -> None:
    """Every date of two centuries, leap days too."""
    assert calibration._day(day.isoformat()) == (day - date(1970, 1, 1)).days


def test_it_expires_the_day_after_its_last() -> None:
    """366 days old is good, 367 is not."""
    for days, state in ((0, "calibrated"), (366, "calibrated"), (367, "expired")):
        made_on = (date(2026, 6, 1) - timedelta(days=days)).isoformat()
        judged = calibration.judged(status(made_on), NOON_MS, 366)
        assert isinstance(judged.calibration, wire.Calibration)
        assert judged.calibration.state == state


@pytest.mark.parametrize("made_on", ["", "yesterday", "2026-13-01", "2026-6-1", wire.UNSET, "2027-01-01"])
def test_a_date_that_says_nothing_changes_nothing(made_on: object) -> None:
    """A missing, misspelt or coming date is not an old one."""
    assert calibration.judged(status(made_on), NOON_MS, 366) == status(made_on)


def test_a_board_of_long_ago_is_said_on_the_wall() -> None:
    """With a trusted clock a calibration of two years ago is a low alarm; without one the day is not known."""
    for trusted in (True, False):
        story = Story()
        story.starts()
        story.engine.keep.utc_trusted = trusted
        made_on = datetime.fromtimestamp(story.utc_ms / 1000, UTC).date() - timedelta(days=800)
        story.status(faults=[], calibration=wire.Calibration(state="calibrated", made_on=made_on.isoformat()))
        shown = {view.rule for view in story.state().alarms}
        assert ("calibration_expired" in shown) == trusted


def test_an_uncalibrated_board_does_not_expire() -> None:
    """It never had one; that is another alarm."""
    bare = status("2020-01-01", "uncalibrated")
    assert calibration.judged(bare, NOON_MS, 366) == replace(bare)
