"""May the patient go home? What readiness remembers of a stay, and what follows from its criteria (`core.criteria`).

    NOT_READY ── every criterion met ──▶ CRITERIA_MET ── a person ──▶ SIGNED_OFF ── a person, an escort ──▶ DISCHARGED
        ▲                                     │                            │
        └──────── one is met no more ─────────┴────────────────────────────┘

The answer is advice; people sign. Missing or unknown is not ready.
"""

from msgspec.structs import replace

from gateway.core import criteria
from gateway.core.chair_state import ReadinessChanged
from gateway.core.protocol import RANK, Elapsed, Hold, Protocol
from gateway.core.session import GOOD_MINUTES_MAX, MINUTE_MS, Held, Latest, Session
from gateway.wire import CriterionView, Level

SPEAKS_FOR_MS = 1_500
"""A good saturation speaks for the time since the one before it, and for so long at most: they come each second."""
SCORED = ("spo2_pct", "pulse_bpm", "resp_bpm")


def assess(protocol: Protocol, session: Session, now_ms: int) -> list[CriterionView]:
    views: list[CriterionView] = []
    for criterion in protocol.criteria:
        verdict, detail = criteria.judged(criterion, session, now_ms)
        views.append(
            CriterionView(id=criterion.id, label=criterion.label, verdict=verdict, detail=detail[:200])  # type: ignore[arg-type]
        )
    return views


def all_met(verdicts: list[CriterionView]) -> bool:
    """A protocol without criteria says nothing about anybody."""
    return bool(verdicts) and all(verdict.verdict == "met" for verdict in verdicts)


def follow(protocol: Protocol, session: Session, now_ms: int) -> tuple[Session, ReadinessChanged | None]:
    """Met and revoked by themselves, signed by people only."""
    verdicts = assess(protocol, session, now_ms)
    changed = tuple(view for view in verdicts if session.verdicts.get(view.id) != view.verdict)
    met = all_met(verdicts)
    session = _reached(protocol, session, verdicts, now_ms)
    reason = ""
    if session.readiness == "NOT_READY" and met:
        session = replace(session, readiness="CRITERIA_MET")
        reason = "every criterion is met"
    elif session.readiness != "NOT_READY" and not met:
        broken = "; ".join(f"{view.label}: {view.detail}" for view in verdicts if view.verdict != "met")
        session = replace(session, readiness="NOT_READY", signed_off_by="")
        reason = f"revoked: {broken}"
    elif not changed:
        return session, None
    session = replace(session, verdicts={view.id: view.verdict for view in verdicts})
    return session, ReadinessChanged(session=session.id, state=session.readiness, reason=reason[:200], criteria=changed)


def _reached(protocol: Protocol, session: Session, verdicts: list[CriterionView], now_ms: int) -> Session:
    """Keeps when every criterion was first met, and every one but those that only ask for time to pass."""
    if session.first_met_but_time_mono_ms is None:
        pairs = zip(protocol.criteria, verdicts, strict=True)
        if all_met([view for criterion, view in pairs if not isinstance(criterion, Elapsed)]):
            session = replace(session, first_met_but_time_mono_ms=now_ms)
    if session.first_met_mono_ms is None and all_met(verdicts):
        session = replace(session, first_met_mono_ms=now_ms)
    return session


def held_with(protocol: Protocol, session: Session, values: dict[str, float], at_ms: int, *, history: bool) -> Session:
    """The session after good values at a time. History cannot build a hold, nor is it watched; but it breaks one."""
    held = dict(session.held)
    for criterion in protocol.criteria:
        if not isinstance(criterion, Hold) or criterion.measure not in values:
            continue
        value = values[criterion.measure]
        inside = criterion.at_least <= value <= criterion.at_most
        before = held.get(criterion.id)
        if history:
            if before is not None and before.since_mono_ms is not None and not inside:
                held[criterion.id] = replace(before, since_mono_ms=max(before.since_mono_ms, at_ms))
            continue
        unbroken = (
            before is not None
            and before.since_mono_ms is not None
            and at_ms - before.last_mono_ms <= criterion.gap_max_s * 1000
        )
        since_ms = (before.since_mono_ms if unbroken and before else at_ms) if inside else None
        held[criterion.id] = Held(since_mono_ms=since_ms, last_mono_ms=at_ms, value=value)
    if history:
        return replace(session, held=held)
    latest = {name: Latest(value=values[name], at_mono_ms=at_ms) for name in SCORED if name in values}
    good_ms = _good_with(session, at_ms) if "spo2_pct" in values else session.good_ms
    return replace(session, held=held, latest={**session.latest, **latest}, good_ms=good_ms)


def _good_with(session: Session, at_ms: int) -> tuple[tuple[int, int], ...]:
    """The good time of each minute with one more good saturation."""
    before = session.latest.get("spo2_pct")
    since_ms = max(0, at_ms - before.at_mono_ms) if before is not None else 1_000
    minute = max(0, at_ms - session.started_mono_ms) // MINUTE_MS
    minutes = session.good_ms
    had_ms = 0
    if minutes and minutes[-1][0] == minute:
        minutes, had_ms = minutes[:-1], minutes[-1][1]
    return (*minutes, (minute, min(MINUTE_MS, had_ms + min(since_ms, SPEAKS_FOR_MS))))[-GOOD_MINUTES_MAX:]


def loud_with(session: Session, level: Level, now_ms: int) -> Session:
    """Remembers that an alarm of this level was present now."""
    if RANK[level] == 0:
        return session
    quieter = {name: now_ms for name, rank in RANK.items() if 0 < rank <= RANK[level]}
    return replace(session, loud_mono_ms={**session.loud_mono_ms, **quieter})
