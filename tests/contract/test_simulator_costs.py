"""What the board waits for costs virtual time, and what a fault takes away is really away: programs on the shims."""

import hashlib
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulators.conductor import PWRON_RESET, WDT_RESET, SimBoard
from simulators.process import SHIMS_BYTES, BoardError
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

Make = Callable[..., SimBoard]
BUS = """
from machine import I2C, Pin
i2c = I2C(0, scl=Pin(22), sda=Pin(21), freq=400_000)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Make]:
    boards: list[SimBoard] = []

    def make(text: str, **options: object) -> SimBoard:
        firmware = tmp_path / f"firmware-{len(boards)}"
        firmware.mkdir()
        (firmware / "main.py").write_text(textwrap.dedent(text))
        flash = tmp_path / f"flash-{len(boards)}"
        board = SimBoard("cb-7f3a21", ChairWorld(Patient()), flash, firmware_dir=firmware, **options)  # type: ignore[arg-type]
        boards.append(board)
        return board

    yield make
    for board in boards:
        board.kill()


def printed(board: SimBoard, seconds: float = 60.0) -> list[str]:
    board.start()
    try:
        board.run_for(seconds)
    except BoardError as error:
        if "its program ended" not in str(error):
            raise
    board.kill()
    return board.log_path.read_text().splitlines()


TIMED = """
import time  # first, as the firmware begins with machine: what follows is then the simulated one
import gc, os, socket
def took(what):
    began = time.ticks_ms()
    try:
        what()
        error = 0
    except OSError as problem:
        error = problem.errno
    return time.ticks_diff(time.ticks_ms(), began), error
"""


def test_what_blocks_costs_virtual_time(program: Make) -> None:
    """A collection, a name lookup and a write take the time that they take on a board; an address is not looked up."""
    lines = printed(
        program(
            TIMED
            + """
print(*took(gc.collect))
print(*took(lambda: socket.getaddrinfo("gateway.example", 1883)))
print(*took(lambda: socket.getaddrinfo("192.0.2.1", 1883)))
print(*took(lambda: open("note.txt", "w").close()))
print(*took(lambda: open("note.txt").close()))
"""
        )
    )
    assert lines == ["5 0", "1000 0", "0 0", "50 0", "0 0"]


def test_a_scenario_may_raise_a_cost(program: Make) -> None:
    """A board with a large heap collects for long."""
    board = program(TIMED + "print(*took(gc.collect))\n")
    board.costs.collect_us = 286_000
    assert printed(board) == ["286 0"]


def test_a_name_without_an_answer_blocks_and_fails(program: Make) -> None:
    """After 14 s the lookup raises, as on the ESP32."""
    board = program(TIMED + 'print(*took(lambda: socket.getaddrinfo("gateway.example", 1883)))\n')
    board.names_answer = False
    assert printed(board) == ["14000 -202"]


def test_a_full_flash_takes_no_write(program: Make) -> None:
    """ENOSPC for writing; what is there can still be read."""
    board = program(
        TIMED + 'print(took(lambda: open("crash.txt", "w"))[1])\nprint(took(lambda: open("config.json").read())[1])\n'
    )
    board.flash_full = True
    assert printed(board) == ["28", "0"]


@pytest.mark.parametrize(("fault", "errno"), [("stuck", 116), ("nack_share", 19)])
def test_a_broken_bus_raises_what_the_board_raises(program: Make, fault: str, errno: int) -> None:
    """A line held low is ETIMEDOUT after the bus's timeout, a missing acknowledge ENODEV at once."""
    board = program(TIMED + BUS + "print(*took(lambda: i2c.readfrom_mem(0x57, 0xFF, 1)))\n")
    setattr(board.world.bus, fault, True if fault == "stuck" else {0x57: 1.0})
    assert printed(board) == [f"{50 if fault == 'stuck' else 0} {errno}"]


def test_a_crystal_that_runs_fast_counts_more(program: Make) -> None:
    """With 2 % error a hundred samples' time looks like more than a second; sleeping itself is by the true clock."""
    text = "import time\nbegan = time.ticks_ms()\ntime.sleep(10)\nprint(time.ticks_diff(time.ticks_ms(), began))\n"
    assert printed(program(text)) == ["10000"]
    assert printed(program(text, ticks_ppm=20_000)) == ["10200"]


