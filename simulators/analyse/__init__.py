"""Recordings of other instruments through the firmware's own oximetry and oscillometry."""
