"""Which lines of a run's log are meant: the only place that makes and reads such names.

Lines are counted from 0, in the order in which they were kept.
"""

from typing import NamedTuple


class Lines(NamedTuple):
    """Lines of a run, from `first` to the one before `end`."""

    run_id: str
    first: int
    end: int

    @property
    def name(self) -> str:
        """Their name."""
        return f"{self.run_id} {self.first} {self.end}"


def lines_named(name: str) -> Lines:
    """The lines that a name means."""
    run_id, first, end = name.split(" ")
    return Lines(run_id, int(first), int(end))
