"""The drug's way through the body, against arithmetic that does not use the model's own solution."""

import numpy as np
import pytest

from simulators.world import pharmacology as ph
from simulators.world.effects import effect

WEIGHT_KG = 75.0
KINETICS = ph.Kinetics(WEIGHT_KG)
DAYS_S = np.arange(0.0, 5 * 86_400.0, 60.0)
ROUTES = {
    "infusion": ph.infusion(0.0, WEIGHT_KG),
    "injection": ph.injection(0.0, 37.5),
    "56 mg spray": ph.sprays(0.0, 56.0),
    "84 mg spray": ph.sprays(0.0, 84.0),
}


@pytest.mark.parametrize("route", ROUTES)
def test_what_enters_is_cleared(route: str) -> None:
    """The area under the plasma curve is the dose that entered, over the clearance: nothing is lost or made."""
    entered_mg = sum(inflow.mg for inflow in ROUTES[route])
    clearance_ml_per_s = ph.K10 / 60.0 * ph.CENTRAL_L_PER_KG * WEIGHT_KG * 1000.0
    area = np.trapezoid(KINETICS.plasma_ng_ml(ROUTES[route], DAYS_S), DAYS_S)
    assert area == pytest.approx(entered_mg * 1e6 / clearance_ml_per_s, rel=0.01)


def test_the_closed_form_is_what_small_steps_give() -> None:
    """Three compartments and an effect site stepped through second by second agree with the solution."""
    volume_ml = ph.CENTRAL_L_PER_KG * WEIGHT_KG * 1000.0
    central = fast = slow = site = 0.0
    step_min = 1.0 / 60.0
    for second in range(3600):
        flow_in = 37.5 / 40.0 if second < 2400 else 0.0
        to_fast, to_slow = ph.K12 * central - ph.K21 * fast, ph.K13 * central - ph.K31 * slow
        site += (central * 1e6 / volume_ml - site) * ph.KE0 * step_min
        central += (flow_in - ph.K10 * central - to_fast - to_slow) * step_min
        fast += to_fast * step_min
        slow += to_slow * step_min
    moment = np.array([3600.0])
    assert KINETICS.plasma_ng_ml(ROUTES["infusion"], moment)[0] == pytest.approx(central * 1e6 / volume_ml, rel=0.02)
    assert KINETICS.effect_site_ng_ml(ROUTES["infusion"], moment)[0] == pytest.approx(site, rel=0.02)


def test_half_a_milligram_per_kilogram_is_the_same_level_in_everybody() -> None:
    """The dose goes by weight, and so does the volume."""
    times_s = np.arange(0.0, 7200.0, 60.0)
    heavy = ph.Kinetics(110.0).plasma_ng_ml(ph.infusion(0.0, 110.0), times_s)
    assert heavy == pytest.approx(KINETICS.plasma_ng_ml(ROUTES["infusion"], times_s))
    assert 185.0 < heavy.max() < 260.0


@pytest.mark.parametrize(
    ("route", "soonest_min", "latest_min"),
    [("infusion", 39, 42), ("injection", 15, 25), ("56 mg spray", 35, 50), ("84 mg spray", 35, 50)],
)
def test_the_effect_peaks_when_it_should(route: str, soonest_min: float, latest_min: float) -> None:
    """At the infusion's end; about 40 min after the first spray."""
    minutes = np.arange(0.0, 240.0, 0.5)
    level = effect(KINETICS.effect_site_ng_ml(ROUTES[route], minutes * 60.0))
    assert soonest_min <= minutes[level.argmax()] <= latest_min


def test_esketamine_is_mostly_gone_after_an_hour_and_a_half_and_has_a_tail() -> None:
    """At 90 min the effect is below two fifths of its peak; at four hours a tenth or two is left."""
    level = effect(KINETICS.effect_site_ng_ml(ROUTES["84 mg spray"], np.array([45.0, 90.0, 240.0]) * 60.0))
    assert level[1] < 0.4 * level[0]
    assert 0.05 < level[2] / level[0] < 0.2


def test_only_doses_that_are_made_can_be_sprayed() -> None:
    """Esketamine comes in devices of 28 mg; another dose is refused with what is allowed."""
    with pytest.raises(ValueError, match="56"):
        ph.sprays(0.0, 50.0)


def test_stopping_leaves_what_was_given() -> None:
    """A stopped infusion keeps the part that ran in; a device not yet used is not used; what is in the nose stays."""
    (half,) = ph.stopped(ROUTES["infusion"], 1200.0)
    assert (half.mg, half.over_s) == pytest.approx((37.5 / 2, 1200.0))
    assert ph.stopped(ROUTES["84 mg spray"], 400.0) == ROUTES["84 mg spray"][:2]
    assert ph.stopped(ROUTES["infusion"], 9000.0) == ROUTES["infusion"]
