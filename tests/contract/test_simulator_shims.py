"""The shims keep the promises of the board's MicroPython: small programs run on them under the conductor."""

import textwrap
from pathlib import Path

import pytest

from simulators.conductor import HARD_RESET, PWRON_RESET, SOFT_RESET, WDT_RESET, SimBoard
from simulators.process import BoardError
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

BUS = """
from machine import I2C, Pin
i2c = I2C(0, scl=Pin(22), sda=Pin(21), freq=400_000)
"""


class Rig:
    """A board that runs `program` as its main.py, in virtual time."""

    def __init__(self, folder: Path, program: str, **options) -> None:
        firmware = folder / "firmware"
        firmware.mkdir()
        (firmware / "main.py").write_text(textwrap.dedent(program))
        self.world = ChairWorld(Patient())
        self.board = SimBoard("cb-7f3a21", self.world, folder / "flash", firmware_dir=firmware, **options)

    def printed(self, seconds: float = 5.0) -> list[str]:
        """Lines of the console after so many seconds; a program that ends by itself is fine here."""
        self.board.start()
        try:
            self.board.run_for(seconds)
        except BoardError as error:
            if "its program ended" not in str(error):
                raise
        finally:
            self.board.kill()
        return self.board.log_path.read_text().splitlines()


@pytest.fixture
def rig(tmp_path: Path):
    boards: list[SimBoard] = []

    def make(program: str, **options) -> Rig:
        rig = Rig(tmp_path, program, **options)
        boards.append(rig.board)
        return rig

    yield make
    for board in boards:
        board.kill()


def test_i2c_reaches_the_chips(rig) -> None:
    """scan, readfrom_mem, readfrom_mem_into, writeto_mem, writeto and readfrom_into all speak to the same chips."""
    lines = rig(
        BUS
        + """
print(i2c.scan())
print(i2c.readfrom_mem(0x57, 0xFF, 1))
config = bytearray(2)
i2c.readfrom_mem_into(0x48, 1, config)
print(config)
i2c.writeto_mem(0x48, 1, b"\\x42\\xA3")
i2c.writeto(0x48, b"\\x01")
i2c.readfrom_into(0x48, config)
print(config)
"""
    ).printed()
    assert lines == ["[72, 87]", "b'\\x15'", "bytearray(b'\\x85\\x83')", "bytearray(b'B\\xa3')"]


def test_an_absent_chip_is_enodev(rig) -> None:
    """An address that nobody acknowledges raises OSError 19, as on the ESP32; so does a chip made silent."""
    made = rig(
        BUS
        + """
for address in (0x33, 0x57):
    try:
        i2c.readfrom_mem(address, 0, 1)
    except OSError as error:
        print(error.errno)
"""
    )
    made.world.bus.silent.add(0x57)
    assert made.printed() == ["19", "19"]


@pytest.mark.parametrize(
    ("misuse", "named"),
    [
        ("i2c.readfrom_mem(0x57, 0x30, 1)", "MAX30102 has no register 0x30"),
        ("i2c.writeto_mem(0x57, 0xFF, b'\\x15')", "read-only"),
        ("Pin(2, Pin.OUT, value=1); time.sleep(1)", "GPIO 2"),
        ("I2C(0, scl=Pin(5), sda=Pin(21))", "I2C bus"),
    ],
)
def test_misuse_stops_the_board_and_reaches_the_test(rig, misuse: str, named: str) -> None:
    """An unknown register, pin or bus is an error that surfaces where the board is driven, and the process is gone."""
    made = rig(BUS + "import time\n" + misuse)
    made.board.start()
    with pytest.raises(BoardError, match=named):
        made.board.run_for(5)
    assert not made.board.running


def test_a_program_that_ends_is_an_error_with_its_last_words(rig) -> None:
    """An uncaught exception surfaces with the traceback that the board printed."""
    made = rig("raise ValueError('out of tea')")
    made.board.start()
    with pytest.raises(BoardError, match="out of tea"):
        made.board.run_for(5)


def test_ticks_wrap_where_the_boards_do(rig) -> None:
    """A run that starts 2 s before 2**30 ms wraps; ticks_diff and ticks_add see through it; asyncio sleeps on."""
    lines = rig(
        """
        import asyncio, time
        async def main():
            before = time.ticks_ms()
            await asyncio.sleep(5)
            after = time.ticks_ms()
            print(before > 1 << 29, after < 5000, time.ticks_diff(after, before) // 100)
            print(time.ticks_add(before, time.ticks_diff(after, before)) == after)
        asyncio.run(main())
        """,
        ticks_start_ms=(1 << 30) - 2000,
    ).printed(10)
    assert lines == ["True True 50", "True"]


