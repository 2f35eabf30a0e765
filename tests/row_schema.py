"""Every row that an engine makes in any test is one that the sink would send: see gateway/influx_schema."""

import functools
from collections.abc import Callable

from gateway.core.outputs import Output, Row
from gateway.engine import Engine
from gateway.influx_schema import check


def _held(act: Callable[..., list[Output]]) -> Callable[..., list[Output]]:
    @functools.wraps(act)
    def and_looked_at(*given: object) -> list[Output]:
        outputs = act(*given)
        for row in outputs:
            if isinstance(row, Row):
                check(
                    row.measurement, row.tags | {"site": "clinic", "chair": row.chair, "device": row.device}, row.fields
                )
        return outputs

    return and_looked_at


for _name in ("connected", "message", "tick"):
    setattr(Engine, _name, _held(getattr(Engine, _name)))
