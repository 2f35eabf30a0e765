"""A chair as a display and a board need it: everything with its age, nothing that could look fresher than it is."""

from msgspec import UNSET, UnsetType

from gateway import wire
from gateway.core import session_views, signal, suppression
from gateway.core.alarm import Alarm
from gateway.core.alarms import tier_of
from gateway.core.chair_state import ChairState
from gateway.core.device import Device
from gateway.core.measures import EVENT_MEASURES, SWITCHES
from gateway.core.protocol import RANK, Protocol, Rule, fallback

OF_VITALS = ("spo2_pct", "pulse_bpm", "resp_bpm", "spo2_fall_pct", "pulse_fall_bpm", "pulse_rise_bpm")


def state(
    protocol: Protocol, now: ChairState, device: Device, *, run: str, site: str, name: str, board: str, now_ms: int
) -> wire.State:
    session = now.session
    phase, phase_ms = (session.phase, session.phase_mono_ms) if session else ("idle", now_ms)
    return wire.State(
        run=run,
        site=site,
        chair=name,
        device=board,
        online=device.online(now_ms),
        session=session.id if session else "",
        alias=session.alias if session else "",
        protocol=session.protocol if session else "",
        protocol_hash=session.protocol_hash if session else "",
        phase=phase,
        phase_s=(now_ms - phase_ms) / 1000,
        level=signal.level(now),
        sound=signal.sounding(now, now_ms),
        alarms=_alarms(protocol, now, now_ms),
        readiness=session_views.of_readiness(protocol, session, now.ended, now_ms),
        vitals=_vitals(protocol, now, now_ms),
        pressure=_pressure(protocol, now, now_ms),
        cuff_next_s=_until_s(now.next_cuff_mono_ms, now_ms),
        baseline=session_views.of_baseline(session) if session else UNSET,
        away_s=_until_s(session.away_until_mono_ms, now_ms) if session and session.away(now_ms) else UNSET,
        scores=session_views.of_scores(protocol, session, now_ms) if session else [],
        asks=session_views.of_asks(protocol, session, now_ms) if session else [],
        entries=session_views.of_entries(session, now_ms) if session else [],
        during_outage=[
            f"{crossed.reason}{f': {crossed.value:.0f} {crossed.unit}' if crossed.unit else ''},"
            f" {(now_ms - crossed.at_mono_ms) // 1000} s ago"
            for crossed in now.outage
        ],
        suppressions=_suppressions(protocol, now, now_ms),
        audio_off=signal.audio_off(now),
    )


def annunciate(protocol: Protocol, now: ChairState, *, run: str, beat: int, now_ms: int) -> wire.Annunciate:
    session = now.session
    until_s = _until_s(now.next_cuff_mono_ms, now_ms)
    return wire.Annunciate(
        run=run,
        beat=beat,
        level=signal.level(now),
        sound=signal.sounding(now, now_ms),
        session=session.id if session else "",
        cuff_interval_s=round(protocol.cuff.interval_s(session.phase)) if session else 0,
        cuff_next_s=UNSET if until_s is UNSET else round(until_s),
        limits=fallback(protocol),
    )


def _alarms(protocol: Protocol, now: ChairState, now_ms: int) -> list[wire.AlarmView]:
    """Gravest first, then newest; latched ones after those that are present."""
    shown = [(rule, now.alarms[rule.id]) for rule in protocol.rules if rule.id in now.alarms]
    shown = [(rule, alarm) for rule, alarm in shown if alarm.shown]
    shown.sort(key=lambda pair: (not pair[1].present, -RANK[pair[1].level], -pair[1].raised_mono_ms))
    return [of_alarm(rule, one, now_ms, round(protocol.lost_s * 1000)) for rule, one in shown]


def of_alarm(rule: Rule, alarm: Alarm, now_ms: int, lost_ms: int) -> wire.AlarmView:
    """Without its number where that is of vitals that are lost: it would look like a value of now."""
    sample = alarm.sample
    lost = rule.measure in OF_VITALS and sample is not None and now_ms - sample.at_mono_ms > lost_ms
    numbered = rule.measure not in SWITCHES and sample is not None and not lost
    # A call that came late has its own age.
    since_ms = alarm.began_mono_ms if rule.measure in EVENT_MEASURES else alarm.raised_mono_ms
    return wire.AlarmView(
        id=alarm.id,
        rule=rule.id,
        level=alarm.level,
        condition=alarm.condition,  # type: ignore[arg-type]
        since_s=(now_ms - since_ms) / 1000,
        reason=rule.reason,
        acknowledged_by=alarm.acknowledged_by or UNSET,
        silenced_s=_until_s(alarm.paused_until_mono_ms, now_ms),
        audio_off=bool(alarm.audio_off_by),
        escalated=alarm.escalated_mono_ms is not None,
        suppressed_s=_until_s(alarm.suppressed_until_mono_ms, now_ms),
        suppressed_by=alarm.suppressed_by or UNSET,
        value=alarm.sample.value if numbered and alarm.sample else UNSET,
        limit=tier_of(rule, alarm.level).limit if numbered else UNSET,
        unit=rule.unit if numbered and rule.unit else UNSET,
    )


def _suppressions(protocol: Protocol, now: ChairState, now_ms: int) -> list[wire.SuppressionView]:
    """What suppresses now, what it keeps from signalling, and for how long at most; also before there is an alarm."""
    found = suppression.sources(protocol, now, now_ms)
    views: list[wire.SuppressionView] = []
    for name, source in found.items():
        until = {rule.id: suppression.until_ms(rule, name, source) for rule in protocol.rules}
        bounded = {rule: at_ms for rule, at_ms in until.items() if at_ms > now_ms}
        if bounded:
            left_s = (max(bounded.values()) - now_ms) / 1000
            views.append(wire.SuppressionView(by=name, reason=source.reason, rules=list(bounded), left_s=left_s))
    return views


def _vitals(protocol: Protocol, now: ChairState, now_ms: int) -> wire.VitalsView | UnsetType:
    if now.vitals is None:
        return UNSET
    record, age_ms = now.vitals.record, max(0, now_ms - now.vitals.at_mono_ms)
    live = age_ms <= protocol.live_s * 1000
    lost = age_ms > protocol.lost_s * 1000
    return wire.VitalsView(
        boot=record.boot,
        seq=record.seq,
        age_ms=age_ms,
        freshness="live" if live else "lost" if lost else "stale",
        quality=record.quality,
        # What is lost is not sent: no display can show it by mistake.
        spo2_pct=UNSET if lost else record.spo2_pct,
        pulse_bpm=UNSET if lost else record.pulse_bpm,
        pi_pct=UNSET if lost else record.pi_pct,
        cuff=record.cuff if live else "idle",
        cuff_mmhg=record.cuff_mmhg if live else UNSET,
    )


def _pressure(protocol: Protocol, now: ChairState, now_ms: int) -> wire.CuffView | UnsetType:
    if now.cuff is None:
        return UNSET
    record, age_ms = now.cuff.record, max(0, now_ms - now.cuff.at_mono_ms)
    current_s = protocol.cuff.current_s(now.session.phase) if now.session else 0
    return wire.CuffView(
        age_ms=age_ms,
        quality=record.quality,
        current=age_ms <= current_s * 1000,
        sys_mmhg=record.sys_mmhg,
        dia_mmhg=record.dia_mmhg,
        map_mmhg=record.map_mmhg,
        reason=record.reason,
    )


def _until_s(at_ms: int | None, now_ms: int) -> float | UnsetType:
    return UNSET if at_ms is None else max(0, at_ms - now_ms) / 1000
