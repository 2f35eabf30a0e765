"""Every measurement, its tags, and each field with type, unit and meaning."""

from typing import Literal

from msgspec import Struct

PLACE = ("site", "chair", "device")
UNITS = {
    "pct": "%", "bpm": "/min", "mmhg": "mmHg", "ms": "ms", "s": "s", "bytes": "bytes", "dbm": "dBm", "minutes": "min",
}  # fmt: skip
"""Units end names."""


class Field(Struct, frozen=True):
    name: str
    meaning: str
    kind: Literal["float", "string"]
    unit: str = ""


class Measurement(Struct, frozen=True):
    name: str
    row: str
    """What one row is."""
    tags: tuple[str, ...]
    fields: tuple[Field, ...]


def _number(name: str, meaning: str, unit: str = "") -> Field:
    return Field(name, meaning, "float", unit or UNITS.get(name.rpartition("_")[2], "1"))


def _flag(name: str, meaning: str) -> Field:
    return _number(name, meaning, "0, 1")


def _word(name: str, meaning: str) -> Field:
    return Field(name, meaning, "string")


_SESSION = _word("session", "the stay that it belongs to; empty: none")
_BOOT = _word("boot", "which start of the board made it")
_SEQ = _number("seq", "the record's number in that start, from 1")
_RANK = _number(
    "rank", "the chair's alarm level when the record was judged: 0 none, 1 low, 2 medium, 3 high", unit="0 to 3"
)
_DELAYS = (
    _number("delay_ms", "from the sensor to the gateway"),
    _number("late_ms", "the same, of a record that was sent again. One with neither was of unknown time, not judged"),
)
_WHO = _word("who", "who did it, by the name that the clinic uses")
_DO = _word("do", "the staff action as it was asked for (JSON), at the first row that it made: what a replay needs")

