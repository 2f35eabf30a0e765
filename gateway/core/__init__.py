"""What decides about people: plain functions and frozen types, no clock, socket, file, thread, log or chance."""
