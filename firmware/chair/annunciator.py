"""Lamp and sounder: what the gateway says, and what the board says by itself when the gateway is silent.

    with the gateway    level and sound as told
    alone, 3 s          the last level stays; at least medium with a session, low without; no new sound yet
    alone, 30 s         with a session: sounds for the silence itself
    alone, limit        a good reading over a fallback limit is high and sounds at once, until a good one is back
                        inside for 10 s; a bad or missing reading clears nothing

Alone begins 3 s after the last rise of `beat`; a retained message is no life. The acknowledge button pauses the
sound of a board that is alone for 120 s; a new local alarm ends the pause.
"""

LEVELS = ("none", "low", "medium", "high")
NONE, LOW, MEDIUM, HIGH = 0, 1, 2, 3

ALONE_MS = 3000
SILENCE_SOUND_MS = 30000
PAUSE_MS = 120000
CLEAR_MS = 10000
IDENTIFY_MS = 10000

# After IEC 60601-1-8: flash period in ms with half of it lit (0: steady); when the pulses of a burst begin, how long
# each is, and how often the burst repeats, in ms; fundamental in Hz (150-1000; the square wave brings the harmonics).
_FLASH_MS = (0, 0, 1667, 500)
_PULSES = (
    (),
    (0,),
    (0, 400, 800),
    (0, 200, 400, 750, 950, 1750, 1950, 2150, 2500, 2700),
)
_PULSE_MS = (0, 200, 200, 125)
_REPEAT_MS = (1, 30000, 15000, 7000)
_TONE_HZ = (0, 440, 523, 659)


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

    def __init__(self):
        self.limits = None
        self.active = {}

    def judge(self, name, value, low, high, now_ms):
        """Judge one good value. Returns (value, limit) when an alarm begins, else None."""
        limit = low if low is not None and value < low else high if high is not None and value > high else None
        if limit is None:
            if name in self.active and now_ms - self.active[name] >= CLEAR_MS:
                del self.active[name]
            return None
        begins = name not in self.active
        self.active[name] = now_ms
        return (value, limit) if begins else None


class Annunciator:
    """`now_ms` is the board's up_ms throughout."""

    def __init__(self, now_ms):
        self.session = ""
        self.alone = True
        self.local = LocalLimits()
        self._run = None
        self._beat = 0
        self._heard_ms = now_ms
        self._level = NONE
        self._sound = False
        self._paused_until_ms = None
        self._identify_until_ms = 0
        self._shown = (NONE, False)
        self._since_ms = now_ms

    def told(self, message, retained, now_ms):
        """Take an `annunciate`. True when it is a sign of life: live, and with a beat that rose."""
        if "limits" in message:
            self.local.limits = message["limits"]
        if retained:
            # History. After a restart beside a dead gateway its limits and session are the best we have.
            if self._run is None:
                self.session = message["session"]
            return False
        if message["run"] == self._run and message["beat"] < self._beat:
            return False
        self._level = LEVELS.index(message["level"])
        self._sound = message["sound"]
        self.session = message["session"]
        if message["run"] == self._run and message["beat"] == self._beat:
            return False  # a change within the gateway's same moment, or the same message again: news, but no life
        self._run = message["run"]
        self._beat = message["beat"]
        self._heard_ms = now_ms
        self.alone = False
        self.local.active.clear()
        self._paused_until_ms = None
        return True

    def judge(self, reading, now_ms):
        """Judge a reading by the fallback limits while alone. Returns [(name, value, limit, unit)] that began."""
        limits = self.local.limits
        begun = []
        if not (self.alone and self.session and limits):
            return begun
        if reading.get("quality") == "below_range":
            # Too low for a number is beyond any limit.
            if "spo2_low" not in self.local.active:
                begun.append(("spo2_low", None, limits["spo2_low_pct"], "%"))
                self._paused_until_ms = None
            self.local.active["spo2_low"] = now_ms
        if reading.get("quality") != "good":
            return begun
        for name, field, low, high, unit in (
            ("spo2_low", "spo2_pct", "spo2_low_pct", None, "%"),
            ("pulse_limit", "pulse_bpm", "pulse_low_bpm", "pulse_high_bpm", "/min"),
            ("sys_limit", "sys_mmhg", "sys_low_mmhg", "sys_high_mmhg", "mmHg"),
        ):
            # A cuff result has a pulse too; the oximeter's is the one that is judged.
            if field not in reading or (field == "pulse_bpm" and "sys_mmhg" in reading):
                continue
            found = self.local.judge(
                name, reading[field], limits.get(low) if low else None, limits.get(high) if high else None, now_ms
            )
            if found:
                begun.append((name, found[0], found[1], unit))
                self._paused_until_ms = None
        return begun

    def acknowledge(self, now_ms):
        """The button: pauses the sound of a board that is alone. Beside a gateway, the gateway decides."""
        if self.alone:
            self._paused_until_ms = now_ms + PAUSE_MS

    def identify(self, now_ms):
        """Show which chair this is: all lamps flash and the sounder beeps for 10 s, unless there is an alarm."""
        self._identify_until_ms = now_ms + IDENTIFY_MS

    def signal(self, now_ms):
        """(level, sound) that people are to see and hear now."""
        silent_ms = now_ms - self._heard_ms
        if silent_ms < ALONE_MS and not self.alone:
            return self._level, self._sound
        self.alone = True
        level = max(self._level, MEDIUM if self.session else LOW)
        # An alarm that sounded when the gateway fell silent sounds on: nobody has said that it is over.
        sound = self._sound or bool(self.session and silent_ms >= SILENCE_SOUND_MS)
        if self.local.active:
            level = HIGH
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
        if now_ms < self._identify_until_ms and level < MEDIUM:
            lit = now_ms % 1000 < 500
            return lit, lit, lit, _TONE_HZ[LOW] if now_ms % 1000 < 100 else 0
        lit = lamp_lit(level, since_ms)
        return (
            lit and level == HIGH,
            lit and level == MEDIUM,
            lit and level == LOW,
            tone_hz(level, since_ms) if sound else 0,
        )
