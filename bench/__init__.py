"""Benchmarks; alternatives are timed in one process: ``python -m bench.<name>``, or ``make bench`` for all."""
