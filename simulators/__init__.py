"""Simulated chair boards: the unmodified firmware on a real MicroPython, in a simulated world."""
