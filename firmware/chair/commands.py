"""Which commands are obeyed. A broker, a queue or a repeat may bring one late: then it must not move the pump."""

from micropython import const

# How far ahead a command may be valid: 5 s for what moves the pump, and a second for the gateway's estimate of our
# clock, which can only be behind by the link's delay.
_MEASURE_AHEAD_MS_MAX = const(6000)
_AHEAD_MS_MAX = const(60000)
_REMEMBERED = const(32)


class Commands:
    """Remembers the ids of this boot: none is obeyed twice."""

    def __init__(self, boot):
        self._boot = boot
        self._ids = []

    def refusal(self, command, session, now_ms):
        """Why the decoded `command` is refused, or "" when it is to be obeyed now. `session` is the chair's."""
        if command["boot"] != self._boot:
            return "boot"
        if command["id"] in self._ids:
            return "repeated"
        self._ids.append(command["id"])
        if len(self._ids) > _REMEMBERED:
            self._ids.pop(0)
        ahead_ms = command["valid_until_up_ms"] - now_ms
        if ahead_ms <= 0:
            return "expired"
        measure = command["kind"] == "measure"
        if ahead_ms > (_MEASURE_AHEAD_MS_MAX if measure else _AHEAD_MS_MAX):
            return "valid_too_long"
        if measure and command["session"] != session:
            return "session"
        return ""
