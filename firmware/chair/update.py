"""Signed updates in steps that each fit a message. Runs only beside chair/service.py: chair/app.py restarts first."""

#   begin    file: SHA-256 of the manifest in hex    empties the free slot, unless it holds that manifest already
#   chunk    file, at, data (base64)                 appends to "manifest", later to the files that it names
#   apply                                            checks every file; the next start tries the slot (slots.py)
#   cancel                                           empties the free slot
#
# Nothing but a manifest is stored before its signature and all its entries are right (chair/manifest.py). Why a step
# is refused, beside what is said there:
#
#   busy             a session runs, or there is air in the cuff (chair/app.py)
#   trial            what runs is not confirmed yet: the other slot is what it falls back to (chair/app.py)
#   restart          the board restarts to make room: begin again in its next boot (chair/app.py)
#   malformed        a step that is not as above
#   at N             the file holds N bytes: go on from there
#   no_manifest      begin was missing, or the manifest is not whole yet
#   size             more than the manifest says
#   truncated NAME   not all of it has come
#   hash NAME        not what was signed; it has been removed and can be sent again
#   flash, memory    the board could not store it, or not hold it
#
# Comments and two files, because a docstring and a long file cost a board that compiles its own memory in one piece.

import binascii
import hashlib
import os

from chair import manifest
from chair.manifest import Refused
from micropython import const

MANIFEST = "manifest"
MANIFEST_BYTES_MAX = 8192

_ROOM_BYTES = const(32768)  # to be left for records of the board's life

_staging = None


def step(fields, life):
    """Do one step. Returns why not, or ""."""
    global _staging  # noqa: PLW0603  (there is one free slot)
    try:
        name = _field(fields, "step", str)
        if name == "cancel":
            _staging = None
            _empty(_free(life), life)
            return ""
        if name == "begin":
            _staging = Staging(_free(life), life, _field(fields, "file", str))
        elif _staging is None:
            return "no_manifest"
        elif name == "chunk":
            data = _decoded(_field(fields, "data", str))
            _staging.append(_field(fields, "file", str), _field(fields, "at", int), data)
        elif name == "apply":
            _staging.apply()
        else:
            return "malformed"
        return ""
    except Refused as refused:
        return str(refused)
    except OSError:
        return "flash"
    except MemoryError:
        return "memory"


class Staging:
    """The free slot while it is filled."""

    def __init__(self, slot, life, digest):
        self._slot = slot
        self._life = life
        self._digest = digest
        self._key = manifest.key()
        self._files = None  # path: (bytes, SHA-256 hex), once the manifest is whole and good
        if not self._look():
            _empty(slot, life)
            for folder in ("", "/chair", "/drivers"):
                os.mkdir(slot + folder)
        elif not life.withdraw():
            raise Refused("flash")

    def append(self, name, at, data):
        """Add the next bytes of a file."""
        if name == MANIFEST:
            size = MANIFEST_BYTES_MAX
        elif self._files is None:
            raise Refused("no_manifest")
        elif name in self._files:
            size = self._files[name][0]
        else:
            raise Refused("file " + name[:48])
        path = self._slot + "/" + name
        held = _held(path)
        if at != held:
            raise Refused("at %d" % held)
        if held + len(data) > size:
            raise Refused("size")
        with open(path, "ab") as file:
            file.write(data)
        if name == MANIFEST:
            self._look()

    def apply(self):
        """Check that all is there as signed, and have it tried at the next start."""
        if not self._look():
            raise Refused("no_manifest")
        for name, (size, digest) in self._files.items():
            path = self._slot + "/" + name
            if _held(path) < size:
                raise Refused("truncated " + name)
            if _digest(path) != digest:
                os.remove(path)
                raise Refused("hash " + name)
        if not self._life.try_out(self._slot, self._version, self._security):
            raise Refused("flash")

    def _look(self):
        """Whether the manifest is whole; then it has been checked. Raises Refused."""
        path = self._slot + "/" + MANIFEST
        if _held(path) == 0 or _digest(path) != self._digest:
            return False
        with open(path, "rb") as file:
            text, _, signature = file.read().partition(b"\n")
        if not manifest.signed(text, signature, self._key):
            os.remove(path)
            raise Refused("signature")
        self._version, self._security, self._files = manifest.checked(text, self._life.security)
        block = os.statvfs(".")[0]
        needed = _ROOM_BYTES
        for name, (size, _) in self._files.items():
            needed += (size // block + 2) * block - _held(self._slot + "/" + name)
        if needed > block * os.statvfs(".")[3]:
            self._files = None
            raise Refused("space")
        return True


def _free(life):
    """The slot that does not run."""
    return "b" if life.slot == "a" else "a"


def _empty(path, life):
    if not life.withdraw():  # the next start must not try what is going to be removed
        raise Refused("flash")
    for folder in (path + "/chair", path + "/drivers", path):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            os.remove(folder + "/" + name)
        os.rmdir(folder)


def _held(path):
    try:
        return os.stat(path)[6]
    except OSError:
        return 0


def _digest(path):
    total = hashlib.sha256()
    block = bytearray(512)
    view = memoryview(block)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(block)
            if not count:
                return binascii.hexlify(total.digest()).decode()
            total.update(view[:count])


def _field(fields, name, kind):
    if type(fields) is not dict or type(fields.get(name)) is not kind:
        raise Refused("malformed")
    return fields[name]


def _decoded(text):
    try:
        return binascii.a2b_base64(text)
    except ValueError:
        raise Refused("malformed")
