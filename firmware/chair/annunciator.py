"""Lamp and sounder: what the gateway says, and what the board says by itself when the gateway is silent.

    with the gateway    level and sound as told
    alone, 3 s          the last level stays; at least medium with a session, low without; no new sound yet
    alone, 30 s         with a session: sounds for the silence itself
    alone, limit        a good reading over a fallback limit is high and sounds at once, until a good one is back
                        inside for 10 s; a bad or missing reading clears nothing
    alone, no reading   with a session: 30 s without a good reading are high and sound
    alone, no pressure  no good cuff result for twice the interval and a minute is medium and sounds
    alone, call         the call button is medium and sounds here, as nobody else hears it, until acknowledged

    lamp    none   low           medium              high            no session, alone
            dark   cyan, steady  yellow, 0.6 Hz      red, 2 Hz       cyan, 0.5 Hz
    alone                        cyan in the dark half of each flash

Alone begins 3 s after the last rise of `beat`; a retained message is no life. The acknowledge button pauses the
sound of a board that is alone for 120 s; a new local alarm ends the pause. All lamps light for 1 s and the sounder
beeps when the board starts, unless a session goes on: then what it has to show comes first.
"""

from micropython import const

LEVELS = ("none", "low", "medium", "high")
NONE, LOW, MEDIUM, HIGH = 0, 1, 2, 3

_ALONE_MS = const(3000)
_SILENCE_SOUND_MS = const(30000)
_NO_READING_MS = const(30000)
_NO_PRESSURE_MS = const(60000)  # a measurement takes that long
_PAUSE_MS = const(120000)
_CLEAR_MS = const(10000)
_IDENTIFY_MS = const(10000)
_SELF_TEST_MS = const(1000)
_SELF_TEST_BEEP_MS = const(200)

# After IEC 60601-1-8: flash period in ms with half of it lit (0: steady); when the pulses of a burst begin, how long
# each is, and how often the burst repeats, in ms; fundamental in Hz (150-1000; the square wave brings the harmonics).
_FLASH_MS = const((0, 0, 1667, 500))
_PULSES = (
    (),
    (0,),
    (0, 400, 800),
    (0, 200, 400, 750, 950, 1750, 1950, 2150, 2500, 2700),
)
_PULSE_MS = const((0, 200, 200, 125))
_REPEAT_MS = const((1, 30000, 15000, 7000))
_TONE_HZ = const((0, 440, 523, 659))
_ALONE_FLASH_MS = const(2000)
_MEDIUM = const(("call", "no_pressure"))  # of the local alarms


def lamp_lit(level, since_ms):
    """Whether the lamp of `level` is lit `since_ms` after its pattern began."""
    if level == NONE:
        return False
    period_ms = _FLASH_MS[level]
    return period_ms == 0 or since_ms % period_ms < period_ms // 2


def tone_hz(level, since_ms):
    """The sounder's frequency `since_ms` after the first burst of `level` began; 0 is silent."""
    at_ms = since_ms % _REPEAT_MS[level]
    for start_ms in _PULSES[level]:
        if start_ms <= at_ms < start_ms + _PULSE_MS[level]:
            return _TONE_HZ[level]
    return 0


class LocalLimits:
    """The board's own judgement while it is alone. `active` maps an alarm's name to its time of last crossing."""

    def __init__(self, limits):
        self.limits = limits
        self.active = {}

    def judge(self, name, value, low, high, now_ms):
        """Judge one good value. Returns the limit that it crosses when an alarm begins, else None."""
        limit = low if low is not None and value < low else high if high is not None and value > high else None
        if limit is not None:
            return limit if self.crossed(name, now_ms) else None
        if name in self.active and now_ms - self.active[name] >= _CLEAR_MS:
            del self.active[name]
        return None

    def crossed(self, name, now_ms):
        """The condition holds now. True when the alarm begins."""
        begins = name not in self.active
        self.active[name] = now_ms
        return begins


