"""The board as data, and the bench where one is made ready: pins, calibration."""
