"""Simulators, each of which writes a survey in the survey's own format. Only the `simulate` stages import them."""
