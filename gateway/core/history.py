"""Readings that are too late to sound: they break holds, and what they crossed is listed as during the outage."""

from msgspec.structs import replace

from gateway.core import readiness
from gateway.core.chair_state import OUTAGE_MAX, ChairState, Crossed
from gateway.core.judging import applies
from gateway.core.measures import Measures
from gateway.core.protocol import Protocol


def from_before(state: ChairState, at_ms: int) -> bool:
    """True before the session began: of the patient before, however it came."""
    return state.session is not None and at_ms < state.session.here_ms


def with_history(protocol: Protocol, state: ChairState, sampled: Measures, at_ms: int) -> ChairState:
    if state.session is None or from_before(state, at_ms):
        return state
    outage = state.outage
    for rule in protocol.rules:
        value = sampled.get(rule.measure) if applies(rule, state.session) else None
        gentlest = rule.tiers[0]
        if rule.kind == "physiological" and value is not None and gentlest.crossed(value):
            crossed = Crossed(rule=rule.id, reason=rule.reason, value=value, unit=rule.unit, at_mono_ms=at_ms)
            same = next((c for c in outage if c.rule == rule.id), None)
            if same is None:
                outage = (*outage, crossed)[-OUTAGE_MAX:]
            elif value < same.value if gentlest.below is not None else value > same.value:
                outage = tuple(crossed if c is same else c for c in outage)
    session = readiness.held_with(protocol, state.session, sampled, at_ms, history=True)
    return replace(state, session=session, outage=outage)
