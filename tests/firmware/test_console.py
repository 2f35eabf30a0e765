"""The board's own side of its console: what it answers, refuses, and when it keeps silent."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chair_board import Chair
from servers import wait_until
from unix_port import FIRMWARE

from hardware.bench.console import Console, ConsoleError, Line, Refused
from simulators.bench import UsbBench
from simulators.conductor import HARD_RESET

DEVICE = "cb-000007"
SEED = 7


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no silent board."""
    monkeypatch.setattr("hardware.bench.console.FIND_S", 60.0)
    monkeypatch.setattr("hardware.bench.console.ANSWER_S", 60.0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[UsbBench]:
    with UsbBench(DEVICE, SEED, tmp_path / "flash") as bench:
        yield bench


@pytest.fixture
def console(bench: UsbBench) -> Iterator[Console]:
    with Console(bench.port) as console:
        yield console


def session(bench: UsbBench, name: str) -> None:
    """The gateway says whether a session runs, and it arrives."""
    message = {"v": 1, "run": "g", "beat": bench.board.now_us, "level": "none", "sound": False, "session": name}
    topic = f"chairside/v1/dev/{DEVICE}/annunciate"
    bench.do(lambda: bench.board.peer.publish(topic, json.dumps(message | {"cuff_interval_s": 0}).encode()))
    bench.run(0.1)


def connected(bench: UsbBench) -> None:
    bench.do(lambda: bench.board.run_until(lambda: bench.board.peer.connected, within_s=20))
    bench.run(1)


def in_session(bench: UsbBench, console: Console) -> None:
    connected(bench)
    session(bench, "s-1")
    assert console.ask("identity")["session"] == "s-1"


def test_a_shut_console_is_silent(tmp_path: Path) -> None:
    """Not a byte of an answer; the host says how it is opened."""
    with UsbBench(DEVICE, SEED, tmp_path / "flash", settings={}) as bench:
        with pytest.raises(ConsoleError, match="hold both buttons"):
            Console(bench.port, find_s=1.2)
        bench.run(10)
        assert '"ok"' not in bench.board.log_path.read_text()


def test_both_buttons_at_the_start_open_it(tmp_path: Path) -> None:
    """Who stands at the board gets in, until the next start."""
    with UsbBench(DEVICE, SEED, tmp_path / "flash", settings={}) as bench:
        bench.do(bench.board.cut_power)
        for name in ("button_acknowledge", "button_call"):
            bench.world.press(name)
        bench.do(bench.board.restore_power)
        with Console(bench.port) as console:
            assert console.identity["device"] == DEVICE


def test_safe_mode_has_it_where_it_is_open(bench: UsbBench) -> None:
    """Who it is, and what it is configured for, which may be the reason; nothing of the chair can be moved."""
    for _ in range(3):
        bench.do(lambda: bench.board.run_for(2))
        bench.do(lambda: bench.board.reset(HARD_RESET))
    with Console(bench.port) as console:
        assert (console.identity["device"], console.identity["safe_mode"]) == (DEVICE, True)
        assert console.ask("get", file="config")["values"]["console"] is True
        for do in ("identify", "measure", "hold"):
            with pytest.raises(Refused, match="does not run"):
                console.ask(do, mmhg=100, seconds=10)
    assert not any(name == "pump" and level for _, name, level in bench.world.output_log)


@pytest.mark.parametrize(("settings", "byte"), [({}, -1), ({"console": True}, 3)], ids=["shut", "open"])
def test_ctrl_c_stops_a_board_only_where_the_console_is_open(
    tmp_path: Path, settings: dict[str, object], byte: int
) -> None:
    """What the interpreter is told to take for an interruption: elsewhere a byte of noise would end the watch."""
    firmware = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, firmware, ignore=shutil.ignore_patterns("__pycache__"))
    board = (firmware / "board.py").read_text()
    (firmware / "board.py").write_text(board.replace("        kbd_intr(", "        print('interrupted by', "))
    chair = Chair(tmp_path, firmware_dir=firmware, settings=settings)
    chair.board.run_for(3)
    assert f"interrupted by {byte}\n" in chair.board.log_path.read_text()
    chair.board.kill()


