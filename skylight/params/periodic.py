"""Parameters of the periodic-variables chapter."""

from skylight.params.section import Section


class Periodic(Section):
    """The chapter ``periodic``."""
