"""Names of modules say what is inside, and none hides a module of the standard library."""

import sys

from tests.repo.source import written

EMPTY_NAMES = frozenset(
    {"utils", "util", "helpers", "helper", "common", "base", "misc", "core", "lib"}
)


def test_no_module_has_an_empty_name() -> None:
    assert [m.where for m in written() if m.path.stem.strip("_") in EMPTY_NAMES] == []


def test_no_module_is_called_like_one_of_the_standard_library() -> None:
    """`query/signal.py` would be read as the library's; the entry point `__main__` is exempt."""
    bad = [
        m.where
        for m in written()
        if m.path.stem not in {"__init__", "__main__"} and m.path.stem in sys.stdlib_module_names
    ]
    packages = [
        m.where for m in written() if m.is_package and m.path.parent.name in sys.stdlib_module_names
    ]
    assert bad + packages == []
