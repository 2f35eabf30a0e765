"""Real littlefs on a flash that dies at a chosen block operation. Run on MicroPython by test_power_cuts.py.

`cuts(flash, work, look)` counts the operations that `work` needs; then it is tried again from the same flash with the
power cut at each of them: before it, and in the middle of it, so that half of the bytes are new. After each cut the
flash is mounted anew and `look()` says what is there.
"""

import os

import vfs

BLOCK = 512  # small, so that few bytes already need several blocks


class Flash:
    def __init__(self, data):
        self.data = bytearray(data)
        self.operations = 0
        self.cut_at = None
        self.torn = False
        self.dead = False

    def readblocks(self, block, into, offset=0):
        at = block * BLOCK + offset
        into[:] = self.data[at : at + len(into)]

    def writeblocks(self, block, data, offset=0):
        self._operate(block * BLOCK + offset, data)

    def ioctl(self, what, block):
        if what == 4:
            return len(self.data) // BLOCK
        if what == 5:
            return BLOCK
        if what == 6:
            self._operate(block * BLOCK, b"\xff" * BLOCK)
            return 0

    def _operate(self, at, data):
        if self.dead:
            raise OSError(5)
        self.operations += 1
        if self.operations == self.cut_at:
            self.dead = True
            if self.torn:
                self.data[at : at + len(data) // 2] = data[: len(data) // 2]
            raise OSError(5)
        self.data[at : at + len(data)] = data


def mount(flash):
    vfs.mount(vfs.VfsLfs2(flash, progsize=32, readsize=32, lookahead=32), "/flash")
    os.chdir("/flash")


def unmount():
    os.chdir("/")
    vfs.umount("/flash")


def formatted(blocks, prepare):
    flash = Flash(b"\xff" * BLOCK * blocks)
    vfs.VfsLfs2.mkfs(flash, progsize=32, readsize=32, lookahead=32)
    mount(flash)
    prepare()
    unmount()
    return flash


def cuts(flash, work, look):
    """([what `look` saw after each cut], what it sees after no cut)."""
    before = bytes(flash.data)
    flash = Flash(before)
    mount(flash)
    work()
    needed = flash.operations
    whole = look()
    unmount()
    seen = []
    for torn in (False, True):
        for at in range(1, needed + 1):
            flash = Flash(before)
            flash.cut_at = at
            flash.torn = torn
            mount(flash)
            try:  # noqa: SIM105  (MicroPython has no contextlib)
                work()
            except OSError:
                pass
            unmount()
            mount(Flash(flash.data))  # of its own: a file that the cut left open is closed into the dead one
            seen.append(look())
            unmount()
    return seen, whole
