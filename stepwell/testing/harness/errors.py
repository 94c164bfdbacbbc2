"""What goes wrong in the harness itself; what handlers raise is told by their runs."""

from stepwell.sdk.errors import Error


class HarnessError(Error):
    """The test asked for something that cannot be. The text names it and what to do."""


class NotEnded(HarnessError):
    """A run has no result yet. The text says what it waits for."""