def test_chance_has_a_seed_and_each_boot_draws_anew(program: Make) -> None:
    """The same seed gives the same boot ids; another seed, and the next boot, other ones."""
    text = """
    import machine, os
    print(os.urandom(8).hex(), len(os.urandom(40)))
    if machine.reset_cause() == machine.PWRON_RESET:
        machine.reset()
    import time
    time.sleep(1000)
    """
    first, again, other = (printed(program(text, seed=seed), 5) for seed in (1, 1, 2))
    assert first == again
    assert len({*first, *other}) == 4
    assert all(line.endswith(" 40") for line in first)
    assert not hashlib.sha256(b"").hexdigest().startswith(first[0].split()[0])


def test_a_heap_of_some_size_is_the_program_s(program: Make) -> None:
    """What the shims take comes on top of it and is not counted; no more comes on top than they take."""
    board = program(
        """
        import machine, time
        import gc
        from collector import _simulator_bytes
        gc.collect()
        print(gc.mem_free() + gc.mem_alloc(), _simulator_bytes)
        time.sleep(1000)
        """,
        heap_bytes=256 * 1024,
    )
    whole, shims = map(int, printed(board, 5)[-1].split())
    print(f"the shims take {shims / 1024:.1f} KB, {SHIMS_BYTES / 1024:.0f} KB are added for them")
    assert 0.95 * 256 * 1024 < whole <= 256 * 1024
    assert shims >= SHIMS_BYTES


def test_a_hung_program_is_what_its_watchdog_is_for(program: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that never looks at the clock is bitten when the watchdog is due, and starts again."""
    monkeypatch.setattr("simulators.conductor.HUNG_S", 0.2)
    board = program(
        """
        import machine, time
        if machine.reset_cause() == machine.WDT_RESET:
            print("bitten", time.ticks_ms())
            time.sleep(1000)
        machine.WDT(timeout=8000)
        time.sleep(1)
        while True:
            pass
        """
    )
    lines = printed(board, 20)
    assert lines[0].startswith("bitten")
    assert board.resets == [PWRON_RESET, WDT_RESET]


def test_an_input_is_read_as_it_is_also_without_asking(program: Make) -> None:
    """A button that is pressed and let go between two looks is seen at the next; reading costs the pipe nothing."""
    board = program(
        """
        import time
        from machine import Pin
        call = Pin(35, Pin.IN)
        for _ in range(12):
            print(call.value(), end="")
            time.sleep_ms(500)
        """
    )
    for at_us, down in ((1_100_000, True), (3_100_000, False), (4_100_000, True), (4_200_000, False)):
        board.agenda.at(at_us, lambda down=down: board.world.press("button_call", down))
    assert printed(board, 10) == ["111000011111"]


def test_power_cut_and_given_back_from_the_agenda(program: Make) -> None:
    """The board is off in between, starts as after power-on, and time goes on meanwhile."""
    board = program("import machine, time\nprint(machine.reset_cause())\ntime.sleep(1000)\n")
    board.agenda.at(2_000_000, board.cut_power)
    board.agenda.at(5_000_000, board.restore_power)
    board.start()
    board.run_for(3)
    assert not board.running
    board.run_for(4)
    assert board.running
    assert board.now_s() == 7
    assert board.resets == [PWRON_RESET, PWRON_RESET]


def test_the_simulator_s_own_memory_does_not_count(program: Make) -> None:
    """With every shim loaded the program seems to have allocated hardly more than its own few lines; what it takes
    itself counts in full."""
    lines = printed(
        program(
            """
            import machine
            import gc, network, os, select, socket, time
            gc.collect()
            empty = gc.mem_alloc()
            block = bytearray(20_000)
            gc.collect()
            print(empty, gc.mem_alloc() - empty, gc.mem_free() + gc.mem_alloc() > 100_000)
            """
        )
    )
    empty, taken, whole = lines[0].split()
    assert int(empty) < 16_000
    assert 20_000 <= int(taken) < 20_500
    assert whole == "True"
