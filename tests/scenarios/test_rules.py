"""Every rule of the protocols has a scenario where it must fire and one where it must not, by the files' own words."""

import pytest

from gateway import protocols
from simulators.clinic.scenario import load_all

RULES = sorted({rule.id for protocol in protocols.load_all().values() for rule in protocol.rules})
SCENARIOS = load_all()


def where(kind: str, rule: str) -> list[str]:
    """Scenarios with such an expectation, of a protocol that has the rule."""
    return [name for name, told in SCENARIOS.items() if any(getattr(one, kind) == rule for one in told.expect)]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_scenario_where_it_must_fire_and_one_where_it_must_not(rule: str) -> None:
    """`alarm` names it in one, `must_not_sound` for the whole of another; "any" does not count."""
    fires, stays = where("alarm", rule), where("must_not_sound", rule)
    assert fires, f"no scenario in which {rule} must fire"
    assert set(stays) - set(fires), f"no scenario in which {rule} must not fire"


def test_there_are_thirty_scenarios() -> None:
    """And what they say of a rule they say for all of their story."""
    assert len(SCENARIOS) >= 30
    for name, told in SCENARIOS.items():
        for one in told.expect:
            whole = one.not_before is None and one.by is None
            assert one.must_not_sound in (None, "any") or whole, f"{name}: {one.must_not_sound} only for a part"
