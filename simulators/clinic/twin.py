"""A second engine that came back from what the first one just wrote, and must decide the same from then on.

A crash at the moment of a snapshot loses nothing: whoever starts from it and hears the same is in the same state.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway import wire
from gateway.core.outputs import Output, Publish, Snapshot


def kept_whole(outputs: list[Output]) -> bool:
    """Did a batch write down a chair and its board?"""
    kinds = {output.key.split("/")[0] for output in outputs if isinstance(output, Snapshot)}
    return kinds >= {"chair", "device"}


def differs(first: list[Output], second: list[Output]) -> str:
    """What one decided and the other did not, in words; empty when they are of one mind."""
    for one, other in zip([*_decided(first), None], [*_decided(second), None], strict=False):
        if one != other:
            return f"{one} without a restart, {other} with one"
    return ""


def _decided(outputs: list[Output]) -> list[str]:
    """Alarms and answers, apart from the name of the run."""
    found: list[str] = []
    for output in outputs:
        message = output.message if isinstance(output, Publish) else None
        if isinstance(message, wire.AlarmTransition):
            found.append(f"{message.rule} {message.what} {wire.encode(replace(message, run='')).decode()}")
        elif isinstance(message, wire.Done):
            found.append(f"answer {wire.encode(message).decode()}")
    return found
