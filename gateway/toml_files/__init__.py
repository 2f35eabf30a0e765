"""Reads TOML that people write and says what is wrong with it: file, line, key, what was found, what is allowed."""
