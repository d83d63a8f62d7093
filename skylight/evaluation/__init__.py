"""How good a classifier is, and how far an explanation of it can be trusted."""
