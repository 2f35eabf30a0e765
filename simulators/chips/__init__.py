"""Chips at register level, each written from its data sheet and from nothing else."""
