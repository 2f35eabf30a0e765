"""The simulated patient, finger, artery and air."""

import math

import heartpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import plan
from simulators.world import artery
from simulators.world.artery import TYPICAL
from simulators.world.chair import ChairWorld, UnknownPin
from simulators.world.finger import BROWN_SKIN, DARK_SKIN, EXTINCTION, LIGHT_SKIN, Finger, extinction, melanin
from simulators.world.patient import Course, Patient
from simulators.world.pneumatics import CUFF_SIZES, Cuff
from simulators.world.pulse import artery_pressure, finger_volume, recorded


def test_course_ramps_and_holds() -> None:
    """A ramp starts where the value is, ends at its target, and can be replaced on the way."""
    course = Course(98.0)
    course.ramp(10.0, 88.0, 10.0)
    assert [course.at(t) for t in (0, 10, 15, 20, 99)] == [98.0, 98.0, 93.0, 88.0, 88.0]
    course.ramp(15.0, 98.0, 5.0)
    assert [course.at(t) for t in (12, 15, 17.5, 20, 99)] == [96.0, 93.0, 95.5, 98.0, 98.0]


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(30, 200), st.sampled_from([0.0, 2.0, 40.0])), min_size=1, max_size=6)
)
def test_the_heart_never_goes_back(changes: list[tuple[float, float, float]]) -> None:
    """Whatever the pulse rate does, the phase of the heart grows without a jump."""
    course, t = Course(70.0), 0.0
    for wait, rate, over in changes:
        t += wait
        course.ramp(t, rate, over)
    times = np.linspace(0, t + 60, 2000)
    cycles = np.array([course.integral(float(x)) for x in times])
    steps = np.diff(cycles)
    assert (steps >= 0).all()
    assert steps.max() <= 200.0 * (times[1] - times[0]) + 1e-6


def test_shapes_run_from_0_to_1() -> None:
    """One beat of either shape touches both ends, and repeats."""
    for shape in (finger_volume, artery_pressure):
        values = [shape(i / 512) for i in range(1024)]
        assert min(values) == pytest.approx(0.0, abs=1e-9)
        assert max(values) == pytest.approx(1.0, abs=1e-9)
        assert shape(0.3) == pytest.approx(shape(7.3))


def seen(finger: Finger, seconds: float) -> np.ndarray:
    """Red and infrared light in nA, a hundred times a second."""
    return np.array([finger.light(float(t), 7.0, 7.0) for t in np.arange(0, seconds, 0.01)])


def pulsation(finger: Finger, seconds: float = 10.0) -> tuple[float, float]:
    """Relative peak-to-peak pulsation of red and infrared, without noise and breathing."""
    finger.noise_na = 0.0
    light = seen(finger, seconds)
    return tuple((light.max(axis=0) - light.min(axis=0)) / light.mean(axis=0))


def test_less_oxygen_makes_red_pulse_more() -> None:
    """The red pulse against the infrared one grows steadily as saturation falls, as Beer-Lambert says."""
    ratios = []
    for spo2_pct in (100, 95, 90, 85, 80, 75, 70):
        red, ir = pulsation(Finger(Patient(spo2_pct=spo2_pct, resp_bpm=0.0), seed=1))
        ratios.append(red / ir)
    assert ratios == sorted(ratios)
    assert ratios[0] > 0.2
    assert ratios[-1] < 2.5


def test_perfusion_is_the_infrared_pulse() -> None:
    """A perfusion of 2 % makes an infrared pulse of 2 % at normal saturation."""
    _, ir = pulsation(Finger(Patient(spo2_pct=97.0, perfusion_pct=2.0, resp_bpm=0.0), seed=1))
    assert ir == pytest.approx(0.02, rel=0.05)


def dyed(skin: float, noise_na: float = 0.0) -> Finger:
    finger = Finger(Patient(spo2_pct=90.0, resp_bpm=0.0), seed=1)
    finger.skin, finger.noise_na = skin, noise_na
    return finger


def test_melanin_absorbs_red_more_than_infrared() -> None:
    """Jacques' fit at the two LEDs, in 1/cm, computed by hand."""
    assert melanin(660.0) == pytest.approx(269, rel=0.01)
    assert melanin(880.0) == pytest.approx(103, rel=0.01)


