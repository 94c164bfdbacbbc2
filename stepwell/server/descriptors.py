"""How many files and sockets this process may have open, and whether one more could be opened."""

import errno
import os
import sys

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


def connections_that_fit(wanted: int) -> int:
    """How many of so many incoming connections leave room for the database, for connections to
    apps and for workers."""
    if sys.platform == "win32":
        return wanted
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (most - SPARE) // 2))
