"""A session as a display needs it: readiness with when it was reached, scores, what staff entered and are asked for."""

import msgspec
from msgspec import UNSET, UnsetType

from gateway import wire
from gateway.core import criteria, entries, readiness, scores
from gateway.core.protocol import ObservationPlan, Protocol
from gateway.core.session import Entry, Session

ENTRIES_SHOWN_MAX = 24
ENTRIES_BYTES_MAX = 4_096
"""Of a state, which has a bound; notes are long."""


def of_readiness(protocol: Protocol, session: Session | None, ended: Session | None, now_ms: int) -> wire.ReadinessView:
    if session is None:
        gone = ended is not None and ended.readiness == "DISCHARGED"
        return wire.ReadinessView(state="DISCHARGED" if gone else "NO_SESSION", criteria=[])
    verdicts = readiness.assess(protocol, session, now_ms)
    return wire.ReadinessView(
        # A gateway that has just come back has not judged yet what is met no more.
        state=session.readiness if readiness.all_met(verdicts) else "NOT_READY",
        criteria=verdicts,
        signed_off_by=session.signed_off_by or UNSET,
        first_met=_reached(session, session.first_met_mono_ms, now_ms),
        first_met_but_time=_reached(session, session.first_met_but_time_mono_ms, now_ms),
    )


def of_baseline(session: Session) -> wire.BaselineView | UnsetType:
    if session.baseline is None:
        return UNSET
    return wire.BaselineView(
        sys_mmhg=session.baseline.sys_mmhg, dia_mmhg=session.baseline.dia_mmhg, readings=session.baseline_readings
    )


def of_scores(protocol: Protocol, session: Session, now_ms: int) -> list[wire.ScoreView]:
    """Of what was seen in this phase and is measured now."""
    known = criteria.known(
        session,
        session.phase_mono_ms,
        now_ms,
        pressure_age_ms=protocol.cuff.current_s(session.phase) * 1000,
        vitals_age_ms=protocol.lost_s * 1000,
        seen_age_s=protocol.observed_age_max_s,
    )
    views: list[wire.ScoreView] = []
    for name, label in scores.LABELS.items():
        items = scores.score(name, known)
        total = scores.total(items)
        views.append(
            wire.ScoreView(
                id=name,
                label=label,
                total=UNSET if total is None else total,
                items=[
                    wire.ScoreItemView(
                        id=item.id,
                        label=item.label,
                        detail=item.detail,
                        points=UNSET if item.points is None else item.points,
                    )
                    for item in items
                ],
            )
        )
    return views


def of_entries(session: Session, now_ms: int) -> list[wire.EntryView]:
    """Those that fit, the newest first by when they were true. Doses and baselines in force come before what was seen:
    who cannot see a wrong one cannot correct it."""
    newest = sorted(session.entries, key=lambda entry: entry.at_mono_ms)[::-1]
    views: dict[str, wire.EntryView] = {}
    left = ENTRIES_BYTES_MAX
    for entry in sorted(newest, key=lambda entry: not _in_force(entry))[:ENTRIES_SHOWN_MAX]:
        view = wire.EntryView(
            id=entry.id,
            who=entry.who,
            kind=entries.kind(entry.fact),
            text=entries.text(entry.fact),
            ago_s=(now_ms - entry.at_mono_ms) / 1000,
            superseded_by=entry.superseded_by or UNSET,
        )
        left -= len(msgspec.json.encode(view))
        if left < 0:
            break
        views[entry.id] = view
    return [views[entry.id] for entry in newest if entry.id in views]


def of_asks(protocol: Protocol, session: Session, now_ms: int) -> list[wire.AskView]:
    """What staff are asked to observe in this phase, the most overdue first."""
    asks = [
        wire.AskView(id=plan.id, item=plan.item, label=plan.label, due_s=(due_ms - now_ms) / 1000)
        for plan in protocol.observations
        if (due_ms := _due_ms(plan, session)) is not None
    ]
    return sorted(asks, key=lambda ask: ask.due_s)


def _in_force(entry: Entry) -> bool:
    return not entry.superseded_by and entries.kind(entry.fact) != "observe"


def _due_ms(plan: ObservationPlan, session: Session) -> int | None:
    """Once after the phase began, and again when the last answer is old."""
    if session.phase not in plan.phases:
        return None
    seen = session.seen.get(plan.item)
    if seen is None or session.of_unknown_age(seen.at_mono_ms) or seen.at_mono_ms < session.phase_mono_ms:
        return session.phase_mono_ms + round(plan.after_s * 1000)
    return seen.at_mono_ms + round(plan.every_s * 1000) if plan.every_s > 0 else None


def _reached(session: Session, at_ms: int | None, now_ms: int) -> wire.ReachedView | UnsetType:
    if at_ms is None:
        return UNSET
    dose_ms = session.first_dose_mono_ms
    return wire.ReachedView(
        ago_s=(now_ms - at_ms) / 1000, after_first_dose_s=UNSET if dose_ms is None else (at_ms - dose_ms) / 1000
    )
