"""Who may do what: the site says who has which role, the protocol which role an action needs."""

from gateway import wire
from gateway.core.protocol import Protocol

NAMED_ONLY = ("audio_off",)
"""Needs a role that the protocol names; it is nobody's by default."""


def why_not(protocol: Protocol, do: wire.Do, role: str | None) -> str:
    """Why `do.who` may not do this, or nothing. `role` is None where the site names no staff, empty for somebody whom
    it does not name."""
    action = do.action.__struct_config__.tag
    assert isinstance(action, str)
    words = action.replace("_", " ")
    roles = protocol.permissions.get(action)
    if role is None:
        return f"{words} needs a role, and this site names no staff" if action in NAMED_ONLY else ""
    if not role:
        return f"{do.who} is not one of the staff that this site names"
    if roles is None:
        return f"{words}: the protocol permits no role to do it" if action in NAMED_ONLY else ""
    return "" if role in roles else f"{words} needs the role {' or '.join(roles)}; {do.who} is {role}"
