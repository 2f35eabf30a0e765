"""Whether a board's calibration is too old. The gateway judges it: a board may not know what day it is."""

import re

from msgspec.structs import replace

from gateway import wire

DAY_MS = 86_400_000
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def judged(status: wire.Status, utc_ms: int, days_max: float) -> wire.Status:
    """The status, with a calibration of more than `days_max` days ago called expired. Ask only with a UTC that is
    trusted. One without a date that can be read stays what the board calls it."""
    said = status.calibration
    if not isinstance(said, wire.Calibration) or said.state != "calibrated" or not isinstance(said.made_on, str):
        return status
    made_day = _day(said.made_on)
    if made_day is None or utc_ms // DAY_MS - made_day <= days_max:
        return status
    return replace(status, calibration=replace(said, state="expired"))


def _day(date: str) -> int | None:
    """Days since 1970-01-01 of a date as YYYY-MM-DD, in the Gregorian calendar counted from March, so that a leap day
    is the last of its year."""
    found = _DATE.fullmatch(date)
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    from_march = (month + 9) % 12
    years = year - (from_march >= 10)
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * from_march + 2) // 5 + day - 1
    return days - 719_468
