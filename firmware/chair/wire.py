"""Encodes what the board says and decodes what it is told: the board's half of `gateway/wire/`.

A record (vitals, cuff, event) is stored as its *body*, the JSON from `"up_ms"` on, which never changes; `record`
puts the head before it at each sending, because `base` and `late` do change. A value outside the contract's range
or not finite is left out: the gateway would refuse the whole record, and it would be sent again for ever.

Decoders return a dict with every field checked, or raise `Refused`.
"""

import json

from micropython import const

_VERSION = const(1)
_BYTES_MAX = const(2048)

VITALS = 0
CUFF = 1
EVENT = 2
RECORD_LEAF = ("vitals", "cuff", "event")

LEVELS = ("none", "low", "medium", "high")
COMMANDS = ("measure", "abort", "identify", "reboot", "waveform", "update")
_COUNT_MAX = const(1 << 53)

# name, digits after the point, lowest, highest
_VITALS = (
    ("sqi_pct", 0, 0, 100),
    ("spo2_pct", 1, 0, 100),
    ("pulse_bpm", 1, 0, 300),
    ("pi_pct", 2, 0, 100),
    ("ratio", 4, 0, 10),
    ("resp_bpm", 1, 0, 120),
    ("resp_sqi_pct", 0, 0, 100),
)
_CUFF = (
    ("sqi_pct", 0, 0, 100),
    ("sys_mmhg", 1, 0, 400),
    ("dia_mmhg", 1, 0, 400),
    ("map_mmhg", 1, 0, 400),
    ("pulse_bpm", 1, 0, 300),
)


class Refused(ValueError):
    """A payload that does not fit; `kind` is oversized, malformed, version, invalid or epoch."""

    def __init__(self, kind, detail):
        super().__init__("%s: %s" % (kind, detail))
        self.kind = kind


def topic(device, leaf):
    return "chairside/v1/dev/%s/%s" % (device, leaf)


# ---- from the board ----


_UNCALIBRATED = const(',"uncalibrated":true')
_UP_MS = const(b'"up_ms":')


def vitals_body(up_ms, age_ms, reading, cuff="idle", cuff_mmhg=None, seat="unknown"):
    """`reading` is what `Oximeter.reading` returns; `cuff_mmhg` is told only while the cuff is not idle."""
    text = '"up_ms":%d,"age_ms":%d,"quality":"%s"' % (up_ms, age_ms, reading["quality"])
    # Required by the contract; an oximeter that could not judge the signal did not find it usable.
    if "sqi_pct" not in reading:
        text += ',"sqi_pct":0'
    text += _numbers(reading, _VITALS)
    if reading.get("uncalibrated"):
        text += _UNCALIBRATED
    if seat != "unknown":
        text += ',"seat":"%s"' % seat
    if cuff != "idle":
        text += ',"cuff":"%s"' % cuff
        if cuff_mmhg is not None:
            text += _numbers({"cuff_mmhg": cuff_mmhg}, (("cuff_mmhg", 1, -50, 400),))
    return text.encode()


def cuff_body(up_ms, age_ms, result):
    """`result` is what `Cuff.take_result` returns: quality, trigger, duration_ms and what was found."""
    text = '"up_ms":%d,"age_ms":%d,"quality":"%s","trigger":"%s","duration_ms":%d' % (
        up_ms,
        age_ms,
        result["quality"],
        result["trigger"],
        result.get("duration_ms", 0),
    )
    if "reason" in result:
        text += ',"reason":%s' % json.dumps(result["reason"][:64])
    text += _numbers(result, _CUFF)
    if result.get("uncalibrated"):
        text += _UNCALIBRATED
    points = ["[%.1f,%.2f]" % (p, a) for p, a in result.get("envelope", ())[:24] if _finite(p) and _finite(a)]
    if points:
        text += ',"envelope":[%s]' % ",".join(points)
    return text.encode()


def event_body(up_ms, kind, name, value=None, limit=None, unit=None, detail=None):
    text = '"up_ms":%d,"kind":"%s","name":%s' % (up_ms, kind, json.dumps(name[:64]))
    for key, number in (("value", value), ("limit", limit)):
        if number is not None and _finite(number):
            text += ',"%s":%.1f' % (key, number)
    if unit:
        text += ',"unit":"%s"' % unit
    if detail:
        text += ',"detail":%s' % json.dumps(detail[:200])
    return text.encode()


def record(boot, seq, base, late, body, utc_ms=None):
    """The payload of a record, ready to publish. `utc_ms` is the UTC of the boot's millisecond 0, once it is known."""
    head = '{"v":%d,"boot":"%s","seq":%d,"base":%d,%s' % (
        _VERSION,
        boot,
        seq,
        base,
        '"late":true,' if late else "",
    )
    if utc_ms is not None:
        head += '"at_ms":%d,' % (utc_ms + int(body[len(_UP_MS) : body.index(b",")]))
    return head.encode() + body + b"}"


def waveform(boot, up_ms, rate_hz, ir):
    """A second of the pleth. Not a record."""
    return _dumps({"v": _VERSION, "boot": boot, "up_ms": up_ms, "rate_hz": rate_hz, "ir": ir})


