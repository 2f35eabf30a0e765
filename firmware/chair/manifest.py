"""What an update says of itself, and whether it is signed: the part of chair/update.py that decides."""

# A manifest is a line of JSON, {"v": 1, "board", "version", "security", "files": [[path, bytes, SHA-256 hex], ...]},
# then the hex of its signature: RSA-3072, PKCS#1 v1.5, SHA-256, by the key whose modulus provisioning left in
# `update.pub` as {"v": 1, "n": hex}; the exponent is 65537. Why one is refused:
#
#   no_key             the board has no usable update.pub
#   signature          not signed by that key, or changed since
#   malformed          not as above
#   board              for another board
#   older, replayed    a lower security counter than the newest confirmed; the same
#   file NAME          none that an update may bring, or twice
#   size               of a file that is too long or empty
#   space              more than the flash has room for

import hashlib
import json

from chair import pins
from micropython import const

_FILE_BYTES_MAX = const(65536)
_FILES_MAX = const(64)
_VERSION_MAX = const(32)
_COUNTER_MAX = 1 << 30
_FOLDERS = ("chair", "drivers")
_BASE = ("pins", "store")  # of chair/, never updated: the base has loaded its own
_KEY_FILE = "update.pub"
_KEY_BYTES = const(384)
# PKCS#1 v1.5 (RFC 8017, 9.2): what stands before the digest says that it is one of SHA-256.
_SHA256_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"


class Refused(Exception):
    """The text is the reason, see above."""


def key():
    """The modulus that signatures are checked with."""
    try:
        with open(_KEY_FILE) as file:
            values = json.load(file)
        n = int(values["n"], 16)
        if values["v"] == 1 and n >> (8 * _KEY_BYTES - 1) == 1:
            return n
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise Refused("no_key")


def signed(text, signature, n):
    """Whether the hex `signature` of `text` opens, with the key, to exactly the block that the standard prescribes."""
    try:
        found = int(signature, 16)
    except ValueError:
        return False
    end = b"\x00" + _SHA256_INFO + hashlib.sha256(text).digest()
    block = b"\x00\x01" + b"\xff" * (_KEY_BYTES - 2 - len(end)) + end
    return 0 <= found < n and pow(found, 65537, n) == int.from_bytes(block, "big")


def checked(text, security):
    """(version, security counter, {path: (bytes, SHA-256 hex)}) for a board that has confirmed `security`."""
    try:
        return _checked(json.loads(text), security)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused("malformed")


def _checked(values, confirmed):
    version, security, entries = values["version"], values["security"], values["files"]
    if values["v"] != 1 or type(security) is not int or not 0 < security < _COUNTER_MAX:
        raise Refused("malformed")
    if type(version) is not str or not 0 < len(version) <= _VERSION_MAX or not 0 < len(entries) <= _FILES_MAX:
        raise Refused("malformed")
    if values["board"] != pins.BOARD:
        raise Refused("board")
    if security <= confirmed:
        raise Refused("replayed" if security == confirmed else "older")
    files = {}
    for name, size, digest in entries:
        if not _allowed(name) or name in files:
            raise Refused("file " + name[:48])
        if type(size) is not int or not 0 < size <= _FILE_BYTES_MAX:
            raise Refused("size")
        files[name] = (size, digest)
    return version, security, files


def _allowed(name):
    """Whether an update may bring this file: a module of ours that is not part of the base."""
    folder, _, module = name.partition("/")
    stem, _, ending = module.partition(".")
    return (
        len(name) <= 40
        and folder in _FOLDERS
        and ending in ("py", "mpy")
        and stem != ""
        and all(c in "abcdefghijklmnopqrstuvwxyz0123456789_" for c in stem)
        and not (folder == "chair" and stem in _BASE)
    )
