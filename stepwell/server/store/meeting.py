"""Which waits an event may end, as far as an index can tell: by name, and by one equality.

What is left of a wait's condition is the engine's to judge. Pure.
"""

from stepwell.server.engine.row.run import WaitKind

MEETABLE = frozenset({WaitKind.EVENT, WaitKind.CANCEL})
"""The kinds of wait an event may end."""
