"""What is written down: journal rows made from records and decisions; the one place that names their fields."""

from msgspec import UNSET

from gateway import wire
from gateway.core.chair_state import AlarmChanged, ReadinessChanged, SessionMarked
from gateway.core.measures import SWITCHES
from gateway.core.outputs import Output, Publish, Row
from gateway.core.protocol import RANK

SCORE = {"met": 1.0, "unmet": 0.0, "unknown": -1.0}
QUANTITIES = {
    wire.Vitals: ("spo2_pct", "pulse_bpm", "pi_pct", "resp_bpm", "sqi_pct", "ratio", "cuff_mmhg"),
    wire.Cuff: ("sys_mmhg", "dia_mmhg", "map_mmhg", "pulse_bpm", "duration_ms"),
    wire.Event: ("value", "limit"),
}
WORDS = {
    wire.Vitals: ("quality", "cuff", "seat"),
    wire.Cuff: ("quality", "reason", "trigger"),
    wire.Event: ("kind", "name", "unit", "detail"),
}


def of_record(record: wire.Record, device: str, chair: str, session: str, at_utc_ms: int) -> Row:
    """A board's record; events are lines of the board's own measurement."""
    kind = type(record)
    fields: dict[str, float | str] = {"seq": float(record.seq), "boot": record.boot, "session": session}
    for name in QUANTITIES[kind]:
        if (value := getattr(record, name)) is not UNSET:
            fields[name] = float(value)
    for name in WORDS[kind]:
        if (word := getattr(record, name)) is not UNSET:
            fields[name] = str(word)
    return Row(
        measurement="device" if kind is wire.Event else "vitals" if kind is wire.Vitals else "cuff",
        at_ms=at_utc_ms,
        device=device,
        chair=chair,
        fields=fields,
        boot=record.boot,
        seq=record.seq,
    )


def transition(
    changed: AlarmChanged, run: str, site: str, chair: str, device: str, at_utc_ms: int
) -> wire.AlarmTransition:
    """An alarm's change as it is published; a switch (probe off) has no number to show."""
    change = changed.change
    # One that latched was over then: what becomes of it later is no part of how long it lasted.
    lasted_ms = max(0, change.at_mono_ms - change.before.raised_mono_ms) if change.before.present else UNSET
    # The alarm that ended is the one to name; one that goes on has its newest numbers.
    alarm = change.after if change.after.id else change.before
    tier = next((t for t in change.rule.tiers if t.level == alarm.level), change.rule.tiers[0])
    shown = change.rule.measure not in SWITCHES and alarm.sample is not None
    sample = change.after.sample or change.before.sample
    return wire.AlarmTransition(
        run=run,
        id=alarm.id,
        site=site,
        chair=chair,
        device=device,
        session=changed.session,
        rule=change.rule.id,
        from_condition=change.before.condition,
        to_condition=change.after.condition,
        level=alarm.level,
        reason=change.reason or change.rule.reason,
        at_ms=at_utc_ms,
        what=change.what,
        who=change.who or UNSET,
        value=sample.value if shown and sample else UNSET,
        limit=tier.limit if shown else UNSET,
        unit=change.rule.unit if shown and change.rule.unit else UNSET,
        sensor_delay_ms=max(0, sample.delay_ms) if sample else UNSET,
        condition_delay_ms=UNSET if change.condition_delay_ms is None else change.condition_delay_ms,
        signal_delay_ms=UNSET if change.signal_delay_ms is None else change.signal_delay_ms,
        lasted_ms=lasted_ms,
        acknowledged_by=change.before.acknowledged_by or UNSET,
    )


def of_transition(message: wire.AlarmTransition) -> Row:
    fields: dict[str, float | str] = {
        "id": message.id,
        "state": message.to_condition,
        "what": message.what,
        "reason": message.reason,
        "session": message.session,
        "rank": float(RANK[message.level]),
    }
    for name in ("value", "limit", "sensor_delay_ms", "condition_delay_ms", "signal_delay_ms", "lasted_ms"):
        if (value := getattr(message, name)) is not UNSET:
            fields[name] = float(value)
    if message.who is not UNSET:
        fields["who"] = str(message.who)
    if message.what in ("cleared", "latched") and message.lasted_ms is not UNSET:
        fields["attended"] = float(message.acknowledged_by is not UNSET)
    return Row(
        measurement="alarm",
        at_ms=message.at_ms,
        device=message.device,
        chair=message.chair,
        fields=fields,
        tags={"rule": message.rule, "priority": message.level},
        urgent=True,
        audit=True,
    )


