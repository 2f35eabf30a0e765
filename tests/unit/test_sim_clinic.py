"""The parts of the simulated clinic by themselves: the agenda, the journal that forgets in a crash, the network."""

from gateway.core.outputs import Publish, RecordId, Row, Snapshot
from simulators.agenda import NEVER_US, Agenda
from simulators.clinic.journal import COMMIT_US, URGENT_US, VirtualJournal
from simulators.clinic.network import HOP_US, Network
from simulators.world.pneumatics import Cuff


def test_the_agenda_keeps_time_and_order() -> None:
    """Earlier first; in one moment by order of entry; what an entry adds for its own moment is done in it."""
    agenda = Agenda()
    done: list[tuple[str, int | None]] = []

    def note(word: str) -> None:
        done.append((word, agenda.acting_us))

    agenda.at(20, lambda: note("b"))
    agenda.at(10, lambda: (note("a"), agenda.at(10, lambda: note("a2"))))
    agenda.at(20, lambda: note("c"))
    assert agenda.next_us == 10
    agenda.run_until(19)
    assert done == [("a", 10), ("a2", 10)]
    agenda.run_until(20)
    assert [word for word, _ in done] == ["a", "a2", "b", "c"]
    assert agenda.next_us == NEVER_US
    assert agenda.acting_us is None


def test_an_entry_that_repeats_stays_on_its_grid_until_it_says_no() -> None:
    """Every 100 from 50 on, three times."""
    agenda = Agenda()
    times: list[int | None] = []

    def again() -> bool:
        times.append(agenda.acting_us)
        return len(times) < 3

    agenda.every(100, again, 50)
    agenda.run_until(10_000)
    assert times == [50, 150, 250]


def row(seq: int, *, urgent: bool = False) -> Row:
    return Row(measurement="vitals", at_ms=0, device="cb-1", chair="bay-1", fields={}, boot="b", seq=seq, urgent=urgent)


class Disk:
    def __init__(self) -> None:
        self.agenda = Agenda()
        self.commits: list[tuple[int | None, list[int], int]] = []
        self.journal = VirtualJournal(self.agenda, self._committed)

    def _committed(self, records: list[RecordId], published: list[Publish]) -> None:
        self.commits.append((self.agenda.acting_us, [record.seq for record in records], len(published)))


def test_a_reading_is_durable_after_the_group_commit_and_an_urgent_row_takes_it_along() -> None:
    """Ordinary rows wait 250 ms; an urgent one commits all before it, and what waited for it is said then."""
    disk = Disk()
    disk.journal.put(0, [row(1)])
    disk.agenda.run_until(COMMIT_US)
    assert disk.commits == [(COMMIT_US, [1], 0)]
    disk.journal.put(300_000, [row(2)])
    disk.journal.put(310_000, [row(3, urgent=True), Publish(topic="t", message=None, durable=True)])
    disk.agenda.run_until(1_000_000)
    assert disk.commits[1:] == [(310_000 + URGENT_US, [2, 3], 1)]
    assert disk.journal.ranges() == {"cb-1": {"b": [(1, 3)]}}


def test_a_crash_loses_what_was_not_committed_and_nothing_else() -> None:
    """Rows and snapshots under way are gone; what was durable is what the next start finds."""
    disk = Disk()
    disk.journal.put(0, [row(1), Snapshot(key="chair/bay-1", body=b"old")])
    disk.agenda.run_until(COMMIT_US)
    disk.journal.put(400_000, [row(2), Snapshot(key="chair/bay-1", body=b"new")])
    disk.journal.crash()
    disk.agenda.run_until(1_000_000)
    assert disk.journal.ranges() == {"cb-1": {"b": [(1, 1)]}}
    assert disk.journal.snapshots == {"chair/bay-1": b"old"}


def test_a_network_without_faults_loses_nothing_and_keeps_order() -> None:
    """Each message comes once, one hop later."""
    agenda = Agenda()
    came: list[tuple[int, int | None]] = []
    network = Network(agenda, seed=1)
    for number in range(100):
        network.carry(number * 1000, 0, lambda number=number: came.append((number, agenda.acting_us)))
    agenda.run_until(10**6)
    assert came == [(number, number * 1000 + HOP_US) for number in range(100)]


def test_chance_takes_its_share_and_spares_what_is_acknowledged() -> None:
    """About a fifth is lost, and no QoS 1 message."""
    agenda = Agenda()
    came = [0, 0]
    network = Network(agenda, seed=1)
    network.loss_share = 0.2
    for qos in (0, 1):
        for _ in range(1000):
            network.carry(0, qos, lambda qos=qos: came.__setitem__(qos, came[qos] + 1))
    agenda.run_until(10**6)
    assert 750 < came[0] < 850
    assert came[0] + network.lost == 1000
    assert came[1] == 1000


def pumped(cuff: Cuff, seconds: float) -> float:
    cuff.control(0.0, pump_on=True, dump_open=False, bleed=0.0)
    return cuff.pressure_mmhg(seconds)


def test_a_cuff_without_an_arm_fills_and_does_not_resist() -> None:
    """After ten seconds of pumping a wrapped cuff is hard, a loose one slack."""
    wrapped, loose = Cuff(lambda t: 90.0), Cuff(lambda t: 90.0)
    loose.wrap(0.0, False)
    assert pumped(wrapped, 5.0) > 100
    assert pumped(loose, 5.0) < 5


def test_a_kink_parts_the_arm_from_the_sensor() -> None:
    """What the arm has it keeps; what the sensor sees is the tube. Let go, the air is one again."""
    cuff = Cuff(lambda t: 90.0)
    held = pumped(cuff, 5.0)
    cuff.kink(5.0, True)
    cuff.control(5.0, pump_on=False, dump_open=True, bleed=1.0)
    assert cuff.pressure_mmhg(7.0) < 1
    assert abs(cuff.arm_mmhg(7.0) - held) < 1
    cuff.kink(7.0, False)
    assert cuff.pressure_mmhg(12.0) < 5
