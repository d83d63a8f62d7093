"""The scripts of the stages, ``python -m stages.<chapter>.<step>``."""

from skylight.errors import interrupt_in_one_line, use_tensorflow

interrupt_in_one_line()
use_tensorflow()  # before a script imports Keras
