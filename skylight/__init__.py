"""The library that the stage scripts share: surveys in, explanations and figures out."""

__version__ = "0.1.0"
