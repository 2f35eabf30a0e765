"""The wall page: a process of its own that sees only MQTT."""
