"""A virtual board: what it says, what it makes of what it is told, and patients who alarm or do not."""

import random

import pytest

from gateway import protocols, wire
from gateway.config import load
from simulators.fleet.board import Board, Said
from simulators.fleet.patient import Course, Patient
from simulators.fleet.site import PROTOCOL, address, chairs, write_config

BOOT, OTHER = "00000000000000f1", "00000000000000f2"
BEGAN_MS = 50_000


def board(began_ms: int = BEGAN_MS) -> Board:
    """One that has greeted its broker."""
    chance = random.Random(1)
    one = Board("cb-fleet-0001", BOOT, Patient(chance), chance, began_ms)
    one.will()
    one.connected(began_ms)
    return one


def annunciate(beat: int, **given: object) -> bytes:
    plain: dict[str, object] = {"run": "run-1", "level": "none", "sound": False, "session": "s-1", "cuff_interval_s": 0}
    return wire.encode(wire.Annunciate(beat=beat, **(plain | given)))  # type: ignore[arg-type]


def cmd(**given: object) -> bytes:
    plain: dict[str, object] = {
        "id": "c-1", "kind": "measure", "session": "s-1", "boot": BOOT, "valid_until_up_ms": 5_000,
    }  # fmt: skip
    return wire.encode(wire.Cmd(**(plain | given)))  # type: ignore[arg-type]


def replies(one: Board, now_ms: int) -> list[tuple[str, object]]:
    return [(s.message.result, s.message.reason) for s in one.due(now_ms) if isinstance(s.message, wire.Reply)]


def test_all_that_a_board_says_fits_the_contract() -> None:
    """Birth, will, live vitals, a cuff result and its late twin are decoded by the gateway's own types."""
    one = board()
    one.take("annunciate", annunciate(1, cuff_interval_s=300, cuff_next_s=0), False, BEGAN_MS)
    said: list[Said] = [one.connected(BEGAN_MS)]
    wire.decode(one.will(), wire.Status)
    for now_ms in range(BEGAN_MS, BEGAN_MS + 120_000, 1_000):
        one.vitals(now_ms)
        one.passed(now_ms)
        said += one.live(now_ms)
        one.take("ack", wire.encode(wire.Ack(boot=BOOT, run="run-1", upto=0)), False, now_ms)
        said += one.due(now_ms)
    for each in said:
        wire.decode(wire.encode(each.message), wire.BOARD_TOPICS[each.leaf])
    records = [each.message for each in said if isinstance(each.message, wire.Record)]
    first = {record.seq for record in records}
    assert first == set(range(1, max(first) + 1))
    assert {type(record) for record in records} == {wire.Vitals, wire.Cuff, wire.Event}
    assert any(record.late for record in records)


def test_an_ack_of_another_boot_covers_nothing() -> None:
    """Numbers begin anew with each boot."""
    one = board()
    one.vitals(BEGAN_MS)
    list(one.live(BEGAN_MS))
    assert one.take("ack", wire.encode(wire.Ack(boot=OTHER, run="run-1", upto=9)), False, BEGAN_MS) == []
    assert one.take("ack", wire.encode(wire.Ack(boot=BOOT, run="run-1", upto=9)), True, BEGAN_MS) == []
    assert one.take("ack", wire.encode(wire.Ack(boot=BOOT, run="run-1", upto=9)), False, BEGAN_MS) == [2]


def test_a_lower_epoch_is_not_obeyed() -> None:
    """A gateway that was replaced must not come back."""
    one = board()
    one.take("annunciate", annunciate(1, epoch=2, level="high"), False, BEGAN_MS)
    one.take("annunciate", annunciate(2, epoch=1, level="none"), False, BEGAN_MS)
    assert one.level == "high"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"boot": OTHER}, "boot"),
        ({"valid_until_up_ms": 1_000}, "expired"),
        ({"session": "s-0"}, "session"),
    ],
)
def test_a_foreign_or_expired_command_is_refused(given: dict[str, object], reason: str) -> None:
    """It says why, and no cuff begins."""
    one = board()
    one.take("annunciate", annunciate(1), False, BEGAN_MS)
    one.take("cmd", cmd(**given), False, BEGAN_MS + 1_000)
    assert replies(one, BEGAN_MS + 1_000) == [("refused", reason)]
    assert one.vitals(BEGAN_MS + 2_000).cuff == "idle"


