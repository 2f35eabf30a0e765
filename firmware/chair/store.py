"""Small dicts in flash that survive a power cut at any moment and a copy that rots.

`save` writes NAME.a and then NAME.b, the same text in each: its CRC-32, then JSON. Each copy is written beside and
renamed over the old one, which littlefs does at once or not at all; so a cut leaves old or new, and never neither.
`load` takes the first copy whose CRC is right; the second can only be older between the two renames. Never does a
damaged copy bring back what was replaced.

Part of what is never updated over the air (see slots.py).
"""

import binascii
import json
import os

from micropython import const

_CHARACTERS_MAX = const(2048)
_CRC_DIGITS = const(8)


def save(name, values):
    """Keep the dict. What a hand had put there as NAME.json is superseded. Raises OSError: full or broken flash;
    ValueError: too long to be loaded again."""
    text = json.dumps(values)
    text = "%08x%s" % (binascii.crc32(text.encode()), text)
    if len(text) > _CHARACTERS_MAX:
        raise ValueError("%s: %d characters, at most %d" % (name, len(text), _CHARACTERS_MAX))
    for copy in (".a", ".b"):
        with open(name + ".tmp", "w") as file:
            file.write(text)
        os.rename(name + ".tmp", name + copy)
    try:
        os.remove(name + ".json")
    except OSError:
        pass  # there was none


def load(name):
    """The dict that was saved last, or {} when there is none to be read."""
    for copy in (".a", ".b"):
        try:
            with open(name + copy) as file:
                text = file.read(_CHARACTERS_MAX)
            if int(text[:_CRC_DIGITS], 16) == binascii.crc32(text[_CRC_DIGITS:].encode()):
                return json.loads(text[_CRC_DIGITS:])
        except (OSError, ValueError):
            pass  # the other copy
    return {}
