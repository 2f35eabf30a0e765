"""Updates of a whole simulated board: brought over the broker, tried, confirmed, or undone by itself."""

from pathlib import Path

import pytest
import updates
from chair_board import Chair
from unix_port import run
from updates import Sender, changed, signed

from hardware.bench.upload import UpdateError
from simulators import conductor
from simulators.conductor import HARD_RESET, WDT_RESET

HEAP_BYTES = 256 * 1024


def provisioned(folder: Path, session: str = "", **options: object) -> Chair:
    """A board with a key, a gateway that speaks, and no session."""
    updates.provision(folder / "flash")
    chair = Chair(folder, **options)
    chair.gateway = True
    chair.annunciate["session"] = session
    chair.board.run_for(3)
    chair.run(3)
    return chair


def told(chair: Chair, name: str) -> list[str]:
    return [event["detail"] for event in chair.all("event") if event["kind"] == "update" and event["name"] == name]


def test_an_update_is_brought_tried_and_confirmed(tmp_path: Path) -> None:
    """The whole firmware: the board runs it, and a minute later stands by it."""
    chair = provisioned(tmp_path)
    sender = Sender(chair, signed(changed(tmp_path, "0.9.0"), 7))
    sender.all()
    print(f"{sender.steps} steps, {chair.board.now_s():.0f} s of the board's time")
    chair.run(75)
    status = chair.all("status")[-1]
    assert (status["firmware"], status["slot"], status["security"]) == ("0.9.0", "a", 7)
    assert told(chair, "confirmed") == ["0.9.0"]
    assert chair.all("vitals")[-1]["quality"] == "good"
    assert not chair.pumped()
    with pytest.raises(UpdateError, match="make it with a higher one"):
        Sender(chair, signed(changed(tmp_path, "0.8.0"), 7)).all()
    chair.board.run_until(lambda: chair.all("status")[-1].get("firmware") == "0.9.0", within_s=140)
    chair.board.stop()


