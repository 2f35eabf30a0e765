"""Bytes to types and back."""

from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.wire.base import BOARD_BYTES_MAX, VERSION, Message


class Refused(ValueError):
    """A payload that does not fit the contract; `kind` is one of a few words that are counted."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


M = TypeVar("M", bound=Message)
_decoders: dict[type, msgspec.json.Decoder[Message]] = {}
_encoder = msgspec.json.Encoder()


class _Versioned(Struct):
    """`v` has a default so that we need not write it; a sender that leaves it out is refused all the same."""

    v: int


_version_decoder = msgspec.json.Decoder(_Versioned)


def decode(payload: bytes, kind: type[M], bytes_max: int = BOARD_BYTES_MAX) -> M:
    """The payload as `kind`. Raises `Refused`: oversized, malformed, version or invalid."""
    if len(payload) > bytes_max:
        raise Refused("oversized", f"{len(payload)} bytes, at most {bytes_max}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        version = _version_decoder.decode(payload).v
        if version != VERSION:
            raise Refused("version", f"{version}, this gateway speaks {VERSION}")
        return decoder.decode(payload)  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        raise Refused("version" if "`v`" in str(error) else "invalid", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("malformed", str(error)) from None


def encode(message: Message) -> bytes:
    return _encoder.encode(message)
