"""The board's UTC: asked for by SNTP without stopping anything, and never believed without a reason."""

import json
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chair_board import Chair
from unix_port import FIRMWARE, run

from simulators.peer import FROM_1900_S, UTC_MS
from simulators.process import find_micropython

QUERY = bytes(40) + bytes(range(1, 9))
AT_MS = 1_772_352_118_400


def stamp(ms: int) -> bytes:
    return struct.pack("!II", (ms // 1000 + FROM_1900_S) % 2**32, ms % 1000 * 2**32 // 1000)


def answer(query: bytes = QUERY, ms: int = AT_MS, took_ms: int = 0, first: int = 0x24, stratum: int = 2) -> bytes:
    return bytes([first, stratum]) + bytes(22) + query[40:48] + stamp(ms) + stamp(ms + took_ms)


def judged(*answers: bytes) -> list[int | None]:
    script = "from chair import utc; result = [utc.answered_ms(bytes(query), bytes(each)) for each in answers]"
    told: list[int | None] = run(script, query=list(QUERY), answers=[list(each) for each in answers])
    return told


def test_an_answer_is_the_middle_of_what_the_server_received_and_sent() -> None:
    """To the millisecond, also in the era of NTP that begins in 2036."""
    in_2040_ms = 2_208_988_800_000
    middle, later = judged(answer(took_ms=40), answer(ms=in_2040_ms))
    assert middle in range(AT_MS + 19, AT_MS + 22)
    assert later in range(in_2040_ms - 1, in_2040_ms + 1)


@pytest.mark.parametrize(
    "bad",
    [
        answer()[:47],
        b"",
        answer(first=0x23),  # a client's question
        answer(first=0x25),  # a broadcast
        answer(first=0xE4),  # its clock is not set
        answer(stratum=0),  # "kiss of death"
        answer(stratum=16),
        answer(query=bytes(48)),  # to another question
    ],
)
def test_an_answer_that_must_not_be_believed_is_none(bad: bytes) -> None:
    """Too short, of another mode, without a clock, at stratum 0 or over 15, or to what was never asked."""
    assert judged(bad) == [None]


# Asks a real UDP server, and counts how often another task runs meanwhile.
ASK = """
import asyncio, json, socket
from chair import health, utc
turns = 0
async def beside():
    global turns
    while True:
        turns += 1
        await asyncio.sleep_ms(10)
async def main():
    clock = health.UpClock()
    asked = utc.Utc(clock, earliest_ms)
    task = asyncio.create_task(beside())
    before_ms = clock.up_ms()
    good = await asked.ask(socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_DGRAM)[0][-1])
    return [good, asked.utc_ms and asked.utc_ms + clock.up_ms(), clock.up_ms() - before_ms, turns]
result = asyncio.run(main())
"""


def asked(answers: Callable[[bytes], list[bytes]], earliest_ms: int = 0) -> Any:
    """What the firmware makes of a server that sends `answers(query)`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)

        def serve() -> None:
            query, sender = server.recvfrom(100)
            for each in answers(query):
                server.sendto(each, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        given = {"port": server.getsockname()[1], "earliest_ms": earliest_ms}
        program = (
            f"import json\nglobals().update(json.loads({json.dumps(given)!r}))\n{ASK}\nprint(json.dumps(result))\n"
        )
        done = subprocess.run(
            [find_micropython(), "-c", program],
            env={"MICROPYPATH": f"{FIRMWARE}:.frozen"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        thread.join()
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_time_is_taken_from_a_real_socket() -> None:
    """A good answer is taken; a wrong one before it is passed over."""
    good, now_ms, took_ms, _ = asked(lambda query: [b"nonsense", answer(), answer(query)])
    assert good
    assert AT_MS - 5 <= now_ms <= AT_MS + took_ms + 5


def test_a_server_that_does_not_answer_is_left_after_a_second_and_stops_nothing() -> None:
    """The other tasks of the board run on while it waits."""
    good, now_ms, took_ms, turns = asked(lambda query: [])
    assert (good, now_ms) == (False, None)
    assert took_ms > 1000
    assert turns > 20


def test_a_day_before_the_last_proved_one_is_not_believed() -> None:
    """Who can forge an answer cannot make an expired certificate good again."""
    assert asked(lambda query: [answer(query)], earliest_ms=AT_MS + 1000)[0] is False


def test_records_carry_the_utc_of_their_own_milliseconds(tmp_path: Path) -> None:
    """Asked for when the link comes up; each record made since boot is labelled, late ones too."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(20)
    booted_ms = UTC_MS + round(1000 * chair.board.now_s()) - chair.up_ms
    chair.board.stop()
    labelled = [record for record in chair.records() if "at_ms" in record]
    assert len(labelled) >= len(chair.records()) - 3
    assert all(abs(record["at_ms"] - record["up_ms"] - booted_ms) < 1100 for record in labelled)
    assert len({record["at_ms"] - record["up_ms"] for record in labelled}) == 1


def test_without_a_time_server_records_have_no_utc_and_nothing_else_is_missing(tmp_path: Path) -> None:
    """The link comes up all the same."""
    chair = Chair(tmp_path)
    chair.board.peer.utc_ms = None
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(20)
    chair.board.stop()
    assert len(chair.all("vitals")) > 15
    assert not any("at_ms" in record for record in chair.records())


def test_the_time_is_asked_again_and_never_moves_up_ms(tmp_path: Path) -> None:
    """The server's clock was two minutes wrong and is set: with the next link labels follow, milliseconds do not."""
    chair = Chair(tmp_path)
    chair.gateway = True
    chair.board.run_for(3)
    chair.run(5)
    first = chair.records()[-1]
    chair.board.peer.utc_ms = UTC_MS + 120_000
    chair.board.peer.drop()
    chair.run(10)
    last = chair.all("vitals")[-1]
    chair.board.stop()
    moved_ms = (last["at_ms"] - last["up_ms"]) - (first["at_ms"] - first["up_ms"])
    assert abs(moved_ms - 120_000) < 100
    vitals = sorted({v["seq"]: v["up_ms"] for v in chair.all("vitals")}.items())
    assert all(0 < after - before < 3000 for (_, before), (_, after) in pairwise(vitals))


@pytest.mark.long
def test_the_time_is_asked_again_each_hour(tmp_path: Path) -> None:
    """A link that lives for days does not let the crystal's drift add up: 40 ppm are 3.5 s a day."""
    chair = Chair(tmp_path, ticks_ppm=40)
    asked_s: list[float] = []
    tell = chair.board.peer._tell_time

    def telling(number: int, port: int, query: bytes) -> None:
        asked_s.append(chair.board.now_s())
        tell(number, port, query)

    chair.board.peer._tell_time = telling  # type: ignore[method-assign]
    chair.board.run_for(2 * 3600 + 60)
    chair.board.stop()
    assert len(asked_s) == 3
    assert all(3590 < after - before < 3610 for before, after in pairwise(asked_s))
