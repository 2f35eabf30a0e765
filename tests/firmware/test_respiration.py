"""Breathing rate from the pleth: right, or absent."""

from typing import Any

import pytest
from unix_port import run

# 25 Hz light of a pulse and of breath, then only of the pulse; asked once a second.
BREATH = """
from array import array
from math import pi, sin
from chair.respiration import Respiration
breath = Respiration(array("h", bytes(400)))
result = []
noise = 12345
for i in range(25 * seconds):
    t = i / 25
    noise = (noise * 1103515245 + 12345) & 0x3FFFFFFF
    x = 0.01 * sin(2 * pi * pulse_bpm / 60 * t) + 0.004 * sin(4 * pi * pulse_bpm / 60 * t)
    x += noise_size * (noise / 0x3FFFFFFF - 0.5)
    if t < stops_s:
        x += size * sin(2 * pi * resp_bpm / 60 * t)
    breath.feed(x)
    if i % 25 == 24:
        breath.find(25 * 60 / pulse_bpm if known else None)
        result.append((breath.bpm, breath.sqi_pct))
"""


def rates(**given: Any) -> list[float | None]:
    usual = {"seconds": 60, "pulse_bpm": 72, "resp_bpm": 14, "size": 0.002, "noise_size": 0.001, "stops_s": 999}
    return [bpm for bpm, _ in run(BREATH, **{**usual, "known": True, **given})]


@pytest.mark.parametrize("resp_bpm", [8, 14, 20, 28])
@pytest.mark.parametrize("pulse_bpm", [55, 72, 110, 180])
def test_the_rate_is_found(resp_bpm: float, pulse_bpm: float) -> None:
    """A breath of a fifth of the pulse: within 1.5 /min of the truth or absent, and mostly there from 42 s on."""
    found = rates(resp_bpm=resp_bpm, pulse_bpm=pulse_bpm)
    beats = pulse_bpm / resp_bpm
    # Two or three beats to a breath are what is left of a pulse alone.
    assert None not in found[42:] or abs(beats - round(beats)) < 0.1
    assert all(bpm == pytest.approx(resp_bpm, abs=1.5) for bpm in found if bpm)


def test_nothing_is_said_in_the_first_half_minute() -> None:
    """Before the window is full there is no rate."""
    assert set(rates()[:30]) == {None}


def test_a_pulse_alone_has_no_breath() -> None:
    """Without breathing in the light there is no rate, whatever the pulse."""
    for pulse_bpm in (40, 72, 130):
        assert set(rates(size=0.0, pulse_bpm=pulse_bpm, noise_size=0.002)) == {None}


def test_a_breath_that_stops_is_not_remembered() -> None:
    """25 s after the last breath the rate is gone."""
    found = rates(seconds=110, stops_s=60)
    assert found[59] == pytest.approx(14, abs=1)
    assert set(found[85:]) == {None}


def test_without_a_pulse_there_is_no_rate() -> None:
    """A pulse that is not known cannot be taken out of the light."""
    assert set(rates(known=False)) == {None}
