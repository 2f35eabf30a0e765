"""Who may say and read what, as mosquitto's access list: made from the contract's own table of channels.

The name in a client's certificate is its user: a board's is its device, the gateway and the web process have names of
their own. A board reaches its own topics only, each in its direction; only the gateway speaks for the gateway, and
only the web process brings what people did.
"""

from gateway.asyncapi import CHANNELS, Channel

GATEWAY, WEB = "chairside-gateway", "chairside-web"
_USERS = {"gateway": GATEWAY, "screen": WEB}


def access_list(site: str) -> str:
    """The text of the file. Rights of boards hold for every user by mosquitto's `pattern`, with the user's own name in
    the topic: the gateway and the web process have no device topic of their name, so these give them nothing."""
    boards = [
        f"pattern {'write' if one.sender == 'board' else 'read'} {_topic(one, site, '%u')}"
        for one in CHANNELS
        if one.scope == "device"
    ]
    lines = ["# Written by `chairside broker`; write it again after an update.", *boards]
    for role, user in _USERS.items():
        lines += ["", f"user {user}"]
        lines += [f"topic {how} {_topic(one, site, '+')}" for one in CHANNELS if (how := _right(role, one))]
    return "\n".join(lines) + "\n"


def _right(role: str, channel: Channel) -> str:
    """What the gateway or a screen may do with a channel."""
    if channel.sender == role:
        # The gateway finds by reading its own retained topics which of them are of chairs that are gone.
        return "readwrite" if role == "gateway" and channel.retain else "write"
    if role == "gateway":
        return "read"
    return "read" if channel.scope != "device" and channel.sender == "gateway" else ""


def _topic(channel: Channel, site: str, device: str) -> str:
    return channel.address.format(device=device, site=site, chair="+")
