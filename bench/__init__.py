"""Measurements side by side in one process: ``python -m bench.<name>``, or ``make bench`` for all."""