# Words that most records contain, each kept as one control byte, which JSON text never does. Order matters: a longer
# word stands before its part.
_WORDS = (
    b',"quality":"good","sqi_pct":',
    b',"quality":"',
    b',"age_ms":',
    b',"spo2_pct":',
    b',"pulse_bpm":',
    b',"pi_pct":',
    b',"ratio":',
    b'","sqi_pct":0',
    b',"cuff_mmhg":',
    b',"cuff":"',
    _UP_MS,
    b',"uncalibrated":true',
    b',"resp_bpm":',
    b',"resp_sqi_pct":',
    b',"seat":"occupied"',
)


def pack(body):
    """A body as the outbox keeps it, about a third as long."""
    for i, word in enumerate(_WORDS):
        body = body.replace(word, bytes((i + 1,)))
    return body


def unpack(packed):
    """The body that was packed."""
    body = bytes(packed)
    for i, word in enumerate(_WORDS):
        body = body.replace(bytes((i + 1,)), word)
    return body


def will(boot, conn):
    return b'{"v":%d,"boot":"%s","conn":%d,"online":false}' % (_VERSION, boot, conn)


def status(boot, conn, fields):
    """`fields` are the optional ones of the contract, those that are known."""
    message = {"v": _VERSION, "boot": boot, "conn": conn, "online": True}
    message.update(fields)
    return _dumps(message)


def reply(boot, id, reason):
    """The answer to a command; an empty `reason` means that it was accepted."""
    message = {"v": _VERSION, "boot": boot, "id": id, "result": "refused" if reason else "accepted"}
    if reason:
        message["reason"] = reason[:64]
    return _dumps(message)


def _dumps(message):
    return json.dumps(message, separators=(",", ":")).encode()


def _numbers(values, table):
    text = ""
    for name, digits, low, high in table:
        value = values.get(name)
        if value is not None and low <= value <= high:  # false for NaN too
            text += ',"%s":%.*f' % (name, digits, value)
    return text


def _finite(value):
    return -1e9 < value < 1e9


# ---- from the gateway ----

# Field: its check, and whether it must be there. A check is "count", "name", "boot", "bool", "object" (looked into by
# who takes it), or the words allowed.
_GATEWAY = {"epoch": ("count", False)}
_ACK = {"boot": ("boot", True), "run": ("name", True), "upto": ("count", True)}
_ANNUNCIATE = {
    "run": ("name", True),
    "beat": ("count", True),
    "level": (LEVELS, True),
    "sound": ("bool", True),
    "session": ("name", True),
    "cuff_interval_s": ("count", True),
    "cuff_next_s": ("count", False),
}
_LIMITS = const(("spo2_low_pct", "pulse_low_bpm", "pulse_high_bpm", "sys_low_mmhg", "sys_high_mmhg"))
_CMD = {
    "id": ("name", True),
    "kind": (COMMANDS, True),
    "session": ("name", True),
    "boot": ("boot", True),
    "valid_until_up_ms": ("count", True),
    "update": ("object", False),
}
_HAVE_MAX = const(16)


class Decoder:
    """Remembers the highest epoch: an older gateway must not speak over its successor."""

    def __init__(self):
        self._epoch = 0

    def ack(self, payload):
        """{"boot", "run", "upto", "have": [[a, b], ...]}; `boot` may be one before this, see chair/outbox.py."""
        message = _checked(payload, _ACK)
        have = message.setdefault("have", [])
        if type(have) is not list or len(have) > _HAVE_MAX:
            raise Refused("invalid", "have")
        for pair in have:
            if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not int or type(pair[1]) is not int:
                raise Refused("invalid", "have")
        return self._current(message)

    def annunciate(self, payload):
        """What lamp, sounder and cuff schedule go by; `cuff_next_s` and `limits` may be absent."""
        message = _checked(payload, _ANNUNCIATE)
        if "limits" in message:
            limits = message["limits"]
            if type(limits) is not dict:
                raise Refused("invalid", "limits")
            for name in _LIMITS:
                if type(limits.get(name)) not in (int, float) or not _finite(limits[name]):
                    raise Refused("invalid", "limits." + name)
        return self._current(message)

    def cmd(self, payload):
        """A command of any boot: one that is not for this boot is answered, see chair/commands.py."""
        return self._current(_checked(payload, _CMD))

    def _current(self, message):
        epoch = message.get("epoch", 0)
        if epoch < self._epoch:
            raise Refused("epoch", "%d after %d" % (epoch, self._epoch))
        self._epoch = epoch
        return message


def _checked(payload, table):
    if len(payload) > _BYTES_MAX:
        raise Refused("oversized", "%d bytes, at most %d" % (len(payload), _BYTES_MAX))
    try:
        message = json.loads(payload)
    except ValueError:  # UnicodeError too
        raise Refused("malformed", "not JSON")
    if type(message) is not dict:
        raise Refused("invalid", "not an object")
    if "v" not in message:
        raise Refused("version", "none")
    if type(message["v"]) is not int:
        raise Refused("invalid", "v")
    if message["v"] != _VERSION:
        raise Refused("version", str(message["v"]))
    for fields in (table, _GATEWAY):
        for name, (check, required) in fields.items():
            if name in message:
                if not _fits(message[name], check):
                    raise Refused("invalid", name)
            elif required:
                raise Refused("invalid", name)
    return message


def _fits(value, check):
    if check == "count":
        return type(value) is int and 0 <= value <= _COUNT_MAX
    if check == "bool":
        return type(value) is bool
    if check == "object":
        return type(value) is dict
    if type(value) is not str:
        return False
    if check == "name":
        return len(value) <= 64
    if check == "boot":
        return len(value) == 16 and all(c in "0123456789abcdef" for c in value)
    return value in check
