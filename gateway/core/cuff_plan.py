"""When the next automatic cuff measurement is due. The plan is the gateway's; the board mirrors it, and goes on with it
when it is alone.

A pressure over a limit and a first failed measurement are repeated after the protocol's `repeat_s`; a second failure is
an alarm, and the plan goes on. Staff may put the next one off: for a time, or while the patient is away.
"""

from msgspec.structs import replace

from gateway.core.protocol import Protocol
from gateway.core.session import Session

PUT_OFF_MAX_MS = 15 * 60_000
"""After it was due, however often it is put off."""


def after_reading(
    protocol: Protocol, session: Session, at_ms: int, now_ms: int, *, over: bool, failures: int
) -> tuple[Session, int | None]:
    """A measurement was taken at `at_ms`; `failures` in a row end with it. What was put off is over."""
    session = replace(session, cuff_due_mono_ms=None) if session.cuff_due_mono_ms is not None else session
    interval_s = protocol.cuff.interval_s(session.phase)
    if interval_s <= 0:
        return session, None
    wait_s = protocol.cuff.repeat_s if over or failures == 1 else interval_s
    due_ms = max(now_ms, at_ms + round(wait_s * 1000))
    if session.away(now_ms) and session.away_until_mono_ms is not None:
        return put_off(session, due_ms, session.away_until_mono_ms)
    return session, due_ms


def in_phase(protocol: Protocol, session: Session, due_ms: int | None, now_ms: int) -> int | None:
    """What a dose makes of it: no later than the phase asks."""
    interval_s = protocol.cuff.interval_s(session.phase)
    if interval_s <= 0:
        return None
    new_ms = now_ms + round(interval_s * 1000)
    return new_ms if due_ms is None else min(due_ms, new_ms)


def put_off(session: Session, due_ms: int, until_ms: int) -> tuple[Session, int]:
    """Not before `until_ms`, and at most so long after it was due at first."""
    first_ms = due_ms if session.cuff_due_mono_ms is None else min(due_ms, session.cuff_due_mono_ms)
    later_ms = max(due_ms, min(until_ms, first_ms + PUT_OFF_MAX_MS))
    return (session if later_ms == due_ms else replace(session, cuff_due_mono_ms=first_ms)), later_ms


def taken_up(session: Session, due_ms: int | None, now_ms: int) -> tuple[Session, int | None]:
    """The patient is back: as it was due, or at once. Until it is taken, what puts it off again counts from then."""
    if due_ms is None or session.cuff_due_mono_ms is None:
        return session, due_ms
    return session, min(due_ms, max(now_ms, session.cuff_due_mono_ms))
