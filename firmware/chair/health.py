"""Who this boot is, how long it lives, and whether it still does its work."""

import os
import time

from micropython import const

_CRASH_FILE = const("crash.txt")


def new_boot():
    """64 random bits as 16 hex digits: what tells this boot from every other. Compared only for equality."""
    return "".join("%02x" % byte for byte in os.urandom(8))


def console_open(config, board):
    """Whether a bench may speak to this start: the configuration says so, or somebody at the board holds both buttons.
    If not, Ctrl-C on its line is noise, which must not leave a chair unwatched."""
    may = config.console or board.buttons() == (True, True)
    board.heed_ctrl_c(may)
    return may


def crash():
    """What main.py left in flash when this firmware last failed, or ""."""
    try:
        with open(_CRASH_FILE) as file:
            return file.read(200)
    except (OSError, ValueError):
        return ""


def forget_crash():
    """It has been told."""
    try:
        os.remove(_CRASH_FILE)
    except OSError:
        pass  # there was none


class UpClock:
    """Milliseconds since it was made, counted on from ticks that wrap after 12.4 days.

    Ask it at least once in 6 days. One clock belongs to one context: the timer callback has its own, because it may
    interrupt the main loop between the two assignments.
    """

    def __init__(self):
        self._ticks = time.ticks_ms()
        self._up_ms = 0

    def up_ms(self):
        ticks = time.ticks_ms()
        passed_ms = time.ticks_diff(ticks, self._ticks)
        if passed_ms > 0:
            self._ticks = ticks
            self._up_ms += passed_ms
        return self._up_ms


class Progress:
    """Feeds the watchdog only when every part has moved since it was last fed.

    A board whose sampler hangs while its main loop runs on would look alive: the watchdog is for that too.
    """

    def __init__(self, feed, parts):
        self._feed = feed
        self._missing = set(parts)
        self._parts = tuple(parts)

    def moved(self, part):
        self._missing.discard(part)
        if not self._missing:
            self._feed()
            self._missing.update(self._parts)


class Trust:
    """When a start has proved itself, and when an update has had its time.

    A start is healthy after a minute: by then every part has fed the watchdog some hundred times. An update must also
    have heard the gateway through that minute, or the next one could never reach it; after five minutes it is undone.
    """

    _HEALTHY_MS = 60000
    _TRIAL_MS_MAX = 300000

    def __init__(self, life):
        self._life = life
        self._proved = life.safe_mode
        self._since_ms = 0

    def tick(self, up_ms, heard, empty, session):
        """To be called several times a second. `heard`: the gateway is; `empty`: there is no air in the cuff, so that
        the flash may be written. Returns "", "undo" when the board must restart, or "confirmed VERSION"."""
        life = self._life
        if self._proved or not empty:
            return ""
        if life.trial and not heard:
            self._since_ms = up_ms
            return "undo" if up_ms >= self._TRIAL_MS_MAX and not session else ""
        if up_ms - self._since_ms < self._HEALTHY_MS:
            return ""
        self._since_ms = up_ms  # should the flash not take it
        was_trial = life.trial
        version = life.healthy()
        self._proved = not life.trial
        return "confirmed " + version if was_trial and self._proved else ""
