"""Measures of how good a classifier is, and of how far an explanation of it can be trusted."""