IMPORT = "import json\n"
LOOP = "        while True:\n"
VERSION = 'values.get("v") != 1:\n        raise _found'
BAD = {
    "crash at import": ("chair/wire.py", IMPORT, IMPORT + "\n1 // 0\n", HARD_RESET),
    "crash later": ("chair/finger.py", LOOP, LOOP + "            self.nothing\n", HARD_RESET),
    "hang at import": ("chair/wire.py", IMPORT, IMPORT + "\nwhile True:\n    pass\n", WDT_RESET),
    "no link": ("chair/mqtt.py", "sock.setblocking(False)", "raise OSError(5)", HARD_RESET),
    "deaf": ("chair/app.py", 'leaf == "annunciate"', 'leaf == "annunciation"', HARD_RESET),
    "stops itself": ("chair/wire.py", IMPORT, IMPORT + "\nraise SystemExit\n", HARD_RESET),
    "other configuration": ("chair/config.py", VERSION, VERSION.replace("1", "2"), HARD_RESET),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_update_undoes_itself(tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it fails, the board is back at its old firmware within six minutes and says what it has undone."""
    monkeypatch.setattr(conductor, "HUNG_S", 0.3)  # of the processor, not of the board: to wait longer proves nothing
    file, text, instead, cause = BAD[fault]
    chair = provisioned(tmp_path)
    Sender(chair, signed(changed(tmp_path, "0.9.0", {file: (text, instead)}), 7)).all()
    chair.board.run_until(lambda: len(chair.board.resets) == 3, within_s=5)
    while len(chair.board.resets) == 3 and chair.board.now_s() < 450:
        chair.run(5)
    assert chair.board.resets[3:] == [cause]
    chair.run(8)
    status = chair.all("status")[-1]
    assert (status["firmware"], status["slot"], status["security"]) == ("0.1.0", "flashed", 1)
    assert told(chair, "undone") == [f"0.9.0: {'watchdog' if cause == WDT_RESET else 'reset'}"]
    assert not chair.pumped()
    chair.run(15)
    assert chair.all("vitals")[-1]["quality"] == "good"
    chair.board.kill()


def test_a_power_cut_undoes_a_trial(tmp_path: Path) -> None:
    """Who switches a board off that tries out an update gets the old one back."""
    chair = provisioned(tmp_path)
    Sender(chair, signed(changed(tmp_path, "0.9.0"), 7)).all()
    chair.run(20)
    assert chair.all("status")[-1]["firmware"] == "0.9.0"
    chair.board.cut_power()
    chair.board.start()
    chair.board.run_for(3)
    chair.run(3)
    assert chair.all("status")[-1]["firmware"] == "0.1.0"
    assert told(chair, "undone") == ["0.9.0: power_on"]
    chair.board.stop()


def test_no_update_begins_while_a_session_runs_or_there_is_air_in_the_cuff(tmp_path: Path) -> None:
    """Refused as busy; nothing restarts, and the measurement goes on."""
    chair = provisioned(tmp_path, session="s-1")
    bundle = signed(changed(tmp_path, "0.9.0"), 7)
    assert Sender(chair, bundle).one() == "busy"
    chair.annunciate["session"] = ""
    chair.run(2)
    chair.command("measure", "m-1", session="")
    chair.board.run_until(lambda: chair.pressure_mmhg() > 60, within_s=20)
    assert Sender(chair, bundle).one() == "busy"
    chair.run(80)
    assert chair.all("cuff")[-1]["quality"] == "good"
    assert chair.board.resets == [1]
    assert Sender(chair, bundle).one() == "restart"
    chair.board.kill()


def test_a_session_that_begins_ends_the_update(tmp_path: Path) -> None:
    """The patient comes first: the board measures again within seconds, and the update goes on after the session."""
    chair = provisioned(tmp_path)
    sender = Sender(chair, signed(changed(tmp_path, "0.9.0"), 7))
    while sender.upload.sent < 0.5:
        sender.upload.answered(sender.one())
    assert chair.all("status")[-1]["faults"] == ["updating"]
    chair.annunciate["session"] = "s-1"
    chair.run(15)
    assert chair.all("status")[-1]["firmware"] == "0.1.0"
    assert chair.all("vitals")[-1]["quality"] in ("settling", "good")
    assert sender.one() == "boot" or sender.one() == "busy"
    chair.annunciate["session"] = ""
    chair.run(2)
    sent = sender.steps
    sender.upload.restart()
    sender.all()
    assert sender.steps - sent < 0.85 * sent / 0.5  # what the board held was not sent again
    chair.run(70)
    assert chair.all("status")[-1]["firmware"] == "0.9.0"
    chair.board.stop()


def test_a_link_that_is_lost_costs_only_what_was_under_way(tmp_path: Path) -> None:
    """The board keeps what it has; the sender asks where to go on."""
    chair = provisioned(tmp_path)
    sender = Sender(chair, signed(changed(tmp_path, "0.9.0"), 7))
    while sender.upload.sent < 0.5:
        sender.upload.answered(sender.one())
    boot = chair.boot
    chair.board.peer.drop(refuse=True)
    chair.board.run_for(20)
    chair.board.peer.up = True
    chair.board.run_until(lambda: chair.boot == boot and chair.board.peer.connected, within_s=10)
    chair.run(2)
    before = sender.steps
    sender.all()
    assert sender.steps - before < 0.7 * before / 0.5
    chair.run(70)
    assert chair.all("status")[-1]["firmware"] == "0.9.0"
    chair.board.stop()


def test_a_sender_that_goes_away_leaves_a_board_that_measures(tmp_path: Path) -> None:
    """After two minutes without a step the board is back at its work."""
    chair = provisioned(tmp_path)
    sender = Sender(chair, signed(changed(tmp_path, "0.9.0"), 7))
    for _ in range(5):
        sender.upload.answered(sender.one())
    chair.run(140)
    assert chair.all("status")[-1]["firmware"] == "0.1.0"
    assert chair.all("vitals")[-1]["quality"] == "good"
    chair.board.stop()


def test_an_update_fits_into_the_heap(tmp_path: Path) -> None:
    """With 256 KB on the unix port: prints what is left while the update is staged."""
    updates.provision(tmp_path / "flash")
    # A start for an update, because the whole program takes more to compile.
    chair = Chair(tmp_path, heap_bytes=HEAP_BYTES)
    chair.board.cut_power()
    script = "from chair import store\nstore.save('life', {'updating': True})\nresult = 0"
    run(script, tmp_path / "flash")
    chair.board.start()
    chair.board.run_until(lambda: bool(chair.all("status")), within_s=10)
    free = chair.all("status")[-1]["heap_free_bytes"]
    sender = Sender(chair, signed(changed(tmp_path, "0.9.0"), 7))
    sender.all()
    print(f"free before the update: {free} bytes")
    assert free > 64 * 1024
    chair.board.kill()
