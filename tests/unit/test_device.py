"""A board's link: who speaks now, what is a repeat, how old a value is."""

from core_helpers import BEGIN_MS, BOOT, Board

from gateway import wire
from gateway.core.device import BOOTS_MAX, Device, Taken, stored, take

OTHER = "00000000000000b2"


def heard(board: Board, *at_s: float, device: Device | None = None, **given: object) -> tuple[Device, Taken]:
    """Events that arrive as they are sent."""
    device = device or Device()
    for second in at_s:
        now_ms = BEGIN_MS + round(second * 1000)
        record = board.record(wire.Event, now_ms, kind="button", name="acknowledge", **given)
        device, taken = take(device, record, now_ms)
    return device, taken


def test_a_live_record_makes_a_board_online_for_five_seconds() -> None:
    """Nothing else does."""
    device, taken = heard(Board(), 0)
    assert taken == Taken(duplicate=False, live=True, at_mono_ms=BEGIN_MS)
    assert device.online(BEGIN_MS + 5_000)
    assert not device.online(BEGIN_MS + 5_001)


def test_a_resent_record_says_nothing_of_now() -> None:
    """It neither makes its board online nor feeds the clock."""
    device, _ = heard(Board(), 0)
    clock = device.time_map
    late = wire.Event(boot=BOOT, seq=9, base=1, up_ms=60_000, kind="button", name="x", late=True)
    device, taken = take(device, late, BEGIN_MS + 60_000)
    assert (taken.live, taken.at_mono_ms) == (False, BEGIN_MS)
    assert device.time_map == clock
    assert not device.online(BEGIN_MS + 60_000)


def test_a_late_record_of_an_unknown_boot_has_no_time() -> None:
    """Nobody knows how old it is, so it is history."""
    device, taken = heard(Board(), 0, late=True)
    assert taken.at_mono_ms is None
    assert not device.online(BEGIN_MS)


def test_a_late_record_of_a_forgotten_boot_does_not_push_the_speaking_one_aside() -> None:
    """Only a live record says that its boot is the one that runs."""
    device, _ = heard(Board(), 0)
    device, _ = heard(Board(boot=OTHER), 0.5, device=device, late=True)
    device, taken = heard(Board(seq=1), 1, device=device)
    assert taken.live
    assert device.boot == BOOT


def test_a_boot_that_was_late_first_may_speak() -> None:
    """After the gateway lost its journal a board's resent records may come before its live ones."""
    board = Board()
    device, _ = heard(board, 0, late=True)
    device, taken = heard(board, 1, device=device)
    assert taken.live
    assert device.boot == BOOT


def test_a_reboot_is_a_new_boot() -> None:
    """Its seq, base and clock begin anew."""
    device, _ = heard(Board(seq=500, base=400), 0)
    device, taken = heard(Board(boot=OTHER, on_since_ms=BEGIN_MS + 3_000), 4, device=device)
    assert taken.live
    assert (device.boot, device.base, taken.at_mono_ms) == (OTHER, 1, BEGIN_MS + 4_000)


def test_a_delayed_record_of_the_boot_before_is_kept_but_not_current() -> None:
    """A packet that waited in the network does not turn time back."""
    before, after = Board(), Board(boot=OTHER)
    device, _ = heard(before, 0)
    device, _ = heard(after, 1, device=device)
    device, taken = heard(before, 2, device=device)
    assert taken == Taken(duplicate=False, live=False, at_mono_ms=BEGIN_MS + 2_000)
    assert device.boot == OTHER
    assert stored(device, BOOT, 2).durable[BOOT] == ((2, 2),)
    device, taken = heard(after, 3, device=device)
    assert taken.live


def test_what_a_board_carried_over_its_restart_has_its_time() -> None:
    """By the clock that the boot before had, whatever the new one says; of the boot before that nobody knows."""
    first, second = Board(), Board(boot=OTHER, on_since_ms=BEGIN_MS + 3_000)
    device, _ = heard(first, 0, 2)
    device, _ = heard(second, 4, 5, device=device)
    held = first.record(wire.Event, BEGIN_MS + 2_500, kind="button", name="call", late=True)
    device, taken = take(device, held, BEGIN_MS + 6_000)
    assert taken == Taken(duplicate=False, live=False, at_mono_ms=BEGIN_MS + 2_500)
    device, _ = heard(Board(boot="00000000000000b3", on_since_ms=BEGIN_MS + 7_000), 8, device=device)
    older = first.record(wire.Event, BEGIN_MS + 2_600, kind="button", name="call", late=True)
    assert take(device, older, BEGIN_MS + 9_000)[1].at_mono_ms is None


def test_only_a_few_boots_are_kept_and_the_speaking_one_is_among_them() -> None:
    """A board that restarts for ever does not fill the memory."""
    device = Device()
    for number in range(20):
        device, _ = heard(Board(boot=f"{number:016x}"), number, device=device)
        device = stored(device, f"{number:016x}", 1)
    assert len(device.accepted) == len(device.durable) == BOOTS_MAX
    assert device.boot in device.accepted


def test_the_speaking_boot_is_not_forgotten_for_late_ones() -> None:
    """Whatever stray boots send."""
    device, _ = heard(Board(), 0)
    for number in range(20):
        device, _ = heard(Board(boot=f"{number:016x}"), 1, device=device, late=True)
    assert device.boot == BOOT
    assert BOOT in device.accepted


def test_a_repeat_is_told_by_its_number() -> None:
    """Also when it is marked late, and when it came with another base."""
    board = Board()
    device, _ = heard(board, 0, 1, 2)
    again = wire.Event(boot=BOOT, seq=2, base=2, up_ms=61_000, kind="button", name="x", late=True)
    assert take(device, again, BEGIN_MS + 3_000)[1].duplicate
