"""InfluxDB line protocol, https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/.

Written here because a line by `influxdb_client.Point` costs ten times as much; a property test holds the two
equal.
"""

import math
from collections.abc import Mapping

_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"})
_KEY = _MEASUREMENT | str.maketrans({"=": r"\="})
_TEXT = str.maketrans({'"': r"\"", "\\": r"\\"})


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, float | str], time_ns: int) -> str:
    """One point. Empty tags are left out, because a tag cannot be empty.

    Raises ValueError for no field at all and for a number that is not finite: neither can be stored; and for a
    measurement that makes it a comment, which a server takes and does not keep.
    """
    if not measurement or measurement.startswith("#"):
        raise ValueError(f"no measurement is called {measurement!r}")
    if not fields:
        raise ValueError(f"{measurement}: a point needs a field")
    head = [measurement.translate(_MEASUREMENT)]
    head += [f"{key.translate(_KEY)}={_tag(value)}" for key, value in sorted(tags.items()) if value]
    body = [f"{key.translate(_KEY)}={_field(key, value)}" for key, value in sorted(fields.items())]
    return f"{','.join(head)} {','.join(body)} {time_ns}"


def _tag(value: str) -> str:
    escaped = value.translate(_KEY)
    # A backslash at the end would escape the separator that follows.
    return escaped + " " if escaped.endswith("\\") else escaped


def _field(key: str, value: float | str) -> str:
    if isinstance(value, str):
        return f'"{value.translate(_TEXT)}"'
    if not math.isfinite(value):
        raise ValueError(f"{key} is {value}")
    return repr(float(value)).removesuffix(".0")
