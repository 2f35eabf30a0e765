"""The embedded broker, for a machine without mosquitto: amqtt in a process of its own.

python -m simulators.demo.broker 1883
"""

import asyncio
import contextlib
import logging
import sys

from amqtt.broker import Broker
from amqtt.session import Session


class Embedded(Broker):  # type: ignore[misc]  # amqtt has no types
    """amqtt 0.12 tells each new client what is retained under everybody's subscriptions, and ends its connection if
    anybody subscribes meanwhile: a screen or a board that comes while others do was gone for a second. Here a client is
    told what it asked for."""

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        if any(asked is session for asked, _ in self._subscriptions.get(subscription[0], [])):
            await super()._publish_retained_messages_for_subscription(subscription, session)


async def serve(port: int) -> None:
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 200}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Embedded(config)
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1])))
