"""A virtual board's outbox by the contract of delivery: kept until covered, sent again when it should have been."""

from gateway import wire
from simulators.fleet.outbox import Outbox

BOOT = "00000000000000f1"


def made(outbox: Outbox, kind: type[wire.Record] = wire.Vitals) -> int:
    """A new record in the outbox; returns its number."""
    given: dict[str, object] = {"boot": BOOT, "seq": outbox.next_seq(), "base": 1, "up_ms": 0}
    extra: dict[type[wire.Record], dict[str, object]] = {
        wire.Vitals: {"quality": "no_finger", "sqi_pct": 0.0},
        wire.Cuff: {"quality": "failed", "trigger": "schedule"},
        wire.Event: {"kind": "start", "name": "power_on"},
    }
    record = kind(**given, **extra[kind])  # type: ignore[arg-type]
    outbox.add(record)
    return record.seq


def live(outbox: Outbox, now_ms: int) -> list[int]:
    return [record.seq for record in outbox.live(now_ms)]


def online(records: int = 0, **given: int) -> Outbox:
    """An outbox whose link is up and whose gateway has acknowledged at 0 ms, with records sent live 1 ms later."""
    outbox = Outbox(**given)
    outbox.link_up(0)
    outbox.ack("run-1", 0, [], 0)
    for _ in range(records):
        made(outbox)
    assert live(outbox, 1) == list(range(1, records + 1))
    return outbox


def test_a_record_is_sent_live_once() -> None:
    """The first sending is not late, and there is only one of it."""
    outbox = online()
    seq = made(outbox)
    [record] = outbox.live(10)
    assert (record.seq, record.late) == (seq, False)
    assert live(outbox, 20) == []


def test_only_what_is_covered_is_forgotten() -> None:
    """A hole below the ranges stays in the outbox and is the base."""
    outbox = online(6)
    assert outbox.ack("run-1", 2, [(4, 5)], 100) == [1, 2, 4, 5]
    assert (len(outbox), outbox.base) == (2, 3)


def test_what_was_never_sent_is_not_durable() -> None:
    """An ack that covers a number of the future is of another's record."""
    outbox = online()
    made(outbox)
    assert outbox.ack("run-1", 9, [(1, 9)], 100) == []
    assert live(outbox, 200) == [1]


def test_a_record_that_stays_uncovered_for_5_s_is_sent_again_as_late() -> None:
    """Not earlier, with today's base, and then not again for 5 s."""
    outbox = online(2)
    for at_ms in range(1_000, 5_000, 1_000):
        outbox.ack("run-1", 1, [], at_ms)
        assert outbox.due(at_ms) is None
    outbox.ack("run-1", 1, [], 5_000)
    assert outbox.due(5_000) is None
    record = outbox.due(5_001)
    assert record is not None
    assert (record.seq, record.late, record.base) == (2, True, 2)
    assert outbox.due(5_001) is None
    outbox.ack("run-1", 1, [], 10_000)
    assert outbox.due(10_000) is None
    assert outbox.due(10_001) is not None


def test_nothing_is_sent_again_to_a_gateway_that_does_not_acknowledge() -> None:
    """Without acks there is nobody to take it: only live records go out."""
    outbox = online(1)
    assert outbox.due(8_000) is None


def test_after_a_reconnect_all_that_was_sent_before_is_due_once_acks_come() -> None:
    """What was made while the link was down is late too."""
    outbox = online(2)
    made(outbox)
    outbox.link_up(1_000)
    assert live(outbox, 1_000) == []
    assert outbox.due(1_100) is None
    outbox.ack("run-1", 0, [], 1_200)
    assert [outbox.due(1_200 + n).seq for n in range(3)] == [1, 2, 3]  # type: ignore[union-attr]
    assert outbox.due(1_300) is None


def test_a_new_run_of_the_gateway_makes_due_what_was_sent_to_the_old_one() -> None:
    """It may have died with them in its queue."""
    outbox = online(1)
    outbox.ack("run-2", 0, [], 500)
    record = outbox.due(500)
    assert record is not None
    assert record.late


def test_cuff_and_events_go_before_vitals() -> None:
    """The oldest vitals wait for the newest event."""
    outbox = online(2)
    for kind in (wire.Event, wire.Vitals, wire.Cuff):
        made(outbox, kind)
    live(outbox, 1)
    outbox.ack("run-1", 0, [], 6_000)
    assert [outbox.due(6_000).seq for _ in range(5)] == [3, 5, 1, 2, 4]  # type: ignore[union-attr]


def test_without_room_the_oldest_vitals_go_and_are_counted() -> None:
    """An event outlives vitals; what was given up is neither sent nor held."""
    outbox = Outbox(records_max=3)
    outbox.link_up(0)
    made(outbox, wire.Event)
    for _ in range(4):
        made(outbox)
    assert outbox.dropped == 2
    assert live(outbox, 0) == [1, 4, 5]
