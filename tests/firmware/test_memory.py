"""What a board keeps in flash for a restart beside a dead gateway: when it is written, and what it outlives."""

from pathlib import Path
from typing import Any

from unix_port import run

LIMITS = {
    "spo2_low_pct": 85.0, "pulse_low_bpm": 40.0, "pulse_high_bpm": 140.0, "sys_low_mmhg": 80.0, "sys_high_mmhg": 180.0,
}  # fmt: skip
KEPT = "[m.session, m.limits, m.interval_s, m.next_s]"
NOTHING = ["", None, 0, None]

BEGIN = """
from chair import store
from chair.memory import Memory
saves = []
save = store.save
store.save = lambda name, kept: (save(name, kept), saves.append(name))
m = Memory()
"""


def told(session: str = "s-1", beat: int = 1, interval_s: int = 600, **more: Any) -> dict[str, Any]:
    return {"run": "r", "beat": beat, "session": session, "cuff_interval_s": interval_s, "limits": LIMITS} | more


def keep(folder: Path, *messages: dict[str, Any], live: bool = True) -> Any:
    """[saves, what is kept] after the messages, beginning with what is in flash."""
    script = f"{BEGIN}\nfor message in messages:\n    m.keep(message, live)\nresult = [len(saves), {KEPT}]"
    return run(script, folder, messages=list(messages), live=live)


def test_a_restart_knows_the_session_its_limits_and_its_interval(tmp_path: Path) -> None:
    """And the next measurement comes after the interval, or after 5 min where that is sooner."""
    assert keep(tmp_path) == [0, NOTHING]
    assert keep(tmp_path, told()) == [1, ["s-1", LIMITS, 600, 300]]
    assert keep(tmp_path) == [0, ["s-1", LIMITS, 600, 300]]
    assert keep(tmp_path, told(interval_s=180)) == [1, ["s-1", LIMITS, 180, 180]]
    assert keep(tmp_path, told(interval_s=0)) == [1, ["s-1", LIMITS, 0, None]]


def test_an_hour_of_messages_is_written_once(tmp_path: Path) -> None:
    """3600 messages with rising beats write what is new in them, and nothing else: the flash wears."""
    script = f"{BEGIN}\nfor i in range(3600):\n    message['beat'] = i\n    m.keep(message, True)\n"
    script += "    m.expires(False, 1000 * i)\nresult = len(saves)"
    assert run(script, tmp_path, message=told()) == 1


def test_each_change_is_written(tmp_path: Path) -> None:
    """Session, a limit, the interval; and the end of the session takes its limits' place at once."""
    other = LIMITS | {"sys_high_mmhg": 200.0}
    saves, kept = keep(
        tmp_path, told(), told(limits=other), told(limits=other, interval_s=900), told("", limits=other, interval_s=0)
    )
    assert (saves, kept) == (4, ["", other, 0, None])
    assert keep(tmp_path) == [0, ["", other, 0, None]]


def test_limits_are_those_of_their_session(tmp_path: Path) -> None:
    """A message without limits leaves those of the same session; another patient's are never taken over."""
    bare = told(beat=2)
    del bare["limits"]
    assert keep(tmp_path, told(), bare)[1] == ["s-1", LIMITS, 600, 300]
    assert keep(tmp_path, bare | {"session": "s-2"})[1] == ["s-2", None, 600, 300]


OVER = """
from chair.memory import Memory
result = [Memory().over(session) for session in ("s-1", "s-2", "")]
"""


def test_it_remembers_which_session_ended(tmp_path: Path) -> None:
    """So that an older message cannot bring it back, also over a restart and when the next one began."""
    keep(tmp_path, told(), told(""))
    assert run(OVER, tmp_path) == [True, False, False]
    keep(tmp_path, told("s-2"))
    assert run(OVER, tmp_path) == [True, False, False]
    keep(tmp_path, told("s-3"))
    assert run(OVER, tmp_path) == [False, True, False]


ALONE = """
from chair.memory import Memory
m = Memory()
hours = []
for minute in range(minutes):
    if m.expires(alone, minute * 60_000):
        hours.append(minute / 60)
result = [hours, m.session]
"""


