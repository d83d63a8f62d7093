"""The scripts of the stages, ``python -m stages.<chapter>.<step>``."""

from skylight.errors import interrupt_in_one_line

interrupt_in_one_line()