def test_polling_the_clock_passes_time(rig) -> None:
    """A loop that only looks at the clock ends: every look costs a microsecond."""
    lines = rig(
        """
        import time
        start = time.ticks_us()
        while time.ticks_diff(time.ticks_us(), start) < 500:
            pass
        print("done")
        """
    ).printed()
    assert lines == ["done"]


def test_the_board_wakes_in_the_year_2000(rig) -> None:
    """Its epoch is 2000-01-01, and no clock is set."""
    assert rig("import time; print(time.gmtime(0)[0], time.time())").printed() == ["2000 0"]


def test_asyncio_keeps_order_and_cancels(rig) -> None:
    """Sleeps end in order, wait_for times out, gather gathers, a cancelled task says so."""
    lines = rig(
        """
        import asyncio
        async def say(ms, word):
            await asyncio.sleep_ms(ms)
            print(word)
            return ms
        async def for_ever():
            try:
                while True:
                    await asyncio.sleep(1)
            except asyncio.CancelledError:
                print("cancelled")
                raise
        async def main():
            print(await asyncio.gather(say(300, "c"), say(100, "a"), say(200, "b")))
            try:
                await asyncio.wait_for(for_ever(), 2)
            except asyncio.TimeoutError:
                print("timeout")
            lock = asyncio.Lock()
            async with lock:
                print("locked")
        asyncio.run(main())
        """
    ).printed(10)
    assert lines == ["a", "b", "c", "[300, 100, 200]", "cancelled", "timeout", "locked"]


def test_timers_run_on_their_grid_and_never_inside_one_another(rig) -> None:
    """A 20 ms timer fires 50 times a second during sleeps, and a slow callback is not interrupted by another."""
    lines = rig(
        """
        import time
        from machine import Timer
        inside = False
        counts = [0, 0]
        def slow(timer):
            global inside
            assert not inside
            inside = True
            time.sleep_ms(15)
            inside = False
            counts[0] += 1
        def fast(timer):
            assert not inside
            counts[1] += 1
        Timer(0, mode=Timer.PERIODIC, period=100, callback=slow)
        Timer(1, mode=Timer.PERIODIC, period=20, callback=fast)
        time.sleep(2)
        print(counts[0], counts[1])
        """
    ).printed()
    slow, fast = (int(n) for n in lines[0].split())
    assert slow in (19, 20)
    assert 95 <= fast <= 100


def test_a_timer_can_be_stopped_and_can_fail(rig) -> None:
    """A one-shot fires once, deinit stops one, and an exception in a callback is printed and counted, no more."""
    made = rig(
        """
        import time
        from machine import Timer
        def once(timer):
            print("once")
        def fails(timer):
            timer.deinit()
            raise RuntimeError("bad callback")
        Timer(0).init(mode=Timer.ONE_SHOT, period=10, callback=once)
        Timer(1).init(mode=Timer.PERIODIC, period=30, callback=fails)
        time.sleep(1)
        print("end")
        """
    )
    lines = made.printed()
    assert lines[0] == "once"
    assert lines[-1] == "end"
    assert made.board.callback_errors == ["RuntimeError('bad callback',)"]


def test_a_flag_set_by_a_timer_wakes_a_task(rig) -> None:
    """asyncio.ThreadSafeFlag works from a timer's callback."""
    lines = rig(
        """
        import asyncio, time
        from machine import Timer
        flag = asyncio.ThreadSafeFlag()
        Timer(0, mode=Timer.ONE_SHOT, period=700, callback=lambda _: flag.set())
        async def main():
            await flag.wait()
            print(time.ticks_ms() // 100)
        asyncio.run(main())
        """
    ).printed()
    assert lines == ["7"]


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("machine.reset()", HARD_RESET),
        ("machine.soft_reset()", SOFT_RESET),
        ("machine.WDT(timeout=3000); time.sleep(60)", WDT_RESET),
    ],
)
def test_a_reset_starts_the_program_again_with_its_cause(rig, how: str, cause: int) -> None:
    """The program runs again, is told why, and its ticks begin anew."""
    made = rig(
        f"""
        import machine, time
        if machine.reset_cause() == machine.PWRON_RESET:
            time.sleep(2)
            {how}
        print(machine.reset_cause(), time.ticks_ms() < 100)
        time.sleep(100)
        """
    )
    lines = made.printed(20)
    assert made.board.resets == [PWRON_RESET, cause]
    assert lines == [f"{cause} True"]


@pytest.mark.parametrize(("how", "floats"), [("machine.reset()", True), ("machine.soft_reset()", False)])
def test_only_a_hard_reset_floats_the_pins(rig, how: str, floats: bool) -> None:
    """In a hard reset the pump stops by its resistor; a soft reset leaves it driven until the program acts."""
    made = rig(
        f"""
        import machine, time
        if machine.reset_cause() == machine.PWRON_RESET:
            machine.Pin(25, machine.Pin.OUT, value=1)
            {how}
        time.sleep(100)
        """
    )
    made.board.start()
    made.board.run_for(5)
    assert (made.world.output("pump") == 0) == floats