def test_after_twelve_hours_alone_a_session_is_not_believed_any_more(tmp_path: Path) -> None:
    """The hours add up over restarts, end once and for all, and any of them beside a gateway counts for nothing."""
    keep(tmp_path, told())
    assert run(ALONE, tmp_path, alone=False, minutes=2000) == [[], "s-1"]
    for _ in range(5):
        assert run(ALONE, tmp_path, alone=True, minutes=121) == [[], "s-1"]
    assert run(ALONE, tmp_path, alone=True, minutes=200) == [[2], ""]
    assert keep(tmp_path)[1] == NOTHING
    assert run(OVER, tmp_path) == [True, False, False]


def test_only_a_live_gateway_ends_the_hours_alone(tmp_path: Path) -> None:
    """What the broker kept says nothing about now."""
    keep(tmp_path, told())
    run(ALONE, tmp_path, alone=True, minutes=11 * 60 + 1)
    assert keep(tmp_path, told(beat=2), live=False)[0] == 0
    assert run(ALONE, tmp_path, alone=True, minutes=62) == [[1], ""]
    keep(tmp_path, told("s-2"))
    run(ALONE, tmp_path, alone=True, minutes=11 * 60 + 1)
    assert keep(tmp_path, told("s-2", beat=3))[0] == 1
    assert run(ALONE, tmp_path, alone=True, minutes=62) == [[], "s-2"]


FULL = """
from chair import store
from chair.memory import Memory
m = Memory()
def save(name, kept):
    raise OSError(28)
good, store.save = store.save, save
m.keep(message, True)
result = [[sorted(m.faults), Memory().session]]
if room:
    store.save = good
    for now_ms in (5_000, 10_000):
        m.expires(False, now_ms)
    result.append([sorted(m.faults), Memory().session])
"""


def test_a_full_flash_is_a_fault_and_forgets_a_session_that_ended(tmp_path: Path) -> None:
    """Nothing can be written: then nothing may be left that a restart would take for true. It tries again."""
    keep(tmp_path, told())
    assert run(FULL, tmp_path, message=told(interval_s=300), room=False) == [[["memory"], "s-1"]]
    assert run(FULL, tmp_path, message=told(""), room=False) == [[["memory"], ""]]
    assert run(FULL, tmp_path, message=told("s-2"), room=True) == [[["memory"], ""], [[], "s-2"]]


POWER_CUTS = """
import os
import vfs

class Flash:
    # Blocks of 512 bytes; from the write or erase `cut` on, power is gone, and that write is torn in its middle.
    def __init__(self, blocks, cut=1 << 30):
        self.blocks = [bytearray(block) for block in blocks]
        self.cut = cut
        self.writes = 0
    def readblocks(self, n, buffer, offset=0):
        buffer[:] = self.blocks[n][offset : offset + len(buffer)]
    def _powered(self):
        self.writes += 1
        return self.writes <= self.cut
    def writeblocks(self, n, buffer, offset=0):
        if self._powered():
            self.blocks[n][offset : offset + len(buffer)] = buffer
        elif self.writes == self.cut + 1:
            half = len(buffer) // 2
            self.blocks[n][offset : offset + half] = buffer[:half]
    def ioctl(self, op, arg):
        if op == 4:
            return len(self.blocks)
        if op == 5:
            return 512
        if op == 6 and self._powered():
            self.blocks[arg][:] = b"\\xff" * 512
        return 0

def within(flash, deed):
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    os.chdir("/flash")
    try:
        return deed()
    finally:
        os.chdir("/")
        vfs.umount("/flash")

from chair.memory import Memory

def known():
    m = Memory()
    return [m.session, m.limits, m.interval_s]

empty = Flash([bytes(512)] * 24)
vfs.VfsLfs2.mkfs(empty)
within(empty, lambda: Memory().keep(old, True))
whole = Flash(empty.blocks)
within(whole, lambda: Memory().keep(new, True))
result = []
for cut in range(whole.writes):
    flash = Flash(empty.blocks, cut)
    try:
        within(flash, lambda: Memory().keep(new, True))
    except OSError:
        pass
    result.append(within(Flash(flash.blocks), known))
"""


def test_a_power_cut_at_any_write_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """On a real littlefs, torn in the middle of each block write in turn: never a mixture, never neither."""
    before, after = told(), told("s-2", interval_s=900, limits=LIMITS | {"spo2_low_pct": 88.0})
    found = run(POWER_CUTS, tmp_path, old=before, new=after)
    kept = [[m["session"], m["limits"], m["cuff_interval_s"]] for m in (before, after)]
    assert len(found) >= 10
    assert all(each in kept for each in found)
    assert found[0] == kept[0]
    assert found[-1] == kept[1]
    assert found == sorted(found, key=kept.index)  # once it is new, it is not old again