class Annunciator:
    """`now_ms` is the board's up_ms throughout. `memory` (chair/memory.py) is what the last boot knew, and keeps what
    this one is told."""

    def __init__(self, now_ms, memory):
        self.session = memory.session
        self.alone = True
        self.local = LocalLimits(memory.limits)
        self._memory = memory
        self._run = memory.run
        self._beat = memory.beat
        self._met = False  # a live message has come in this boot
        self._heard_ms = now_ms
        self._level = NONE
        self._sound = False
        self._judged_ms = now_ms
        self._unread_ms = 0  # how long there has been no good reading
        self._pressure_ms = now_ms  # of the last good cuff result
        self._paused_until_ms = None
        self._identify_until_ms = 0
        self._tested_ms = now_ms if self.session else now_ms + _SELF_TEST_MS
        self._shown = (NONE, False)
        self._since_ms = now_ms

    def told(self, message, retained, now_ms):
        """Take an `annunciate`. True when it is a sign of life: live, and with a beat that rose."""
        known = message["run"] == self._run
        if retained:
            # History, but it may be newer than what we know: the session may have ended while we were away. Of
            # another run we cannot tell, so it counts only until a gateway has spoken to this boot.
            newer = message["beat"] > self._beat if known else not self._met
            if newer and not self._memory.over(message["session"]):
                self._take(message, False, now_ms)
            return False
        if known and message["beat"] < self._beat:
            return False
        self._level = LEVELS.index(message["level"])
        self._sound = message["sound"]
        self._take(message, True, now_ms)
        if known and message["beat"] == self._beat:
            return False  # a change within the gateway's same moment, or the same message again: news, but no life
        self._run = message["run"]
        self._beat = message["beat"]
        self._heard_ms = now_ms
        self._met = True
        self.alone = False
        self.local.active.clear()
        self._paused_until_ms = None
        return True

    def _take(self, message, live, now_ms):
        memory = self._memory
        if message["session"] != memory.session or message["cuff_interval_s"] != memory.interval_s:
            self._pressure_ms = now_ms
        memory.keep(message, live)
        self.session = memory.session
        self.local.limits = memory.limits

    def forget(self):
        """The session is too old to be believed, see chair/memory.py."""
        self.session = ""
        self.local = LocalLimits(None)
        self._level = NONE
        self._sound = False

    def judge(self, reading, now_ms):
        """Judge a second's vitals while alone; call it once a second. Returns [(name, value, limit, unit)] that
        began; without a value where there is no number."""
        passed_ms = now_ms - self._judged_ms
        self._judged_ms = now_ms
        quality = reading["quality"]
        if quality in ("good", "below_range"):
            self._unread_ms = 0
        elif quality != "cuff_hold":  # which the arm bounds, and which proves nothing about the finger
            self._unread_ms += passed_ms
        begun = []
        if not (self.alone and self.session):
            return begun
        if self._unread_ms >= _NO_READING_MS:
            if self.local.crossed("no_reading", now_ms):
                begun.append(("no_reading", None, _NO_READING_MS // 1000, "s"))
        elif self._unread_ms == 0 and now_ms - self.local.active.get("no_reading", now_ms) >= _CLEAR_MS:
            del self.local.active["no_reading"]
        interval_s = self._memory.interval_s
        overdue = interval_s and now_ms - self._pressure_ms >= 2000 * interval_s + _NO_PRESSURE_MS
        if overdue and self.local.crossed("no_pressure", now_ms):
            begun.append(("no_pressure", None, 2 * interval_s, "s"))
        limits = self.local.limits
        if limits and quality == "below_range" and self.local.crossed("spo2_low", now_ms):
            begun.append(("spo2_low", None, limits["spo2_low_pct"], "%"))  # too low to measure is beyond any limit
        if limits and quality == "good":
            self._compare(begun, "spo2_low", reading.get("spo2_pct"), limits["spo2_low_pct"], None, "%", now_ms)
            low, high = limits["pulse_low_bpm"], limits["pulse_high_bpm"]
            self._compare(begun, "pulse_limit", reading.get("pulse_bpm"), low, high, "/min", now_ms)
        return self._heard(begun)

    def judge_cuff(self, result, now_ms):
        """Judge a cuff result while alone; returns as `judge`. The oximeter's pulse rate is the one that counts."""
        begun = []
        if result["quality"] == "good":
            self._pressure_ms = now_ms
            self.local.active.pop("no_pressure", None)
        limits = self.local.limits
        if self.alone and self.session and limits:
            low, high = limits["sys_low_mmhg"], limits["sys_high_mmhg"]
            if result["quality"] == "good":
                self._compare(begun, "sys_limit", result.get("sys_mmhg"), low, high, "mmHg", now_ms)
            elif result.get("reason") == "above_range" and self.local.crossed("sys_limit", now_ms):
                begun.append(("sys_limit", None, high, "mmHg"))
        return self._heard(begun)

    def _compare(self, begun, name, value, low, high, unit, now_ms):
        limit = None if value is None else self.local.judge(name, value, low, high, now_ms)
        if limit is not None:
            begun.append((name, value, limit, unit))

    def _heard(self, begun):
        if begun:
            self._paused_until_ms = None
        return begun

    def call(self, now_ms):
        """The call button. Beside a gateway, the gateway calls."""
        if self.alone:
            self.local.crossed("call", now_ms)
            self._paused_until_ms = None

    def acknowledge(self, now_ms):
        """The button: pauses the sound of a board that is alone. Beside a gateway, the gateway decides."""
        if self.alone:
            self.local.active.pop("call", None)
            self._paused_until_ms = now_ms + _PAUSE_MS

    def identify(self, now_ms):
        """Show which chair this is: all lamps flash and the sounder beeps for 10 s, unless there is an alarm."""
        self._identify_until_ms = now_ms + _IDENTIFY_MS

    def signal(self, now_ms):
        """(level, sound) that people are to see and hear now."""
        silent_ms = now_ms - self._heard_ms
        if silent_ms < _ALONE_MS and not self.alone:
            return self._level, self._sound
        self.alone = True
        level = max(self._level, MEDIUM if self.session else LOW)
        # An alarm that sounded when the gateway fell silent sounds on: nobody has said that it is over.
        sound = self._sound or bool(self.session and silent_ms >= _SILENCE_SOUND_MS)
        for name in self.local.active:
            level = max(level, MEDIUM if name in _MEDIUM else HIGH)
            sound = True
        if self._paused_until_ms is not None:
            if now_ms < self._paused_until_ms:
                sound = False
            else:
                self._paused_until_ms = None
        return level, sound

    def tick(self, now_ms):
        """(red, yellow, cyan, tone_hz) for this moment; call it every 25 to 50 ms."""
        level, sound = self.signal(now_ms)
        if (level, sound) != self._shown:
            self._shown = (level, sound)
            self._since_ms = now_ms
        since_ms = now_ms - self._since_ms
        if level < MEDIUM:
            left_ms = self._tested_ms - now_ms
            if left_ms > 0:
                return True, True, True, _TONE_HZ[LOW] if left_ms > _SELF_TEST_MS - _SELF_TEST_BEEP_MS else 0
            if now_ms < self._identify_until_ms:
                lit = now_ms % 1000 < 500
                return lit, lit, lit, _TONE_HZ[LOW] if now_ms % 1000 < 100 else 0
        lit = lamp_lit(level, since_ms)
        if not self.alone:
            cyan = lit and level == LOW
        elif level > LOW:
            cyan = not lit
        else:
            cyan = since_ms % _ALONE_FLASH_MS < _ALONE_FLASH_MS // 2
        return lit and level == HIGH, lit and level == MEDIUM, cyan, tone_hz(level, since_ms) if sound else 0
