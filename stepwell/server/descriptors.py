"""How many files and sockets this process may have open, and whether one more could be opened."""

import errno
import os
import sys
from contextlib import suppress

if sys.platform != "win32":
    import resource

SPARE = 64
"""For the database, the log, and what a library opens for a moment."""


def is_descriptor_left() -> bool:
    """Could one more file be opened, or one more connection accepted?"""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in (errno.EMFILE, errno.ENFILE)
    return True


class Reserve:
    """One descriptor that is held open, to be given up when there is no other: so that whoever
    connects then can be accepted, told and let go."""

    def __init__(self) -> None:
        self._handle = -1

    @property
    def is_spent(self) -> bool:
        """Whether it was given up."""
        return self._handle < 0

    def hold(self) -> None:
        """Take one, unless it would be the last."""
        if self._handle < 0:
            with suppress(OSError):
                self._handle = os.open(os.devnull, os.O_RDONLY)
            if not is_descriptor_left():
                self.spend()

    def spend(self) -> None:
        """Give it up."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def connections_that_fit(wanted: int) -> int:
    """How many of so many incoming connections leave room for the database, for connections to
    apps and for workers."""
    if sys.platform == "win32":
        return wanted
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (most - SPARE) // 2))
