"""What a run of the fleet counts, and what it calls a failure."""

import json

import pytest

from gateway import wire
from simulators.fleet.ledger import Ledger, late
from simulators.fleet.report import Report, as_json

BOARD, BOOT = "cb-fleet-0001", "00000000000000f1"
GOOD: dict[str, object] = {
    "chairs": 2, "rate_hz": 1.0, "seconds": 10.0, "broker": "mosquitto", "made": {"vitals": 20}, "rate_ratio": 1.0,
    "vitals_per_s": 2.0,
    "resent": 0, "unacked": 0, "unjournaled": 0, "dropped": 0, "states": 20, "unshown": 0, "to_state": None,
    "to_ack": None, "alarms_due": 1, "alarms_raised": 1, "alarms_other": {}, "to_alarm": None, "alone": 0,
    "reconnects": 0, "refused": {}, "gateway_dropped": {}, "queued_max": {}, "cores": {},
}  # fmt: skip


def vitals(seq: int, **given: object) -> wire.Vitals:
    plain = {"boot": BOOT, "base": 1, "up_ms": 0, "quality": "good", "sqi_pct": 95.0, "spo2_pct": 97.0}
    return wire.Vitals(seq=seq, **(plain | given))  # type: ignore[arg-type]


def test_a_record_is_missing_until_an_ack_covers_it() -> None:
    """Also one that was never sent; one from outside the measured time is not counted."""
    ledger = Ledger({BOARD: BOOT})
    ledger.note(BOARD, "vitals", 1)
    ledger.open = True
    for seq in (2, 3):
        ledger.note(BOARD, "vitals", seq)
    ledger.open = False
    ledger.note(BOARD, "vitals", 4)
    ledger.sent(BOARD, vitals(2), 100.0)
    assert (ledger.made["vitals"], ledger.unacked) == (2, 2)
    ledger.acked(BOARD, [1, 2, 4], 150.0)
    assert (ledger.unacked, ledger.ack_ms) == (1, [50.0])


def test_a_state_stands_for_the_records_before_it_of_its_own_boot() -> None:
    """A retained value of another boot shows nothing."""
    ledger = Ledger({BOARD: BOOT})
    ledger.open = True
    for seq in (1, 2, 3):
        ledger.note(BOARD, "vitals", seq)
        ledger.sent(BOARD, vitals(seq), 100.0 * seq)
    ledger.shown(BOARD, "00000000000000f2", 9, 400.0)
    assert ledger.unshown == 3
    ledger.shown(BOARD, BOOT, 2, 400.0)
    assert (ledger.unshown, ledger.state_ms) == (1, [300.0, 200.0])


def test_a_second_sending_is_counted_and_does_not_make_a_delay_shorter() -> None:
    """The delay is from the first."""
    ledger = Ledger({BOARD: BOOT})
    ledger.open = True
    ledger.note(BOARD, "vitals", 1)
    ledger.sent(BOARD, vitals(1), 100.0)
    ledger.sent(BOARD, vitals(1, late=True), 5_100.0)
    ledger.acked(BOARD, [1], 5_200.0)
    assert (ledger.resent, ledger.ack_ms) == (1, [5_100.0])


def test_the_rate_is_held_but_for_what_was_skipped() -> None:
    """Half a second of one board of two in ten seconds; what was skipped outside the measured time is nobody's."""
    ledger = Ledger({BOARD: BOOT, "cb-fleet-0002": BOOT})
    ledger.skip(9.0)
    ledger.open = True
    ledger.skip(0.5)
    assert ledger.rate_ratio(10.0) == pytest.approx(0.975)


def test_percentiles_are_of_what_was_seen() -> None:
    """Nothing seen is not a delay of zero."""
    assert late([]) is None
    spread = late([float(n) for n in range(1, 102)])
    assert spread is not None
    assert (spread.count, spread.p50_ms, spread.p99_ms, spread.max_ms) == (101, 51.0, 100.0, 101.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"unacked": 3}, "3 records were lost"),
        ({"unjournaled": 2}, "2 records were lost"),
        ({"dropped": 1}, "1 records were lost"),
        ({"rate_ratio": 0.9}, "the rate was not held"),
        ({"alarms_raised": 0}, "1 alarms that were due never came"),
    ],
)
def test_a_loss_is_a_failure_with_a_sentence(given: dict[str, object], words: str) -> None:
    """In the JSON too."""
    body = json.loads(as_json(Report(**(GOOD | given))))  # type: ignore[arg-type]
    assert words in " ".join(body["faults"])


def test_a_run_that_lost_nothing_is_good() -> None:
    """A gateway of somebody else, whose journal we cannot read, is judged by its acks."""
    assert Report(**GOOD).faults == []  # type: ignore[arg-type]
    assert Report(**(GOOD | {"unjournaled": None})).faults == []  # type: ignore[arg-type]