def test_a_command_is_obeyed_once() -> None:
    """The repeat of a command is refused; a measurement ends with one result of the command."""
    one = board()
    one.take("annunciate", annunciate(1), False, BEGAN_MS)
    one.take("cmd", cmd(), False, BEGAN_MS + 1_000)
    one.take("cmd", cmd(), False, BEGAN_MS + 1_000)
    assert replies(one, BEGAN_MS + 1_000) == [("accepted", wire.UNSET), ("refused", "repeated")]
    results = [cuff for now_ms in range(BEGAN_MS, BEGAN_MS + 60_000, 200) if (cuff := one.passed(now_ms)) is not None]
    assert [(cuff.trigger, cuff.quality) for cuff in results] == [("command", "good")]


def test_now_is_one_measurement_until_its_result_is_known() -> None:
    """The gateway says "now" each second until the result is there; that is one order."""
    one = board()
    results = 0
    for beat, now_ms in enumerate(range(BEGAN_MS, BEGAN_MS + 50_000, 1_000), 1):
        one.take("annunciate", annunciate(beat, cuff_interval_s=300, cuff_next_s=0), False, now_ms)
        results += one.passed(now_ms) is not None
    assert results == 1


def test_a_beat_that_does_not_rise_is_no_sign_of_life() -> None:
    """Repeats and retained messages do not end a silence of 3 s."""
    one = board()
    one.take("annunciate", annunciate(5), False, BEGAN_MS)
    one.take("annunciate", annunciate(5), False, BEGAN_MS + 2_000)
    one.take("annunciate", annunciate(6), True, BEGAN_MS + 2_500)
    one.passed(BEGAN_MS + 3_001)
    assert one.alone_spells == 1


def test_a_calm_patient_crosses_no_limit() -> None:
    """In an hour of readings no vitals rule of the protocol in use is crossed, whoever it is."""
    rules = [rule for rule in protocols.load_all()[PROTOCOL].rules if rule.measure in ("spo2_pct", "pulse_bpm")]
    assert rules
    for seed in range(20):
        patient = Patient(random.Random(seed))
        patient.begin()
        for _ in range(3_600):
            values = patient.vitals(1.0)
            assert not [r.id for r in rules if any(tier.crossed(values[r.measure]) for tier in r.tiers)], values


def test_a_falling_patient_reaches_the_high_level() -> None:
    """The course ends below the limit that has no delay."""
    rule = next(rule for rule in protocols.load_all()[PROTOCOL].rules if rule.id == "spo2_low")
    patient = Patient(random.Random(1), Course(begins_s=5, falls_s=10, floor_pct=80))
    patient.begin()
    values = [patient.vitals(1.0)["spo2_pct"] for _ in range(20)]
    assert not rule.tiers[0].crossed(values[3])
    assert rule.tiers[-1].crossed(values[-1])


def test_the_configuration_it_writes_is_one_the_gateway_takes(tmp_path) -> None:
    """Every chair has its board, and the broker is the one that was named."""
    path = tmp_path / "fleet.toml"
    write_config(path, 12, "mqtt://user:word@broker.example:1884")
    config = load(path, environment={})
    assert config.chairs == chairs(12)
    assert (config.mqtt.host, config.mqtt.port, config.protocols.default) == ("broker.example", 1884, PROTOCOL)


@pytest.mark.parametrize("url", ["broker.example", "http://broker.example", "mqtt://", "mqtt://broker:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Before anything is started."""
    with pytest.raises(ValueError):
        address(url)
