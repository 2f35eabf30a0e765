"""What an observer at the gateway's border knows: what was measured, when it was true, when it arrived, who did what.

It is worked out from the messages alone, by what the contract says of them, and knows nothing of how the gateway works
it out. Where two answers are right because nobody can know better (a reading that arrives when it is just too old, a
number that travelled slower than others), a reading is `maybe`: it may excuse, and may not accuse. Times are
milliseconds of the chair.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from msgspec import UNSET

from gateway import wire
from gateway.core.protocol import Phase, Protocol

SLACK_MS = 400
"""A tick, a hop, and rounding."""
HOP_MS = 3
FORGOTTEN_MS = 2_500
"""A crash takes the readings since the last snapshot, which nothing was decided upon."""
CALL_AGE_MS_MAX = 600_000
OWN_FAULTS = ("battery_low", "safe_mode", "updating")
"""What a board names among its faults and what has a rule of its own."""
Certainty = Literal["live", "maybe", "history"]


@dataclass
class Reading:
    """A record with the moment at which it was true."""

    record: wire.Record
    made_ms: int
    arrived_ms: int
    certainty: Certainty


@dataclass
class Stay:
    """A session, as its staff entered it."""

    id: str
    protocol: Protocol
    started_ms: int
    baseline: tuple[float, float] | None
    first_dose_ms: int | None = None
    last_dose_ms: int | None = None
    dose_end_ms: int | None = None
    phase_ms: int = 0
    seen: dict[str, tuple[float | str, int]] = field(default_factory=dict)
    vitals: deque[Reading] = field(default_factory=lambda: deque(maxlen=4000))
    cuffs: list[Reading] = field(default_factory=list)
    put_off_ms: int | None = None
    """When staff last moved the next measurement."""
    unknown: bool = False
    """Something was done that this observer does not understand: it does not judge readiness any more."""

    @property
    def phase(self) -> Phase:
        if self.first_dose_ms is None:
            return "before"
        return "dosing" if self.dose_end_ms is None else "recovery"

    def clock_ms(self, clock: str) -> int | None:
        return {"first_dose": self.first_dose_ms, "last_dose": self.last_dose_ms, "dose_end": self.dose_end_ms}[clock]


class Facts:
    """`idle` judges an empty chair."""

    def __init__(self, protocols: dict[str, Protocol], idle: Protocol) -> None:
        self.protocols, self.idle = protocols, idle
        self.stay: Stay | None = None
        self.changed_ms = -(10**9)
        """When a phase or a session last changed, or was asked to."""
        self.entered_ms = -(10**9)
        """When staff last entered something: it is shown a moment before it is answered."""
        self.delay_ms = HOP_MS
        """The longest that a message took so far."""
        self.up_ms = 0
        self.newest_vitals_ms: int | None = None
        self.newest_cuff_ms: int | None = None
        self.newest_ms = 0
        """The newest record of any kind that was no resend."""
        self.asked: dict[str, tuple[wire.Do, int]] = {}
        self._done: set[str] = set()
        self._made: dict[tuple[str, int], int] = {}
        self._offset: dict[str, int] = {}
        self._heard: dict[tuple[str, int], int] = {}

    @property
    def protocol(self) -> Protocol:
        return self.stay.protocol if self.stay else self.idle

    @property
    def slack_ms(self) -> int:
        return SLACK_MS + self.delay_ms

    # --- boards

    def made(self, record: wire.Record, now_ms: int) -> None:
        """A board sends a record: its first sending tells when it was true."""
        key = (record.boot, record.seq)
        if not record.late:
            self._offset[record.boot] = now_ms - record.up_ms
            self._made[key] = now_ms - record.age_ms
        elif key not in self._made and record.boot in self._offset:
            self._made[key] = self._offset[record.boot] + record.up_ms - record.age_ms

    def heard(self, record: wire.Record, now_ms: int) -> Reading | None:
        """A record arrives at a gateway that runs. None for one that it has had."""
        key = (record.boot, record.seq)
        made_ms = self._made.get(key)
        if made_ms is None or key in self._heard:
            return None
        self._heard[key] = now_ms
        if not record.late:
            self.delay_ms = max(self.delay_ms, now_ms - (made_ms + record.age_ms))
            self.newest_ms = max(self.newest_ms, made_ms + record.age_ms)
        reading = Reading(record, made_ms, now_ms, self._certainty(record, made_ms, now_ms))
        if isinstance(record, wire.Vitals) and reading.certainty != "history":
            self.newest_vitals_ms = made_ms
        if isinstance(record, wire.Cuff) and reading.certainty != "history":
            self.newest_cuff_ms = made_ms
        if self.stay is not None and isinstance(record, wire.Vitals):
            self.stay.vitals.append(reading)
        elif self.stay is not None and isinstance(record, wire.Cuff):
            self.stay.cuffs.append(reading)
        return reading

    def _certainty(self, record: wire.Record, made_ms: int, now_ms: int) -> Certainty:
        age_ms = now_ms - made_ms
        if isinstance(record, wire.Vitals):
            age_ms_max = self.protocol.live_s * 1000
            newest_ms = self.newest_vitals_ms
        elif isinstance(record, wire.Cuff):
            age_ms_max = self.protocol.cuff.current_s(self.stay.phase) * 1000 if self.stay else 0
            newest_ms = self.newest_cuff_ms
        else:
            age_ms_max, newest_ms = CALL_AGE_MS_MAX, None
        begun_ms = self.stay.started_ms if self.stay else -(10**9)
        overtaken = newest_ms is not None and made_ms <= newest_ms
        # The gateway can only think it younger than it is, by the least that messages take.
        if overtaken or age_ms - self.delay_ms > age_ms_max or made_ms + self.delay_ms < begun_ms:
            return "history"
        sure = age_ms <= age_ms_max and made_ms > begun_ms + SLACK_MS
        if newest_ms is not None:
            sure = sure and made_ms > newest_ms + self.delay_ms
        return "live" if sure else "maybe"

    # --- staff

    def does(self, do: wire.Do, now_ms: int) -> None:
        """An action arrives at a gateway that runs."""
        if do.id not in self._done and self.asked.get(do.id, (do, -1))[1] < self.up_ms:
            self.asked[do.id] = (do, now_ms)
        self.entered_ms = now_ms
        if isinstance(do.action, wire.Discharge | wire.Abort | wire.Start | wire.Dose | wire.Correct):
            self.changed_ms = now_ms

    def answered(self, done: wire.Done) -> None:
        """It was done, when it was asked."""
        if not done.ok or done.id in self._done or done.id not in self.asked:
            return
        self._done.add(done.id)
        do, at_ms = self.asked[done.id]
        stay = self.stay
        match do.action:
            case wire.Start() as start:
                given = (start.baseline_sys_mmhg, start.baseline_dia_mmhg)
                baseline = given if isinstance(given[0], float) and isinstance(given[1], float) else None
                self.stay = Stay(done.session, self.protocols[start.protocol], at_ms, baseline, phase_ms=at_ms)  # type: ignore[arg-type]
                self.newest_vitals_ms = self.newest_cuff_ms = None
            case wire.Discharge() | wire.Abort():
                self.stay = None
            case wire.Dose() as dose if stay is not None:
                self._dosed(stay, dose, at_ms)
            case wire.Observe() as observe if stay is not None:
                for item in observe.__struct_fields__:
                    if (value := getattr(observe, item)) is not UNSET:
                        stay.seen[item] = (value, at_ms)
            case wire.Away() | wire.Back() | wire.Defer() if stay is not None:
                stay.put_off_ms = at_ms
            case wire.Acknowledge() | wire.PauseAudio() | wire.AudioOff() | wire.Measure() | wire.SignOff():
                pass
            case _ if stay is not None:
                stay.unknown = True

    def _dosed(self, stay: Stay, dose: wire.Dose, at_ms: int) -> None:
        if dose.what == "end":
            stay.dose_end_ms = at_ms
        else:
            stay.first_dose_ms = at_ms if stay.first_dose_ms is None else stay.first_dose_ms
            stay.last_dose_ms, stay.dose_end_ms = at_ms, None
        stay.phase_ms = self.changed_ms = at_ms

    def crashed(self, now_ms: int) -> None:
        """What had just arrived may come again, and count; and a moment of readings may be forgotten."""
        self._heard = {key: at_ms for key, at_ms in self._heard.items() if now_ms - at_ms > 2 * SLACK_MS}
        for reading in self.stay.vitals if self.stay else ():
            if now_ms - reading.arrived_ms < FORGOTTEN_MS and reading.certainty == "live":
                reading.certainty = "maybe"


def measures(record: wire.Record, *, in_session: bool = True) -> dict[str, float]:
    """What a record says of each thing that a rule may watch; what it does not say is not there."""
    found: dict[str, float] = {}
    if isinstance(record, wire.Vitals):
        quality = record.quality
        if quality not in ("sensor_fault", "cuff_hold"):
            found["finger_off"] = float(quality == "no_finger")
        if quality not in ("no_finger", "cuff_hold"):
            found["poor_signal"] = float(quality != "good")
        if quality in ("good", "below_range"):
            found["below_range"] = float(quality == "below_range")
        if quality == "good":
            found |= _numbers(record, "spo2_pct", "pulse_bpm", "resp_bpm")
        if record.seat != "unknown":
            found["seat_left"] = float(record.seat == "empty")
            found["seat_without_session"] = float(record.seat == "occupied" and not in_session)
    elif isinstance(record, wire.Cuff):
        if good_pressure(record):
            found = {"above_range": 0.0, **_numbers(record, "sys_mmhg", "dia_mmhg", "map_mmhg")}
        elif record.reason == "above_range":
            found["above_range"] = 1.0
    elif isinstance(record, wire.Event):
        if record.kind == "local_alarm":
            found["local_alarm"] = 1.0
        elif record.kind == "button" and record.name == "call":
            found["nurse_call"] = 1.0
    return found


def reported(status: wire.Status) -> dict[str, float]:
    """What a board says of itself."""
    faults = status.faults if isinstance(status.faults, list) else None
    found = {"safe_mode": float(status.safe_mode or "updating" in (faults or ()))}
    if faults is not None:
        found["board_fault"] = float(any(fault not in OWN_FAULTS for fault in faults))
    if isinstance(status.calibration, wire.Calibration):
        found["uncalibrated"] = float(status.calibration.state == "uncalibrated")
        found["calibration_expired"] = float(status.calibration.state == "expired")
    if isinstance(status.battery_pct, float):
        found["battery_pct"] = status.battery_pct
    return found


def good_pressure(cuff: wire.Cuff) -> bool:
    return cuff.quality == "good" and isinstance(cuff.sys_mmhg, float)


def _numbers(record: wire.Record, *names: str) -> dict[str, float]:
    return {name: value for name in names if isinstance(value := getattr(record, name), float)}
