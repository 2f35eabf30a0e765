"""Blood pressure from envelopes that are known, and a name for everything that is not an envelope."""

from math import exp, log
from typing import Any

import pytest
from unix_port import run

Pulse = list[float]


def deflation(
    *,
    top_mmhg: float = 160.0,
    bottom_mmhg: float = 50.0,
    peak_mmhg: float = 95.0,
    above_mmhg: float = 20.0,
    below_mmhg: float = 18.0,
    spacing_ms: float = 830.0,
) -> list[Pulse]:
    """Pulses under a Gaussian with a width above and one below its peak, as a fall of 3.5 mmHg/s meets them."""
    step = 3.5 * spacing_ms / 1000
    pulses = []
    mmhg = top_mmhg
    while mmhg > bottom_mmhg:
        width = above_mmhg if mmhg > peak_mmhg else below_mmhg
        pulses.append([mmhg, 2.0 * exp(-0.5 * ((mmhg - peak_mmhg) / width) ** 2), spacing_ms])
        mmhg -= step
    return pulses


def estimate(pulses: list[Pulse], ratios: tuple[float, float] = (0.5, 0.75)) -> Any:
    return run(
        "from chair.oscillometry import estimate\nresult = estimate(pulses, ratios)", pulses=pulses, ratios=ratios
    )


@pytest.mark.parametrize("ratios", [(0.5, 0.75), (0.45, 0.7), (0.6, 0.6)])
def test_the_crossings_of_a_known_envelope(ratios: tuple[float, float]) -> None:
    """Systolic and diastolic where the Gaussian has the ratio, within 2 mmHg of what the smoothing widens."""
    found = estimate(deflation(), ratios)

    def away(ratio: float, width: float) -> float:
        return (width**2 + 5**2) ** 0.5 * (-2 * log(ratio)) ** 0.5

    assert found["sys_mmhg"] == pytest.approx(95 + away(ratios[0], 20), abs=2.5)
    assert found["dia_mmhg"] == pytest.approx(95 - away(ratios[1], 18), abs=2.5)
    assert found["map_mmhg"] == pytest.approx(95, abs=2)
    assert found["pulse_bpm"] == pytest.approx(60000 / 830, abs=0.2)


def test_the_envelope_fits_the_wire() -> None:
    """At most 24 points in the order of deflation, from the first pulse to the last, at any pulse rate."""
    for spacing_ms in (300.0, 830.0, 1400.0):
        envelope = estimate(deflation(spacing_ms=spacing_ms, above_mmhg=30))["envelope"]
        assert len(envelope) <= 24
        assert [mmhg for mmhg, _ in envelope] == sorted((mmhg for mmhg, _ in envelope), reverse=True)
        assert envelope[0][0] == pytest.approx(160, abs=0.1)


def test_one_artifact_is_left_out() -> None:
    """A pulse three times too large moves nothing by more than 2 mmHg."""
    quiet, knocked = deflation(), deflation()
    knocked[12][1] *= 3
    a, b = estimate(quiet), estimate(knocked)
    for name in ("sys_mmhg", "dia_mmhg", "map_mmhg"):
        assert b[name] == pytest.approx(a[name], abs=2)


def shaken() -> list[Pulse]:
    pulses = deflation()
    for i, pulse in enumerate(pulses):
        pulse[1] *= (0.2, 3.0, 1.0, 0.4, 2.5)[i % 5]
        pulse[2] *= (1.0, 0.4, 1.9, 1.0, 0.5)[i % 5]
    return pulses


REFUSED = {
    "too_few_pulses": deflation(top_mmhg=110, bottom_mmhg=95),
    "pulse_out_of_range": deflation(spacing_ms=1700),
    "not_bracketed": deflation(top_mmhg=100),
    "low_not_reached": deflation(bottom_mmhg=92),
    "implausible": deflation(above_mmhg=1.5, below_mmhg=1.5, spacing_ms=260),
    "motion": shaken(),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_measurement_has_a_name_and_no_value(reason: str) -> None:
    """Each refusal by its reason, without a number that could be taken for a pressure."""
    found = estimate(REFUSED[reason])
    assert found["reason"] == reason
    assert not {"sys_mmhg", "dia_mmhg", "map_mmhg", "pulse_bpm"} & set(found)


SAMPLES = """
from math import exp
from chair.oscillometry import Pulses
p = Pulses()
t = 0
while True:
    mmhg = 150 - 3.5 * t / 1000
    if mmhg < 50:
        break
    phase = (t / 1000 * bpm / 60) % 1.0
    size = 2.0 * exp(-0.5 * ((mmhg - 95) / 20) ** 2)
    p.feed(t, mmhg + size * exp(-((phase - 0.25) / 0.1) ** 2))
    t += 20 if t % late_every_ms else 100
    if hole_ms and 10000 <= t < 10100:
        t += hole_ms
result = [p.count, p.estimate(), [p._amplitude[i] for i in range(p.count)]]
"""


@pytest.mark.parametrize("bpm", [40, 60, 90, 150, 220])
def test_pulses_are_found_in_samples(bpm: float) -> None:
    """Out of raw pressure: every beat after the first seconds, its rate within 2 /min, MAP within 3 mmHg."""
    count, found, _ = run(SAMPLES, bpm=bpm, late_every_ms=10**9, hole_ms=0)
    assert count >= 0.85 * 28 * bpm / 60
    assert found["pulse_bpm"] == pytest.approx(bpm, abs=2)
    assert found["map_mmhg"] == pytest.approx(95, abs=3)


def test_late_samples_and_a_hole_do_not_invent_pulses() -> None:
    """Samples up to 100 ms late change little; over a hole no pulse is counted."""
    _, steady, amplitudes = run(SAMPLES, bpm=72, late_every_ms=10**9, hole_ms=0)
    _, late, _ = run(SAMPLES, bpm=72, late_every_ms=400, hole_ms=0)
    count, _, holed = run(SAMPLES, bpm=72, late_every_ms=10**9, hole_ms=3000)
    assert late["sys_mmhg"] == pytest.approx(steady["sys_mmhg"], abs=4)
    assert late["dia_mmhg"] == pytest.approx(steady["dia_mmhg"], abs=4)
    assert count < len(amplitudes)
    assert max(holed) <= 1.2 * max(amplitudes)