SCHEMA = (
    Measurement(
        "vitals",
        "a vitals record of a board, each second",
        PLACE,
        (
            _number("spo2_pct", "oxygen saturation"),
            _number("pulse_bpm", "pulse rate"),
            _number("pi_pct", "perfusion index"),
            _number("resp_bpm", "breathing rate"),
            _number("sqi_pct", "signal quality, in every record"),
            _number("ratio", "ratio of ratios: what the oximeter's calibration is made from"),
            _number("cuff_mmhg", "pressure in the cuff while the reading was made"),
            _RANK,
            *_DELAYS,
            _number("clock_apart_s", "how far the board's UTC was from the gateway's"),
            _SEQ,
            _word("quality", "`good`, or why there is no value"),
            _word("cuff", "phase of the cuff while the reading was made"),
            _word("seat", "`occupied`, `empty` or `unknown`"),
            _BOOT,
            _SESSION,
        ),
    ),
    Measurement(
        "cuff",
        "a cuff measurement, finished or failed",
        PLACE,
        (
            _number("sys_mmhg", "systolic pressure"),
            _number("dia_mmhg", "diastolic pressure"),
            _number("map_mmhg", "mean pressure"),
            _number("pulse_bpm", "pulse rate during the measurement"),
            _number("duration_ms", "how long it took"),
            _RANK,
            *_DELAYS,
            _SEQ,
            _word("quality", "`good` or `failed`"),
            _word("reason", "why it failed"),
            _word("trigger", "`schedule`, `command`, `repeat` or `button`"),
            _BOOT,
            _SESSION,
        ),
    ),
    Measurement(
        "alarm",
        "a change of an alarm",
        (*PLACE, "rule", "priority"),
        (
            _number(
                "rank",
                "the alarm's level: 0 none, 1 low, 2 medium, 3 high; whether it is over says `state`",
                unit="0 to 3",
            ),
            _number("value", "what crossed the limit; a switch (probe off) has none", unit="the rule's"),
            _number("limit", "the limit of that level", unit="the rule's"),
            _number("sensor_delay_ms", "from the sensor to the gateway, of the reading that counted"),
            _number("condition_delay_ms", "from the event to the alarm's condition"),
            _number("signal_delay_ms", "from the condition to its signal"),
            _number("lasted_ms", "from its raise to this change, up to the end of its presence"),
            _flag("attended", "written at that end: 1 if somebody had acknowledged it"),
            _word("id", "a function of session, rule and the record that began it: the same after a restart"),
            _word("state", "`active`, `clearing`, `latched` or `normal`"),
            _word("what", "what happened to it: `raised`, `level`, `acknowledged`, `cleared` and so on"),
            _word("reason", "the rule in words"),
            _WHO,
            _DO,
            _SESSION,
        ),
    ),
    Measurement(
        "readiness",
        "a changed verdict: one row for each criterion, and one called `overall`",
        (*PLACE, "criterion"),
        (
            _number("score", "1 met, 0 not met, −1 unknown. Unknown is not ready", unit="−1, 0, 1"),
            _word("verdict", "`met`, `unmet` or `unknown`, of a criterion"),
            _word("detail", "the number, or what is missing"),
            _word("state", "of `overall`: `NOT_READY`, `CRITERIA_MET`, `SIGNED_OFF`, `DISCHARGED`"),
            _WHO,
            _DO,
            _SESSION,
        ),
    ),
    Measurement(
        "session",
        "something staff did, or a board's answer to a command",
        PLACE,
        (
            _number("baseline_sys_mmhg", "baseline that was typed, systolic"),
            _number("baseline_dia_mmhg", "baseline that was typed, diastolic"),
            _number("moaas", "MOAA/S: 5 awake to 0 none", unit="0 to 5"),
            _number("cadss", "CADSS", unit="0 to 92"),
            _flag("dissociation", "dissociated, by the score or as seen"),
            _number("nausea", "nausea", unit="0 to 10"),
            _number("pain", "pain", unit="0 to 10"),
            _number("gait", "2 steady, 1 with help, 0 unable", unit="0 to 2"),
            _flag("oriented", "oriented"),
            _flag("escort", "the escort is here"),
            _number("activity", "limbs that move when asked to", unit="0, 2, 4"),
            _number("breathing", "2 deep, 1 limited, 0 apnoea", unit="0 to 2"),
            _flag("oxygen", "breathes oxygen"),
            _number("minutes", "for how long the patient is away, or the cuff put off"),
            _number("minutes_ago", "how long before this row the dose was", unit="min"),
            _word("what", "what was done"),
            _WHO,
            _word("alias", "the short name that staff typed"),
            _word("protocol", "the protocol of the session"),
            _word("protocol_hash", "which text of it"),
            _word("why", "reason or explanation"),
            _word("note", "what staff wrote"),
            _word("entry", "the id of the entry that was corrected"),
            _word("id", "the id of the command that was answered"),
            _DO,
            _SESSION,
        ),
    ),
    Measurement(
        "device",
        "a board's start (`kind` is `status`), or one of its events",
        PLACE,
        (
            _flag("online", "it said that it is there"),
            _number("heap_free_bytes", "free memory"),
            _number("rssi_dbm", "strength of the radio"),
            _number("battery_pct", "charge"),
            _number("dropped", "records that its outbox gave up since it started"),
            _number("value", "of an event", unit="`unit`"),
            _number("limit", "of a local alarm", unit="`unit`"),
            _RANK,
            *_DELAYS,
            _number("conn", "how often it had connected since it started"),
            _number("up_ms", "time since it started"),
            _flag("safe_mode", "after three bad starts it measures nothing"),
            _SEQ,
            _word("kind", "`status`, or the event's: `start`, `button`, `fault`, `local_alarm`, `link`, `update`"),
            _word("name", "of the event"),
            _word("unit", "of `value` and `limit`"),
            _word("detail", "of the event"),
            _word("firmware", "its version"),
            _word("reset_cause", "why it started"),
            _word("calibration", "`calibrated`, `uncalibrated` or `expired`"),
            _word("calibrated_on", "the day of the calibration"),
            _word("faults", "present faults, separated by commas"),
            _BOOT,
            _SESSION,
        ),
    ),
    Measurement(
        "gateway",
        "the gateway's own state, every ten seconds",
        ("site",),
        (
            _number("received", "messages since its start"),
            _number("duplicates", "records that came again"),
            _number("gaps", "records that are missing"),
            _number("refused", "messages that it refused"),
            _number("dropped", "what its bounds dropped"),
            _number("queued", "what waits in its queues"),
            _number("devices_online", "boards that speak"),
            _number("sink_lag_s", "age of the oldest row that InfluxDB does not have"),
            _number("sink_quarantined", "rows that InfluxDB will never have"),
            _number("mono_ms", "the computer's monotonic clock at that moment: what a replay needs"),
            _flag("utc_trusted", "a time service kept the computer's UTC"),
            _word("run", "which run of the gateway"),
            _word("host_boot", "which run of its computer"),
        ),
    ),
    Measurement(
        "resolution",
        "which copy of the vitals answers for a range of so many milliseconds; in the copy by the minute alone",
        (),
        (
            _word("copy", "`autogen` (each second) or `minutes`"),
            _number("from_ms", "ranges from this width on"),
            _number("to_ms", "and below this one"),
        ),
    ),
)
MINUTES = Measurement(
    "vitals",
    "a minute of one chair, for ranges of over a day; under the retention policy `minutes` (InfluxDB 2: mapped bucket)",
    PLACE,
    (
        _number("spo2_pct", "the lowest"),
        _number("pi_pct", "the lowest"),
        _number("sqi_pct", "the lowest"),
        _number("pulse_bpm", "the mean"),
        _number("resp_bpm", "the mean"),
        _number("rank", "the gravest", unit="0 to 3"),
        _number("delay_ms", "the longest"),
        _number("delay_p50_ms", "half were no later"),
        _number("delay_p95_ms", "95 % were no later"),
        _number("records", "how many records it had"),
    ),
)
"""The copy of the vitals, made in the database: see gateway.influx_setup."""
