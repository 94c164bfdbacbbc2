"""Why what the command line names cannot be served."""


class TargetError(Exception):
    """A target nobody can serve; the text names it and the fix."""


class Misnamed(TargetError):
    """There is no module or file of the name that was given."""
