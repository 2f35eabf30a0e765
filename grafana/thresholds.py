"""Coloured lines on a chart, from the limits of a clinical protocol."""

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

from gateway.core.protocol import RANK, Measure, Protocol, Tier

COLOURS = {"none": "transparent", "low": "#00b8d9", "medium": "#f2cc0c", "high": "#e02f44"}
_BARELY = 1e-6


def of(protocol: Protocol, measure: Measure) -> ThresholdsConfig:
    """The steps from low to high values of a measure, each in the colour of the gravest level it crosses.

    A level that asks for several readings is left out, because one point of a chart does not reach it.
    """
    tiers = [tier for rule in protocol.rules if rule.measure == measure for tier in rule.tiers if tier.readings == 1]
    limits = sorted({tier.limit for tier in tiers})
    if not limits:
        raise ValueError(f"protocol {protocol.id}: no limit for {measure}")
    steps = [Threshold(value=None, color=_colour(tiers, limits[0] - 1))]
    steps += [Threshold(value=limit, color=_colour(tiers, limit + _BARELY)) for limit in limits]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _colour(tiers: list[Tier], value: float) -> str:
    crossed = [tier.level for tier in tiers if tier.crossed(value)]
    return COLOURS[max(crossed, key=lambda level: RANK[level], default="none")]
