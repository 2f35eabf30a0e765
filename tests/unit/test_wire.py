"""The contract's types: what is refused, under which name, and that what we write we can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire

BOOT = "0f1e2d3c4b5a6978"


def vitals(**changes: str) -> bytes:
    """A good payload with fields as JSON text; an empty text leaves the field out."""
    fields = {
        "v": "1", "boot": f'"{BOOT}"', "seq": "7", "base": "3", "up_ms": "60000",
        "quality": '"good"', "sqi_pct": "95", "spo2_pct": "97",
    } | changes  # fmt: skip
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items() if text) + "}").encode()


def refused(payload: bytes, kind: type[wire.Message] = wire.Vitals, **given: int) -> str:
    with pytest.raises(wire.Refused) as refusal:
        wire.decode(payload, kind, **given)
    assert str(refusal.value)
    return refusal.value.kind


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"v": "2"}, "version"),
        ({"v": "0"}, "version"),
        ({"v": ""}, "version"),
        ({"v": "99999999999999999999"}, "version"),
        ({"v": '"1"'}, "invalid"),
        ({"seq": "0"}, "invalid"),
        ({"seq": "1.5"}, "invalid"),
        ({"seq": ""}, "invalid"),
        ({"up_ms": "-1"}, "invalid"),
        ({"up_ms": "9007199254740993"}, "invalid"),
        ({"spo2_pct": "100.5"}, "invalid"),
        ({"spo2_pct": "-1"}, "invalid"),
        ({"spo2_pct": "null"}, "invalid"),
        ({"spo2_pct": "true"}, "invalid"),
        ({"spo2_pct": '"97"'}, "invalid"),
        ({"spo2_pct": "1e999"}, "invalid"),
        ({"spo2_pct": "NaN"}, "malformed"),
        ({"quality": '"fine"'}, "invalid"),
        ({"boot": '"0F1E2D3C4B5A6978"'}, "invalid"),
        ({"boot": f'"{BOOT}\\n"'}, "invalid"),
        ({"boot": '"short"'}, "invalid"),
        ({"late": "1"}, "invalid"),
    ],
)
def test_a_field_that_does_not_fit_is_refused(changes: dict[str, str], kind: str) -> None:
    """By a kind that can be counted."""
    assert refused(vitals(**changes)) == kind


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"nonsense", b"\xff", vitals() + b"x", vitals(boot='"\\ud800"')], ids=repr
)
def test_what_is_no_json_is_malformed(payload: bytes) -> None:
    """Also when its text is no text."""
    assert refused(payload) == "malformed"


def test_text_that_is_no_utf_8_is_malformed() -> None:
    """Inside a string too."""
    assert refused(vitals().replace(b'"good"', b'"go\xffd"')) == "malformed"


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_payload_over_its_size_is_refused_unread(more: int, fits: bool) -> None:
    """At 2 KiB it is read."""
    payload = vitals().ljust(wire.BOARD_BYTES_MAX + more)
    if fits:
        assert wire.decode(payload, wire.Vitals).seq == 7
    else:
        assert refused(payload) == "oversized"


def test_zero_is_a_value_and_absent_is_none() -> None:
    """They are never the same."""
    assert wire.decode(vitals(spo2_pct="0"), wire.Vitals).spo2_pct == 0.0
    assert wire.decode(vitals(spo2_pct=""), wire.Vitals).spo2_pct is wire.UNSET
    assert b"spo2_pct" not in wire.encode(wire.decode(vitals(spo2_pct=""), wire.Vitals))


def test_a_whole_number_becomes_a_float() -> None:
    """A board writes 97 where it means 97.0; rules compare floats."""
    assert isinstance(wire.decode(vitals(), wire.Vitals).spo2_pct, float)


def test_an_unknown_field_is_ignored() -> None:
    """A board may be newer than its gateway."""
    assert wire.decode(vitals(temp_c="36.6"), wire.Vitals).seq == 7


def told(payload: bytes, kind: type[wire.Message]) -> str:
    """The kind of the refusal, or nothing."""
    try:
        wire.decode(payload, kind)
    except wire.Refused as refusal:
        return refusal.kind
    return ""


@given(st.binary(max_size=400))
def test_no_bytes_do_anything_else_than_decode_or_be_refused(payload: bytes) -> None:
    """For every message that comes from outside."""
    for kind in (*wire.BOARD_TOPICS.values(), wire.Do):
        assert told(payload, kind) in ("malformed", "version", "invalid")


@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_damage_is_decoded_or_refused(at: int, damage: bytes) -> None:
    """A byte here or there, also in the middle of a character."""
    payload = vitals()[:at] + damage + vitals()[at + len(damage) :]
    assert told(payload, wire.Vitals) in ("", "malformed", "version", "invalid")


def test_topics_are_spelled_once() -> None:
    """As the design names them."""
    assert wire.device_topic("cb-7f3a21", "vitals") == "chairside/v1/dev/cb-7f3a21/vitals"
    assert wire.chair_topic("clinic", "bay-3", "do") == "chairside/v1/site/clinic/chair/bay-3/do"
    assert wire.gateway_topic("clinic") == "chairside/v1/site/clinic/gateway"
