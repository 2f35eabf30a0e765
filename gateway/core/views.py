"""A chair as a display and a board need it: everything with its age, nothing that could look fresher than it is."""

from msgspec import UNSET, UnsetType

from gateway import wire
from gateway.core import chair, readiness
from gateway.core.alarms import Alarm, tier_of
from gateway.core.chair_state import ChairState
from gateway.core.device import Device
from gateway.core.measures import SWITCHES
from gateway.core.protocol import RANK, Protocol, Rule, fallback
from gateway.core.session import Session


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
        phase=phase,
        phase_s=(now_ms - phase_ms) / 1000,
        level=chair.level(now),
        sound=chair.sounding(now),
        alarms=_alarms(protocol, now, now_ms),
        readiness=_readiness(protocol, now.session, now.ended, now_ms),
        vitals=_vitals(protocol, now, now_ms),
        pressure=_pressure(protocol, now, now_ms),
        cuff_next_s=_until_s(now.next_cuff_mono_ms, now_ms),
        during_outage=[
            f"{crossed.reason}{f': {crossed.value:.0f} {crossed.unit}' if crossed.unit else ''},"
            f" {(now_ms - crossed.at_mono_ms) // 1000} s ago"
            for crossed in now.outage
        ],
    )


def annunciate(protocol: Protocol, now: ChairState, *, run: str, beat: int, now_ms: int) -> wire.Annunciate:
    session = now.session
    until_s = _until_s(now.next_cuff_mono_ms, now_ms)
    return wire.Annunciate(
        run=run,
        beat=beat,
        level=chair.level(now),
        sound=chair.sounding(now),
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
    return [_alarm(rule, alarm, now_ms) for rule, alarm in shown]


def _alarm(rule: Rule, alarm: Alarm, now_ms: int) -> wire.AlarmView:
    numbered = rule.measure not in SWITCHES and alarm.sample is not None
    return wire.AlarmView(
        id=alarm.id,
        rule=rule.id,
        level=alarm.level,
        condition=alarm.condition,  # type: ignore[arg-type]
        since_s=(now_ms - alarm.raised_mono_ms) / 1000,
        reason=rule.reason,
        acknowledged_by=alarm.acknowledged_by or UNSET,
        silenced_s=_until_s(alarm.paused_until_mono_ms, now_ms),
        value=alarm.sample.value if numbered and alarm.sample else UNSET,
        limit=tier_of(rule, alarm.level).limit if numbered else UNSET,
        unit=rule.unit if numbered and rule.unit else UNSET,
    )


def _readiness(protocol: Protocol, session: Session | None, ended: Session | None, now_ms: int) -> wire.ReadinessView:
    if session is None:
        gone = ended is not None and ended.readiness == "DISCHARGED"
        return wire.ReadinessView(state="DISCHARGED" if gone else "NO_SESSION", criteria=[])
    return wire.ReadinessView(
        state=session.readiness,
        criteria=readiness.assess(protocol, session, now_ms),
        signed_off_by=session.signed_off_by or UNSET,
    )


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
