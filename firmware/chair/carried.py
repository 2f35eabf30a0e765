"""The outbox in flash, across a restart that the board does of its own accord: `outbox.bin`.

    one line of JSON: [CRC-32 of the rest, [[boot, UTC of its millisecond 0 or null], ...], records given up so far]
    the entries, as they lay in memory

A file that a power cut or a dying flash has damaged is no file.
"""

import binascii
import json
import os

from chair.outbox import FILE


def save(boots, dropped, entries):
    """Whether the flash took it. `boots`: the one that made the entries, and those whose entries it still held."""
    try:
        with open(FILE + ".tmp", "wb") as file:
            file.write(json.dumps([binascii.crc32(entries), boots, dropped]).encode() + b"\n")
            file.write(entries)
        os.rename(FILE + ".tmp", FILE)
        return True
    except OSError:
        return False


def load(block):
    """([[boot, utc_ms], ...], records given up, bytes of entries read into `block`); ([], 0, 0) when there are none."""
    try:
        with open(FILE, "rb") as file:
            crc, boots, dropped = json.loads(file.readline())
            used = file.readinto(block)
            if used <= len(block) and binascii.crc32(block[:used]) == crc:
                return boots, dropped, used
    except (OSError, ValueError):
        pass
    return [], 0, 0


def forget():
    """The gateway has them all."""
    try:
        os.remove(FILE)
    except OSError:
        pass  # it was never there, or a broken flash keeps it: then the gateway sees duplicates
