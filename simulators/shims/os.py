"""`os` of the simulated board: the flash is the folder it runs in, and chance has a seed, so that a run repeats."""

from uos import *  # noqa: F403

import link

if not link.live:
    import hashlib

    _drawn = 0

    def urandom(count):
        global _drawn
        out = b""
        while len(out) < count:
            _drawn += 1
            out += hashlib.sha256(link.chance + _drawn.to_bytes(4, "little")).digest()
        return out[:count]
