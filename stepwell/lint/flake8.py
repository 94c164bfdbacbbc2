"""The same rules for flake8, which finds them where both are installed."""

import ast
from collections.abc import Iterator

from stepwell.lint.problems import problems_of


class Plugin:
    """What flake8 makes of each module's tree."""

    name = "stepwell"
    version = "1"

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree

    def run(self) -> Iterator[tuple[int, int, str, type]]:
        """Line, column, text and type of each problem."""
        for one in problems_of(self._tree):
            yield one.line, one.column, f"{one.code} {one.message}", type(self)
