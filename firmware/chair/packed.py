"""Records' bodies in half the room: what the outbox keeps of them, so that ten minutes fit.

`wire.pack` has made one control byte of each frequent word; a few more are made here. Most of what is left are
digits, and go two to a byte: 14 characters are one nibble, a word of `wire` is two, anything else three.
"""

from chair import wire
from micropython import const

_WORDS = (
    b',"seat":"empty"',
    b"no_finger",
    b"settling",
    b"cuff_hold",
    b"low_perfusion",
    b"motion",
    b"sensor_fault",
    b',"detail":"',
    b',"name":"',
    b',"envelope":[[',
)
_FIRST_WORD = const(17)  # those of `wire` come before, and 16 is what stands between two points of an envelope
_BETWEEN = const(b"],[")
_CODES = {byte: code for code, byte in enumerate(b'0123456789.\x10,"')}
_CHARACTERS = const(b'0123456789.\x10,"')
_WORD = const(14)
_OTHER = const(15)  # two nibbles follow; fewer are the padding at the end


def pack(body):
    """`body`, bytes, as shorter bytes."""
    body = wire.pack(body).replace(_BETWEEN, b"\x10")
    for i, word in enumerate(_WORDS):
        body = body.replace(word, bytes((_FIRST_WORD + i,)))
    nibbles = bytearray()
    for byte in body:
        if byte in _CODES:
            nibbles.append(_CODES[byte])
        elif byte < 16:
            nibbles.append(_WORD)
            nibbles.append(byte)
        else:
            nibbles.append(_OTHER)
            nibbles.append(byte >> 4)
            nibbles.append(byte & 15)
    if len(nibbles) & 1:
        nibbles.append(_OTHER)
    for i in range(0, len(nibbles), 2):
        nibbles[i >> 1] = nibbles[i] << 4 | nibbles[i + 1]
    return memoryview(nibbles)[: len(nibbles) >> 1]


def unpack(packed):
    """The body that was packed."""
    body = bytearray()
    wanted = 0  # nibbles of a word or another character that are to come
    value = 0
    for byte in packed:
        for nibble in (byte >> 4, byte & 15):
            if wanted:
                value = value << 4 | nibble
                wanted -= 1
                if not wanted:
                    body.append(value)
            elif nibble >= _WORD:
                wanted = nibble - _WORD + 1
                value = 0
            else:
                body.append(_CHARACTERS[nibble])
    text = bytes(body)
    for i, word in enumerate(_WORDS):
        text = text.replace(bytes((_FIRST_WORD + i,)), word)
    return wire.unpack(text.replace(b"\x10", _BETWEEN))
