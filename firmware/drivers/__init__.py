"""One chip, one class, one file. A driver does not log, average, or know MQTT."""


class ChipFault(OSError):
    """The address answers, but not as the chip that the board is built with; the text says what was read."""
