"""What a restart beside a dead gateway must not lose: session, fallback limits and cuff interval, in flash.

Written when one of them changes, and each hour that the board has lived on them alone; never else. After 12 such
hours, which power-offs do not shorten, the session is too old to be believed: no stay is that long. A board cannot
tell how long it was off, so a session ends only by the gateway's word or by those hours.
"""

import os

from chair import store
from micropython import const

_NAME = const("session")
_HOUR_MS = const(3_600_000)
_ALONE_H_MAX = const(12)
_NEXT_S_MAX = const(300)  # first measurement after a restart: soon, but no board that restarts again and again may pump
_RETRY_MS = const(10_000)


class Memory:
    """`faults` holds "memory" while the flash takes nothing."""

    def __init__(self):
        kept = store.load(_NAME)
        self.session = kept.get("session", "")
        self.limits = kept.get("limits")
        self.interval_s = kept.get("interval_s", 0)
        self.run = kept.get("run")  # of the message that was kept, with its beat: what is older changes nothing
        self.beat = kept.get("beat", 0)
        self._ended = kept.get("ended", "")
        self._alone_h = kept.get("alone_h", 0)
        self._hour_began_ms = 0
        self._in_flash = self.session  # the session that a restart would resume
        self._unsaved = False
        self._tried_ms = 0
        self.faults = set()

    @property
    def next_s(self):
        """When the schedule goes on after a restart, or None without one."""
        return min(self.interval_s, _NEXT_S_MAX) if self.session and self.interval_s else None

    def over(self, session):
        """Whether this is the session that has ended: a message that names it is older than what we know."""
        return session != "" and session == self._ended

    def keep(self, message, live):
        """Take over an `annunciate`. Only a `live` one ends the hours alone."""
        session = message["session"]
        interval_s = message["cuff_interval_s"]
        same = session == self.session
        limits = message.get("limits", self.limits if same else None)
        if same and limits == self.limits and interval_s == self.interval_s and not (live and self._alone_h):
            return
        if not same and self.session:
            self._ended = self.session
        self.session = session
        self.limits = limits
        self.interval_s = interval_s
        self.run = message["run"]
        self.beat = message["beat"]
        if live:
            self._alone_h = 0
        self._save()

    def expires(self, alone, now_ms):
        """Call it at least once a minute. True when the session has just become too old."""
        if self._unsaved and now_ms - self._tried_ms >= _RETRY_MS:
            self._tried_ms = now_ms
            self._save()
        if not (alone and self.session):
            self._hour_began_ms = now_ms
        elif now_ms - self._hour_began_ms >= _HOUR_MS:
            self._hour_began_ms = now_ms
            self._alone_h += 1
            if self._alone_h >= _ALONE_H_MAX:
                self._ended, self.session, self.limits, self.interval_s = self.session, "", None, 0
            self._save()
            return not self.session
        return False

    def _save(self):
        kept = {"session": self.session, "limits": self.limits, "interval_s": self.interval_s, "ended": self._ended}
        kept["run"], kept["beat"], kept["alone_h"] = self.run, self.beat, self._alone_h
        try:
            store.save(_NAME, kept)
            self._in_flash = self.session
        except OSError:
            if self.session != self._in_flash:
                _forget()
                self._in_flash = ""
            self._unsaved = True
            self.faults.add("memory")
            return
        self._unsaved = False
        self.faults.discard("memory")


def _forget():
    """There is no room to say that a session has ended; to say nothing takes none."""
    for copy in (".a", ".b"):
        try:
            os.remove(_NAME + copy)
        except OSError:
            pass  # there was none, or the flash is broken