def of_readiness(changed: ReadinessChanged, device: str, chair: str, at_utc_ms: int) -> list[Row]:
    """The whole as one line, and one for each criterion."""
    overall: dict[str, float | str] = {
        "state": changed.state,
        "detail": changed.reason,
        "session": changed.session,
        "score": float(changed.state != "NOT_READY"),
    }
    if changed.who:
        overall["who"] = changed.who
    lines = [("overall", overall)]
    for view in changed.criteria:
        fields: dict[str, float | str] = {
            "verdict": view.verdict,
            "detail": view.detail,
            "session": changed.session,
            "score": SCORE[view.verdict],
        }
        lines.append((view.id, fields))
    return [
        Row(
            measurement="readiness",
            at_ms=at_utc_ms,
            device=device,
            chair=chair,
            fields=fields,
            tags={"criterion": criterion},
            urgent=True,
            audit=criterion == "overall",
        )
        for criterion, fields in lines
    ]


def of_mark(marked: SessionMarked, device: str, chair: str, at_utc_ms: int) -> Row:
    fields: dict[str, float | str] = {"session": marked.session, "what": marked.what, "who": marked.who}
    return Row(
        measurement="session",
        at_ms=at_utc_ms,
        device=device,
        chair=chair,
        fields={**marked.detail, **fields},
        urgent=True,
        audit=True,
    )


def asked(outputs: list[Output], do: wire.Do, chair: str) -> list[Output]:
    """The outputs of a staff action, a line of the audit trail with the action itself, so that it can be replayed: the
    first by who asked, for time may have made others in the same step. One that was refused left no line."""
    done = any(isinstance(o, Publish) and isinstance(o.message, wire.Done) and o.message.ok for o in outputs)
    lines = [o for o in outputs if isinstance(o, Row) and o.audit and o.chair == chair]
    if done and lines:
        line = next((row for row in lines if row.fields.get("who") == do.who), lines[0])
        line.fields["do"] = wire.encode(do).decode()
    return outputs


def of_status(status: wire.Status, device: str, chair: str, at_utc_ms: int) -> Row:
    fields: dict[str, float | str] = {"kind": "status", "boot": status.boot, "online": float(status.online)}
    for name in ("conn", "up_ms", "heap_free_bytes", "rssi_dbm", "battery_pct", "dropped", "safe_mode"):
        if (value := getattr(status, name)) is not UNSET:
            fields[name] = float(value)
    for name in ("firmware", "reset_cause"):
        if (word := getattr(status, name)) is not UNSET:
            fields[name] = str(word)
    if isinstance(status.calibration, wire.Calibration):
        fields["calibration"] = status.calibration.state
        if status.calibration.made_on is not UNSET:
            fields["calibrated_on"] = str(status.calibration.made_on)
    if isinstance(status.faults, list):
        fields["faults"] = ", ".join(status.faults)
    return Row(measurement="device", at_ms=at_utc_ms, device=device, chair=chair, fields=fields)


def of_heartbeat(heartbeat: wire.Heartbeat, host_boot: str, mono_ms: int, at_utc_ms: int) -> Row:
    """Both clocks of one moment: what tells a step of UTC, or a computer that was off, from time that passed."""
    return Row(
        measurement="gateway",
        at_ms=at_utc_ms,
        device="",
        chair="",
        fields={
            "run": heartbeat.run,
            **({"host_boot": host_boot} if host_boot else {}),
            "mono_ms": float(mono_ms),
            "utc_trusted": float(heartbeat.utc_trusted),
            "received": float(heartbeat.received),
            "duplicates": float(heartbeat.duplicates),
            "gaps": float(heartbeat.gaps),
            "refused": float(sum(heartbeat.refused.values())),
            "dropped": float(sum(heartbeat.dropped.values())),
            "queued": float(sum(heartbeat.queued.values())),
            "devices_online": float(heartbeat.devices_online),
            "sink_lag_s": heartbeat.sink_lag_s,
            "sink_quarantined": float(heartbeat.sink_quarantined),
        },
    )
