"""A connection to the broker by TLS: who it is by its certificate, and who we are by ours."""

import paho.mqtt.client as paho

from gateway.config import MqttConfig


def secure(client: paho.Client, config: MqttConfig) -> None:
    """Without a `ca` the system's authorities are asked; without a certificate of ours a login must do. Raises OSError
    (ssl.SSLError too) when a file cannot be used."""
    if config.is_secure:
        client.tls_set(config.ca or None, config.certificate or None, config.key or None)


def has_pending(sock: object) -> bool:
    """Was more decrypted than was read? `select` does not know of it."""
    pending = getattr(sock, "pending", None)
    return bool(pending and pending())
