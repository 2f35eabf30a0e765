"""The unmodified firmware beside the gateway's own core: what a board carries over a restart of its own accord."""

import json
from functools import partial
from pathlib import Path

import pytest
import updates

from simulators.clinic import faults
from simulators.clinic.chair import DEVICE, Chair
from simulators.conductor import HARD_RESET, PWRON_RESET, SimBoard


def test_the_records_of_the_boot_before_reach_the_journal_and_none_counts_as_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link lost for so long that the board restarts (here after a minute) costs no record: those of the former boot
    arrive once it is back, are acknowledged, and the board forgets them."""
    sooner = {"chair/link.py": ("_RESTART_MS = const(1800000)", "_RESTART_MS = const(60000)")}
    firmware = updates.changed(tmp_path, "0.9.0", sooner)
    monkeypatch.setattr("simulators.clinic.bay.SimBoard", partial(SimBoard, firmware_dir=firmware))
    with Chair("iv-ketamine", tmp_path) as chair:
        chair.run_for(20)
        faults.begin(chair, "wifi loss")
        chair.run_for(100)
        assert chair.board.resets == [PWRON_RESET, HARD_RESET]
        faults.end(chair, "wifi loss")
        chair.run_for(90)
        board, have = chair.board, chair.gateway._journal.have[DEVICE]
        status = json.loads([p.payload for p in board.published if p.topic.endswith("/status")][-1])
    former, present = have
    assert have[former] == set(range(1, max(have[former]) + 1))
    assert len(have[former]) > 80
    assert status["boot"] == present
    assert status["dropped"] == 0
    assert not (board.flash_dir / "outbox.bin").exists()