def test_a_fed_watchdog_stays_quiet(rig) -> None:
    """Feeding in time prevents the reset."""
    made = rig(
        """
        import machine, time
        dog = machine.WDT(timeout=1000)
        while True:
            time.sleep_ms(800)
            dog.feed()
        """
    )
    made.printed(20)
    assert made.board.resets == [PWRON_RESET]


def test_pins_reach_the_world(rig) -> None:
    """Outputs arrive as levels, PWM as duty, a pressed button reads 0, and killing the board floats them all."""
    made = rig(
        """
        import time
        from machine import PWM, Pin
        Pin(26, Pin.OUT, value=1)
        PWM(Pin(27), freq=1000, duty_u16=32768)
        call = Pin(35, Pin.IN)
        print(call.value())
        time.sleep(2)
        print(call.value())
        time.sleep(100)
        """
    )
    made.board.start()
    made.board.run_for(1)
    assert made.world.output("dump_valve") == 1
    assert made.world.output("bleed_valve") == pytest.approx(0.5, abs=0.001)
    made.world.press("button_call")
    made.board.run_for(3)
    made.board.kill()
    assert made.world.output("dump_valve") == 0
    assert made.board.log_path.read_text().splitlines() == ["1", "0"]


def test_wifi_joins_and_fades(rig) -> None:
    """The station is connected after a while, tells its signal, and notices when the network is gone."""
    made = rig(
        """
        import network, time
        wlan = network.WLAN(network.STA_IF)
        wlan.active(True)
        wlan.config(pm=wlan.PM_NONE)
        wlan.connect("ssid", "password")
        print(wlan.isconnected())
        time.sleep(1)
        print(wlan.isconnected(), wlan.status("rssi"))
        time.sleep(2)
        print(wlan.isconnected())
        """
    )
    made.board.start()
    made.board.run_for(2)
    made.world.wifi_up = False
    with pytest.raises(BoardError, match="its program ended"):
        made.board.run_for(5)
    assert made.board.log_path.read_text().splitlines() == ["False", "True -58", "False"]


STREAMS = """
import asyncio
CONNECT = b"\\x10\\x10\\x00\\x04MQTT\\x04\\x02\\x00\\x3c\\x00\\x04cb-1"
async def main():
    while True:
        try:
            reader, writer = await asyncio.open_connection("192.0.2.7", 1883)
            writer.write(CONNECT)
            await writer.drain()
            print(await reader.readexactly(4))
            writer.write(b"\\x82\\x08\\x00\\x01\\x00\\x03a/+\\x01")
            await writer.drain()
            print(await reader.readexactly(5))
            writer.write(b"\\x32\\x07\\x00\\x03a/b\\x00\\x02")
            await writer.drain()
            print(await reader.readexactly(4))
            print(await reader.readexactly(9))
            print(await reader.readexactly(1))
        except (OSError, EOFError) as error:
            print(repr(error))
        await asyncio.sleep(1)
asyncio.run(main())
"""


def test_streams_reach_the_peer_and_feel_its_death(rig) -> None:
    """Connect, subscribe, publish with QoS 1, a message to the board, a dropped connection, a refused one."""
    made = rig(STREAMS)
    board = made.board
    board.start()
    board.run_for(0.5)
    assert board.peer.connected
    assert [(p.topic, p.payload, p.qos) for p in board.published] == [("a/b", b"", 1)]
    assert 0 < board.published[0].at_us < 500_000
    board.peer.publish("a/c", b"hi")
    board.peer.publish("b/c", b"not subscribed")
    board.run_for(0.2)
    board.peer.drop(refuse=True)
    board.run_for(2)
    board.kill()
    lines = board.log_path.read_text().splitlines()
    assert lines[:3] == ["b' \\x02\\x00\\x00'", "b'\\x90\\x03\\x00\\x01\\x01'", "b'@\\x02\\x00\\x02'"]
    assert lines[3] == "b'0\\x07\\x00\\x03a/chi'"
    assert lines[4] == "EOFError()"
    assert lines[5] == "OSError(111,)"  # ECONNREFUSED


def test_virtual_time_repeats_exactly(tmp_path: Path) -> None:
    """Two runs of one seed publish the same bytes at the same microseconds."""
    runs = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made = Rig(tmp_path / name, STREAMS)
        made.board.start()
        made.board.run_for(3)
        made.board.kill()
        runs.append(made.board.published)
    assert runs[0] == runs[1]
    assert runs[0]


def test_a_hung_program_is_an_error(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that never looks at the clock is found out in real time."""
    monkeypatch.setattr("simulators.conductor.HUNG_S", 0.3)
    made = rig("while True: pass")
    made.board.start()
    with pytest.raises(BoardError, match="neither waited nor looked"):
        made.board.run_for(1)
