"""What people see and hear of a chair's alarms: the lamp's level and the sound, on the board and on every screen.

The signal's level is not the alarm's: one that nobody acknowledges in time signals a level higher, and a suppressed
one does not signal. While somebody switched the sound off, one burst in REMINDER_S says that it is off.
"""

from gateway.core.alarm import Alarm
from gateway.core.chair_state import ChairState
from gateway.core.protocol import RANK
from gateway.wire import Level

LOUDER: dict[Level, Level] = {"low": "medium", "medium": "high", "high": "high"}
REMINDER_MS = 150_000
BURST_MS = 4_000
"""Longer than a second's `annunciate` may be late, shorter than a burst repeats."""


def level(state: ChairState) -> Level:
    return max((of(alarm) for alarm in state.alarms.values()), key=RANK.__getitem__, default="none")


def sounding(state: ChairState, now_ms: int) -> bool:
    return any(alarm.sounding or reminds(alarm, now_ms) for alarm in state.alarms.values())


def of(alarm: Alarm) -> Level:
    if not alarm.present or alarm.suppressed_by:
        return "none"
    return alarm.level if alarm.escalated_mono_ms is None else LOUDER[alarm.level]


def audio_off(state: ChairState) -> bool:
    return any(alarm.present and alarm.audio_off_by for alarm in state.alarms.values())


def reminds(alarm: Alarm, now_ms: int) -> bool:
    if not alarm.present or not alarm.audio_off_by or alarm.suppressed_by:
        return False
    off_ms = now_ms - alarm.audio_off_mono_ms
    return off_ms >= REMINDER_MS and off_ms % REMINDER_MS < BURST_MS
