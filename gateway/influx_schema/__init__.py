"""What InfluxDB holds, in one place (`measurements`), and whether a row is of it.

The sink holds every row to it before it sends one: a field that changes its type makes InfluxDB refuse the rows of
everybody who writes there, and a tag that nothing bounds fills its memory. What is listed once stays, with its type: a
journal may hold rows of an older program, and a database their series.
"""

from collections.abc import Mapping

from gateway.influx_schema.measurements import SCHEMA

_TAGS = {one.name: frozenset(one.tags) for one in SCHEMA}
_KINDS = {one.name: {field.name: field.kind for field in one.fields} for one in SCHEMA}


def check(measurement: str, tags: Mapping[str, str], fields: Mapping[str, float | str]) -> None:
    """Raises ValueError, saying why, for a row that is not of the schema. An empty tag is none."""
    if measurement not in _KINDS:
        raise ValueError(f"not in the schema: measurement {measurement!r}")
    known, kinds = _TAGS[measurement], _KINDS[measurement]
    for tag, named in tags.items():
        if named and tag not in known:
            raise ValueError(f"not in the schema: tag {tag!r} of {measurement}")
    for field, value in fields.items():
        if field not in kinds:
            raise ValueError(f"not in the schema: field {field!r} of {measurement}")
        if kinds[field] != ("string" if isinstance(value, str) else "float"):
            raise ValueError(f"not in the schema: {field} of {measurement} is a {kinds[field]}, not {value!r:.40}")
