"""Times as people write them, and as they are told: in the zone of this computer, which is always named."""

import re
from datetime import UTC, datetime, timedelta

OF_DAY = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d{1,3})?))?(Z?)")


def parsed(text: str, near_ms: int) -> int:
    """UTC in ms. An ISO date with a time, or a time of day: of the last day on which it was before `near_ms` (UTC).
    Local unless a Z or an offset says otherwise. Raises ValueError."""
    wrong = f"{text!r} is no time; allowed are 14:05, 14:05:30 and 2026-03-01T14:05:30, local, or UTC with a Z behind"
    if of_day := OF_DAY.fullmatch(text.strip()):
        zone = UTC if of_day[4] else None
        near = datetime.fromtimestamp(near_ms / 1000, zone)
        second = float(of_day[3] or 0)
        try:
            at = near.replace(
                hour=int(of_day[1]), minute=int(of_day[2]), second=int(second),
                microsecond=round(second % 1 * 1e6),
            )  # fmt: skip
        except ValueError:
            raise ValueError(wrong) from None
        return _ms(at if at <= near else at - timedelta(days=1))
    try:
        return _ms(datetime.fromisoformat(text.strip()))
    except ValueError:
        raise ValueError(wrong) from None


def told(utc_ms: int) -> str:
    """The day, the time to the tenth of a second, and the zone."""
    at = datetime.fromtimestamp(utc_ms / 1000).astimezone()
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 100_000} {zone(at)}"


def clock(utc_ms: int) -> str:
    """The time of day to the tenth of a second."""
    at = datetime.fromtimestamp(utc_ms / 1000).astimezone()
    return f"{at:%H:%M:%S}.{at.microsecond // 100_000}"


def iso(utc_ms: int) -> str:
    """UTC, for programs."""
    at = datetime.fromtimestamp(utc_ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{utc_ms % 1000:03d}Z"


def zone_now() -> str:
    return zone(datetime.now().astimezone())


def zone(at: datetime) -> str:
    offset = at.strftime("%z")
    return "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:]}"


def lasted(seconds: float) -> str:
    """12.3 s, 4 min 12 s, 1 h 02 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
