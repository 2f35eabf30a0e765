"""Which firmware runs: the files that were flashed, or one of two slots that updates fill in turn.

    main.py board.py slots.py chair/pins.py chair/store.py    the base: flashed over USB, never updated over the air
    chair/ drivers/                                            flashed with it, run until an update is confirmed
    a/chair/ a/drivers/ b/chair/ b/drivers/                    filled by chair/update.py, named first in sys.path

    steady --- update applied ---> pending --- start ---> trial --- a healthy minute with the gateway ---> steady
                                                            |
                                                            +--- any start before that: undone, steady as before

The base makes the cuff safe, starts the watchdog, counts, chooses and undoes, whatever an update does. What it keeps
in flash, as `life`:

    boots      starts since the board was provisioned
    bad        starts in a row that ended by a crash or the watchdog before a healthy minute
    young      this start has not had its healthy minute
    meant      the next restart was commanded
    updating   the next start is for an update, see chair/service.py
    slot       "", "a" or "b": what runs
    security   the counter of what was confirmed last; nothing with a lower one runs, and only a higher one is taken
    trial      {"slot", "version", "security", "started"}
    undone     what is still to be told of an update that was undone
"""

import os
import sys

from chair import store
from micropython import const

_FLASHED = const("flashed")
SECURITY = 1  # counter of the flashed files; to be raised when an update older than these must never run again
_BAD_MAX = const(3)

life = None  # of this start, once it has begun


def begin(cause):
    """Count this start, which `cause` (Board.reset_cause) brought about, and choose what it runs."""
    global life  # noqa: PLW0603  (one start, one life)
    life = Life(store.load("life"), cause)


def enter():
    """From now on `chair` and `drivers` are those of the chosen slot; what the base has loaded of `chair` stays."""
    if life.slot != _FLASHED:
        sys.modules.pop("chair")
        sys.path.insert(0, life.slot)


class Life:
    """What a start may know and tell. `trial` is true until an update is confirmed."""

    def __init__(self, kept, cause):
        kept["boots"] = kept.get("boots", 0) + 1
        updating = kept.pop("updating", False)
        if kept.pop("meant", False) or cause in ("power_on", "soft_reset"):
            kept["bad"] = 0  # somebody is there who wants to see it start
        elif kept.get("young"):
            kept["bad"] = kept.get("bad", 0) + 1
        floor = max(kept.setdefault("security", 0), SECURITY)
        trial = kept.get("trial")
        if trial:
            kept["bad"] = 0  # the failures of one firmware are not held against the other
            if trial["started"] or trial["security"] <= floor or not _there(trial["slot"]):
                kept["undone"] = "%s: %s" % (trial["version"], cause)
                trial = None
                del kept["trial"]
            else:
                trial["started"] = True
        kept["young"] = True
        self._kept = kept
        if not self._save(kept):
            trial = None  # a trial that leaves no trace could never be undone
        confirmed = kept.get("slot", "")
        if kept["security"] < SECURITY or not _there(confirmed):
            confirmed = ""  # the board was flashed anew
        self.boots = kept["boots"]
        self.trial = bool(trial)
        self.slot = (trial["slot"] if trial else confirmed) or _FLASHED
        self.security = floor
        self.safe_mode = not trial and kept.get("bad", 0) >= _BAD_MAX
        self.updating = updating and not trial and not self.safe_mode
        self.undone = kept.get("undone", "")

    def healthy(self):
        """This start has had its healthy minute: what it tries out is confirmed, and earlier bad ones are forgotten.
        Returns the version that is confirmed now, or ""; a trial that the flash does not take stays one."""
        kept = dict(self._kept)
        kept["young"] = False
        kept["bad"] = 0
        version = ""
        if self.trial:
            trial = kept.pop("trial")
            version, kept["slot"], kept["security"] = trial["version"], trial["slot"], trial["security"]
        if not self._save(kept):
            return ""
        self.trial = False
        self.security = max(kept["security"], SECURITY)
        return version

    def mean_it(self):
        """The restart that follows is commanded: that it comes early is not held against this firmware."""
        self._save(dict(self._kept, meant=True))

    def make_room(self):
        """The next start is for an update."""
        self._save(dict(self._kept, meant=True, updating=True))

    def try_out(self, slot, version, security):
        """At the next start the slot is tried. False when the flash does not take that."""
        trial = {"slot": slot, "version": version, "security": security, "started": False}
        return self._save(dict(self._kept, meant=True, trial=trial))

    def withdraw(self):
        """What was to be tried at the next start is not. False when the flash does not take that."""
        if "trial" not in self._kept:
            return True
        kept = dict(self._kept)
        del kept["trial"]
        return self._save(kept)

    def told(self):
        """The broker has the event of what was undone."""
        if self.undone:
            kept = dict(self._kept)
            del kept["undone"]
            if self._save(kept):
                self.undone = ""

    def _save(self, kept):
        """Keep it, in memory only what is also in flash."""
        try:
            store.save("life", kept)
        except OSError:
            return False
        self._kept = kept
        return True


def _there(slot):
    if slot == "":
        return True
    try:
        os.stat(slot)
        return True
    except OSError:
        return False
