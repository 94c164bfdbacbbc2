"""What a part of the package needs beside the SDK's own dependencies, and how to install it."""

from types import TracebackType
from typing import Final, Self


class Extra:
    """`with Extra("connect", "a worker"):` around imports: where one of them is not installed,
    ModuleNotFoundError says which extra brings it."""

    def __init__(self, name: str, what: str) -> None:
        """`name` is the extra in `pip install 'stepwell[…]'`, `what` needs it."""
        self._name: Final = name
        self._what: Final = what

    def __enter__(self) -> Self:
        """Begin to import."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say what is missing; what is missing of our own is a fault, and stays as it is."""
        if not isinstance(error, ModuleNotFoundError) or _is_ours(error):
            return
        raise ModuleNotFoundError(
            f"{self._what} needs an extra: pip install 'stepwell[{self._name}]' ({error})",
            name=error.name,
            path=error.path,
        ) from error


def _is_ours(error: ModuleNotFoundError) -> bool:
    return (error.name or "stepwell").partition(".")[0] == "stepwell"
