"""Line protocol: what the database reads must be what the journal holds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client import Point, WritePrecision

from gateway.line_protocol import line

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
fields = st.dictionaries(
    words, st.floats(allow_nan=False, allow_infinity=False) |
    st.text(st.characters(exclude_categories=("Cs",))), min_size=1, max_size=4, )  # fmt: skip


@given(words.filter(lambda word: not word.startswith("#")), st.dictionaries(words, words, max_size=3), fields,
       st.integers(0, 2**62))  # fmt: skip
def test_a_line_equals_the_official_clients(measurement, tags, values, time_ns):
    """Any names and values, with commas, quotes, backslashes and line ends, give the line of
    influxdb_client."""
    point = Point.from_dict(
        {"measurement": measurement, "tags": tags, "fields": values, "time": time_ns}, WritePrecision.NS
    )
    assert line(measurement, tags, values, time_ns) == point.to_line_protocol()


def test_a_quantity_is_a_float_and_a_word_is_quoted():
    """98 is written without a point yet never as an integer `98i`: a field's type must not change with its
    value."""
    assert line("vitals", {"chair": "bay-1"}, {"spo2_pct": 98.0, "quality": 'a "b"'}, 5) == (
        'vitals,chair=bay-1 quality="a \\"b\\"",spo2_pct=98 5'
    )


def test_an_empty_tag_is_left_out():
    """A device without a chair has no chair tag; an empty one would be refused by the server."""
    assert line("device", {"chair": "", "device": "cb-1"}, {"up": 1}, 7) == "device,device=cb-1 up=1 7"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(value):
    """It could only be stored as a lie."""
    with pytest.raises(ValueError, match="spo2_pct"):
        line("vitals", {}, {"spo2_pct": value}, 1)


def test_a_point_without_fields_is_refused():
    """The server would refuse it; the journal must learn that it made one."""
    with pytest.raises(ValueError, match="needs a field"):
        line("vitals", {}, {}, 1)