def test_darker_skin_returns_less_light_and_less_of_red() -> None:
    """The darker the skin the less comes back, in red more so; the darkest leaves a third of red, not a trace."""
    light = np.array([seen(dyed(skin), 1.0).mean(axis=0) for skin in (LIGHT_SKIN, BROWN_SKIN, DARK_SKIN)])
    left = light / light[0]
    assert (np.diff(left, axis=0) < 0).all()
    assert (left[1:, 0] < left[1:, 1]).all()
    assert 0.2 < left[2, 0] < 0.5 < left[2, 1] < 0.8


def test_skin_leaves_the_ratio_of_pulsations_but_for_the_noise() -> None:
    """Melanin does not pulse: without noise the ratio is the same; with noise, red of dark skin is the noisier."""
    ratios, noisiness = [], []
    for skin in (LIGHT_SKIN, DARK_SKIN):
        red, ir = pulsation(dyed(skin))
        ratios.append(red / ir)
        clean, noisy = seen(dyed(skin), 5.0)[:, 0], seen(dyed(skin, noise_na=0.12), 5.0)[:, 0]
        noisiness.append((noisy - clean).std() / (clean.max() - clean.min()))
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-6)
    assert noisiness[1] > 2 * noisiness[0]


def test_a_venous_pulse_looks_like_less_oxygen() -> None:
    """Veins that beat with the heart add darker blood to the pulse: the ratio of ratios rises with their share."""
    ratios = []
    for share in (0.0, 0.1, 0.3):
        finger = Finger(Patient(spo2_pct=97.0, resp_bpm=0.0), seed=1)
        finger.venous_pulse = share
        red, ir = pulsation(finger)
        ratios.append(red / ir)
    assert ratios == sorted(ratios)
    assert ratios[2] > ratios[0] * 1.1


