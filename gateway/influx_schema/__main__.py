"""`python -m gateway.influx_schema [--check]`: docs/reference/influx-schema.md."""

import sys
from pathlib import Path

from gateway.generated import settle
from gateway.influx_schema.measurements import MINUTES, SCHEMA, Measurement

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "influx-schema.md"
HEAD = """\
# What InfluxDB holds

<!-- Written by python -m gateway.influx_schema. -->

The journal on the gateway's disk is the record; InfluxDB gets a copy of each of its rows, and keeps trying until the
server took it. The database is called `chairside`. Queries are InfluxQL, which 1.x, 2.x (with a DBRP mapping) and
3.x answer.

**Tags**: `site`, `chair`, `device`; the only further ones are `rule` and `priority` of an alarm and `criterion` of a
readiness line. All are bounded by the configuration and the protocol. Nothing names a patient.

**Fields**: quantities are floats, words are strings. A value that was not measured is not there. A field keeps its type
and its meaning for ever; what means something else gets another name.

**Time**: the sensor's time in UTC where there is one. It is fixed once, when the row is journaled: milliseconds × 10⁶
plus the row's number modulo 10⁶, in nanoseconds. Two rows never fall on one point, and a row that is sent twice
overwrites itself.

**What is not listed here is not sent**: a row with another tag or field, or with a field of another type, goes into the
journal's quarantine, is counted as `sink_quarantined`, and stays in the journal."""


def page() -> str:
    parts = [HEAD, *(_described(one, f"`{one.name}`") for one in SCHEMA), _described(MINUTES, "`vitals` by the minute")]
    return "\n\n".join(parts) + "\n"


def _described(one: Measurement, title: str) -> str:
    lines = [f"## {title}", "", f"One row is {one.row}.", ""]
    lines += [f"Tags: {', '.join(f'`{tag}`' for tag in one.tags)}." if one.tags else "No tags.", ""]
    lines += ["| field | type | unit | what |", "| --- | --- | --- | --- |"]
    lines += [f"| `{field.name}` | {field.kind} | {field.unit} | {field.meaning} |" for field in one.fields]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(settle({PAGE: page()}, "gateway.influx_schema"))