def test_in_a_session_nothing_is_moved_or_written(bench: UsbBench, console: Console) -> None:
    """All that would is refused with the reason; who it is and what it publishes can still be asked."""
    in_session(bench, console)
    asked: dict[str, dict[str, Any]] = {
        "put": {"at": 0, "data": ""},
        "write": {"file": "config"},
        "reset": {},
        "self_test": {},
        "stream": {"seconds": 1},
        "identify": {},
        "measure": {},
        "hold": {"mmhg": 100, "seconds": 10},
        "release": {},
    }
    for do, fields in asked.items():
        with pytest.raises(Refused, match="a session runs"):
            console.ask(do, **fields)
    assert not any(name == "pump" and level for _, name, level in bench.world.output_log)
    lines: list[Line] = []
    console.ask("pressure", lines.append, seconds=1)
    assert lines
    assert bench.board.resets == [1]


def test_a_session_that_begins_takes_the_chip_back(bench: UsbBench, console: Console) -> None:
    """A stream ends when the session begins, and the finger is read again."""
    connected(bench)
    seen: list[Line] = []

    def told(line: Line) -> None:
        seen.append(line)
        session(bench, "s-1")

    answer = console.ask("stream", told, seconds=60)
    assert answer["ms"] < 60_000
    lines: list[Line] = []
    console.ask("records", lines.append, seconds=20)
    assert [line["quality"] for line in lines if line["record"] == "vitals"][-1] == "good"


def test_a_session_that_begins_empties_a_held_cuff(bench: UsbBench, console: Console) -> None:
    """Whoever sits down now has no bench's pressure on the arm."""
    connected(bench)
    console.ask("hold", mmhg=200, seconds=120)
    states: list[str] = []
    while states[-1:] != ["deflating"]:
        console.ask("pressure", lambda line: states.append(line["cuff"]), seconds=0.5)
    session(bench, "s-1")
    console.ask("pressure", lambda line: states.append(line["cuff"]), seconds=5)
    assert states[-1] == "idle"
    assert bench.world.cuff.facts.held_s_max < 60


# ---- lines and limits


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"\xff\xfe{", "not JSON"),
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "found null"),
        (b'{"do": "eval"}', '"eval'),
        (b'{"do": ["identity"]}', "no request"),
        (b"[" * 200, "not JSON"),
        (b'{"do": "identity", "x": "' + b"y" * 300 + b'"}', "a line of over 256 bytes"),
        (b'{"do": "put", "at": 7}', "must be 0 or 0"),
        (b'{"do": "put", "at": 0, "data": 5}', "must be base64"),
        (b'{"do": "write", "file": "../main.py"}', "must be one of"),
        (b'{"do": "stream", "seconds": 1e9}', "must be 0.1 to 60"),
        (b'{"do": "records", "seconds": true}', "found true"),
    ],
)
def test_a_bad_line_is_answered_and_nothing_more(bench: UsbBench, console: Console, line: bytes, error: str) -> None:
    """One line of error each; the board answers on and has not restarted."""
    console._serial.write(line + b"\n")
    wait_until(
        lambda: error in json.dumps(bench.board.log_path.read_text().replace('\\"', '"')).replace('\\"', '"'), error
    )
    assert console.ask("identity")["device"] == DEVICE
    assert bench.board.resets == [1]


@pytest.mark.parametrize("request_", [{"mmhg": 280, "seconds": 10}, {"mmhg": 200, "seconds": 200}, {"mmhg": "full"}])
def test_a_hold_beyond_its_limits_is_refused(bench: UsbBench, console: Console, request_: dict[str, Any]) -> None:
    """Found and allowed are named, and the pump does not move."""
    with pytest.raises(Refused, match=r"found .*, must be \d+ to \d+"):
        console.ask("hold", **request_)
    assert not any(name == "pump" and level for _, name, level in bench.world.output_log)


def test_a_board_with_little_memory_has_a_console_too(tmp_path: Path) -> None:
    """A quarter more than the chair has to live in serves all of its bench, each part loaded when it is asked for."""
    with UsbBench(DEVICE, SEED, tmp_path / "flash", heap_bytes=320 * 1024) as bench, Console(bench.port) as console:
        assert console.ask("self_test", cuff=True)["failed"] == 0
        console.ask("stream", seconds=10)
        console.ask("records", seconds=30)
        assert bench.board.resets == [1]
