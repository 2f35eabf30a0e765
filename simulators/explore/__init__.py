"""Draws stays at random, watches what must always be true, and makes a short scenario of what was not."""
