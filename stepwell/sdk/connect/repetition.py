"""A failure that comes again and again is told once and then counted: a server that is away for an
hour does not fill the log of its workers.

Nothing here has a clock.
"""

from typing import Final

TELL_EVERY_S: Final = 60.0


class Repetition:
    """What was told last, and how often it was not told again since."""

    def __init__(self) -> None:
        self._words = ""
        self._told_at = 0.0
        self._untold = 0

    def tell(self, words: str, now: float) -> str:
        """What to tell of a failure; empty while it is only counted."""
        if words != self._words:
            self._words, self._told_at, self._untold = words, now, 0
            return words
        self._untold += 1
        if now - self._told_at < TELL_EVERY_S:
            return ""
        more, self._told_at, self._untold = self._untold, now, 0
        return f"{words} ({more} times since this was told last)"

    def over(self) -> None:
        """It works again: the next failure is news."""
        self._words = ""
