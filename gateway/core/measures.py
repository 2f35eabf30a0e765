"""What the rules compare with their limits: from a reading, from a status, from time alone.

A measure that is not in the answer was not measured: its rules get no sample, so nothing clears by absence.
"""

from gateway.core.chair_state import ChairState, CuffRead, Happened, VitalsRead
from gateway.core.session import Session
from gateway.wire import Calibration, Cuff, Status

Measures = dict[str, float]
EVENT_MEASURES = ("nurse_call", "local_alarm")
"""They happen and have no end of their own: an acknowledgement ends them."""
SWITCHES = (
    *EVENT_MEASURES, "above_range", "below_range", "finger_off", "poor_signal", "seat_left", "seat_without_session",
    "board_fault", "safe_mode", "uncalibrated", "calibration_expired",
)  # fmt: skip
"""Yes or no: shown without a number."""
OWN_RULES = ("battery_low", "safe_mode", "updating")
"""Faults of a status that have a rule of their own."""


def from_vitals(read: VitalsRead, state: ChairState) -> Measures:
    record = read.record
    measures: Measures = {}
    # Each only from a quality that says something about it: a hold or a broken sensor clears nothing.
    if record.quality not in ("sensor_fault", "cuff_hold"):
        measures["finger_off"] = float(record.quality == "no_finger")
    if record.quality not in ("no_finger", "cuff_hold"):
        measures["poor_signal"] = float(record.quality != "good")
    if record.quality in ("good", "below_range"):
        measures["below_range"] = float(record.quality == "below_range")
    if record.quality == "good":
        for name in ("spo2_pct", "pulse_bpm", "resp_bpm"):
            value = getattr(record, name)
            if isinstance(value, float):
                measures[name] = value
    if record.seat != "unknown":
        measures["seat_left"] = float(record.seat == "empty")
        measures["seat_without_session"] = float(record.seat == "occupied" and state.session is None)
    if read.clock_apart_s is not None:
        measures["clock_apart_s"] = read.clock_apart_s
    return measures


def measured(cuff: Cuff) -> bool:
    """One that calls itself good and brings no pressure is as bad as a failed one."""
    return cuff.quality == "good" and isinstance(cuff.sys_mmhg, float)


def from_cuff(read: CuffRead, failures: int, session: Session | None) -> Measures:
    """A failed measurement says nothing about the pressure, unless the cuff could not reach it."""
    record = read.record
    measures: Measures = {"cuff_failures": float(failures)}
    if measured(record):
        measures["above_range"] = 0.0
    elif record.reason == "above_range":
        measures["above_range"] = 1.0
    if record.quality != "good":
        return measures
    # Of a monitor that gives one pressure alone, that one is judged.
    for name in ("sys_mmhg", "dia_mmhg", "map_mmhg"):
        value = getattr(record, name)
        if isinstance(value, float):
            measures[name] = value
    if session is not None and session.baseline is not None:
        for name, baseline in (
            ("sys", session.baseline.sys_mmhg),
            ("dia", session.baseline.dia_mmhg),
        ):
            if f"{name}_mmhg" in measures:
                measures[f"{name}_rise_mmhg"] = measures[f"{name}_mmhg"] - baseline
    return measures


def from_event(read: Happened) -> Measures:
    if read.record.kind == "local_alarm":
        return {"local_alarm": 1.0}
    if read.record.kind == "button" and read.record.name == "call":
        return {"nurse_call": 1.0}
    return {}


def from_status(status: Status) -> Measures:
    measures: Measures = {}
    if isinstance(status.faults, list):
        measures["board_fault"] = float(any(fault not in OWN_RULES for fault in status.faults))
    measures["safe_mode"] = float(status.safe_mode or "updating" in (status.faults or ()))
    if isinstance(status.calibration, Calibration):
        measures["uncalibrated"] = float(status.calibration.state == "uncalibrated")
        measures["calibration_expired"] = float(status.calibration.state == "expired")
    if isinstance(status.battery_pct, float):
        measures["battery_pct"] = status.battery_pct
    return measures


def from_time(state: ChairState, now_ms: int) -> Measures:
    """What grows while nothing comes. Only a session is owed readings."""
    session = state.session
    if session is None:
        return {}
    # From the start, also after a move: the last reading has its age until the new sensors speak.
    began_ms = session.started_mono_ms
    heard_ms = max(began_ms, state.vitals.at_mono_ms if state.vitals else began_ms)
    measures: Measures = {"vitals_age_s": max(0, now_ms - heard_ms) / 1000}
    board_ms = max(began_ms, state.heard_mono_ms if state.heard_mono_ms is not None else began_ms)
    measures["board_age_s"] = max(0, now_ms - board_ms) / 1000
    value_ms = max(began_ms, state.last_value_mono_ms if state.last_value_mono_ms is not None else began_ms)
    measures["unwatched_s"] = max(0, now_ms - value_ms) / 1000
    if state.next_cuff_mono_ms is not None:
        measures["cuff_overdue_s"] = max(0, now_ms - state.next_cuff_mono_ms) / 1000
    return measures
