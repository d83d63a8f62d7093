"""The library that the stage scripts share: surveys in, explanations and figures out."""