def test_boards_differ_and_one_board_repeats() -> None:
    """Two seeds give two boards with other LEDs; one seed gives the same board, noise included."""
    patient = Patient(spo2_pct=85.0)
    first, again, other = (Finger(patient, seed).light(1.0, 7.0, 7.0) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_without_a_finger_hardly_any_light_comes_back() -> None:
    """Off the finger both colours fall to a small fraction, with no pulse."""
    patient = Patient()
    finger = Finger(patient, seed=1)
    on = finger.light(1.0, 7.0, 7.0)
    patient.set(finger_on=False)
    off = finger.light(1.1, 7.0, 7.0)
    assert off[0] < on[0] / 50
    assert off[1] < on[1] / 50


def test_extinction_is_the_table_between_its_points() -> None:
    """Wavelengths between two lines of the table are interpolated; beyond the LED bands there is no answer."""
    assert extinction(660) == EXTINCTION[660]
    assert extinction(885)[0] == pytest.approx((EXTINCTION[880][0] + EXTINCTION[890][0]) / 2)
    with pytest.raises(KeyError):
        extinction(940)


def test_a_recorded_pulse_is_played_beat_by_beat() -> None:
    """heartpy's example recording plays at the patient's rate; each of its beats is used, none is left out."""
    data, _ = heartpy.load_exampledata(0)
    working, _ = heartpy.process(data, 100.0)
    peaks = working["peaklist"]
    shape = recorded(data, peaks)
    beats = [tuple(round(shape(beat + phase / 20), 6) for phase in range(20)) for beat in range(len(peaks) - 1)]
    assert len(set(beats)) == len(peaks) - 1
    red, ir = pulsation(Finger(Patient(spo2_pct=90, resp_bpm=0.0), seed=1, shape=shape), seconds=30.0)
    assert red / ir == pytest.approx(0.74, abs=0.1)


def test_artery_is_softest_when_unloaded_and_stiffer_stretched_than_it_is_soft_collapsed() -> None:
    """Compliance peaks at zero transmural pressure and falls off faster on the collapsed side."""

    def compliance(mmhg: float) -> float:
        return TYPICAL.volume_ml(mmhg + 0.5) - TYPICAL.volume_ml(mmhg - 0.5)

    assert compliance(0) > compliance(20) > compliance(60) > 0
    assert compliance(0) > compliance(-20) > compliance(-60) > 0
    assert compliance(-30) < compliance(30)
    assert TYPICAL.volume_ml(-0.001) == pytest.approx(TYPICAL.volume_ml(0.001), rel=1e-3)


def cuff_on(patient: Patient, size: str = "normal") -> Cuff:
    return Cuff(lambda t: artery.pressure_mmhg(patient, t), size)


def reach(cuff: Cuff, target_mmhg: float, t: float, rising: bool, limit_s: float = 60.0) -> float:
    """The time at which the cuff reaches a pressure."""
    end = t + limit_s
    while t < end:
        t += 0.02
        if (cuff.pressure_mmhg(t) >= target_mmhg) == rising:
            return t
    raise AssertionError(f"still at {cuff.pressure_mmhg(t):.0f} mmHg")


def test_the_pump_fills_and_the_dump_valve_empties() -> None:
    """200 mmHg within 12 s; from 260 to 15 mmHg within 10 s; and the facts say so."""
    cuff = cuff_on(Patient())
    cuff.control(0.0, pump_on=True, dump_open=False, bleed=0.0)
    assert reach(cuff, 200, 0.0, rising=True) < 12
    t = reach(cuff, 260, 0.0, rising=True)
    cuff.control(t, pump_on=False, dump_open=True, bleed=0.0)
    assert reach(cuff, 15, t, rising=False) - t < 10
    assert 259 < cuff.facts.pressure_mmhg_max < 262
    assert cuff.facts.pump_s == pytest.approx(t, abs=0.05)
    assert cuff.facts.held_s_max > t - 2


def test_the_bleed_valve_works_in_proportion() -> None:
    """More opening, faster fall; a part of the way gives the 2-4 mmHg/s that a measurement wants."""
    rates = []
    for bleed in (0.1, 0.2, 0.4):
        cuff = cuff_on(Patient())
        cuff.control(0.0, pump_on=True, dump_open=False, bleed=0.0)
        t = reach(cuff, 160, 0.0, rising=True)
        cuff.control(t, pump_on=False, dump_open=False, bleed=bleed)
        rates.append((cuff.pressure_mmhg(t) - cuff.pressure_mmhg(t + 5)) / 5)
    assert rates == sorted(rates)
    assert rates[0] < 4 < rates[-1]


def test_a_closed_cuff_holds_and_a_leak_shows() -> None:
    """Without a leak the pressure stays but for the pulse; with one it falls."""
    lost = []
    for leak in (0.0, 5.0):
        cuff = cuff_on(Patient())
        cuff.control(0.0, pump_on=True, dump_open=False, bleed=0.0)
        t = reach(cuff, 160, 0.0, rising=True)
        cuff.control(t, pump_on=False, dump_open=False, bleed=0.0)
        cuff.leak_size = leak
        lost.append(cuff.pressure_mmhg(t) - cuff.pressure_mmhg(t + 6))
    assert abs(lost[0]) < 3
    assert lost[1] > 10


def test_a_dead_pump_raises_nothing() -> None:
    """The pump is told to run and does not: no pressure, no pump time."""
    cuff = cuff_on(Patient())
    cuff.pump_dead = True
    cuff.control(0.0, pump_on=True, dump_open=False, bleed=0.0)
    assert cuff.pressure_mmhg(10.0) < 2
    assert cuff.facts.pump_s == 0


@pytest.mark.parametrize(("sys_mmhg", "dia_mmhg"), [(120, 80), (200, 115), (95, 60)])
def test_oscillations_are_largest_between_diastolic_and_systolic(sys_mmhg: float, dia_mmhg: float) -> None:
    """Held at one pressure after another, the cuff swings most between the two and hardly outside."""
    swings = {}
    for hold in range(40, 241, 10):
        cuff = cuff_on(Patient(sys_mmhg=sys_mmhg, dia_mmhg=dia_mmhg))
        cuff.control(0.0, pump_on=True, dump_open=False, bleed=0.0)
        t = reach(cuff, hold, 0.0, rising=True)
        cuff.control(t, pump_on=False, dump_open=False, bleed=0.0)
        held = [cuff.pressure_mmhg(t + i * 0.01) for i in range(200)]
        swings[hold] = max(held) - min(held)
    largest = max(swings, key=lambda mmhg: swings[mmhg])
    assert dia_mmhg < largest < sys_mmhg
    assert 0.5 < swings[largest] < 5
    assert swings[240] < swings[largest] / 3
    assert swings[40] < swings[largest] * 0.7


def test_a_larger_cuff_fills_slower_and_swings_less() -> None:
    """The same pump and the same artery: more air takes longer to 180 mmHg, and gives way more to the pulse."""
    fills_s, swings = [], []
    for size in CUFF_SIZES:  # from small to large
        cuff = cuff_on(Patient(), size)
        cuff.control(0.0, pump_on=True, dump_open=False, bleed=0.0)
        t = reach(cuff, 95, 0.0, rising=True)
        cuff.control(t, pump_on=False, dump_open=False, bleed=0.0)
        held = [cuff.pressure_mmhg(t + i * 0.01) for i in range(200)]
        swings.append(max(held) - min(held))
        cuff.control(t + 2.0, pump_on=True, dump_open=False, bleed=0.0)
        fills_s.append(reach(cuff, 180, t + 2.0, rising=True) - 2.0)
    assert fills_s[0] * 1.3 < fills_s[1] < fills_s[2] / 1.3
    assert swings[0] / 1.3 > swings[1] > swings[2] * 1.3
    assert swings[2] > 0.3


def test_quiet_hours_cost_nothing() -> None:
    """An empty, open cuff jumps over time instead of integrating it."""
    cuff = cuff_on(Patient())
    assert cuff.pressure_mmhg(1e6) == 0


def volts_at(world: ChairWorld, t: float) -> float:
    return world.pressure_adc.volts(world.plan.pressure_adc_channel, t)


def test_pins_drive_the_cuff_by_the_board_plan() -> None:
    """Pump and closed dump valve raise the sensor's voltage; floating pins empty the cuff again."""
    world = ChairWorld(Patient())
    rest_v = volts_at(world, 0.1)
    world.write_pin(0.1, world.plan.gpio("dump_valve"), 1.0)
    world.write_pin(0.1, world.plan.gpio("pump"), 1.0)
    assert volts_at(world, 5.0) > rest_v + 0.5
    world.float_pins(5.0)
    assert (world.cuff.pump_on, world.cuff.dump_open) == (False, True)
    assert volts_at(world, 20.0) == pytest.approx(rest_v, abs=0.01)


def test_the_sensor_speaks_its_transfer_function() -> None:
    """At rest the sensor gives its offset through the divider, within its tolerance, other for each board."""
    rest = [volts_at(ChairWorld(Patient(), seed), 0.0) for seed in range(5)]
    assert all(abs(v - 5.0 * 0.04 * 0.6) < 0.03 for v in rest)
    assert len(set(rest)) == 5


def test_a_frozen_sensor_repeats_itself() -> None:
    """The fault keeps the last voltage whatever the pressure does."""
    world = ChairWorld(Patient())
    before = volts_at(world, 0.1)
    world.sensor_frozen = True
    world.write_pin(0.1, world.plan.gpio("dump_valve"), 1.0)
    world.write_pin(0.1, world.plan.gpio("pump"), 1.0)
    assert volts_at(world, 5.0) == before


def test_unknown_pins_are_errors() -> None:
    """A pin outside the plan, or an input driven as an output, is a programming error."""
    world = ChairWorld(Patient())
    with pytest.raises(UnknownPin):
        world.write_pin(0.0, 2, 1.0)
    with pytest.raises(UnknownPin):
        world.write_pin(0.0, world.plan.gpio("button_call"), 1.0)
    with pytest.raises(UnknownPin):
        world.read_pin(2)


def test_buttons_read_0_while_pressed() -> None:
    """The buttons pull to ground."""
    world = ChairWorld(Patient())
    gpio = world.plan.gpio("button_call")
    assert world.read_pin(gpio) == 1
    world.press("button_call")
    assert world.read_pin(gpio) == 0


def test_a_cuff_on_the_same_arm_stops_the_pulse() -> None:
    """Above systolic pressure nothing of the pulse reaches the finger of the same limb, but of the other it does."""
    for same_limb, passes in ((True, 0.0), (False, 1.0)):
        world = ChairWorld(Patient(), same_limb=same_limb)
        world.write_pin(0.0, world.plan.gpio("dump_valve"), 1.0)
        world.write_pin(0.0, world.plan.gpio("pump"), 1.0)
        assert world.finger.occlusion(8.0) == passes


def test_the_plan_is_the_boards() -> None:
    """Every line that the world drives has its name in the board plan."""
    board = plan.load()
    for name in ("pump", "dump_valve", "bleed_valve", "button_call", "button_acknowledge"):
        assert board.pins[board.gpio(name)].name == name
    assert math.isclose(board.sensor.divider, 0.6)
