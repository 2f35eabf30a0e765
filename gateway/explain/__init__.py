"""Why there was an alarm, and why there was none: the record, replayed through the core that judged."""
